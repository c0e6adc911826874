/* SPDX-License-Identifier: BSD-3-Clause */
/* Lets one punch at a time work with chance: it holds hundreds of sockets, or fills a router's table with hundreds of entries.
 * hyperdht fails whoever finds it shut; here they wait. */
#ifndef HG_NAT_GATE_H
#define HG_NAT_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "usec.h"

#define NAT_GATE_MET_US SECONDS(1)      /* shut after one that led somewhere */
#define NAT_GATE_FAILED_US SECONDS(10)  /* and after one that did not: the router needs time to forget. hyperdht: 20 s always */

/* Zeroed: open. */
struct nat_gate {
        const void *holder;             /* NULL: nobody */
        usec_t open_us;                 /* while nobody holds it: from then on */
};

/* @holder is in, or is already. */
static inline bool nat_gate_enter(struct nat_gate *gate, const void *holder, usec_t now_us)
{
        if (!gate->holder && now_us >= gate->open_us)
                gate->holder = holder;
        return gate->holder == holder;
}

/* Nothing happens to who was not in. */
static inline void nat_gate_leave(struct nat_gate *gate, const void *holder, bool met, usec_t now_us)
{
        if (gate->holder != holder)
                return;
        gate->holder = NULL;
        gate->open_us = now_us + (met ? NAT_GATE_MET_US : NAT_GATE_FAILED_US);
}

#endif
