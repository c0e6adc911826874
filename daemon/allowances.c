/* SPDX-License-Identifier: BSD-3-Clause */
#include "allowances.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "publish.h"
#include "sockets.h"

uint64_t allowances_now_ms(void)
{
        struct timespec time;

        clock_gettime(CLOCK_REALTIME, &time);
        return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void log_made(const struct log *log, const struct ipc_forward_allow *who, unsigned long s)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char address[INET6_ADDRSTRLEN];

        sockets_print_address(who->ip, address);
        ipc_fields_text(&fields, "CLIENT_ADDRESS", address);
        ipc_fields_number(&fields, "DURATION_USEC", SECONDS(s));
        log_event(log, IPC_EVENT_ALLOWANCE_MADE, LOG_NOTICE, fields.list, "clients from %s are let in for %lu s, whatever ingress policies say",
                  address, s);
}

static void log_ended(const struct log *log, const struct ipc_forward_allow *who)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char address[INET6_ADDRSTRLEN];

        sockets_print_address(who->ip, address);
        ipc_fields_text(&fields, "CLIENT_ADDRESS", address);
        log_event(log, IPC_EVENT_ALLOWANCE_ENDED, LOG_NOTICE, fields.list, "clients from %s are let in as ingress policies say again", address);
}

int allowances_let_in(struct supervisor *supervisor, const uint8_t ip[16], unsigned long s, struct ipc_forward_allow *made_out)
{
        uint64_t now_ms = allowances_now_ms();
        struct ipc_forward_allow who = { .until_ms = now_ms + (uint64_t)s * 1000 };
        int r;

        memcpy(who.ip, ip, sizeof(who.ip));
        r = ipc_allowances_set(&supervisor->allowances, &who, now_ms);
        if (r < 0)
                return r;
        log_made(supervisor->log, &who, s);
        publish_allowance(supervisor, &who);
        *made_out = who;
        return 0;
}

bool allowances_end(struct supervisor *supervisor, const uint8_t ip[16], struct ipc_forward_allow *ended_out)
{
        struct ipc_forward_allow who = { .until_ms = 0 };
        uint64_t now_ms = allowances_now_ms();

        if (!ipc_allowances_has(&supervisor->allowances, ip, now_ms))
                return false;
        memcpy(who.ip, ip, sizeof(who.ip));
        (void)ipc_allowances_set(&supervisor->allowances, &who, now_ms);        /* there is room for what goes */
        log_ended(supervisor->log, &who);
        publish_allowance(supervisor, &who);
        *ended_out = who;
        return true;
}

void allowances_hear(struct supervisor *supervisor, struct child *child, const struct ipc_admin_allow *said)
{
        struct ipc_admin_allowed answer = { .question = said->question };
        struct ipc_forward_allow made;

        if (child != supervisor->unlimited.child) {
                child_kill(child, "lets somebody in, which is not for it to say");
                return;
        }
        memcpy(answer.ip, said->ip, sizeof(answer.ip));
        if (allowances_let_in(supervisor, said->ip, ALLOWANCES_TOKEN_S, &made) == 0)
                answer.until_ms = made.until_ms;
        else
                log_warning(supervisor->log, "unlimited: a client with a good token is not let in: 256 addresses are, as many as may be");
        child_send(child, IPC_ADMIN_ALLOWED, &answer, NULL, 0);
}
