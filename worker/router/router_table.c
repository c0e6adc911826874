/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_table_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_route.h"
#include "ipc_router.h"
#include "ipc_service.h"
#include "policy.h"

void route_table_init(struct route_table *table, const uint8_t map_key[16])
{
        memset(table, 0, sizeof(*table));
        table->expiry_us = ROUTE_EXPIRY_US;
        map_init(&table->peers, map_key);
        map_init(&table->gates, map_key);
        list_init(&table->dirty_offers);
        list_init(&table->dirty_gates);
        table->per_peer = ROUTE_GATES_PER_PEER;
}

/* Brings the offer behind @route in line with the filters and its peer's share. 0, or -ENOSPC or -ENOMEM: it stays out. */
static int route_settle(struct route_table *table, struct route_peer *peer, struct route *route, usec_t now_us)
{
        bool admitted = route_admitted(table, route);

        if (admitted && !route->offer) {
                struct route_offer *offer = route_offer_find(peer, route);

                if ((!offer || offer->routes == 0) && !route_share_allows(table, peer, route, now_us))
                        return -ENOSPC;
                route->offer = offer ? offer : route_offer_new(table, peer, route);
                if (!route->offer)
                        return -ENOMEM;
                route_offer_count(table, route->offer, 1, now_us);
        } else if (!admitted && route->offer) {
                route_offer_count(table, route->offer, -1, now_us);
                route->offer = NULL;
        }
        return 0;
}

static void route_free(struct route_table *table, struct route *route, usec_t now_us)
{
        if (route->offer)
                route_offer_count(table, route->offer, -1, now_us);
        list_remove(&route->of_peer);
        table->routes--;
        table->version++;
        policy_leave(route->policy);
        free(route);
}

static struct route *route_new(struct route_table *table, struct route_peer *peer, const struct advert_route *said)
{
        size_t host_bytes = strlen(said->host) + 1, tags_bytes = strlen(said->tags) + 1;
        struct route *route = calloc(1, sizeof(*route) + host_bytes + tags_bytes);

        if (!route)
                return NULL;
        route->gate_port = said->gate_port;
        route->protocol = said->protocol;
        route->name = ipc_server_name(said->sni);
        route->host = memcpy(route->text, said->host, host_bytes);
        route->tags = memcpy(route->text + host_bytes, said->tags, tags_bytes);
        list_push_back(&peer->routes, &route->of_peer);
        table->routes++;
        table->version++;
        return route;
}

static struct route *route_find(const struct route_peer *peer, const struct advert_route *said)
{
        list_for_each (at, &peer->routes) {
                struct route *route = container_of(at, struct route, of_peer);

                if (route->gate_port == said->gate_port && route->protocol == said->protocol && route->name == ipc_server_name(said->sni) &&
                    strcmp(route->host, said->host) == 0 && strcmp(route->tags, said->tags) == 0)
                        return route;
        }
        return NULL;
}

static uint64_t via_hash(const struct route_table *table, const struct ipc_via *via)
{
        return map_hash(&table->peers, via, sizeof(*via));
}

static struct route_peer *peer_find(const struct route_table *table, const struct ipc_via *via)
{
        struct map_entry *at = map_first(&table->peers, via_hash(table, via));

        for (; at; at = map_next(at)) {
                struct route_peer *peer = container_of(at, struct route_peer, by_via);

                if (memcmp(&peer->via, via, sizeof(*via)) == 0)
                        return peer;
        }
        return NULL;
}

static struct route_peer *peer_get(struct route_table *table, const struct ipc_via *via)
{
        struct route_peer *peer = peer_find(table, via);

        if (peer || !(peer = calloc(1, sizeof(*peer))))
                return peer;
        peer->via = *via;
        list_init(&peer->routes);
        list_init(&peer->offers);
        list_init(&peer->lingering);
        if (map_insert(&table->peers, &peer->by_via, via_hash(table, via)) == 0)
                return peer;
        free(peer);
        return NULL;
}

static void peer_free(struct route_table *table, struct route_peer *peer, usec_t now_us)
{
        list_for_each (at, &peer->routes)
                route_free(table, container_of(at, struct route, of_peer), now_us);
        list_for_each (at, &peer->offers) {     /* their end is still to be told */
                container_of(at, struct route_offer, of_peer)->owner = NULL;
                list_remove(at);
        }
        list_for_each (at, &peer->lingering)
                route_gate_release(container_of(at, struct route_gate, of_holder));
        heap_remove(&table->expiries, &peer->expiry);
        map_remove(&table->peers, &peer->by_via);
        free(peer);
}

static int peer_settle(struct route_table *table, struct route_peer *peer, usec_t now_us)
{
        int result = 0;

        list_for_each (at, &peer->routes) {
                int r = route_settle(table, peer, container_of(at, struct route, of_peer), now_us);

                result = r < 0 ? r : result;
        }
        route_offers_describe(table, peer);
        return result;
}

/* Policies that are kept are repeated by nobody: what they take has a limit of its own. Those that came as one are one. Nobody may come to a
 * route whose policy is beyond it: it is not known whom its provider lets in; without memory to say so it goes. 0, -ENOSPC or -ENOMEM. */
static int bound_policies(struct route_table *table, struct route_peer *peer, usec_t now_us)
{
        static const struct ipc_rule nobody = { .who = IPC_RULE_ALL, .protocols = 1U << IPC_TCP | 1U << IPC_UDP, .port_last = UINT16_MAX };
        const struct policy *last = NULL;
        struct policy *closed = NULL;
        size_t rules = 0;
        int result = 0;

        list_for_each (at, &peer->routes) {
                struct route *route = container_of(at, struct route, of_peer);
                size_t more = route->policy && route->policy != last ? route->policy->count : 0;

                if (more > 1 && rules + more > ROUTE_RULES_PER_PEER) {
                        table->version++;
                        closed = closed ? closed : policy_new(&nobody, 1);
                        result = closed ? -ENOSPC : -ENOMEM;
                        if (closed)
                                policy_set(&route->policy, closed);
                        else
                                route_free(table, route, now_us);
                        continue;
                }
                rules += more;
                last = route->policy;
        }
        policy_leave(closed);
        return result;
}

int route_table_merge(struct route_table *table, const struct ipc_via *via, const struct advert *advert, usec_t now_us)
{
        struct route_peer *peer = peer_find(table, via);
        int result = 0, bounded, settled;

        if (!peer && table->peers.count >= ROUTE_PEERS_MAX)
                return -ENOSPC;
        if (!peer && !(peer = peer_get(table, via)))
                return -ENOMEM;
        list_for_each (at, &peer->routes)
                container_of(at, struct route, of_peer)->repeated = false;
        for (size_t i = 0; i < advert->count; i++) {
                const struct advert_route *said = &advert->routes[i];
                struct route *route = route_find(peer, said);

                if (!route && table->routes >= ROUTE_TABLE_MAX)
                        result = -ENOSPC;
                else if (!route && !(route = route_new(table, peer, said)))
                        result = -ENOMEM;
                if (!route)
                        continue;
                if (route->service_port != said->service_port || route->said_priority != said->priority)
                        table->version++;
                route->service_port = said->service_port;
                route->said_priority = said->priority;
                if (!said->keeps_policy && !policy_same(route->policy, said->policy)) {
                        policy_set(&route->policy, said->policy);
                        table->version++;
                }
                route->repeated = true;
        }
        list_for_each (at, &peer->routes)
                if (!container_of(at, struct route, of_peer)->repeated)
                        route_free(table, container_of(at, struct route, of_peer), now_us);
        bounded = bound_policies(table, peer, now_us);
        result = bounded < 0 ? bounded : result;
        heap_set(&table->expiries, &peer->expiry, usec_add(now_us, table->expiry_us));
        settled = peer_settle(table, peer, now_us);
        return settled < 0 ? settled : result;
}

/* Their provider has not gone for a moment: they are not wanted. */
static void close_forbidden(struct route_table *table)
{
        for (struct map_entry *at = map_walk(&table->gates, NULL), *next; at; at = next) {
                struct route_gate *gate = container_of(at, struct route_gate, by_port);

                next = map_walk(&table->gates, at);
                if (gate->wanted && gate->offered == 0 && !route_gate_allowed(table, gate))
                        route_gate_close(table, gate);
        }
}

void route_table_filter_mode(struct route_table *table, bool every)
{
        table->every = every;
}

int route_table_filter(struct route_table *table, const struct ipc_router_filter *filters, size_t count, usec_t now_us)
{
        struct ipc_router_filter *copy = calloc(count ? count : 1, sizeof(*copy));
        int result = 0;

        if (!copy)
                return -ENOMEM;
        if (count)
                memcpy(copy, filters, count * sizeof(*copy));
        free(table->filters);
        table->filters = copy;
        table->filter_count = count;
        table->version++;
        table->selective = false;
        for (size_t i = 0; i < count; i++)
                table->selective = table->selective || !(filters[i].fields & (IPC_FILTER_EXCEPT | IPC_FILTER_ONLY));
        memset(table->low_seen, 0, sizeof(table->low_seen));
        memset(table->low_told, 0, sizeof(table->low_told));
        for (struct map_entry *at = map_walk(&table->peers, NULL); at; at = map_walk(&table->peers, at)) {
                struct route_peer *peer = container_of(at, struct route_peer, by_via);

                route_share_trim(table, peer, now_us);
                if (peer_settle(table, peer, now_us) == -ENOMEM)
                        result = -ENOMEM;
        }
        close_forbidden(table);
        return result;
}

void route_table_limit(struct route_table *table, unsigned per_peer)
{
        table->per_peer = per_peer;
}

void route_table_drop(struct route_table *table, const struct ipc_via *via, usec_t now_us)
{
        struct route_peer *peer = peer_find(table, via);

        if (peer)
                peer_free(table, peer, now_us);
}

void route_table_drop_swarm(struct route_table *table, uint32_t swarm, usec_t now_us)
{
        for (struct map_entry *at = map_walk(&table->peers, NULL), *next; at; at = next) {
                struct route_peer *peer = container_of(at, struct route_peer, by_via);

                next = map_walk(&table->peers, at);
                if (peer->via.swarm == swarm)
                        peer_free(table, peer, now_us);
        }
}

void route_table_drop_all(struct route_table *table, usec_t now_us)
{
        struct map_entry *at;

        while ((at = map_walk(&table->peers, NULL)))
                peer_free(table, container_of(at, struct route_peer, by_via), now_us);
}

void route_table_advance(struct route_table *table, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&table->expiries, now_us)))
                peer_free(table, container_of(due, struct route_peer, expiry), now_us);
        while ((due = heap_pop_due(&table->closings, now_us)))
                route_gate_close(table, container_of(due, struct route_gate, closing));
}

usec_t route_table_deadline(const struct route_table *table)
{
        return usec_min(heap_deadline(&table->expiries), heap_deadline(&table->closings));
}

void route_table_fini(struct route_table *table)
{
        struct route_event event;
        struct map_entry *at;

        route_table_drop_all(table, 0);
        while (route_table_event(table, &event))
                ;
        while ((at = map_walk(&table->gates, NULL)))
                route_gate_free(table, container_of(at, struct route_gate, by_port));
        map_fini(&table->peers);
        map_fini(&table->gates);
        free(table->filters);
}
