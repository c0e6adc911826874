/* SPDX-License-Identifier: BSD-3-Clause */
/* The gates the supervisor is asked to keep open, and which forward worker holds each. */
#ifndef HG_ROUTER_GATES_H
#define HG_ROUTER_GATES_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc_message.h"
#include "map.h"

struct router_gate {
        struct map_entry by_port;
        uint16_t port, protocol;
        uint32_t forward;               /* 0: nobody */
        bool wanted;                    /* the last we said was GATE_OPEN */
        bool listed;                    /* in the configuration being applied */
};

struct router_gates {
        struct map map;
};

/* @map_key: 16 random bytes. */
void router_gates_init(struct router_gates *gates, const uint8_t map_key[16]);
void router_gates_fini(struct router_gates *gates);

/* NULL: neither wanted nor held. */
struct router_gate *router_gates_find(const struct router_gates *gates, uint16_t port, uint16_t protocol);

/* 0 or -ENOMEM. A gate that is neither wanted nor held is forgotten. */
int router_gates_want(struct router_gates *gates, uint16_t port, uint16_t protocol, bool wanted);
int router_gates_hold(struct router_gates *gates, uint16_t port, uint16_t protocol, uint32_t forward);

/* Walks all, as map_walk() does: NULL is the first; the current one may be changed and forgotten if the next was taken before. */
struct router_gate *router_gates_next(const struct router_gates *gates, const struct router_gate *gate);

#endif
