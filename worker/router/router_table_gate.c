/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates: which shall be open, because somebody offers them or did until a moment ago. */
#include <errno.h>
#include <stdlib.h>

#include "router_table_state.h"

static uint64_t gate_hash(const struct route_table *table, uint16_t port, uint16_t protocol)
{
        uint16_t key[2] = { port, protocol };

        return map_hash(&table->gates, key, sizeof(key));
}

struct route_gate *route_gate_find(const struct route_table *table, uint16_t port, uint16_t protocol)
{
        struct map_entry *at = map_first(&table->gates, gate_hash(table, port, protocol));

        for (; at; at = map_next(at)) {
                struct route_gate *gate = container_of(at, struct route_gate, by_port);

                if (gate->port == port && gate->protocol == protocol)
                        return gate;
        }
        return NULL;
}

struct route_gate *route_gate_get(struct route_table *table, uint16_t port, uint16_t protocol)
{
        struct route_gate *gate = route_gate_find(table, port, protocol);

        if (gate || !(gate = calloc(1, sizeof(*gate))))
                return gate;
        gate->port = port;
        gate->protocol = protocol;
        list_init(&gate->offers);
        list_init(&gate->dirty);
        list_init(&gate->of_holder);
        if (map_insert(&table->gates, &gate->by_port, gate_hash(table, port, protocol)) == 0)
                return gate;
        free(gate);
        return NULL;
}

void route_gate_release(struct route_gate *gate)
{
        if (gate->holder)
                gate->holder->held--;
        gate->holder = NULL;
        list_remove(&gate->of_holder);
}

void route_gate_free(struct route_table *table, struct route_gate *gate)
{
        table->wanted -= gate->wanted;
        route_gate_release(gate);
        heap_remove(&table->closings, &gate->closing);
        map_remove(&table->gates, &gate->by_port);
        list_remove(&gate->dirty);
        free(gate);
}

void route_gate_forget(struct route_table *table, struct route_gate *gate)
{
        if (!gate->wanted && !gate->told && list_empty(&gate->offers))
                route_gate_free(table, gate);
}

/* What closes is told before what opens: there may be room for one only. */
static void gate_want(struct route_table *table, struct route_gate *gate, bool wanted)
{
        table->wanted += (size_t)wanted - gate->wanted;
        gate->wanted = wanted;
        list_remove(&gate->dirty);
        if (gate->wanted == gate->told)
                return;
        if (wanted)
                list_push_back(&table->dirty_gates, &gate->dirty);
        else
                list_push_front(&table->dirty_gates, &gate->dirty);
}

void route_gate_count(struct route_table *table, struct route_gate *gate, int change, struct route_peer *peer, usec_t now_us)
{
        gate->offered += (unsigned)change;
        route_gate_release(gate);
        if (gate->offered == 0) {
                gate->holder = peer;
                peer->held++;
                list_push_back(&peer->lingering, &gate->of_holder);
                heap_set(&table->closings, &gate->closing, usec_add(now_us, ROUTE_GATE_LINGER_US));
        } else {
                heap_remove(&table->closings, &gate->closing);
                gate_want(table, gate, true);
        }
}

void route_gate_close(struct route_table *table, struct route_gate *gate)
{
        heap_remove(&table->closings, &gate->closing);
        route_gate_release(gate);
        gate_want(table, gate, false);
        route_gate_forget(table, gate);
}

int route_table_adopt(struct route_table *table, uint16_t gate_port, uint16_t protocol, usec_t now_us)
{
        struct route_gate *gate = route_gate_get(table, gate_port, protocol);

        if (!gate)
                return -ENOMEM;
        if (gate->told || gate->wanted)
                return 0;
        gate->told = true;
        gate_want(table, gate, true);
        heap_set(&table->closings, &gate->closing, usec_add(now_us, ROUTE_GATE_ADOPTED_US));
        return 0;
}
