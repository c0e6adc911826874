/* SPDX-License-Identifier: BSD-3-Clause */
/* Two peers start at about the same time and dial each other: whichever connection they settle on, a client that comes at the first
 * moment at which there is a route keeps its channel. */
#include "node_pair.h"
#include "test.h"

enum { STARTS = 200 };

/* From everybody to everybody else there is a way of its own, so that what overtakes what is different in every start. */
static struct pair start_new(uint64_t seed)
{
        struct pair start = { .sim = node_sim_new(seed, NULL) };
        const struct random *random = net_random(start.sim->net);
        usec_t scale_us = MSEC(1) << random_below(random, 9);

        node_sim_add_dht(start.sim, 4);
        start.provider = node_sim_add(start.sim);
        start.gateway = node_sim_add(start.sim);
        for (unsigned from = 0; from < 2 * start.sim->host_count; from++)
                for (unsigned to = 0; to < 2 * start.sim->host_count; to++) {
                        struct net_link link = { .delay_us = random_below(random, scale_us), .jitter_us = scale_us / 4,
                                                 .reorder = true };

                        net_link_set_between(start.sim->net, from, to, &link);
                }
        if (random_below(random, 2))
                node_sim_run(start.sim, SECONDS(5));
        if (random_below(random, 2)) {
                node_sim_join(start.provider, NODE_PROVIDER, 1);
                node_sim_run(start.sim, random_below(random, scale_us * 2));
                node_sim_join(start.gateway, NODE_GATEWAY, 1);
        } else {
                node_sim_join(start.gateway, NODE_GATEWAY, 1);
                node_sim_run(start.sim, random_below(random, scale_us * 2));
                node_sim_join(start.provider, NODE_PROVIDER, 1);
        }
        return start;
}

static void check_start(uint64_t seed)
{
        cleanup_with(pair_free) struct pair start = start_new(seed);
        struct node_sim_channel *channel;

        node_sim_run_until(start.sim, gateway_knows, &start, SECONDS(30));
        channel = node_sim_open(start.gateway, 1, NODE_SIM_ECHO, 1000, false);
        node_sim_run(start.sim, SECONDS(3));
        if (!channel || channel->fate != NODE_SIM_OPEN || channel->received != 1000 ||
            node_sim_peer(start.gateway, NODE_PROVIDER, 1)->ups != 1)
                test_fail(__FILE__, __LINE__, "the first channel of start %llu broke", (unsigned long long)seed);
}

TEST(node_keeps_the_first_channel_whoever_dials_whom)
{
        /* A dial went out after the peer's own handshake had been answered, and was taken for a restart. */
        static const uint64_t broke_once[] = { 101975, 102720, 103903, 105270, 107059, 110445, 114003 };

        for (size_t i = 0; i < ARRAY_LEN(broke_once); i++)
                check_start(broke_once[i]);
        for (uint64_t seed = 1; seed <= STARTS; seed++)
                check_start(seed);
}
