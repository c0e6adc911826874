/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients whom the operator lets in for a while, whatever the ingress policies of providers say. */
#ifndef HG_FORWARD_ALLOWED_H
#define HG_FORWARD_ALLOWED_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc_message.h"

enum { ALLOWED_MAX = 256 };

/* Zeroed memory is an empty one. */
struct allowed {
        struct ipc_forward_allow list[ALLOWED_MAX];
        size_t count;
};

/* One more, or another time for one that is there. 0 or -ENOSPC; those whose time is over leave room. */
int allowed_set(struct allowed *allowed, const struct ipc_forward_allow *who, uint64_t now_ms);

bool allowed_has(const struct allowed *allowed, const uint8_t ip[16], uint64_t now_ms);

#endif
