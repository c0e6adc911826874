/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_table_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static struct route_gate *gate_get(struct route_table *table, uint16_t port, uint16_t protocol)
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

/* It counts for nobody's share any more. */
static void gate_release(struct route_gate *gate)
{
        if (gate->holder)
                gate->holder->held--;
        gate->holder = NULL;
        list_remove(&gate->of_holder);
}

static void gate_free(struct route_table *table, struct route_gate *gate)
{
        table->wanted -= gate->wanted;
        gate_release(gate);
        heap_remove(&table->closings, &gate->closing);
        map_remove(&table->gates, &gate->by_port);
        list_remove(&gate->dirty);
        free(gate);
}

/* An idle gate that nobody was told of goes at once. */
static void gate_forget(struct route_table *table, struct route_gate *gate)
{
        if (!gate->wanted && !gate->told && list_empty(&gate->offers))
                gate_free(table, gate);
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

/* One of its offers came or, from @peer, went. The last one lingers, the first one takes effect at once. */
static void gate_count(struct route_table *table, struct route_gate *gate, int change, struct route_peer *peer, usec_t now_us)
{
        gate->offered += (unsigned)change;
        gate_release(gate);
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
        gate_release(gate);
        gate_want(table, gate, false);
        gate_forget(table, gate);
}

static void offer_free(struct route_table *table, struct route_offer *offer)
{
        struct route_gate *gate = offer->gate;

        list_remove(&offer->of_gate);
        list_remove(&offer->of_peer);
        list_remove(&offer->dirty);
        policy_leave(offer->policy);
        policy_leave(offer->told_policy);
        free(offer);
        gate_forget(table, gate);
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
                gate_count(table, offer->gate, is ? 1 : -1, offer->owner, now_us);
        }
        list_remove(&offer->dirty);
        offer_mark(table, offer);
        if (!is && !offer->told)
                offer_free(table, offer);
}

static struct route_offer *offer_find(const struct route_peer *peer, const struct route *route)
{
        list_for_each (at, &peer->offers) {
                struct route_offer *offer = container_of(at, struct route_offer, of_peer);

                if (offer->gate->port == route->gate_port && offer->gate->protocol == route->protocol && offer->name == route->name)
                        return offer;
        }
        return NULL;
}

static struct route_offer *offer_new(struct route_table *table, struct route_peer *peer, const struct route *route)
{
        struct route_gate *gate = gate_get(table, route->gate_port, route->protocol);
        struct route_offer *offer = gate ? calloc(1, sizeof(*offer)) : NULL;

        if (!offer) {
                if (gate)
                        gate_forget(table, gate);
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

/* Brings the offer behind @route in line with the filters and its peer's share. 0, or -ENOSPC or -ENOMEM: it stays out. */
static int route_settle(struct route_table *table, struct route_peer *peer, struct route *route, usec_t now_us)
{
        bool admitted = route_admitted(table, route);

        if (admitted && !route->offer) {
                struct route_offer *offer = offer_find(peer, route);

                if ((!offer || offer->routes == 0) && !route_share_allows(table, peer, route, now_us))
                        return -ENOSPC;
                route->offer = offer ? offer : offer_new(table, peer, route);
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
                gate_release(container_of(at, struct route_gate, of_holder));
        heap_remove(&table->expiries, &peer->expiry);
        map_remove(&table->peers, &peer->by_via);
        free(peer);
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

static void describe_offers(struct route_table *table, struct route_peer *peer)
{
        list_for_each (at, &peer->offers) {
                struct route_offer *offer = container_of(at, struct route_offer, of_peer);

                if (offer->routes == 0)
                        continue;
                offer_describe(peer, offer);
                offer_mark(table, offer);
        }
}

static int peer_settle(struct route_table *table, struct route_peer *peer, usec_t now_us)
{
        int result = 0;

        list_for_each (at, &peer->routes) {
                int r = route_settle(table, peer, container_of(at, struct route, of_peer), now_us);

                result = r < 0 ? r : result;
        }
        describe_offers(table, peer);
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

int route_table_adopt(struct route_table *table, uint16_t gate_port, uint16_t protocol, usec_t now_us)
{
        struct route_gate *gate = gate_get(table, gate_port, protocol);

        if (!gate)
                return -ENOMEM;
        if (gate->told || gate->wanted)
                return 0;
        gate->told = true;
        gate_want(table, gate, true);
        heap_set(&table->closings, &gate->closing, usec_add(now_us, ROUTE_GATE_ADOPTED_US));
        return 0;
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
                offer_free(table, offer);
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
        gate_forget(table, gate);
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

void route_table_fini(struct route_table *table)
{
        struct route_event event;
        struct map_entry *at;

        route_table_drop_all(table, 0);
        while (route_table_event(table, &event))
                ;
        while ((at = map_walk(&table->gates, NULL)))
                gate_free(table, container_of(at, struct route_gate, by_port));
        map_fini(&table->peers);
        map_fini(&table->gates);
        free(table->filters);
}
