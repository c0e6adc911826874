/* SPDX-License-Identifier: BSD-3-Clause */
/* Which forward worker serves which gate port, as each says itself. Those that serve the same take turns. */
#ifndef HG_SWARM_HOLDINGS_H
#define HG_SWARM_HOLDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc_channel.h"
#include "list.h"

struct holding {
        struct list in_all;
        uint32_t forward;               /* id of that worker */
        struct ipc_service_held service;
};

struct holdings {
        struct list all;                /* the next in turn first */
};

void holdings_init(struct holdings *holdings);
void holdings_fini(struct holdings *holdings);

/* @forward serves that from now on. False: it is known already, or there is no memory; the next conf says it again. */
bool holdings_add(struct holdings *holdings, uint32_t forward, const struct ipc_service_held *held);

/* No longer; and nothing any more: whether it served anything. */
void holdings_drop(struct holdings *holdings, uint32_t forward, const struct ipc_service_held *held);
bool holdings_forget(struct holdings *holdings, uint32_t forward);

/* Whose turn it is there; NULL: nobody serves it. */
struct holding *holdings_next(const struct holdings *holdings, uint16_t gate_port, uint16_t protocol);

/* @holding has had its turn. */
void holdings_turn(struct holdings *holdings, struct holding *holding);

#endif
