/* SPDX-License-Identifier: BSD-3-Clause */
/* A node gets to know all parts of the network, and a walk gets there though those it begins with don't. */
#include <stdlib.h>
#include <string.h>

#include "dht_id.h"
#include "dht_world.h"

enum { NODES = 256, BUCKETS = 6 };

static uint8_t ids[NODES][DHT_ID_BYTES], target[DHT_TARGET_BYTES];

static void make_ids(void)
{
        for (unsigned i = 0; i < NODES; i++) {
                struct addr addr = world_addr(i);

                rpc_node_id(&addr, ids[i]);
        }
}

static unsigned shared(unsigned node, const uint8_t id[DHT_ID_BYTES])
{
        return dht_id_shared_bits(ids[node], id);
}

/* Names the nearest to @to of the nodes that share @least to @most bits with the target of the test. */
static void name_nearest(struct world *w, struct rpc_message *out, const uint8_t *to, unsigned least, unsigned most)
{
        struct addr addrs[DHT_K];
        bool named[NODES] = { false };
        size_t count = 0;

        while (count < DHT_K) {
                int nearest = -1;

                for (int i = 0; i < NODES; i++)
                        if (!named[i] && shared((unsigned)i, target) >= least && shared((unsigned)i, target) <= most &&
                            (nearest < 0 || dht_id_compare(to, ids[i], ids[nearest]) < 0))
                                nearest = i;
                if (nearest < 0)
                        break;
                named[nearest] = true;
                addrs[count++] = world_addr((unsigned)nearest);
        }
        world_name(w, out, addrs, count);
}

static bool all_know_all(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        if (asked->message.target)
                name_nearest(w, out, asked->message.target, 0, DHT_ID_BITS);
        return true;
}

static void count_known(const struct world *w, const uint8_t id[DHT_ID_BYTES], unsigned known_out[BUCKETS], unsigned there_out[BUCKETS])
{
        struct addr known[NODES];
        size_t count = dht_known(w->dht, known, NODES);

        for (unsigned i = 0; i < NODES; i++) {
                struct addr addr = world_addr(i);
                unsigned bucket = shared(i, id);

                for (size_t k = 0; bucket < BUCKETS && k < count; k++)
                        known_out[bucket] += addr_equal(&known[k], &addr);
                if (bucket < BUCKETS)
                        there_out[bucket]++;
        }
}

TEST(dht_node_gets_to_know_some_of_each_part_of_the_network_and_then_is_quiet)
{
        WORLD(w, all_know_all, world_boot());
        unsigned known[BUCKETS] = { 0 }, there[BUCKETS] = { 0 };
        size_t from;

        make_ids();
        world_run(w, SECONDS(60));
        count_known(w, w->asked[0].message.target, known, there);       /* the first walk is to its own id */
        for (unsigned i = 0; i < BUCKETS; i++)
                check(there[i] < DHT_K || known[i] >= 3);
        check(there[0] >= DHT_K && there[1] >= DHT_K);
        from = w->asked_count;
        world_run(w, SECONDS(80));
        check_equal(world_sent(w, from, true, RPC_FIND_NODE, NULL), 0);
}

/* The target's half has two quarters. Those in the wrong one know only each other, and the node to begin with, which is in the other
 * half, names nobody else until it is asked for the target. */
static bool blinkered(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        bool sees_all = asked->to.ip[2] == 0 && asked->to.ip[1] == 0 && !asked->message.internal;

        if (asked->message.target && shared((unsigned)asked->to.ip[1] << 8 | asked->to.ip[2], target) != 1)
                name_nearest(w, out, asked->message.target, sees_all ? 0 : 1, sees_all ? DHT_ID_BITS : 1);
        else if (asked->message.target)
                name_nearest(w, out, asked->message.target, 1, 1);
        return true;
}

TEST(dht_walk_that_ends_beside_its_target_asks_elsewhere)
{
        WORLD(w, blinkered, world_boot());
        const struct dht_event *done;

        make_ids();
        for (unsigned i = 0; i < DHT_ID_BYTES; i++)
                target[i] = (uint8_t)~ids[0][i];
        world_run(w, SECONDS(3));
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = target }, &w->now));
        world_run(w, SECONDS(3));
        done = world_last(w, DHT_QUERY_DONE);
        check(done && done->closest_count == DHT_K);
        for (size_t i = 0; i < DHT_K; i++) {
                uint8_t id[DHT_ID_BYTES];

                rpc_node_id(&done->closest[i], id);
                check(dht_id_shared_bits(id, target) >= 2);
        }
        check(done->asked <= 100);
}

/* Twenty nodes near a target are no reason for more. */
TEST(dht_walk_that_ends_at_its_target_asks_nobody_else)
{
        WORLD(w, all_know_all, world_boot());
        unsigned most = 0;

        make_ids();
        memset(target, 0, sizeof(target));
        world_run(w, SECONDS(60));
        for (unsigned i = 0; i < 40; i++) {
                uint8_t topic[DHT_TARGET_BYTES];

                test_random_fill(&w->seed, topic, sizeof(topic));
                check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = topic }, &w->now));
                world_run(w, SECONDS(1));
                check(world_last(w, DHT_QUERY_DONE)->closest_count == DHT_K);
                most = MAX(most, world_last(w, DHT_QUERY_DONE)->asked);
        }
        check(most < DHT_K + 16);
}

/* --- A network without end --- */

static uint8_t named[ASKED_MAX * DHT_K][DHT_ID_BYTES];         /* to the lookup */
static size_t named_count;

/* Everybody names twenty others nobody has heard of. */
static bool endless(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        static unsigned next;
        struct addr addrs[DHT_K];

        if (!asked->message.target)
                return true;
        for (unsigned i = 0; i < DHT_K; i++) {
                addrs[i] = world_addr(1 + next++ % 1000000);
                if (!asked->message.internal)
                        rpc_node_id(&addrs[i], named[named_count++]);
        }
        world_name(w, out, addrs, DHT_K);
        return true;
}

TEST(dht_walk_ends_with_the_nearest_of_all_that_were_named_though_they_are_more_than_it_remembers)
{
        for (unsigned i = 0; i < 10; i++) {
                WORLD(w, endless, world_boot());
                const struct dht_event *done;
                uint8_t farthest[DHT_ID_BYTES];
                size_t nearer = 0;

                named_count = 0;
                world_run(w, SECONDS(3));
                test_random_fill(&w->seed, target, sizeof(target));
                target[0] = (uint8_t)i;
                check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = target }, &w->now));
                world_run(w, SECONDS(3));
                done = world_last(w, DHT_QUERY_DONE);
                check(done && done->closest_count == DHT_K && named_count > 512 && done->asked <= 256);
                rpc_node_id(&done->closest[DHT_K - 1], farthest);
                for (size_t k = 0; k < named_count; k++)
                        nearer += dht_id_compare(target, named[k], farthest) < 0;
                check(nearer < DHT_K);
        }
}
