/* SPDX-License-Identifier: BSD-3-Clause */
/* What the table has to say: what changed since it was last asked, and what there is. */
#include "ipc_service.h"
#include "policy.h"
#include "router_table_state.h"

static bool low_port_event(struct route_table *table, struct route_event *out)
{
        for (unsigned port = 1; table->low_dirty && port < ROUTE_LOW_PORTS; port++) {
                uint8_t bit = (uint8_t)(1u << port % 8);

                if (!(table->low_seen[port / 8] & bit) || (table->low_told[port / 8] & bit))
                        continue;
                table->low_told[port / 8] |= bit;
                *out = (struct route_event){ .kind = ROUTE_LOW_PORT, .gate_port = (uint16_t)port };
                return true;
        }
        table->low_dirty = false;
        return false;
}

static void offer_event(struct route_table *table, struct route_offer *offer, struct route_event *out)
{
        offer->told = offer->routes > 0;
        offer->told_service = offer->service;
        offer->told_priority = offer->priority;
        policy_set(&offer->told_policy, offer->policy);
        *out = (struct route_event){
                .kind = offer->told ? ROUTE_OFFERED : ROUTE_WITHDRAWN,
                .gate_port = offer->gate->port,
                .protocol = offer->gate->protocol,
                .via = offer->via,
                .service = offer->told ? offer->service : 0,
                .name = offer->name,
                .priority = offer->told ? offer->priority : 0,
                .policy = offer->told ? offer->told_policy : NULL,
        };
        list_remove(&offer->dirty);
        if (!offer->told)
                route_offer_free(table, offer);
}

static void gate_event(struct route_table *table, struct route_gate *gate, struct route_event *out)
{
        gate->told = gate->wanted;
        *out = (struct route_event){
                .kind = gate->told ? ROUTE_GATE_WANTED : ROUTE_GATE_DONE,
                .gate_port = gate->port,
                .protocol = gate->protocol,
        };
        list_remove(&gate->dirty);
        route_gate_forget(table, gate);
}

/* Offers first: whoever hears of a gate may ask for its offers at once. */
bool route_table_event(struct route_table *table, struct route_event *out)
{
        struct list *first = list_first(&table->dirty_offers);

        if (first) {
                offer_event(table, container_of(first, struct route_offer, dirty), out);
                return true;
        }
        first = list_first(&table->dirty_gates);
        if (first) {
                gate_event(table, container_of(first, struct route_gate, dirty), out);
                return true;
        }
        return low_port_event(table, out);
}

const struct route_offer *route_table_next(const struct route_table *table, uint16_t gate_port, uint16_t protocol,
                                           const struct route_offer *after)
{
        const struct route_gate *gate = after ? after->gate : route_gate_find(table, gate_port, protocol);

        if (!gate)
                return NULL;
        for (struct list *at = after ? after->of_gate.next : gate->offers.next; at != &gate->offers; at = at->next) {
                const struct route_offer *offer = container_of(at, struct route_offer, of_gate);

                if (offer->told)
                        return offer;
        }
        return NULL;
}

void route_table_each(struct route_table *table, void (*found)(void *context, const struct route_service *service), void *context)
{
        for (struct map_entry *at = map_walk(&table->peers, NULL); at; at = map_walk(&table->peers, at)) {
                const struct route_peer *peer = container_of(at, struct route_peer, by_via);

                list_for_each (route_at, &peer->routes) {
                        const struct route *route = container_of(route_at, struct route, of_peer);
                        struct route_service service = { .via = peer->via, .host = route->host, .service_port = route->service_port,
                                                         .protocol = route->protocol, .gate_port = route->gate_port,
                                                         .policy = route->policy };

                        if (!route_passes(table, route, &service.priority))
                                continue;
                        service.name = ipc_service_name(route->host, route->service_port, route->tags);
                        found(context, &service);
                }
        }
}

size_t route_table_told(const struct route_table *table, struct route_told *out, size_t max)
{
        size_t count = 0;

        for (struct map_entry *at = map_walk(&table->gates, NULL); at; at = map_walk(&table->gates, at)) {
                const struct route_gate *gate = container_of(at, struct route_gate, by_port);

                list_for_each(offer_at, &gate->offers) {
                        const struct route_offer *offer = list_entry(offer_at, struct route_offer, of_gate);

                        if (!offer->told || count++ >= max)
                                continue;
                        *out++ = (struct route_told){ .gate_port = gate->port, .protocol = gate->protocol, .routes = offer->routes,
                                                      .via = offer->via, .priority = offer->told_priority };
                }
        }
        return count;
}
