/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers: what one peer has behind one gate, told as one however many of its routes lead there. */
#include <stdlib.h>

#include "ipc_service.h"
#include "policy.h"
#include "router_table_state.h"

void route_offer_free(struct route_table *table, struct route_offer *offer)
{
        struct route_gate *gate = offer->gate;

        list_remove(&offer->of_gate);
        list_remove(&offer->of_peer);
        list_remove(&offer->dirty);
        policy_leave(offer->policy);
        policy_leave(offer->told_policy);
        free(offer);
        route_gate_forget(table, gate);
}

/* News, or none any more. */
static void offer_mark(struct route_table *table, struct route_offer *offer)
{
        bool is = offer->routes > 0, differs = offer->service != offer->told_service || offer->priority != offer->told_priority ||
                                               !policy_same(offer->policy, offer->told_policy);

        if (is == offer->told && !(is && differs))
                list_remove(&offer->dirty);
        else if (list_empty(&offer->dirty))
                list_push_back(&table->dirty_offers, &offer->dirty);
}

void route_offer_count(struct route_table *table, struct route_offer *offer, int change, usec_t now_us)
{
        bool was = offer->routes > 0, is;

        offer->routes += (unsigned)change;
        is = offer->routes > 0;
        if (was != is) {
                offer->owner->held += (unsigned)(is ? 1 : -1);
                route_gate_count(table, offer->gate, is ? 1 : -1, offer->owner, now_us);
        }
        list_remove(&offer->dirty);
        offer_mark(table, offer);
        if (!is && !offer->told)
                route_offer_free(table, offer);
}

struct route_offer *route_offer_find(const struct route_peer *peer, const struct route *route)
{
        list_for_each (at, &peer->offers) {
                struct route_offer *offer = container_of(at, struct route_offer, of_peer);

                if (offer->gate->port == route->gate_port && offer->gate->protocol == route->protocol && offer->name == route->name)
                        return offer;
        }
        return NULL;
}

struct route_offer *route_offer_new(struct route_table *table, struct route_peer *peer, const struct route *route)
{
        struct route_gate *gate = route_gate_get(table, route->gate_port, route->protocol);
        struct route_offer *offer = gate ? calloc(1, sizeof(*offer)) : NULL;

        if (!offer) {
                if (gate)
                        route_gate_forget(table, gate);
                return NULL;
        }
        offer->gate = gate;
        offer->owner = peer;
        offer->via = peer->via;
        offer->name = route->name;
        list_push_back(&gate->offers, &offer->of_gate);
        list_push_back(&peer->offers, &offer->of_peer);
        list_init(&offer->dirty);
        return offer;
}

static bool is_behind(const struct route *route, const struct route_gate *gate)
{
        return route->gate_port == gate->port && route->protocol == gate->protocol;
}

/* A provider takes any of its services for a gate, the best of them by its own priorities first; also one that the filters keep out, or whose
 * priority they lower: then the one that is wanted must be named. */
static void offer_describe(const struct route_peer *peer, struct route_offer *offer)
{
        const struct route *best = NULL;
        bool others = false;

        list_for_each (at, &peer->routes) {
                const struct route *route = container_of(at, struct route, of_peer);

                if (route->offer == offer && (!best || route->priority < best->priority))
                        best = route;
        }
        list_for_each (at, &peer->routes) {
                const struct route *route = container_of(at, struct route, of_peer);

                if (is_behind(route, offer->gate) && best && route != best)
                        others = others || route->offer != offer ||
                                 (route->priority > best->priority && route->said_priority <= best->said_priority) ||
                                 !policy_same(route->policy, best->policy);
        }
        if (best)
                policy_set(&offer->policy, best->policy);
        offer->priority = best ? best->priority : offer->priority;
        offer->service = best && others ? ipc_service_name(best->host, best->service_port, best->tags) : 0;
}

void route_offers_describe(struct route_table *table, struct route_peer *peer)
{
        list_for_each (at, &peer->offers) {
                struct route_offer *offer = container_of(at, struct route_offer, of_peer);

                if (offer->routes == 0)
                        continue;
                offer_describe(peer, offer);
                offer_mark(table, offer);
        }
}
