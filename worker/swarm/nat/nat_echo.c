/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_echo.h"

static void drop(struct nat_echoes *echoes, size_t at)
{
        echoes->count--;
        memmove(&echoes->echo[at], &echoes->echo[at + 1], (echoes->count - at) * sizeof(echoes->echo[0]));
}

void nat_echoes_hear(struct nat_echoes *echoes, uint32_t socket, const struct addr *from, usec_t now_us)
{
        for (size_t i = 0; i < echoes->count; i++) {
                struct nat_echo *echo = &echoes->echo[i];

                if (echo->socket != socket || !addr_equal(&echo->to, from))
                        continue;
                if (now_us < echo->heard_us + NAT_ECHO_QUIET_US)
                        return;
                drop(echoes, i);
                break;
        }
        if (echoes->count == NAT_ECHOES_MAX)
                drop(echoes, 0);
        echoes->echo[echoes->count++] = (struct nat_echo){ .socket = socket, .to = *from, .heard_us = now_us, .due_us = now_us };
}

bool nat_echoes_next(struct nat_echoes *echoes, uint32_t *socket_out, struct addr *to_out, usec_t now_us)
{
        for (size_t i = 0; i < echoes->count; i++) {
                struct nat_echo *echo = &echoes->echo[i];

                if (now_us < echo->due_us)
                        continue;
                echo->due_us = ++echo->sent == NAT_ECHO_TIMES ? USEC_NEVER : now_us + (NAT_ECHO_PAUSE_US << 2 * (echo->sent - 1));
                *socket_out = echo->socket;
                *to_out = echo->to;
                return true;
        }
        return false;
}

usec_t nat_echoes_deadline(const struct nat_echoes *echoes)
{
        usec_t due_us = USEC_NEVER;

        for (size_t i = 0; i < echoes->count; i++)
                due_us = usec_min(due_us, echoes->echo[i].due_us);
        return due_us;
}
