/* SPDX-License-Identifier: BSD-3-Clause */
/* The DHT among its own: nodes find the network, each other's servers and topics, over links that delay and lose, and while
 * others die. Times are virtual. */
#include "dht_sim.h"

#include <string.h>

#include "cleanup.h"
#include "test.h"

#define SIM cleanup_with(dht_sim_freep) struct dht_sim *

static const struct net_link lan = { .delay_us = 200 };
static const struct net_link wan = { .delay_us = 20000, .jitter_us = 5000, .reorder = true };

/* @persistent nodes that all know the first, which starts alone. */
static struct dht_sim *network(uint64_t seed, const struct net_link *link, bool one_lan, unsigned persistent)
{
        struct dht_sim *sim = dht_sim_new(seed, link);

        sim->one_lan = one_lan;
        sim->bootstrap[0] = dht_sim_addr(sim, 0);
        sim->bootstrap_count = 1;
        for (unsigned i = 0; i < persistent; i++) {
                dht_sim_add(sim, true);
                dht_sim_run(sim, MSEC(100));
        }
        dht_sim_run(sim, SECONDS(3));
        return sim;
}

TEST(dht_first_node_of_a_network_is_there_at_once)
{
        SIM sim = dht_sim_new(1, &lan);
        unsigned first = dht_sim_add(sim, true);
        struct dht_stats stats;

        dht_sim_run(sim, 0);
        check(dht_sim_wait(sim, first, DHT_BOOTSTRAPPED, 0, 0));
        dht_stats(sim->nodes[first].dht, &stats);
        check(stats.bootstrapped && stats.persistent && !stats.firewalled);
}

TEST(dht_server_is_announced_and_found_within_a_few_round_trips)
{
        SIM sim = network(2, &lan, true, 3);
        uint8_t secret_key[DHT_SECRET_KEY_BYTES], target[DHT_TARGET_BYTES];
        unsigned server = dht_sim_add(sim, false), client;
        struct now now = dht_sim_now(sim);
        const struct dht_sim_event *event;
        struct dht_listener *listener;
        usec_t start_us = net_now(sim->net);
        struct dht_relay relays[DHT_RELAYS_MAX];

        dht_sim_key(1, secret_key);
        dht_target(secret_key + 32, target);
        listener = dht_listen(sim->nodes[server].dht, secret_key, NULL, &now);
        check(listener);
        event = dht_sim_wait(sim, server, DHT_RELAYS_CHANGED, 0, SECONDS(2));
        check(event && event->at_us - start_us < MSEC(5));
        check_equal(dht_listener_relays(listener, relays), 3);

        client = dht_sim_add(sim, false);
        now = dht_sim_now(sim);
        start_us = net_now(sim->net);
        check(dht_query(sim->nodes[client].dht, &(struct dht_query_spec){ .operation = DHT_FIND_PEER, .target = target }, &now));
        event = dht_sim_wait(sim, client, DHT_PEER_FOUND, 0, SECONDS(2));
        check(event && event->at_us - start_us < MSEC(5));
        check_bytes(event->event.public_key, secret_key + 32, 32);
        dht_sim_wait(sim, client, DHT_QUERY_DONE, 0, SECONDS(2));
        check_equal(dht_sim_events(sim, client, DHT_PEER_FOUND, 0), 3);
}

TEST(dht_nodes_know_each_other)
{
        SIM sim = network(3, &wan, false, 50);
        struct dht_stats stats;

        for (unsigned i = 0; i < 50; i++) {
                dht_stats(sim->nodes[i].dht, &stats);
                check(stats.bootstrapped);
                check(stats.nodes > 15);
        }
}
