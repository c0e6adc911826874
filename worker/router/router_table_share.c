/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gives way when all gates are taken. Identities cost a rogue nothing, but each is only one share more: an honest peer with few
 * routes always has less than the greediest. */
#include <assert.h>

#include "router_table_state.h"

/* The newest gate of @peer that only peers with more than @held offer; NULL: none. */
static struct route_gate *gate_to_spare(const struct route_peer *peer, unsigned held)
{
        for (struct list *at = peer->offers.prev; at != &peer->offers; at = at->prev) {
                const struct route_offer *offer = container_of(at, struct route_offer, of_peer);
                bool spare = offer->routes > 0;

                list_for_each (other, &offer->gate->offers) {
                        const struct route_offer *beside = container_of(other, struct route_offer, of_gate);

                        spare = spare && (beside->routes == 0 || beside->owner->held > held);
                }
                if (spare)
                        return offer->gate;
        }
        return NULL;
}

/* Of whoever has most, if that leaves him no less than @peer gets. */
static struct route_gate *gate_of_the_greediest(const struct route_table *table, const struct route_peer *peer)
{
        unsigned most = peer->held + 1;
        struct route_gate *gate = NULL;

        for (struct map_entry *at = map_walk(&table->peers, NULL); at; at = map_walk(&table->peers, at)) {
                const struct route_peer *other = container_of(at, struct route_peer, by_via);
                struct route_gate *spare = other->held > most ? gate_to_spare(other, peer->held + 1) : NULL;

                if (!spare)
                        continue;
                gate = spare;
                most = other->held;
        }
        return gate;
}

/* Its routes stay, to be looked at again. */
static void offer_revoke(struct route_table *table, struct route_offer *offer, usec_t now_us)
{
        unsigned left = offer->routes;

        for (struct list *of = left ? offer->owner->routes.next : NULL; left; of = of->next) {
                struct route *route = container_of(of, struct route, of_peer);

                if (route->offer != offer)
                        continue;
                route->offer = NULL;
                left--;
                route_offer_count(table, offer, -1, now_us);    /* the last of them may free it; the gate lingers */
        }
}

/* Takes it from those who offer it. */
static void gate_revoke(struct route_table *table, struct route_gate *gate, usec_t now_us)
{
        list_for_each (at, &gate->offers)
                offer_revoke(table, container_of(at, struct route_offer, of_gate), now_us);
        route_gate_close(table, gate);
}

/* NULL: it offers nothing. */
static struct route_offer *newest_offer(const struct route_peer *peer)
{
        for (struct list *at = peer->offers.prev; at != &peer->offers; at = at->prev) {
                struct route_offer *offer = container_of(at, struct route_offer, of_peer);

                if (offer->routes > 0)
                        return offer;
        }
        return NULL;
}

/* What lingers goes first. */
void route_share_trim(struct route_table *table, struct route_peer *peer, usec_t now_us)
{
        while (peer->held > table->per_peer) {
                struct list *idle = list_first(&peer->lingering);
                struct route_offer *newest = idle ? NULL : newest_offer(peer);
                struct route_gate *gate;

                assert(idle || newest);         /* what else would it hold? */
                gate = newest ? newest->gate : container_of(idle, struct route_gate, of_holder);

                if (newest)
                        offer_revoke(table, newest, now_us);
                if (gate->offered == 0)
                        route_gate_close(table, gate);
        }
}

bool route_share_allows(struct route_table *table, const struct route_peer *peer, const struct route *route, usec_t now_us)
{
        const struct route_gate *gate = route_gate_find(table, route->gate_port, route->protocol);
        struct heap_entry *idle = heap_first(&table->closings);
        struct route_gate *spare;

        if (gate && gate->holder == peer)
                return true;            /* it is counted already */
        if (peer->held >= table->per_peer)
                return false;
        if ((gate && gate->wanted) || table->wanted < ROUTE_GATES_MAX)
                return true;
        spare = idle ? container_of(idle, struct route_gate, closing) : gate_of_the_greediest(table, peer);
        if (idle)
                route_gate_close(table, spare);
        else if (spare)
                gate_revoke(table, spare, now_us);
        return spare;
}
