/* SPDX-License-Identifier: BSD-3-Clause */
/* One identity at one router: its server, its records, and whom its swarm wants to reach. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "node_state.h"

enum { UNANNOUNCE_RETRIES = 1 };        /* there is little time, and the records die by themselves */

int node_join_init(struct node_join *join, struct node *node, enum node_role role, const uint8_t seed[NODE_KEY_BYTES])
{
        struct swarm_config config = { .random = node->config.random };
        struct peer_listen_spec spec = { .secret_key = join->secret_key, .ask = true, .context = join };
        int r;

        crypto_sign_seed_keypair(config.key, join->secret_key, seed);
        join->role = role;
        for (size_t i = 0; i < ARRAY_LEN(join->topics); i++)
                join->topics[i].join = join;
        r = swarm_new(&join->swarm, &config);
        if (r == 0)
                r = peer_listen(node->peers, &spec, &join->listener, &node->now);
        if (r < 0) {
                node_join_fini(join);
                return r;
        }
        join->node = node;
        node_router_join(join);
        r = node_join_appoint(join);
        if (r < 0) {
                join->node = NULL;
                node_join_fini(join);
        }
        return r;
}

int node_join_appoint(struct node_join *join)
{
        struct node *node = join->node;
        int r = 0;

        for (size_t i = 0; i < node->appointed_count && r == 0; i++)
                r = swarm_appoint(join->swarm, node->appointed[i].key, &node->appointed[i].addr, node->now.mono_us);
        return r;
}

/* Links, queries and listener go with what they belong to. */
void node_join_fini(struct node_join *join)
{
        swarm_free(join->swarm);
        sodium_memzero(join, sizeof(*join));
}

static void start_query(struct node_join *join, const struct swarm_task *task)
{
        static const enum dht_operation operations[] = {
                [SWARM_ANNOUNCE] = DHT_ANNOUNCE, [SWARM_LOOKUP] = DHT_LOOKUP, [SWARM_UNANNOUNCE] = DHT_UNANNOUNCE,
        };
        struct node *node = join->node;
        struct dht_query_spec spec = {
                .operation = operations[task->kind],
                .target = node->routers.list[task->topic].public_key,
                .secret_key = join->secret_key,
                .relays = task->addrs,
                .relay_count = task->addr_count,
                .clear = task->clear,
                .seeds = task->seeds,
                .seed_count = task->seed_count,
                .retries = task->kind == SWARM_UNANNOUNCE ? UNANNOUNCE_RETRIES : 0,
                .context = &join->topics[task->topic],
        };
        struct dht_query **query = &join->topics[task->topic].query;

        if (*query)
                dht_query_cancel(node->dht, *query, &node->now);
        *query = dht_query(node->dht, &spec, &node->now);
        if (!*query)
                swarm_query_done(join->swarm, task->topic, NULL, 0, 0, 0, node->now.mono_us);
}

void node_join_work(struct node_join *join)
{
        struct swarm_task task;

        while (swarm_task(join->swarm, &task, join->node->now.mono_us)) {
                if (task.kind == SWARM_DIAL)
                        node_link_dial(join, &task);
                else
                        start_query(join, &task);
        }
}

void node_join_leave_topic(struct node_join *join, unsigned number)
{
        struct node *node = join->node;
        struct dht_query **query = &join->topics[number].query;

        swarm_leave(join->swarm, number, node->now.mono_us);
        if (swarm_has_left(join->swarm, number) && *query) {
                dht_query_cancel(node->dht, *query, &node->now);
                *query = NULL;
        }
}

void node_join_abandon_topic(struct node_join *join, unsigned number)
{
        struct node *node = join->node;
        struct dht_query **query = &join->topics[number].query;

        if (*query)
                dht_query_cancel(node->dht, *query, &node->now);
        *query = NULL;
        swarm_query_done(join->swarm, number, NULL, 0, 0, 0, node->now.mono_us);
}

void node_join_leave(struct node_join *join)
{
        for (unsigned i = 0; i < ARRAY_LEN(join->topics); i++)
                node_join_leave_topic(join, i);
        if (join->listener)
                peer_unlisten(join->listener, &join->node->now);
}

bool node_join_has_left(const struct node_join *join)
{
        if (!join->node)
                return true;
        for (unsigned i = 0; i < ARRAY_LEN(join->topics); i++)
                if (!swarm_has_left(join->swarm, i))
                        return false;
        return !join->listener;
}

void node_join_dht_event(struct node_topic *topic, const struct dht_event *event)
{
        struct node_join *join = topic->join;
        unsigned number = (unsigned)(topic - join->topics);
        usec_t now_us = join->node->now.mono_us;

        if (event->kind == DHT_PEER_LISTED) {
                if (node_allows(join, event->public_key))
                        swarm_listed(join->swarm, number, event->public_key, event->relays, event->relay_count, now_us);
        } else if (event->kind == DHT_QUERY_DONE) {
                topic->query = NULL;
                swarm_query_done(join->swarm, number, event->closest, event->closest_count, event->replies, event->accepted, now_us);
        }
}

bool node_join_is_announced(const struct node_join *join)
{
        for (unsigned i = 0; join->node && i < ARRAY_LEN(join->topics); i++)
                if (swarm_announced(join->swarm, i))
                        return true;
        return false;
}

static void tell_reachable(struct node_join *join)
{
        struct addr relays[DHT_RELAYS_MAX];
        size_t count = peer_listener_relays(join->listener, relays);

        swarm_reachable(join->swarm, relays, count, join->node->now.mono_us);
}

void node_join_peer_event(struct node_join *join, const struct peer_event *event)
{
        struct node *node = join->node;
        bool welcome;

        switch (event->kind) {
        case PEER_KNOCK:
                welcome = node_allows(join, event->remote_key);
                if (!welcome)
                        node_attempt_forbidden(join, event->remote_key, &event->remote);
                welcome = welcome && swarm_admits(join->swarm, event->remote_key, &event->remote, node->now.mono_us);
                if (welcome)
                        node_link_awaited(join, event->remote_key);
                peer_admit(node->peers, event->knock, welcome, &node->now);
                break;
        case PEER_ACCEPTED:
                if (node_allows(join, event->remote_key))
                        node_link_accepted(join, event);
                else
                        conn_free(event->conn);         /* it was, when it knocked */
                break;
        case PEER_RELAYS_CHANGED:
                tell_reachable(join);
                break;
        case PEER_UNLISTENED:
                join->listener = NULL;
                break;
        default:
                break;
        }
}
