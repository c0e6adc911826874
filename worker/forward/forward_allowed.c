/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_allowed.h"

#include <errno.h>
#include <string.h>

static bool is_of(const struct ipc_forward_allow *who, const uint8_t ip[16])
{
        return memcmp(who->ip, ip, sizeof(who->ip)) == 0;
}

int allowed_set(struct allowed *allowed, const struct ipc_forward_allow *who, uint64_t now_ms)
{
        size_t kept = 0;

        for (size_t i = 0; i < allowed->count; i++)
                if (allowed->list[i].until_ms > now_ms && !is_of(&allowed->list[i], who->ip))
                        allowed->list[kept++] = allowed->list[i];
        allowed->count = kept;
        if (who->until_ms <= now_ms)
                return 0;
        if (allowed->count == ALLOWED_MAX)
                return -ENOSPC;
        allowed->list[allowed->count++] = *who;
        return 0;
}

bool allowed_has(const struct allowed *allowed, const uint8_t ip[16], uint64_t now_ms)
{
        for (size_t i = 0; i < allowed->count; i++)
                if (is_of(&allowed->list[i], ip))
                        return allowed->list[i].until_ms > now_ms;
        return false;
}
