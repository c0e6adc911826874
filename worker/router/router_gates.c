/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_gates.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"

void router_gates_init(struct router_gates *gates, const uint8_t map_key[16])
{
        map_init(&gates->map, map_key);
}

static void gate_free(struct router_gates *gates, struct router_gate *gate)
{
        map_remove(&gates->map, &gate->by_port);
        free(gate);
}

void router_gates_fini(struct router_gates *gates)
{
        struct router_gate *gate;

        while ((gate = router_gates_next(gates, NULL)))
                gate_free(gates, gate);
        map_fini(&gates->map);
}

static uint64_t hash_of(const struct router_gates *gates, uint16_t port, uint16_t protocol)
{
        uint16_t key[2] = { port, protocol };

        return map_hash(&gates->map, key, sizeof(key));
}

struct router_gate *router_gates_find(const struct router_gates *gates, uint16_t port, uint16_t protocol)
{
        struct map_entry *at = map_first(&gates->map, hash_of(gates, port, protocol));

        for (; at; at = map_next(at)) {
                struct router_gate *gate = container_of(at, struct router_gate, by_port);

                if (gate->port == port && gate->protocol == protocol)
                        return gate;
        }
        return NULL;
}

static struct router_gate *gate_get(struct router_gates *gates, uint16_t port, uint16_t protocol)
{
        struct router_gate *gate = router_gates_find(gates, port, protocol);

        if (gate || !(gate = calloc(1, sizeof(*gate))))
                return gate;
        gate->port = port;
        gate->protocol = protocol;
        if (map_insert(&gates->map, &gate->by_port, hash_of(gates, port, protocol)) == 0)
                return gate;
        free(gate);
        return NULL;
}

static void forget_idle(struct router_gates *gates, struct router_gate *gate)
{
        if (!gate->wanted && gate->forward == 0)
                gate_free(gates, gate);
}

int router_gates_want(struct router_gates *gates, uint16_t port, uint16_t protocol, bool wanted)
{
        struct router_gate *gate = gate_get(gates, port, protocol);

        if (!gate)
                return -ENOMEM;
        gate->wanted = wanted;
        forget_idle(gates, gate);
        return 0;
}

int router_gates_hold(struct router_gates *gates, uint16_t port, uint16_t protocol, uint32_t forward)
{
        struct router_gate *gate = gate_get(gates, port, protocol);

        if (!gate)
                return -ENOMEM;
        gate->forward = forward;
        forget_idle(gates, gate);
        return 0;
}

struct router_gate *router_gates_next(const struct router_gates *gates, const struct router_gate *gate)
{
        struct map_entry *at = map_walk(&gates->map, gate ? &gate->by_port : NULL);

        return at ? container_of(at, struct router_gate, by_port) : NULL;
}
