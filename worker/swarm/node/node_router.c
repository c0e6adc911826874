/* SPDX-License-Identifier: BSD-3-Clause */
/* The secrets of the router, of which there are several while one is exchanged for another. Each has a topic of its own, where both
 * identities are announced; a connection begins by one of them, and both sides prove the others in it. So who comes by an old one,
 * and knows the new one too, stays when the old one counts no more. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "node_state.h"

_Static_assert((int)SWARM_TOPICS_MAX == (int)TUNNEL_ROUTERS_MAX, "each router has its topic");
_Static_assert(2 * (int)NODE_ROUTERS_MAX <= (int)TUNNEL_ROUTERS_MAX, "all may come while all go");

/* Who knows one secret alone says hello by that at once. Who knows several listens first, or the other would take it for a stranger;
 * the side that called ends the silence of two of these, and only that. */
#define CALLER_LISTENS_US SECONDS(2)
#define CALLED_LISTENS_US MINUTES(1)    /* longer than the connection waits for a hello */
#define DRAIN_US SECONDS(2)             /* what channels get to end with a peer whose secret counts no more */

unsigned node_router_newest(const struct node *node, unsigned of)
{
        for (size_t i = 0; i < node->router_count; i++)
                if (of & 1u << node->router_order[i])
                        return node->router_order[i];
        return TUNNEL_ROUTERS_MAX;
}

bool node_router_outdated(const struct node_link *link)
{
        return link->tunnel && !(tunnel_proven(link->tunnel) & 1u << link->node->routers.newest);
}

/* Its hello is by one that we do not hold, or do no more; we or it may begin by another one next time. */
bool node_router_doubted(const struct node_link *link)
{
        return link->doubted || link->node->router_count > 1;
}

/* Those of 1 << number that are held (all, where none is) take turns, the newest first. */
static unsigned by_turns(const struct node *node, unsigned of, unsigned turn)
{
        unsigned candidates[NODE_ROUTERS_MAX], count = 0;
        bool any = node_router_newest(node, of) == TUNNEL_ROUTERS_MAX;

        for (size_t i = 0; i < node->router_count; i++)
                if (any || of & 1u << node->router_order[i])
                        candidates[count++] = node->router_order[i];
        return count ? candidates[turn % count] : node->routers.newest;
}

/* Who is found at the newest topic knows that secret, or did when that was written there. Of somebody who is found at none nobody
 * knows: two who both hold several would always begin by one that the other has not, but that each try is by another. */
void node_router_hello(struct node_link *link, struct tunnel_config *config)
{
        const struct node *node = link->node;
        unsigned listed = swarm_peer_listed(link->peer), turn = swarm_peer_unproven(link->peer);
        bool sure = node->router_count == 1 || (!link->attempt.incoming && !turn && listed & 1u << node->routers.newest);

        config->routers = &node->routers;
        config->router = by_turns(node, listed, turn);
        link->doubted = node->router_count > 1;
        if (!sure)
                config->listen_us = link->attempt.incoming ? CALLED_LISTENS_US : CALLER_LISTENS_US;
}

void node_router_join(struct node_join *join)
{
        for (size_t i = 0; i < join->node->router_count; i++)
                swarm_join(join->swarm, join->node->router_order[i], join->node->now.mono_us);
}

static bool same(const struct tunnel_router *held, const struct node_router *router)
{
        return held->held && sodium_memcmp(held->public_key, router->public_key, NODE_KEY_BYTES) == 0 &&
               sodium_memcmp(held->auth_key, router->auth_key, NODE_AUTH_KEY_BYTES) == 0;
}

/* Its number; TUNNEL_ROUTERS_MAX: it is not held. */
static unsigned find(const struct node *node, const struct node_router *router)
{
        unsigned number = 0;

        while (number < TUNNEL_ROUTERS_MAX && !same(&node->routers.list[number], router))
                number++;
        return number;
}

static bool has_been_left(const struct node *node, unsigned number)
{
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node && !swarm_has_left(node->joins[role].swarm, number))
                        return false;
        return true;
}

/* One that nothing is withdrawn from any more; if there is none, the withdrawal that is under way is given up: records die by themselves. */
static unsigned free_number(struct node *node)
{
        unsigned number = TUNNEL_ROUTERS_MAX;

        for (unsigned i = 0; i < TUNNEL_ROUTERS_MAX; i++)
                if (!node->routers.list[i].held && (number == TUNNEL_ROUTERS_MAX || has_been_left(node, i)))
                        number = i;
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        node_join_abandon_topic(&node->joins[role], number);
        return number;
}

static unsigned add(struct node *node, const struct node_router *router)
{
        unsigned number = free_number(node);
        struct tunnel_router *held = &node->routers.list[number];

        held->held = true;
        memcpy(held->public_key, router->public_key, sizeof(held->public_key));
        memcpy(held->auth_key, router->auth_key, sizeof(held->auth_key));
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node && node->leaving == NODE_STAYS) {
                        swarm_join(node->joins[role].swarm, number, node->now.mono_us);
                        swarm_forgive(node->joins[role].swarm, node->now.mono_us);
                }
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (node_link_lives(link)) {
                        link->doubted = true;   /* what it began with says nothing of what they know now */
                        tunnel_add_router(link->tunnel, number);
                        node_link_touch(link);
                }
        }
        return number;
}

static void drop(struct node *node, unsigned number)
{
        node->routers.list[number].held = false;
        sodium_memzero(node->routers.list[number].auth_key, NODE_AUTH_KEY_BYTES);
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        node_join_leave_topic(&node->joins[role], number);
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (!node_link_lives(link))
                        continue;
                tunnel_drop_router(link->tunnel, number);
                if (link->state == NODE_LINK_UP && !tunnel_proven(link->tunnel))
                        node_link_leave(link, usec_add(node->now.mono_us, DRAIN_US));
        }
}

static bool is_in_order(const struct node *node, unsigned number)
{
        for (size_t i = 0; i < node->router_count; i++)
                if (node->router_order[i] == number)
                        return true;
        return false;
}

/* What comes does so before anything goes: whoever knows both stays. */
int node_set_routers(struct node *node, const struct node_router *routers, size_t count, const struct now *now)
{
        unsigned order[NODE_ROUTERS_MAX];

        node->now = *now;
        node->fresh = true;
        if (count > NODE_ROUTERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < count; i++) {
                order[i] = find(node, &routers[i]);
                if (order[i] == TUNNEL_ROUTERS_MAX)
                        order[i] = add(node, &routers[i]);
        }
        memcpy(node->router_order, order, count * sizeof(*order));
        node->router_count = count;
        if (count)
                node->routers.newest = order[0];
        for (unsigned i = 0; i < TUNNEL_ROUTERS_MAX; i++)
                if (node->routers.list[i].held && !is_in_order(node, i))
                        drop(node, i);
        node_relay_prove(node);
        return 0;
}
