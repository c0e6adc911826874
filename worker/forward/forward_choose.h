/* SPDX-License-Identifier: BSD-3-Clause */
/* Which provider gets the next client, and by which swarm worker: the forward worker's replica of the routes, and how each did lately.
 *
 * Round robin over all providers of a gate. One that failed rests, 1 s at first and twice as long each time up to 30 s,
 * and is passed over while others are fit. When its rest ends it gets one client at a time until one succeeds. */
#ifndef HG_FORWARD_CHOOSE_H
#define HG_FORWARD_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"
#include "map.h"
#include "usec.h"

#define CHOOSE_REST_MIN_US SECONDS(1)
#define CHOOSE_REST_MAX_US SECONDS(30)
#define CHOOSE_PROBE_US SECONDS(1)      /* from one probing client to the next, unless the first one's answer comes before */

enum { CHOOSE_ROUTES_MAX = 65536 };     /* of all gates together: as many as the router holds */

struct choose {
        struct map gates;
        size_t routes;
        bool replacing;         /* between choose_begin() and choose_end() */
};

/* @map_key: 16 random bytes. */
void choose_init(struct choose *choose, const uint8_t map_key[16]);
void choose_fini(struct choose *choose);

/* Until choose_end() the routes that are not set again stay in use; then they go. A second begin starts over. */
void choose_begin(struct choose *choose);
void choose_end(struct choose *choose);

/* @service: which of the peer's behind the gate is meant; 0: any. 0, -ENOSPC or -ENOMEM. A route that is there keeps its history. */
int choose_set(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint64_t service);
uint64_t choose_service(const struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol);

void choose_drop(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol);

/* Whether a client can be sent that way now; NULL: all can. */
typedef bool (*choose_usable)(void *context, const struct ipc_via *via);

/* The provider for a client of that gate, or false: none, or all of them rest or are not @usable. With @insist one that rests is taken rather
 * than none, the one closest to its end: for a client who has tried nobody yet. */
bool choose_pick(struct choose *choose, uint16_t gate_port, uint16_t protocol, bool insist, usec_t now_us, choose_usable usable,
                 void *context, struct ipc_via *via_out);

/* What became of it. */
void choose_failed(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, usec_t now_us);
void choose_worked(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol);

/* When choose_pick() can next say yes without @insist; 0: now; USEC_NEVER: no route. */
usec_t choose_ready_us(const struct choose *choose, uint16_t gate_port, uint16_t protocol);

#endif
