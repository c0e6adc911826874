/* SPDX-License-Identifier: BSD-3-Clause */
/* Fifty gateways and fifty providers of one router: each gateway uses each provider; then ten of each die, and come back. */
#include <string.h>

#include "cleanup.h"
#include "node_sim.h"
#include "test.h"

enum { EACH = 50, DEAD = 10, OTHERS = 10 };

struct crowd {
        struct node_sim *sim;
        struct node_sim_host *gateways[EACH], *providers[EACH];
        size_t links;                   /* pairs that shall be up */
        unsigned first;                 /* those before are dead */
};

static struct crowd crowd_new(uint64_t seed, const struct net_link *link, size_t dht_nodes)
{
        struct crowd crowd = { .sim = node_sim_new(seed, link), .links = EACH * EACH };

        crowd.sim->dht_persistent = true;
        node_sim_add_dht(crowd.sim, dht_nodes - 1);
        crowd.sim->dht_persistent = false;
        node_sim_run(crowd.sim, SECONDS(10));
        for (uint8_t i = 0; i < EACH; i++) {
                node_sim_join(crowd.providers[i] = node_sim_add(crowd.sim), NODE_PROVIDER, i);
                node_sim_join(crowd.gateways[i] = node_sim_add(crowd.sim), NODE_GATEWAY, i);
                node_sim_run(crowd.sim, MSEC(20));
        }
        return crowd;
}

static void crowd_free(struct crowd *crowd)
{
        node_sim_free(crowd->sim);
}

static bool all_paired(void *context)
{
        const struct crowd *crowd = context;
        size_t there = 0, back = 0;

        for (unsigned i = crowd->first; i < EACH; i++) {
                there += node_sim_ups(crowd->gateways[i]);
                back += node_sim_ups(crowd->providers[i]);
        }
        return there == crowd->links && back == crowd->links;
}

static unsigned total_ups(const struct crowd *crowd)
{
        unsigned count = 0;

        for (unsigned i = 0; i < EACH; i++)
                for (size_t k = 0; k < crowd->gateways[i]->peer_count; k++)
                        count += crowd->gateways[i]->peers[k].ups;
        return count;
}

static unsigned mistakes(const struct crowd *crowd)
{
        unsigned count = 0;

        for (size_t i = 0; i < crowd->sim->host_count; i++)
                count += crowd->sim->hosts[i].mistakes;
        return count;
}

static uint64_t sent(const struct crowd *crowd)
{
        return net_totals(crowd->sim->net)->sent;
}

/* Every gateway that lives fetches from every provider that lives. */
static void check_all_serve(struct crowd *crowd)
{
        static struct node_sim_channel *channels[EACH][EACH];

        for (unsigned i = crowd->first; i < EACH; i++)
                for (unsigned j = crowd->first; j < EACH; j++)
                        check((channels[i][j] = node_sim_open(crowd->gateways[i], (uint8_t)j, NODE_SIM_ECHO, 500 + i + j, true)));
        node_sim_run(crowd->sim, SECONDS(5));
        for (unsigned i = crowd->first; i < EACH; i++)
                for (unsigned j = crowd->first; j < EACH; j++)
                        check(node_sim_echoed(channels[i][j]));
}

static const struct net_link wan = { .delay_us = 10000, .jitter_us = 2000 };

/* It names twenty of the hundred at a time. */
TEST(node_fifty_gateways_and_fifty_providers_meet_at_a_single_dht_node)
{
        cleanup_with(crowd_free) struct crowd crowd = crowd_new(101, &wan, 1);

        node_sim_run_until(crowd.sim, all_paired, &crowd, SECONDS(20));
        check(all_paired(&crowd));
        check_equal(mistakes(&crowd), 0);
}

TEST(node_fifty_gateways_reach_fifty_providers_of_which_ten_each_die_and_come_back)
{
        cleanup_with(crowd_free) struct crowd crowd = crowd_new(100, &wan, OTHERS);
        uint64_t before = sent(&crowd);
        unsigned ups;

        node_sim_run_until(crowd.sim, all_paired, &crowd, SECONDS(60));
        check(all_paired(&crowd));
        node_sim_run(crowd.sim, SECONDS(20));
        ups = total_ups(&crowd);
        check(all_paired(&crowd) && ups == EACH * EACH);        /* no connection had to make way for another one */
        check(sent(&crowd) - before < 100 * EACH * EACH);
        check_all_serve(&crowd);

        for (unsigned i = 0; i < DEAD; i++) {
                node_sim_kill(crowd.gateways[i]);
                node_sim_kill(crowd.providers[i]);
        }
        crowd.first = DEAD;
        crowd.links = (EACH - DEAD) * (EACH - DEAD);
        node_sim_run_until(crowd.sim, all_paired, &crowd, SECONDS(30));
        check(all_paired(&crowd));                              /* and nobody else is gone */
        check_equal(total_ups(&crowd), ups - DEAD * EACH);
        check_all_serve(&crowd);

        before = sent(&crowd);
        node_sim_run(crowd.sim, SECONDS(20));
        check(sent(&crowd) - before < 20 * 5 * crowd.links);    /* idle: that each lives, and looking for the dead */

        for (unsigned i = 0; i < DEAD; i++) {
                node_sim_revive(crowd.gateways[i]);
                node_sim_revive(crowd.providers[i]);
                node_sim_join(crowd.gateways[i], NODE_GATEWAY, (uint8_t)i);
                node_sim_join(crowd.providers[i], NODE_PROVIDER, (uint8_t)i);
        }
        crowd.first = 0;
        crowd.links = EACH * EACH;
        node_sim_run_until(crowd.sim, all_paired, &crowd, SECONDS(60));
        check(all_paired(&crowd));
        check_all_serve(&crowd);
        check_equal(mistakes(&crowd), 0);
}
