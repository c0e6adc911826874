/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_allowances.h"

#include <errno.h>
#include <string.h>

static bool is_of(const struct ipc_forward_allow *who, const uint8_t ip[16])
{
        return memcmp(who->ip, ip, sizeof(who->ip)) == 0;
}

int ipc_allowances_set(struct ipc_allowances *allowances, const struct ipc_forward_allow *who, uint64_t now_ms)
{
        size_t kept = 0;

        for (size_t i = 0; i < allowances->count; i++)
                if (allowances->list[i].until_ms > now_ms && !is_of(&allowances->list[i], who->ip))
                        allowances->list[kept++] = allowances->list[i];
        allowances->count = kept;
        if (who->until_ms <= now_ms)
                return 0;
        if (allowances->count == IPC_ALLOWANCES_MAX)
                return -ENOSPC;
        allowances->list[allowances->count++] = *who;
        return 0;
}

bool ipc_allowances_has(const struct ipc_allowances *allowances, const uint8_t ip[16], uint64_t now_ms)
{
        for (size_t i = 0; i < allowances->count; i++)
                if (is_of(&allowances->list[i], ip))
                        return allowances->list[i].until_ms > now_ms;
        return false;
}

size_t ipc_allowances_count(const struct ipc_allowances *allowances, uint64_t now_ms)
{
        size_t count = 0;

        for (size_t i = 0; i < allowances->count; i++)
                count += allowances->list[i].until_ms > now_ms;
        return count;
}
