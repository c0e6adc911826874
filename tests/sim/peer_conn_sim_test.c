/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_sim.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "peer_sim_dht.h"
#include "test.h"
#include "udx_packet.h"

#define SIM cleanup_with(peer_sim_freep) struct peer_sim *

static const struct net_link wan = { .delay_us = 20000 };

static struct peer_sim *connected(uint64_t seed, const struct net_link *link)
{
        struct peer_sim *sim = peer_sim_pair(seed, link);

        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(300));
        check_equal(sim->node[0].connected, 1);
        check_equal(sim->node[1].accepted, 1);
        return sim;
}

static void check_delivered(const struct peer_sim_end *from, const struct peer_sim_end *to)
{
        check_equal(to->read, from->to_write);
        check(!to->wrong);
}

static size_t stream_bytes(const struct peer_sim_end *end)
{
        struct conn_stats stats;

        conn_stats(end->conn, &stats);
        return stats.udx.readable_bytes;
}

TEST(conn_lives_while_idle)
{
        SIM sim = connected(1, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        struct conn_stats stats;
        uint64_t before = sim->node[0].udx_out;

        check(!conn_is_used(a->conn) && !conn_is_used(b->conn));
        peer_sim_run(sim, MINUTES(5));
        check(a->conn && b->conn);
        check(conn_is_used(a->conn) && conn_is_used(b->conn));
        conn_stats(a->conn, &stats);
        check(stats.bytes_out >= 150 * CONN_SEAL_BYTES && stats.bytes_out <= 200 * CONN_SEAL_BYTES);
        check_equal(stats.messages_out + stats.messages_in, 0);
        check(sim->node[0].udx_out - before <= 270);    /* every 1.5 s a keep-alive, every five an acknowledgement */
        conn_stats(b->conn, &stats);
        check_equal(stats.bytes_out, 60 * CONN_SEAL_BYTES);
        check_equal(a->read + b->read, 0);
        peer_sim_write(a, 1000, true);
        peer_sim_write(b, 1000, true);
        peer_sim_run(sim, SECONDS(1));
        check_delivered(a, b);
        check_delivered(b, a);
        check(a->closed && b->closed);
}

/* One that was under way when the other was first used is no news of a restart; one that began afterwards is. */
TEST(conn_that_crossed_another_is_told_from_one_that_came_later)
{
        SIM sim = peer_sim_pair(25, &wan);
        const struct peer_sim_end *end = sim->node[1].end;

        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(300));
        check_equal(sim->node[1].accepted, 2);
        for (unsigned i = 0; i < 2; i++) {
                peer_sim_write(&sim->node[i].end[0], 10, false);
                peer_sim_write(&sim->node[i].end[1], 10, false);
        }
        peer_sim_run(sim, MSEC(300));
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(300));
        check_equal(sim->node[1].accepted, 3);
        check(conn_is_used(end[0].conn) && conn_is_used(end[1].conn));
        check(conn_crossed(end[1].conn, end[0].conn));
        check(!conn_crossed(end[2].conn, end[0].conn) && !conn_crossed(end[2].conn, end[1].conn));
}

TEST(conn_that_is_used_is_known_to_be)
{
        SIM sim = connected(2, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

        peer_sim_write(a, 10, false);
        peer_sim_run(sim, MSEC(100));
        check(!conn_is_used(a->conn) && !conn_is_used(b->conn));
        peer_sim_write(b, 10, false);
        peer_sim_run(sim, MSEC(100));
        check(conn_is_used(a->conn) && conn_is_used(b->conn));
}

TEST(conn_whose_peer_vanishes_times_out)
{
        SIM sim = connected(3, &wan);

        net_endpoint_set_up(sim->net, sim->node[1].socket, false);
        peer_sim_run(sim, SECONDS(30));
        check(sim->node[0].end[0].closed && sim->node[1].end[0].closed);
        check_equal(sim->node[0].end[0].reason, PEER_CONN_TIMED_OUT);
        check_equal(sim->node[1].end[0].reason, PEER_CONN_TIMED_OUT);
        check(sim->node[0].end[0].closed_us < SECONDS(20));
}

TEST(conn_asked_whether_it_lives_fails_sooner)
{
        SIM sim = connected(4, &wan);
        usec_t now_us = net_now(sim->net);

        net_endpoint_set_up(sim->net, sim->node[1].socket, false);
        conn_ping(sim->node[0].end[0].conn, now_us);
        peer_sim_run(sim, SECONDS(30));
        check_equal(sim->node[0].end[0].reason, PEER_CONN_TIMED_OUT);
        check(sim->node[0].end[0].closed_us < now_us + SECONDS(14));
}

TEST(conn_cut_off_is_seen_as_a_reset)
{
        SIM sim = connected(5, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

        peer_sim_write(a, 500000, false);
        peer_sim_run(sim, MSEC(100));
        conn_free(a->conn);
        a->conn = NULL;
        peer_sim_run(sim, SECONDS(1));
        check(b->closed && !b->at_end && !b->wrong);
        check_equal(b->reason, PEER_CONN_RESET);
}

TEST(conn_keeps_a_slow_reader_s_bytes_and_bounds_them)
{
        SIM sim = connected(6, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        struct conn_stats stats;

        b->reads = false;
        peer_sim_write(a, 20000000, true);
        peer_sim_run(sim, SECONDS(30));
        check(a->written < 13000000);
        conn_stats(b->conn, &stats);
        check(stats.udx.readable_bytes <= UDX_BUFFER_MAX + 4096);
        check(conn_room_bytes(a->conn) < CONN_MESSAGE_MAX + CONN_SEAL_BYTES && conn_unacked_bytes(a->conn) > 0);
        b->reads = true;
        peer_sim_run(sim, SECONDS(60));
        check_delivered(a, b);
        check(b->at_end && a->writable_events > 0);
        check_equal(conn_unacked_bytes(a->conn), 0);
        check_equal(conn_room_bytes(a->conn), 0);       /* ended */
}

TEST(weakness_14_4_conn_holds_little_for_whom_it_does_not_trust)
{
        SIM sim = peer_sim_pair(70, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        struct conn_stats stats;

        sim->node[1].trusts = false;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(300));
        b->reads = false;
        peer_sim_write(a, 60000000, true);
        peer_sim_run(sim, SECONDS(10));
        conn_stats(b->conn, &stats);
        check(stats.udx.readable_bytes > UDX_BUFFER_MIN / 2 && stats.udx.readable_bytes <= UDX_BUFFER_MIN + 4096);
        conn_trust(b->conn);
        b->reads = true;
        peer_sim_run(sim, MSEC(200));
        b->reads = false;
        peer_sim_run(sim, SECONDS(10));
        conn_stats(b->conn, &stats);
        check(stats.udx.readable_bytes > UDX_BUFFER_MAX / 2);
        b->reads = true;
        peer_sim_run(sim, SECONDS(60));
        check_delivered(a, b);
}

TEST(conn_with_a_small_window_passes_everything)
{
        SIM sim = peer_sim_pair(7, &wan);
        struct peer_sim_node *node = &sim->node[1];
        struct peer_config config = {
                .random = *net_random(sim->net), .udx = node->mux, .dht = node->dht, .server_socket = node->socket,
                .server_local = { .port = node->addr.port }, .receive_limit_bytes = UDX_BUFFER_MIN,
        };
        struct peer_dial_spec spec = { .secret_key = node->secret_key, .remote_key = peer_sim_key(&sim->node[0]) };
        struct peer_dial *dial;
        struct now now;

        peer_set_free(node->set);       /* it dials now, with a window of its own */
        check_equal(peer_set_new(&node->set, &config), 0);
        peer_sim_listen(&sim->node[0], false);
        now = peer_sim_now(sim);
        check_equal(peer_dial(node->set, &spec, &dial, &now), 0);
        peer_sim_run(sim, MSEC(300));
        peer_sim_write(&sim->node[0].end[0], 3000000, true);
        peer_sim_run(sim, SECONDS(30));
        check_delivered(&sim->node[0].end[0], &node->end[0]);
}

TEST(conn_ends_in_either_order_without_loss)
{
        for (unsigned order = 0; order < 3; order++) {
                SIM sim = connected(80 + order, &wan);
                struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

                peer_sim_write(order == 1 ? b : a, 300000, true);
                if (order == 2)
                        peer_sim_write(b, 300000, true);
                peer_sim_run(sim, SECONDS(5));
                check_equal(a->closed + b->closed, order == 2 ? 2 : 0);
                check_equal(a->end_arrived, order != 1);
                check_equal(b->end_arrived, order != 0);
                peer_sim_write(order == 1 ? a : b, order == 2 ? 0 : 400000, true);
                peer_sim_run(sim, SECONDS(5));
                check(a->closed && b->closed);
                check_delivered(a, b);
                check_delivered(b, a);
                check_equal(a->reason, PEER_CONN_DONE);
                check_equal(b->reason, PEER_CONN_DONE);
        }
}

/* UDX has no checksum of its own: what UDP's lets pass is found here. */
TEST(conn_never_yields_a_flipped_bit)
{
        struct net_link corrupt = { .delay_us = 5000, .corrupt_ppm = 20000 };
        unsigned broken = 0;

        for (uint64_t seed = 900; seed < 930; seed++) {
                SIM sim = connected(seed, &wan);
                struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

                net_link_set(sim->net, sim->node[0].socket, &corrupt);
                peer_sim_write(a, 2000000, true);
                peer_sim_write(b, 0, true);
                peer_sim_run(sim, MINUTES(3));
                check(!a->wrong && !b->wrong);
                check(a->closed && b->closed);
                broken += b->reason == PEER_CONN_BROKEN || b->reason == PEER_CONN_TOO_LONG;
                check(b->reason == PEER_CONN_BROKEN || b->reason == PEER_CONN_TOO_LONG ||
                      b->reason == PEER_CONN_TIMED_OUT || b->read == a->to_write);
        }
        check(broken > 10);
}

/* Lost, late, changed and doubled, but what comes is as it was said, and comes once. */
TEST(conn_yields_each_unordered_message_once_or_never)
{
        enum { COUNT = 2000, PAUSE_US = 1000 };
        struct net_link odd = { .delay_us = 15000, .jitter_us = 20000, .reorder = true, .loss_ppm = 50000, .duplicate_ppm = 50000,
                                .corrupt_ppm = 20000 };
        SIM sim = connected(70, &wan);
        struct conn *a = sim->node[0].end[0].conn, *b = sim->node[1].end[0].conn;
        uint8_t seen[COUNT] = { 0 }, message[CONN_UNORDERED_BUFFER];
        unsigned came = 0;
        size_t len;

        net_link_set(sim->net, sim->node[0].socket, &odd);
        for (unsigned i = 0; i < COUNT; i++) {
                memset(message, (int)(i % 251), CONN_UNORDERED_BASE);
                memcpy(message, &i, sizeof(i));
                check(conn_seal_unordered(a, message, sizeof(i) + i % (CONN_UNORDERED_BASE - sizeof(i) + 1)));
                peer_sim_run(sim, PAUSE_US);
                while (conn_receive_unordered(b, message, &len)) {
                        unsigned k;

                        memcpy(&k, message, sizeof(k));
                        check(k < COUNT && !seen[k]++);
                        check_equal(len, sizeof(k) + k % (CONN_UNORDERED_BASE - sizeof(k) + 1));
                        for (size_t at = sizeof(k); at < len; at++)
                                check_equal(message[at], k % 251);
                        came++;
                }
        }
        check(came > COUNT * 9 / 10 * 96 / 100 && came < COUNT * 97 / 100);
        check_equal(conn_unacked_bytes(a), 0);
}

/* Flips one bit of the length of a frame that has a packet to itself. */
struct length_flip {
        size_t frame_bytes;
        unsigned bit;
        bool done;
};

static void flip_length(void *context, uint8_t *bytes, size_t len)
{
        struct length_flip *flip = context;

        if (flip->done || len != UDX_HEADER_BYTES + flip->frame_bytes)
                return;
        bytes[UDX_HEADER_BYTES + flip->bit / 8] ^= (uint8_t)(1 << flip->bit % 8);
        flip->done = true;
}

/* The length of a frame is not authenticated: of one that became larger the rest never comes, only what follows. */
TEST(conn_with_a_flipped_length_is_broken)
{
        for (unsigned bit = 0; bit < 24; bit++) {
                SIM sim = connected(950 + bit, &wan);
                struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
                struct length_flip flip = { .frame_bytes = 101 + CONN_SEAL_BYTES, .bit = bit };
                struct net_link link = { .delay_us = 20000, .changes = flip_length, .context = &flip };
                usec_t begun_us;

                peer_sim_write(a, 1, false);
                net_link_set(sim->net, sim->node[0].socket, &link);
                peer_sim_run(sim, SECONDS(1));
                begun_us = net_now(sim->net);
                peer_sim_write(a, 101, false);
                peer_sim_run(sim, SECONDS(21));
                check_equal(b->reason, bit < 21 ? PEER_CONN_BROKEN : PEER_CONN_TOO_LONG);
                check_equal(b->too_long_bytes, bit < 21 ? 0 : flip.frame_bytes + (1U << bit));
                check_equal(a->reason, PEER_CONN_RESET);
                check_equal(b->read, 1);
                check(bit < 21 || b->closed_us < begun_us + MSEC(100));         /* more than anybody may send */
        }
}

/* One frame takes more than half a minute. */
TEST(conn_waits_for_the_rest_of_a_frame_from_a_slow_peer)
{
        static const struct net_link slow = { .delay_us = 200000, .loss_ppm = 20000, .bits_per_s = 12000, .queue_bytes = 5000 };
        SIM sim = connected(980, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        struct conn_stats before, after;

        peer_sim_write(a, 8, false);
        peer_sim_run(sim, SECONDS(1));
        conn_stats(b->conn, &before);
        net_link_set(sim->net, sim->node[0].socket, &slow);
        peer_sim_write(a, 63353, false);
        peer_sim_run(sim, SECONDS(35));
        peer_sim_run(sim, SECONDS(60));
        check_delivered(a, b);
        conn_stats(b->conn, &after);
        check_equal(after.messages_in - before.messages_in, 1);
}

/* Nobody looked at what came, so what was a part is long whole. */
TEST(conn_waits_for_a_reader_in_the_middle_of_a_frame)
{
        static const struct net_link narrow = { .delay_us = 20000, .bits_per_s = 1000000 };
        SIM sim = connected(981, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        const uint8_t *bytes;

        peer_sim_write(a, 8, false);
        peer_sim_run(sim, SECONDS(1));
        b->reads = false;
        net_link_set(sim->net, sim->node[0].socket, &narrow);
        peer_sim_write(a, 4000, false);
        while (!stream_bytes(b))
                peer_sim_run(sim, MSEC(1));
        check_equal(conn_peek(b->conn, &bytes), 0);
        peer_sim_run(sim, MINUTES(2));
        check(!a->closed && !b->closed);
        b->reads = true;
        peer_sim_write(a, 10, true);
        peer_sim_run(sim, SECONDS(1));
        check_delivered(a, b);
}

TEST(conn_sequence_of_two_hundred)
{
        SIM sim = peer_sim_pair(10, &(struct net_link){ .delay_us = 100 });
        struct peer_stats stats;

        for (unsigned i = 0; i < 200; i++) {
                struct peer_sim_end *a = &sim->node[0].end[i], *b = &sim->node[1].end[i];

                peer_sim_dial(&sim->node[0], &sim->node[1], 2);
                peer_sim_run(sim, MSEC(20));
                check_equal(sim->node[0].connected, i + 1);
                check_equal(sim->node[1].accepted, i + 1);
                peer_sim_write(a, 3000, true);
                peer_sim_write(b, 5000, true);
                peer_sim_run(sim, MSEC(200));
                check_delivered(a, b);
                check_delivered(b, a);
                check(a->closed && b->closed);
        }
        peer_sim_run(sim, SECONDS(20));
        peer_stats(sim->node[0].set, &stats);
        check_equal(stats.dials + stats.conns, 0);
        peer_stats(sim->node[1].set, &stats);
        check_equal(stats.sessions + stats.conns, 0);
}

TEST(conn_fifty_at_once)
{
        SIM sim = peer_sim_new(11, &wan);

        for (uint8_t i = 0; i < 6; i++)         /* five clients: more than one host may have under way */
                net_link_set(sim->net, peer_sim_add(sim, &(struct addr){ .ip = { 198, 51, i, 1 }, .port = 1 })->socket, &wan);
        peer_sim_listen(&sim->node[5], false);
        for (unsigned i = 0; i < 50; i++)
                peer_sim_dial(&sim->node[i % 5], &sim->node[5], i % 3);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[5].accepted, 50);
        for (unsigned i = 0; i < 50; i++) {
                peer_sim_write(&sim->node[5].end[i], 50000, true);
                peer_sim_write(&sim->node[i % 5].end[i / 5], 50000, true);
        }
        peer_sim_run(sim, SECONDS(30));
        for (unsigned i = 0; i < 50; i++) {
                check(sim->node[5].end[i].closed && !sim->node[5].end[i].wrong);
                check_equal(sim->node[5].end[i].read, 50000);
                check_equal(sim->node[i % 5].end[i / 5].read, 50000);
        }
}

TEST(conn_both_sides_dial_at_once)
{
        SIM sim = peer_sim_pair(12, &wan);

        peer_sim_listen(&sim->node[0], false);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_dial(&sim->node[1], &sim->node[0], 2);
        peer_sim_run(sim, SECONDS(1));
        for (unsigned i = 0; i < 2; i++) {
                check_equal(sim->node[i].connected, 1);
                check_equal(sim->node[i].accepted, 1);
        }
}

TEST(conn_dial_can_be_cancelled_at_any_moment)
{
        for (usec_t at_us = 0; at_us < MSEC(120); at_us += 1500) {
                SIM sim = peer_sim_pair(1300 + at_us, &wan);
                struct peer_dial *dial = peer_sim_dial(&sim->node[0], &sim->node[1], at_us / 1500 % 3);
                struct now now;
                struct peer_stats stats;

                peer_sim_run(sim, at_us);
                if (sim->node[0].connected)
                        break;
                now = peer_sim_now(sim);
                peer_dial_cancel(dial, &now);
                peer_sim_run(sim, SECONDS(40));
                check_equal(sim->node[0].connected + sim->node[0].failed, 0);
                peer_stats(sim->node[0].set, &stats);
                check_equal(stats.dials + stats.conns, 0);
                peer_stats(sim->node[1].set, &stats);
                check_equal(stats.sessions + stats.conns, 0);
                check_equal(sim->node[1].accepted, sim->node[1].end_count);
        }
}

TEST(conn_outlives_its_listener)
{
        SIM sim = connected(14, &wan);
        struct now now = peer_sim_now(sim);
        struct peer_stats stats;

        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(30));            /* its handshake is under way */
        now = peer_sim_now(sim);
        peer_unlisten(sim->node[1].listener, &now);
        peer_unlisten(sim->node[1].listener, &now);
        peer_sim_run(sim, SECONDS(30));
        check_equal(sim->node[1].unlistened, 1);
        check_equal(sim->node[1].accepted, 1);
        check_equal(sim->node[0].failed, 1);
        peer_stats(sim->node[1].set, &stats);
        check_equal(stats.sessions, 0);
        check_equal(stats.conns, 1);
        peer_sim_write(&sim->node[0].end[0], 1000, true);
        peer_sim_write(&sim->node[1].end[0], 1000, true);
        peer_sim_run(sim, SECONDS(1));
        check(sim->node[0].end[0].closed && sim->node[1].end[0].closed);
}

TEST(conn_listens_once_and_again)
{
        SIM sim = peer_sim_pair(15, &wan);
        struct peer_listen_spec spec = { .secret_key = sim->node[1].secret_key };
        struct now now = peer_sim_now(sim);
        struct peer_listener *listener;
        struct addr relays[DHT_RELAYS_MAX];

        check_equal(peer_listen(sim->node[1].set, &spec, &listener, &now), -EEXIST);
        check_equal(peer_listener_relays(sim->node[1].listener, relays), 2);
        check(addr_equal(&relays[1], &sim->node[1].entry.relays[1]));
        peer_unlisten(sim->node[1].listener, &now);
        peer_sim_run(sim, SECONDS(1));
        peer_sim_listen(&sim->node[1], false);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[1].accepted, 1);
}

static uint64_t run_once(uint64_t seed)
{
        SIM sim = connected(seed, &(struct net_link){ .delay_us = 9000, .loss_ppm = 30000, .jitter_us = 2000 });

        peer_sim_write(&sim->node[0].end[0], 300000, true);
        peer_sim_write(&sim->node[1].end[0], 300000, true);
        peer_sim_run(sim, SECONDS(20));
        return net_hash(sim->net);
}

TEST(conn_runs_repeat_themselves)
{
        uint64_t first = run_once(18);

        check(run_once(18) == first);
        check(run_once(19) != first);
}
