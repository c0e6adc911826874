/* SPDX-License-Identifier: BSD-3-Clause */
/* How many requests may be out: counts sends in the last four slots of 750 ms. dht-rpc lib/io.js CongestionWindow. */
#ifndef HG_RPC_WINDOW_H
#define HG_RPC_WINDOW_H

#include <stdbool.h>

#include "usec.h"

enum {
        RPC_WINDOW_SLOTS = 4,
        RPC_WINDOW_SLOT_MS = 750,
        RPC_WINDOW_SLOT_MAX = 80,
        RPC_WINDOW_MAX = 160,           /* over all slots */
};

struct rpc_window {
        unsigned sends[RPC_WINDOW_SLOTS], slot, total;
        usec_t turned_us;
};

void rpc_window_init(struct rpc_window *window, usec_t now_us);

/* Forgets slots that have passed. Call it before asking whether the window is full. */
void rpc_window_turn(struct rpc_window *window, usec_t now_us);

/* When the next slot begins. */
usec_t rpc_window_turns_at(const struct rpc_window *window);

static inline bool rpc_window_full(const struct rpc_window *window)
{
        return window->total >= RPC_WINDOW_MAX || window->sends[window->slot] >= RPC_WINDOW_SLOT_MAX;
}

/* A request leaves, for the first time or again. */
void rpc_window_send(struct rpc_window *window);

/* One was answered, or nobody waits for its answer any more. */
void rpc_window_receive(struct rpc_window *window);

#endif
