/* SPDX-License-Identifier: BSD-3-Clause */
/* The DHT among its own: nodes find the network, each other's servers and topics, over links that delay and lose, and while
 * others die. Times are virtual. */
#include "dht_sim.h"

#include <string.h>

#include "cleanup.h"
#include "test.h"

#define SIM cleanup_with(dht_sim_freep) struct dht_sim *

enum { NODES = 50 };

static const struct net_link lan = { .delay_us = 200 };
static const struct net_link wan = { .delay_us = 20000, .jitter_us = 5000, .reorder = true };
static const struct net_link bad = {
        .delay_us = 40000, .jitter_us = 20000, .reorder = true, .loss_ppm = 50000, .duplicate_ppm = 10000,
};

static const uint8_t topic[DHT_TARGET_BYTES] = "a topic of thirty-two bytes ....";

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

static struct dht_stats stats_of(const struct dht_sim *sim, unsigned node)
{
        struct dht_stats stats;

        dht_stats(sim->nodes[node].dht, &stats);
        return stats;
}

/* --- Queries by one node, run to their end --- */

static const struct dht_event *query(struct dht_sim *sim, unsigned node, const struct dht_query_spec *spec)
{
        struct now now = dht_sim_now(sim);
        size_t from = sim->nodes[node].event_count;
        const struct dht_sim_event *done;

        check(dht_query(sim->nodes[node].dht, spec, &now));
        done = dht_sim_wait(sim, node, DHT_QUERY_DONE, from, SECONDS(60));
        check(done);
        return &done->event;
}

static unsigned announce(struct dht_sim *sim, unsigned node, unsigned key, bool clear)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        struct dht_query_spec spec = { .operation = DHT_ANNOUNCE, .target = topic, .secret_key = secret_key, .clear = clear };

        dht_sim_key(key, secret_key);
        return query(sim, node, &spec)->accepted;
}

static unsigned unannounce(struct dht_sim *sim, unsigned node, unsigned key)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        struct dht_query_spec spec = { .operation = DHT_UNANNOUNCE, .target = topic, .secret_key = secret_key };

        dht_sim_key(key, secret_key);
        return query(sim, node, &spec)->accepted;
}

/* How many nodes list @key under the topic. */
static unsigned lookup(struct dht_sim *sim, unsigned node, unsigned key)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        size_t from = sim->nodes[node].event_count;
        unsigned count = 0;

        dht_sim_key(key, secret_key);
        query(sim, node, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = topic });
        for (size_t i = from; i < sim->nodes[node].event_count; i++) {
                const struct dht_event *event = &sim->nodes[node].events[i].event;

                count += event->kind == DHT_PEER_LISTED && memcmp(event->public_key, secret_key + 32, 32) == 0;
        }
        return count;
}

static size_t find_peer(struct dht_sim *sim, unsigned node, unsigned key)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES], target[DHT_TARGET_BYTES];
        size_t from = sim->nodes[node].event_count;

        dht_sim_key(key, secret_key);
        dht_target(secret_key + 32, target);
        query(sim, node, &(struct dht_query_spec){ .operation = DHT_FIND_PEER, .target = target });
        return dht_sim_events(sim, node, DHT_PEER_FOUND, from);
}

static struct dht_listener *listen_as(struct dht_sim *sim, unsigned node, unsigned key)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        struct now now = dht_sim_now(sim);
        struct dht_listener *listener;

        dht_sim_key(key, secret_key);
        listener = dht_listen(sim->nodes[node].dht, secret_key, NULL, &now);
        check(listener);
        return listener;
}

/* Which node has that address. */
static unsigned node_at(const struct dht_sim *sim, const struct addr *addr)
{
        for (unsigned i = 0; i < sim->count; i++)
                if (addr_equal(&sim->nodes[i].addr, addr))
                        return i;
        test_fail(__FILE__, __LINE__, "no node there");
}

/* --- Getting there --- */

TEST(dht_first_node_of_a_network_is_there_at_once)
{
        SIM sim = dht_sim_new(1, &lan);
        unsigned first = dht_sim_add(sim, true);

        dht_sim_run(sim, 0);
        check(dht_sim_wait(sim, first, DHT_BOOTSTRAPPED, 0, 0));
        check(stats_of(sim, first).persistent && !stats_of(sim, first).firewalled);
}

TEST(dht_server_is_announced_and_found_within_a_few_round_trips)
{
        SIM sim = network(2, &lan, true, 3);
        unsigned server = dht_sim_add(sim, false), client;
        usec_t start_us = net_now(sim->net);
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct dht_relay relays[DHT_RELAYS_MAX];
        const struct dht_sim_event *event = dht_sim_wait(sim, server, DHT_RELAYS_CHANGED, 0, SECONDS(2));

        check(event && event->at_us - start_us < MSEC(5));
        check_equal(dht_listener_relays(listener, relays), 3);
        client = dht_sim_add(sim, false);
        start_us = net_now(sim->net);
        check_equal(find_peer(sim, client, 1), 3);
        check(net_now(sim->net) - start_us < MSEC(5));
}

TEST(dht_nodes_that_start_before_their_bootstrap_node_are_there_soon_after_it)
{
        for (usec_t late_us = MSEC(100); late_us <= SECONDS(3); late_us += MSEC(290)) {
                SIM sim = dht_sim_new(3, &lan);
                unsigned first, node;
                usec_t start_us;
                const struct dht_sim_event *event;

                sim->bootstrap[0] = dht_sim_addr(sim, 0);
                sim->bootstrap_count = 1;
                first = dht_sim_add(sim, true);
                dht_sim_kill(sim, first);
                node = dht_sim_add(sim, false);
                listen_as(sim, node, 1);
                dht_sim_run(sim, late_us);
                dht_sim_start(sim, first);
                start_us = net_now(sim->net);
                event = dht_sim_wait(sim, node, DHT_RELAYS_CHANGED, 0, SECONDS(10));
                check(event && event->at_us - start_us <= MSEC(1010));
        }
}

/* As when a configuration is completed, or an interface comes. */
TEST(dht_who_is_told_its_bootstrap_nodes_again_while_they_answer_does_not_ask_again)
{
        static const struct net_link still = { .delay_us = MSEC(20) };
        SIM sim = network(1, &still, false, 4);
        unsigned node = dht_sim_add(sim, false);
        usec_t start_us = net_now(sim->net);
        const struct dht_sim_event *event;
        struct now now;

        dht_sim_run(sim, MSEC(30));             /* their answers are on their way */
        now = dht_sim_now(sim);
        check_equal(dht_set_bootstrap(sim->nodes[node].dht, sim->bootstrap, sim->bootstrap_count, &now), 0);
        dht_set_known(sim->nodes[node].dht, NULL, 0, &now);
        event = dht_sim_wait(sim, node, DHT_BOOTSTRAPPED, 0, SECONDS(10));
        check(event && event->at_us - start_us == MSEC(40));
}

TEST(dht_a_dead_bootstrap_node_costs_a_quarter_of_a_second)
{
        SIM sim = network(4, &lan, true, 3);
        unsigned server;
        usec_t start_us;
        const struct dht_sim_event *event;

        for (unsigned i = 0; i < 3; i++)
                sim->bootstrap[i] = dht_sim_addr(sim, i);
        sim->bootstrap_count = 3;
        dht_sim_kill(sim, 1);
        server = dht_sim_add(sim, false);
        start_us = net_now(sim->net);
        listen_as(sim, server, 1);
        event = dht_sim_wait(sim, server, DHT_RELAYS_CHANGED, 0, SECONDS(10));
        check(event && event->at_us - start_us < MSEC(255));            /* the walk waits that long for it */
        event = dht_sim_wait(sim, server, DHT_BOOTSTRAPPED, 0, SECONDS(10));
        check(event && event->at_us - start_us < MSEC(5));
}

TEST(dht_nodes_that_strangers_reach_find_out_and_others_do_not)
{
        SIM sim = network(5, &wan, false, 10);
        unsigned open = dht_sim_add(sim, false), closed = dht_sim_add(sim, false);
        struct addr addr, expected = dht_sim_addr(sim, open);

        dht_sim_firewall(sim, closed);
        dht_sim_run(sim, SECONDS(10));
        check(!stats_of(sim, open).firewalled && stats_of(sim, closed).firewalled);
        check(dht_open_addr(sim->nodes[open].dht, &addr) && addr_equal(&addr, &expected));
        check(!dht_open_addr(sim->nodes[closed].dht, &addr));
        check(dht_public_addr(sim->nodes[closed].dht, &addr) && addr.port != sim->nodes[closed].addr.port);
        check_equal(dht_socket(sim->nodes[open].dht), sim->nodes[open].server);
        check_equal(dht_socket(sim->nodes[closed].dht), sim->nodes[closed].client);
        check(dht_sim_events(sim, open, DHT_ADDRESS_CHANGED, 0) > 0);
}

/* --- Fifty of them --- */

TEST(dht_fifty_nodes_bootstrap_from_one_and_know_each_other)
{
        SIM sim = network(6, &wan, false, NODES);

        for (unsigned i = 0; i < NODES; i++) {
                check(stats_of(sim, i).bootstrapped);
                check(stats_of(sim, i).nodes >= 20);
        }
}

/* Everybody announces, everybody finds everybody, everybody withdraws. */
static uint64_t announce_lookup_unannounce(uint64_t seed, const struct net_link *link)
{
        SIM sim = network(seed, link, false, NODES);
        unsigned left = 0;

        for (unsigned i = 0; i < 5; i++) {
                unsigned node = dht_sim_add(sim, false);

                check(announce(sim, node, i, i == 0) >= 18);
        }
        for (unsigned i = 0; i < 5; i++)
                check(lookup(sim, NODES + (i + 1) % 5, i) >= 15);
        for (unsigned i = 0; i < 5; i++)
                check(unannounce(sim, NODES + i, i) >= 18);
        for (unsigned i = 0; i < 5; i++)
                left += lookup(sim, i, i);
        check(left <= (link->loss_ppm ? 5 : 0));        /* of 100: under loss two walks end at slightly different nodes */
        return net_hash(sim->net);
}

TEST(dht_fifty_nodes_announce_look_up_and_unannounce)
{
        announce_lookup_unannounce(7, &wan);
}

TEST(dht_fifty_nodes_do_so_over_bad_links_and_the_same_seed_gives_the_same_run)
{
        uint64_t hash = announce_lookup_unannounce(8, &bad);

        check(announce_lookup_unannounce(8, &bad) == hash);
        check(announce_lookup_unannounce(9, &bad) != hash);
}

TEST(dht_a_record_outlives_a_third_of_the_nodes)
{
        SIM sim = network(10, &wan, false, NODES);
        unsigned client = dht_sim_add(sim, false);
        usec_t start_us;

        check(announce(sim, client, 1, false) == 20);
        for (unsigned i = 1; i < NODES; i += 3)
                dht_sim_kill(sim, i);
        client = dht_sim_add(sim, false);
        start_us = net_now(sim->net);
        check(lookup(sim, client, 1) >= 10);
        check(net_now(sim->net) - start_us < SECONDS(10));
}

/* Who is gone is forgotten: after a while nobody is asked in vain. */
TEST(dht_tables_forget_the_dead)
{
        SIM sim = network(11, &wan, false, 20);
        struct dht_stats before;

        for (unsigned i = 1; i < 10; i++)
                dht_sim_kill(sim, i);
        dht_sim_run(sim, MINUTES(20));
        check_equal(stats_of(sim, 0).nodes, 10);
        before = stats_of(sim, 0);
        lookup(sim, 0, 1);
        check_equal(stats_of(sim, 0).rpc.timeouts, before.rpc.timeouts);
}

/* --- Servers --- */

TEST(dht_unlisten_withdraws)
{
        SIM sim = network(12, &wan, false, 20);
        unsigned server = dht_sim_add(sim, false), client = dht_sim_add(sim, false);
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct now now;
        usec_t start_us;

        dht_sim_run(sim, SECONDS(5));
        check_equal(find_peer(sim, client, 1), 3);
        now = dht_sim_now(sim);
        start_us = net_now(sim->net);
        dht_unlisten(sim->nodes[server].dht, listener, false, &now);
        check(dht_sim_wait(sim, server, DHT_UNLISTENED, 0, SECONDS(10)));
        check(net_now(sim->net) - start_us < MSEC(60));
        check_equal(find_peer(sim, client, 1), 0);
        check_equal(stats_of(sim, server).listeners, 0);
}

TEST(dht_unlisten_can_leave_everything_to_a_successor)
{
        SIM sim = network(13, &wan, false, 20);
        unsigned server = dht_sim_add(sim, false), client = dht_sim_add(sim, false);
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct now now;

        dht_sim_run(sim, SECONDS(5));
        now = dht_sim_now(sim);
        dht_unlisten(sim->nodes[server].dht, listener, true, &now);
        dht_sim_run(sim, SECONDS(5));
        check_equal(dht_sim_events(sim, server, DHT_UNLISTENED, 0), 0);
        check_equal(find_peer(sim, client, 1), 3);
        check(listen_as(sim, server, 1));
}

TEST(dht_a_server_replaces_a_relay_that_died)
{
        SIM sim = network(14, &wan, false, 20);
        unsigned server = dht_sim_add(sim, false), client = dht_sim_add(sim, false);
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct dht_relay relays[DHT_RELAYS_MAX];
        struct addr lost;

        dht_sim_run(sim, SECONDS(2));
        check_equal(dht_listener_relays(listener, relays), 3);
        lost = relays[1].relay;
        dht_sim_kill(sim, node_at(sim, &lost));
        dht_sim_run(sim, SECONDS(15));
        check_equal(dht_listener_relays(listener, relays), 3);
        for (unsigned i = 0; i < 3; i++)
                check(!addr_equal(&relays[i].relay, &lost));
        check(dht_listener_is_relay(listener, &lost));          /* of an earlier cycle */
        check_equal(find_peer(sim, client, 1), 3);
}

TEST(dht_a_relay_that_restarted_gets_the_record_again)
{
        SIM sim = network(15, &wan, false, 20);
        unsigned server = dht_sim_add(sim, false), client = dht_sim_add(sim, false), relay;
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct dht_relay relays[DHT_RELAYS_MAX];

        dht_sim_run(sim, SECONDS(2));
        check_equal(dht_listener_relays(listener, relays), 3);
        relay = node_at(sim, &relays[0].relay);
        dht_sim_kill(sim, relay);
        dht_sim_start(sim, relay);
        check_equal(stats_of(sim, relay).forwards, 0);
        dht_sim_run(sim, SECONDS(4));
        check_equal(stats_of(sim, relay).forwards, 1);
        check_equal(find_peer(sim, client, 1), 3);
}

/* The whole network is away for a minute: the server is found again soon after it is back. */
TEST(dht_a_server_comes_back_after_an_outage)
{
        SIM sim = network(16, &lan, true, 3);
        unsigned server = dht_sim_add(sim, false), client;
        struct dht_listener *listener = listen_as(sim, server, 1);
        struct dht_relay relays[DHT_RELAYS_MAX];

        dht_sim_run(sim, SECONDS(5));
        for (unsigned i = 0; i < 3; i++)
                dht_sim_kill(sim, i);
        dht_sim_run(sim, MINUTES(5));
        check(dht_listener_relays(listener, relays) > 0);       /* the last ones known are better than none */
        for (unsigned i = 0; i < 3; i++)
                dht_sim_start(sim, i);
        dht_sim_run(sim, SECONDS(45));
        client = dht_sim_add(sim, false);
        check_equal(find_peer(sim, client, 1), 3);
}

TEST(dht_a_server_is_announced_again_seconds_after_the_network_is_back)
{
        for (unsigned seed = 21; seed < 41; seed++) {
                SIM sim = network(seed, &wan, false, 8);
                unsigned server = dht_sim_add(sim, false), client;

                listen_as(sim, server, 1);
                dht_sim_run(sim, SECONDS(5));
                for (unsigned i = 0; i < 8; i++)
                        dht_sim_kill(sim, i);
                dht_sim_run(sim, MINUTES(10));
                for (unsigned i = 0; i < 8; i++)
                        dht_sim_start(sim, i);
                dht_sim_run(sim, SECONDS(7));   /* it asks each second, and walks that had begun end in vain */
                client = dht_sim_add(sim, false);
                check_equal(find_peer(sim, client, 1), 3);
        }
}

/* --- Those who were there when we last ran --- */

static void start_knowing(struct dht_sim *sim, unsigned node, const struct addr *known, size_t count)
{
        struct now now = dht_sim_now(sim);

        dht_set_known(sim->nodes[node].dht, known, count, &now);
}

TEST(dht_a_restarted_node_is_back_at_once_though_all_bootstrap_nodes_are_dead)
{
        SIM sim = network(22, &wan, false, 30);
        unsigned node = dht_sim_add(sim, false);
        struct addr known[DHT_KNOWN_MAX];
        const struct dht_sim_event *listed;
        size_t count, from;
        usec_t start_us;

        announce(sim, 5, 1, false);
        dht_sim_run(sim, MINUTES(1));
        count = dht_known(sim->nodes[node].dht, known, DHT_KNOWN_MAX);
        check(count >= 20);
        dht_sim_kill(sim, node);
        for (unsigned i = 0; i < 5; i++)
                dht_sim_kill(sim, i);
        dht_sim_run(sim, MINUTES(1));
        dht_sim_start(sim, node);
        start_knowing(sim, node, known, count);
        start_us = net_now(sim->net);
        from = sim->nodes[node].event_count;
        check(lookup(sim, node, 1) > 0);
        listed = dht_sim_wait(sim, node, DHT_PEER_LISTED, from, 0);
        check(listed && listed->at_us - start_us < MSEC(500));
        check(net_now(sim->net) - start_us < MSEC(2500));       /* the walk ends later: it waits for the dead */
}

TEST(dht_nodes_known_once_and_dead_now_cost_half_a_second)
{
        SIM sim = network(23, &wan, false, 30);
        struct addr dead[DHT_KNOWN_MAX];
        unsigned node;
        usec_t start_us;

        announce(sim, 5, 1, false);
        for (unsigned i = 0; i < DHT_KNOWN_MAX; i++)
                dead[i] = (struct addr){ { 81, 1, (uint8_t)i, 7 }, 49737 };
        dead[0].port = 0;
        node = dht_sim_add(sim, false);
        start_knowing(sim, node, dead, DHT_KNOWN_MAX);
        start_us = net_now(sim->net);
        check(dht_sim_wait(sim, node, DHT_BOOTSTRAPPED, 0, SECONDS(5)));
        check(net_now(sim->net) - start_us < MSEC(600));
        check(lookup(sim, node, 1) > 0);
}

/* --- Handshakes --- */

struct meeting {
        struct dht_sim *sim;
        unsigned server, client;
        uint8_t target[DHT_TARGET_BYTES];
        struct dht_relay relays[DHT_RELAYS_MAX];
};

static struct meeting meet(struct dht_sim *sim)
{
        struct meeting m = { .sim = sim, .server = dht_sim_add(sim, false), .client = dht_sim_add(sim, false) };
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        struct dht_listener *listener = listen_as(sim, m.server, 1);

        dht_sim_firewall(sim, m.server);
        dht_sim_key(1, secret_key);
        dht_target(secret_key + 32, m.target);
        dht_sim_run(sim, SECONDS(5));
        check_equal(dht_listener_relays(listener, m.relays), 3);
        return m;
}

/* The client's message through @relay; what the server is told. */
static const struct dht_event *knock(const struct meeting *m, const struct addr *relay)
{
        size_t from = m->sim->nodes[m->server].event_count;
        struct now now = dht_sim_now(m->sim);
        const struct dht_sim_event *arrived;

        check(dht_handshake_send(m->sim->nodes[m->client].dht, relay, m->target, "knock", 5, NULL, &now));
        arrived = dht_sim_wait(m->sim, m->server, DHT_HANDSHAKE, from, SECONDS(5));
        check(arrived && arrived->event.noise_len == 5);
        check_bytes(arrived->noise, "knock", 5);
        return &arrived->event;
}

TEST(dht_a_handshake_goes_through_a_relay_and_back)
{
        SIM sim = network(17, &wan, false, 20);
        struct meeting m = meet(sim);
        const struct dht_event *arrived = knock(&m, &m.relays[0].relay);
        const struct dht_sim_event *answered;
        struct dht_inbound inbound = arrived->inbound;
        struct now now = dht_sim_now(sim);

        check_equal(inbound.mode, DHT_FROM_RELAY);
        check(addr_equal(&inbound.from, &m.relays[0].relay));
        check(addr_equal(&inbound.client, &sim->nodes[m.client].addr));         /* it is open: its server socket */
        check(addr_equal(&inbound.to, &m.relays[0].peer));
        dht_handshake_reply(sim->nodes[m.server].dht, &inbound, "come in", 7, &now);
        answered = dht_sim_wait(sim, m.client, DHT_HANDSHAKE_ANSWERED, 0, SECONDS(5));
        check(answered && answered->event.relayed);
        check_bytes(answered->noise, "come in", 7);
        check(addr_equal(&answered->event.from, &m.relays[0].relay));
        check(addr_equal(&answered->event.server, &m.relays[0].peer));
}

TEST(dht_a_handshake_may_go_straight_to_the_server)
{
        SIM sim = network(18, &wan, false, 20);
        struct meeting m = meet(sim);
        const struct dht_event *arrived = knock(&m, &m.relays[0].peer);
        const struct dht_sim_event *answered;
        struct dht_inbound inbound = arrived->inbound;
        struct now now = dht_sim_now(sim);

        check_equal(inbound.mode, DHT_FROM_CLIENT);
        dht_handshake_reply(sim->nodes[m.server].dht, &inbound, "come in", 7, &now);
        answered = dht_sim_wait(sim, m.client, DHT_HANDSHAKE_ANSWERED, 0, SECONDS(5));
        check(answered && !answered->event.relayed && addr_equal(&answered->event.server, &m.relays[0].peer));
}

TEST(dht_a_handshake_ends_when_nobody_answers_or_nobody_is_known)
{
        SIM sim = network(19, &wan, false, 20);
        struct meeting m = meet(sim);
        uint8_t nobody[DHT_TARGET_BYTES] = { 1 };
        struct now now = dht_sim_now(sim);
        const struct dht_sim_event *failed;
        size_t from = sim->nodes[m.client].event_count;

        check(dht_handshake_send(sim->nodes[m.client].dht, &m.relays[0].relay, nobody, "knock", 5, NULL, &now));
        failed = dht_sim_wait(sim, m.client, DHT_HANDSHAKE_FAILED, from, SECONDS(1));
        check(failed && !failed->event.timed_out);
        from = sim->nodes[m.client].event_count;
        now = dht_sim_now(sim);
        check(dht_handshake_send(sim->nodes[m.client].dht, &m.relays[0].relay, m.target, "knock", 5, NULL, &now));
        failed = dht_sim_wait(sim, m.client, DHT_HANDSHAKE_FAILED, from, SECONDS(10));
        check(failed && failed->event.timed_out);
        check_equal(dht_sim_events(sim, m.server, DHT_HANDSHAKE, 0), RPC_RETRIES + 1);      /* each send of it */
}

TEST(dht_what_is_cancelled_is_never_heard_of_again)
{
        SIM sim = network(20, &wan, false, 20);
        unsigned client = dht_sim_add(sim, false);
        struct dht_sim_node *node = &sim->nodes[client];
        struct dht_query_spec spec = { .operation = DHT_LOOKUP, .target = topic };
        struct now now = dht_sim_now(sim);
        struct dht_query *held = dht_query(node->dht, &spec, &now), *walking;
        struct dht_handshake *handshake;

        dht_query_cancel(node->dht, held, &now);
        dht_sim_run(sim, SECONDS(1));
        now = dht_sim_now(sim);
        walking = dht_query(node->dht, &spec, &now);
        handshake = dht_handshake_send(node->dht, &sim->nodes[0].addr, topic, "knock", 5, NULL, &now);
        dht_sim_run(sim, MSEC(20));
        now = dht_sim_now(sim);
        dht_query_cancel(node->dht, walking, &now);
        dht_handshake_cancel(node->dht, handshake);
        dht_sim_run(sim, SECONDS(20));
        check_equal(dht_sim_events(sim, client, DHT_QUERY_DONE, 0), 0);
        check_equal(dht_sim_events(sim, client, DHT_HANDSHAKE_FAILED, 0), 0);
        check_equal(stats_of(sim, client).queries, 0);
}
