/* SPDX-License-Identifier: BSD-3-Clause */
/* Two peers who can't reach each other, and a blind relay between them. */
#include "cleanup.h"
#include "peer_sim.h"
#include "relay_channel.h"
#include "test.h"

enum { CLIENT, SERVER, RELAY };

static const struct net_link lan = { .delay_us = MSEC(20) };

enum who { BY_CLIENT = 1, BY_SERVER = 2, BY_BOTH = 3 };

/* Client and server are seen where nothing gets through. */
static struct peer_sim *world(uint64_t seed, const struct net_link *link, enum who who)
{
        static const struct addr relay = { .ip = { 198, 51, 3, 3 }, .port = 3003 };
        struct peer_sim *sim = peer_sim_pair(seed, link);
        struct peer_sim_node *node = sim->node;

        net_link_set(sim->net, peer_sim_add(sim, &relay)->socket, link);
        for (uint8_t i = 0; i < 2; i++) {
                node[i].seen = (struct addr){ .ip = { 5, 5, 5, (uint8_t)(5 + i) }, .port = 5 };
                node[i].only_from = relay;
                node[i].only_until_us = USEC_NEVER;
        }
        node[RELAY].open = true;
        peer_sim_relay(&node[RELAY], 0, 0);
        if (who & BY_CLIENT)
                node[CLIENT].relay_through = peer_sim_key(&node[RELAY]);
        if (who & BY_SERVER)
                peer_listener_relay_through(node[SERVER].listener, peer_sim_key(&node[RELAY]), NULL, true);
        return sim;
}

static struct peer_relay_stats relay_stats(const struct peer_sim *sim)
{
        struct peer_relay_stats stats;

        check(peer_relay_stats(sim->node[RELAY].set, &stats));
        return stats;
}

static void exchange(struct peer_sim *sim, uint64_t bytes)
{
        for (unsigned i = 0; i < 2; i++)
                peer_sim_write(&sim->node[i].end[0], bytes, true);
}

static void check_exchanged(const struct peer_sim *sim, uint64_t bytes)
{
        for (unsigned i = 0; i < 2; i++) {
                check_equal(sim->node[i].end_count, 1);
                check(!sim->node[i].end[0].wrong);
                check_equal(sim->node[i].end[0].read, bytes);
                check_equal(sim->node[i].end[0].reason, PEER_CONN_DONE);
        }
}

/* Nothing is left of it anywhere. */
static void check_clean(struct peer_sim *sim)
{
        peer_sim_run(sim, SECONDS(90));
        for (unsigned i = 0; i < 3; i++) {
                struct peer_stats stats;

                peer_stats(sim->node[i].set, &stats);
                check_equal(stats.conns, 0);
                check_equal(stats.dials, 0);
                check_equal(stats.sessions, 0);
        }
        check_equal(relay_stats(sim).pairs, 0);
        check_equal(relay_stats(sim).waiting, 0);
        check_equal(relay_stats(sim).clients, 0);
}

TEST(relay_carries_what_direct_ways_do_not)
{
        for (enum who who = BY_CLIENT; who <= BY_BOTH; who++) {
                cleanup_with(peer_sim_freep) struct peer_sim *sim = world(who, &lan, who);

                peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
                peer_sim_run(sim, SECONDS(1));
                check_equal(sim->node[CLIENT].connected, 1);
                check_equal(sim->node[SERVER].accepted, 1);
                check(sim->node[CLIENT].took_us < MSEC(500));
                for (unsigned i = 0; i < 2; i++) {
                        check(conn_is_relayed(sim->node[i].end[0].conn));
                        check(addr_equal(&sim->node[i].end[0].remote, &sim->node[RELAY].addr));
                }
                check_equal(relay_stats(sim).pairs, 1);
                exchange(sim, 500 * 1000);
                peer_sim_run(sim, SECONDS(10));
                check_exchanged(sim, 500 * 1000);
                check(relay_stats(sim).bytes > 1000 * 1000);
                check_clean(sim);
        }
}

TEST(relay_carries_over_bad_links)
{
        for (uint64_t seed = 1; seed <= 30; seed++) {
                struct net_link link = { .delay_us = MSEC(20), .jitter_us = MSEC(5), .loss_ppm = seed % 3 == 0 ? 100000 : 20000 };
                cleanup_with(peer_sim_freep) struct peer_sim *sim = world(seed, &link, 1 + seed % 3);

                peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
                peer_sim_run(sim, SECONDS(15));
                check_equal(sim->node[CLIENT].connected, 1);
                exchange(sim, 100 * 1000);
                peer_sim_run(sim, SECONDS(40));
                check_exchanged(sim, 100 * 1000);
        }
}

TEST(relay_that_nobody_finds_ends_a_dial_in_time)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);

        sim->node[RELAY].entry.listed = false;
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(16));
        check_equal(sim->node[CLIENT].failed, 1);
        check(sim->node[CLIENT].took_us <= SECONDS(15) + MSEC(200));
        check_clean(sim);
}

/* The other one never comes: it has no way to the relay. */
TEST(relay_where_one_waits_alone_ends_a_dial_in_time)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);

        sim->node[SERVER].only_from = (struct addr){ .port = 0 };
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(16));
        check_equal(sim->node[CLIENT].failed, 1);
        check(sim->node[CLIENT].took_us <= SECONDS(15) + MSEC(200));
        check_clean(sim);
}

TEST(relay_is_let_go_of_when_the_direct_way_is_faster)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_BOTH);

        for (unsigned i = 0; i < 2; i++) {
                sim->node[i].seen = sim->node[i].addr;
                sim->node[i].only_until_us = 0;
        }
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[CLIENT].connected, 1);
        check(!conn_is_relayed(sim->node[CLIENT].end[0].conn));
        check(!conn_is_relayed(sim->node[SERVER].end[0].conn));
        exchange(sim, 100 * 1000);
        peer_sim_run(sim, SECONDS(10));
        check_exchanged(sim, 100 * 1000);
        check_clean(sim);
}

/* With traffic both ways all the time: not a byte is lost or doubled, and in the end none goes over the relay. */
TEST(relay_is_left_for_a_direct_way_that_opens_later)
{
        for (uint64_t seed = 1; seed <= 24; seed++) {
                struct net_link link = { .delay_us = MSEC(20), .loss_ppm = seed % 2 ? 20000 : 0 };
                cleanup_with(peer_sim_freep) struct peer_sim *sim = world(seed, &link, 1 + seed % 3);
                struct peer_stats stats;
                uint64_t relayed;

                for (unsigned i = 0; i < 2; i++) {
                        sim->node[i].seen = sim->node[i].addr;
                        sim->node[i].only_until_us = SECONDS(6);
                }
                peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
                peer_sim_run(sim, SECONDS(5));
                check_equal(sim->node[CLIENT].connected, 1);
                check_equal(sim->node[SERVER].accepted, 1);
                check(conn_is_relayed(sim->node[CLIENT].end[0].conn));
                for (unsigned step = 0; step < 200; step++) {
                        for (unsigned i = 0; i < 2; i++)
                                peer_sim_write(&sim->node[i].end[0], 20 * 1000, false);
                        peer_sim_run(sim, MSEC(100));
                }
                for (unsigned i = 0; i < 2; i++) {
                        check(!conn_is_relayed(sim->node[i].end[0].conn));
                        peer_stats(sim->node[i].set, &stats);
                        check_equal(stats.detours_left, 1);
                }
                relayed = relay_stats(sim).bytes;
                exchange(sim, 100 * 1000);
                peer_sim_run(sim, SECONDS(20));
                check_exchanged(sim, 200 * 20 * 1000 + 100 * 1000);
                check_equal(relay_stats(sim).bytes, relayed);
                check_clean(sim);
        }
}

/* A stranger who knows the stream's number claims to be the peer: we go and look, and come back. */
TEST(relay_is_returned_to_when_the_direct_way_is_none)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        struct addr stranger = { .ip = { 198, 51, 77, 7 }, .port = 7 };
        uint8_t packet[UDX_HEADER_BYTES];
        struct writer w = writer_over(packet, sizeof(packet));
        struct udx_packet header = { .type = UDX_MESSAGE };

        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        header.stream_id = conn_stream_id(sim->node[CLIENT].end[0].conn);
        udx_header_write(&w, &header);
        peer_sim_inject(&sim->node[CLIENT], &stranger, packet, sizeof(packet));
        peer_sim_run(sim, MSEC(10));
        check(!conn_is_relayed(sim->node[CLIENT].end[0].conn));
        exchange(sim, 100 * 1000);
        peer_sim_run(sim, SECONDS(20));
        check_exchanged(sim, 100 * 1000);
}

/* Its client's DHT node says that the address is another one now; then what fails seldom is tried more often. How often so far. */
static unsigned moved_to_elsewhere(struct peer_sim *sim, enum dht_event_kind kind, usec_t us)
{
        struct now now = peer_sim_now(sim);
        struct dht_event event = { .kind = kind };
        struct peer_stats stats;

        check(!peer_dht_event(sim->node[CLIENT].set, &event, &now));    /* others may want to know as well */
        peer_sim_run(sim, us);
        peer_stats(sim->node[CLIENT].set, &stats);
        return (unsigned)stats.punched_again;
}

/* Soon, and not more than once a minute: others say so, who may lie. */
TEST(holes_are_punched_again_when_our_address_has_changed)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        struct peer_stats stats;
        unsigned before;

        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, MINUTES(5));
        check(conn_is_relayed(sim->node[CLIENT].end[0].conn));
        peer_stats(sim->node[CLIENT].set, &stats);
        before = (unsigned)stats.punched_again;
        peer_sim_run(sim, SECONDS(20));
        check_equal(moved_to_elsewhere(sim, DHT_HEARD_AGAIN, SECONDS(3)), before);      /* that is no news of it */
        check_equal(moved_to_elsewhere(sim, DHT_ADDRESS_CHANGED, SECONDS(3)), before + 1);
        for (unsigned i = 0; i < 10; i++)
                check_equal(moved_to_elsewhere(sim, DHT_MOVED, SECONDS(5)), before + 1);
        peer_sim_run(sim, SECONDS(40));         /* it begins anew with short pauses */
        check_equal(moved_to_elsewhere(sim, DHT_HEARD_AGAIN, 0), before + 2);
        check_equal(moved_to_elsewhere(sim, DHT_MOVED, SECONDS(3)), before + 3);
        check_equal(sim->node[SERVER].accepted, 1);
        check(conn_is_relayed(sim->node[CLIENT].end[0].conn));
}

TEST(relay_that_ends_breaks_what_went_over_it)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        struct now now;

        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[CLIENT].connected, 1);
        now = peer_sim_now(sim);
        peer_relay_stop(sim->node[RELAY].set, &now);
        peer_sim_run(sim, MSEC(100));   /* it says so, and nobody waits for more */
        for (unsigned i = 0; i < 2; i++) {
                check(sim->node[i].end[0].closed);
                check_equal(sim->node[i].end[0].reason, PEER_CONN_TIMED_OUT);
        }
        peer_sim_relay(&sim->node[RELAY], 0, 0);        /* and may begin again */
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[CLIENT].connected, 2);
}

TEST(relay_serves_no_more_pairs_than_it_may)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);

        peer_sim_relay(&sim->node[RELAY], 2, 0);
        for (unsigned i = 0; i < 4; i++)
                peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(20));
        check_equal(sim->node[CLIENT].connected, 2);
        check_equal(sim->node[CLIENT].failed, 2);
        check_equal(relay_stats(sim).pairs, 2);
}

TEST(relay_keeps_to_its_rate)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        uint64_t before;

        peer_sim_relay(&sim->node[RELAY], 0, 200 * 1000);
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        before = relay_stats(sim).bytes;
        peer_sim_write(&sim->node[CLIENT].end[0], 10 * 1000 * 1000, false);
        peer_sim_run(sim, SECONDS(10));
        check(relay_stats(sim).bytes - before <= 2100 * 1000);
        check(sim->node[SERVER].end[0].read > 1000 * 1000);
        check(!sim->node[SERVER].end[0].wrong);
}

/* Whoever of the two names it must show the proof; the other follows with the token it was told. */
TEST(relay_of_a_few_serves_these_and_whom_they_bring)
{
        static const uint8_t proof[PEER_PROOF_BYTES] = { 5 }, other[PEER_PROOF_BYTES] = { 6 };
        static const uint8_t *const shown[] = { proof, other, NULL };

        for (unsigned i = 0; i < 3; i++) {
                for (enum who who = BY_CLIENT; who <= BY_SERVER; who++) {
                        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, who);
                        struct peer_sim_node *node = sim->node;

                        node[RELAY].relay_proof = proof;
                        peer_sim_relay(&node[RELAY], 0, 0);
                        if (who & BY_SERVER)
                                peer_listener_relay_through(node[SERVER].listener, peer_sim_key(&node[RELAY]), shown[i], true);
                        else
                                node[CLIENT].relay_proof = shown[i];
                        peer_sim_dial(&node[CLIENT], &node[SERVER], 2);
                        peer_sim_run(sim, SECONDS(16));
                        check_equal(node[CLIENT].connected, i == 0);
                        check_equal(node[CLIENT].failed, i > 0);
                        check_equal(relay_stats(sim).made, i == 0);
                        check_equal(relay_stats(sim).unproven, i ? 2 : 0);
                        if (i) {
                                check_equal(relay_stats(sim).clients, 0);
                                check_clean(sim);
                        }
                }
        }
}

/* Connections that ask for nothing, from one who makes a key for each, keep nobody out for long. */
TEST(relay_lets_go_of_clients_that_never_ask)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        struct peer_sim_node *idler = &sim->node[CLIENT];

        peer_sim_relay(&sim->node[RELAY], 0, 0);
        idler->only_until_us = 0;
        idler->relay_through = NULL;
        for (unsigned i = 0; i < 8; i++)
                peer_sim_dial(idler, &sim->node[RELAY], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(idler->connected, 8);
        check_equal(relay_stats(sim).clients, 8);
        peer_sim_run(sim, SECONDS(22));
        check_equal(relay_stats(sim).clients, 0);
}

/* However many connections it has; what is set later holds for those that are there. */
TEST(relay_keeps_each_host_to_its_rate)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_CLIENT);
        uint64_t before;

        sim->node[RELAY].relay_rate_per_host = 200 * 1000;
        peer_sim_relay(&sim->node[RELAY], 0, 0);
        for (unsigned i = 0; i < 4; i++)
                peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(3));
        check_equal(relay_stats(sim).pairs, 4);
        before = relay_stats(sim).bytes;
        for (unsigned i = 0; i < 4; i++)
                peer_sim_write(&sim->node[CLIENT].end[i], 3 * 1000 * 1000, false);
        peer_sim_run(sim, SECONDS(10));
        check(relay_stats(sim).bytes - before <= 2100 * 1000);
        check(relay_stats(sim).bytes - before > 1500 * 1000);
        sim->node[RELAY].relay_rate_per_host = 0;
        peer_sim_relay(&sim->node[RELAY], 0, 0);
        peer_sim_run(sim, SECONDS(20));
        for (unsigned i = 0; i < 4; i++)
                check_equal(sim->node[SERVER].end[i].read, 3 * 1000 * 1000);
}

/* One who knows no token of anybody's: guesses, halves of its own by the dozen and both halves at once, over and over. Those who are
 * served notice nothing, and in the end nothing is left. */
TEST(relay_stands_a_client_that_floods_it)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = world(1, &lan, BY_BOTH);
        struct addr home = { .ip = { 198, 51, 4, 4 }, .port = 4004 };
        struct peer_sim_node *flooder = peer_sim_add(sim, &home);

        net_link_set(sim->net, flooder->socket, &lan);
        peer_sim_relay(&sim->node[RELAY], 8, 0);
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[CLIENT].connected, 1);
        for (unsigned i = 0; i < 12; i++)
                peer_sim_dial(flooder, &sim->node[RELAY], 2);
        peer_sim_run(sim, SECONDS(1));
        for (unsigned i = 0; i < 12; i++) {
                struct conn *conn = i < flooder->end_count ? flooder->end[i].conn : NULL;

                for (unsigned half = 0; conn && half < 16; half++) {
                        struct relay_message message = { .type = RELAY_PAIR, .initiator = half % 2, .stream_id = half };
                        uint8_t frame[RELAY_FRAME_MAX];
                        struct writer w = writer_over(frame, sizeof(frame));

                        if (half == 0)
                                relay_open_write(&w, RELAY_CHANNEL, conn_local_key(conn));
                        else
                                relay_message_write(&w, RELAY_CHANNEL, &message);
                        memset(message.token, (int)(i + half / 2), sizeof(message.token));
                        check(conn_seal(conn, frame, writer_len(&w), peer_sim_now(sim).mono_us));
                        peer_sim_settle(sim);
                }
                peer_sim_run(sim, MSEC(10));
        }
        peer_sim_run(sim, SECONDS(1));
        check(relay_stats(sim).pairs + relay_stats(sim).waiting <= 8);
        check(relay_stats(sim).refused > 0);
        exchange(sim, 100 * 1000);
        peer_sim_run(sim, SECONDS(10));
        check_exchanged(sim, 100 * 1000);
        peer_sim_run(sim, SECONDS(90));         /* what nobody uses is forgotten */
        check_equal(relay_stats(sim).waiting, 0);
        peer_sim_dial(&sim->node[CLIENT], &sim->node[SERVER], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[CLIENT].connected, 2);
        check_equal(relay_stats(sim).pairs, 1);
}
