/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients whom the operator lets in for a while, whatever the ingress policies of providers say: as the supervisor keeps them, and each
 * forward worker that has gates. */
#ifndef HG_IPC_ALLOWANCES_H
#define HG_IPC_ALLOWANCES_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc_forward.h"

enum { IPC_ALLOWANCES_MAX = 256 };

/* Zeroed memory is an empty one. */
struct ipc_allowances {
        struct ipc_forward_allow list[IPC_ALLOWANCES_MAX];
        size_t count;
};

/* One more, or another time for one that is there. 0 or -ENOSPC; those whose time is over leave room. */
int ipc_allowances_set(struct ipc_allowances *allowances, const struct ipc_forward_allow *who, uint64_t now_ms);

bool ipc_allowances_has(const struct ipc_allowances *allowances, const uint8_t ip[16], uint64_t now_ms);

/* Those whose time is not over. */
size_t ipc_allowances_count(const struct ipc_allowances *allowances, uint64_t now_ms);

#endif
