/* SPDX-License-Identifier: BSD-3-Clause */
/* UDX between two of our own ends, over networks that lose, repeat, delay and reorder. */
#include <stdio.h>

#include "udx_sim.h"

#include "cleanup.h"
#include "test.h"

#define SIM cleanup_with(udx_sim_freep) struct udx_sim *

static const struct net_link lan = { .delay_us = 200 };
static const struct net_link wan = { .delay_us = 20000 };

TEST(udx_delivers_in_order_over_a_perfect_path)
{
        SIM sim = udx_sim_new(1, &wan);

        udx_sim_write(sim, A, 300000);
        udx_sim_write(sim, B, 50000);
        udx_sim_run(sim, SECONDS(2));
        check(udx_sim_delivered(sim, A));
        check(udx_sim_delivered(sim, B));
        check_equal(udx_mux_counters(sim->end[A].mux)->packets_resent, 0);
        check_equal(udx_mux_counters(sim->end[B].mux)->packets_resent, 0);
}

TEST(udx_survives_the_loss_of_any_one_packet)
{
        for (unsigned n = 1; n <= 80; n++) {
                SIM sim = udx_sim_new(n, &wan);

                udx_sim_set_link(sim, A, &(struct net_link){ .delay_us = 20000, .drop_nth = n });
                udx_sim_write(sim, A, 64 * 1024);
                udx_sim_end(sim, A);
                udx_sim_run(sim, SECONDS(5));
                check(udx_sim_delivered(sim, B));
                check(sim->end[B].remote_ended);
        }
}

TEST(udx_survives_the_loss_of_any_one_answer)
{
        for (unsigned n = 1; n <= 40; n++) {
                SIM sim = udx_sim_new(n, &wan);

                udx_sim_set_link(sim, B, &(struct net_link){ .delay_us = 20000, .drop_nth = n });
                udx_sim_write(sim, A, 64 * 1024);
                udx_sim_end(sim, A);
                udx_sim_end(sim, B);
                udx_sim_run(sim, SECONDS(8));
                check(udx_sim_delivered(sim, B));
                check(sim->end[A].closed && sim->end[B].closed);
                check_equal(sim->end[A].reason, UDX_CLEAN);
                check_equal(sim->end[B].reason, UDX_CLEAN);
        }
}

TEST(udx_survives_random_loss_both_ways)
{
        for (uint32_t percent = 1; percent <= 10; percent++) {
                for (uint64_t seed = 1; seed <= 3; seed++) {
                        struct net_link link = { .delay_us = 5000, .loss_ppm = percent * 10000 };
                        SIM sim = udx_sim_new(seed * 1000 + percent, &link);

                        udx_sim_write(sim, A, 500000);
                        udx_sim_write(sim, B, 300000);
                        udx_sim_run_until_read(sim, B, 500000, SECONDS(60));
                        udx_sim_run_until_read(sim, A, 300000, SECONDS(60));
                        check(udx_sim_delivered(sim, A));
                        check(udx_sim_delivered(sim, B));
                }
        }
}

TEST(udx_survives_reordering_duplication_and_loss_at_once)
{
        for (uint64_t seed = 1; seed <= 10; seed++) {
                struct net_link link = {
                        .delay_us = 10000, .jitter_us = 8000, .reorder = true, .loss_ppm = 20000, .duplicate_ppm = 50000,
                };
                SIM sim = udx_sim_new(seed, &link);

                udx_sim_write(sim, A, 400000);
                udx_sim_write(sim, B, 400000);
                udx_sim_end(sim, A);
                udx_sim_end(sim, B);
                udx_sim_run(sim, SECONDS(60));
                check(udx_sim_delivered(sim, A));
                check(udx_sim_delivered(sim, B));
                check(sim->end[A].closed && sim->end[B].closed);
                check_equal(sim->end[A].reason, UDX_CLEAN);
                check_equal(sim->end[B].reason, UDX_CLEAN);
        }
}

/* Of 100 packets 30 are lost, 5 come twice, and half overtake others; so it goes with the answers: one exchange in two comes to nothing.
 * With one attempt a timeout, as libudx has it, some of these seeds end in a broken stream. */
TEST(udx_is_right_where_a_third_is_lost_and_the_rest_is_a_mess)
{
        for (uint64_t seed = 1; seed <= 40; seed++) {
                struct net_link link = {
                        .delay_us = 10000, .jitter_us = 20000, .reorder = true, .loss_ppm = 300000, .duplicate_ppm = 50000,
                };
                SIM sim = udx_sim_new(seed, &link);

                udx_sim_write(sim, A, 50000);
                udx_sim_write(sim, B, 20000 + 1000 * seed);
                udx_sim_end(sim, A);
                udx_sim_end(sim, B);
                udx_sim_run(sim, MINUTES(3));
                check(udx_sim_delivered(sim, A));
                check(udx_sim_delivered(sim, B));
                check(sim->end[A].remote_ended && sim->end[B].remote_ended);
                check(sim->end[A].closed && sim->end[B].closed);
                check_equal(sim->end[A].reason, UDX_CLEAN);
                check_equal(sim->end[B].reason, UDX_CLEAN);
                check(sim->end[A].packets + sim->end[B].packets < 700);         /* some 80 would carry all of it, answers not counted */
        }
}

TEST(udx_reordering_alone_is_seldom_taken_for_loss)
{
        struct net_link link = { .delay_us = 20000, .jitter_us = 3000, .reorder = true };
        SIM sim = udx_sim_new(5, &link);

        udx_sim_write(sim, A, 3000000);
        udx_sim_run_until_read(sim, B, 3000000, SECONDS(60));
        check(udx_sim_delivered(sim, B));
        check(udx_mux_counters(sim->end[A].mux)->packets_resent < 100);         /* of 2605 */
}

static uint64_t hash_of_a_run(uint64_t seed)
{
        struct net_link link = { .delay_us = 10000, .jitter_us = 2000, .reorder = true, .loss_ppm = 30000, .duplicate_ppm = 1000 };
        SIM sim = udx_sim_new(seed, &link);

        udx_sim_write(sim, A, 200000);
        udx_sim_write(sim, B, 100000);
        udx_sim_run(sim, SECONDS(10));
        check(udx_sim_delivered(sim, B));
        return net_hash(sim->net);
}

TEST(udx_same_seed_same_run)
{
        uint64_t first = hash_of_a_run(4711);

        check(hash_of_a_run(4711) == first);
        check(hash_of_a_run(4712) != first);
}

TEST(udx_half_close_leaves_the_other_direction_open)
{
        for (int first = 0; first < 2; first++) {
                enum udx_sim_side one = first ? B : A, other = first ? A : B;
                SIM sim = udx_sim_new(7, &wan);

                udx_sim_write(sim, one, 5000);
                udx_sim_end(sim, one);
                udx_sim_run(sim, SECONDS(1));
                check(sim->end[other].remote_ended && udx_sim_delivered(sim, other));
                check(!sim->end[A].closed && !sim->end[B].closed);
                udx_sim_run(sim, SECONDS(120));
                udx_sim_write(sim, other, 100000);
                udx_sim_run(sim, SECONDS(2));
                check(udx_sim_delivered(sim, one));
                udx_sim_end(sim, other);
                udx_sim_run(sim, SECONDS(1));
                check(sim->end[A].closed && sim->end[B].closed);
                check_equal(sim->end[A].reason, UDX_CLEAN);
                check_equal(sim->end[B].reason, UDX_CLEAN);
        }
}

TEST(udx_end_rides_on_the_last_data)
{
        SIM sim = udx_sim_new(8, &wan);

        udx_sim_write(sim, A, 6);
        udx_sim_end(sim, A);
        udx_sim_run(sim, SECONDS(1));
        check(sim->end[B].remote_ended && udx_sim_delivered(sim, B));
        check_equal(sim->end[A].packets, 1);
}

static bool is_end_answer(void *context, const uint8_t *bytes, size_t len)
{
        (void)context;
        return len >= UDX_HEADER_BYTES && bytes[2] == 0 && bytes[16] == 1;      /* a pure ACK of packet 0 */
}

TEST(udx_repeats_its_last_answer_when_it_was_lost)
{
        SIM sim = udx_sim_new(9, &wan);
        usec_t start_us = net_now(sim->net);

        udx_sim_end(sim, A);
        udx_sim_run(sim, SECONDS(1));
        check(sim->end[B].remote_ended && !sim->end[B].closed);
        udx_sim_set_link(sim, A, &(struct net_link){ .delay_us = 20000, .drop_nth = 1 });       /* the answer to B's END */
        udx_sim_end(sim, B);
        udx_sim_run(sim, SECONDS(5));
        check(sim->end[A].closed && sim->end[B].closed);
        check_equal(sim->end[B].reason, UDX_CLEAN);
        check(sim->end[B].closed_us - start_us < SECONDS(3));
        check(sim->end[B].packets >= 2);
}

/* A libudx peer keeps no record: it is gone when its last ACK is lost. */
TEST(udx_unanswered_end_after_everything_else_is_clean)
{
        SIM sim = udx_sim_new(10, &wan);
        usec_t start_us;

        udx_sim_end(sim, A);
        udx_sim_run(sim, SECONDS(1));
        udx_sim_set_link(sim, A, &(struct net_link){ .drops = is_end_answer });
        start_us = net_now(sim->net);
        udx_sim_end(sim, B);
        udx_sim_run(sim, SECONDS(30));
        check(sim->end[B].closed);
        check_equal(sim->end[B].reason, UDX_CLEAN);
        check(sim->end[B].closed_us - start_us >= SECONDS(13));
}

TEST(udx_gives_up_after_thirteen_seconds_of_silence)
{
        struct net_link dead = { .loss_ppm = 1000000 };
        SIM sim = udx_sim_new(11, &dead);
        usec_t start_us = net_now(sim->net);

        udx_sim_write(sim, A, 100);
        udx_sim_run(sim, SECONDS(12) + MSEC(990));
        check(!sim->end[A].closed);
        check_equal(sim->end[A].packets, 7);    /* about at 0, 1, 3, 5, 7, 9 and 11 s, as libudx: nobody was ever heard there */
        udx_sim_run(sim, SECONDS(2));
        check(sim->end[A].closed);
        check_equal(sim->end[A].reason, UDX_TIMEOUT);
        check(sim->end[A].closed_us - start_us >= SECONDS(13));
        check(sim->end[A].closed_us - start_us < SECONDS(14));  /* streams that lost their packets together try again apart */
        check(!sim->end[B].closed);
}

TEST(udx_comes_back_after_ten_seconds_of_silence)
{
        SIM sim = udx_sim_new(12, &wan);

        udx_sim_write(sim, A, 3000000);
        udx_sim_run(sim, MSEC(300));
        net_endpoint_set_up(sim->net, sim->end[B].socket, false);
        udx_sim_run(sim, SECONDS(10));
        check(!udx_sim_delivered(sim, B));
        net_endpoint_set_up(sim->net, sim->end[B].socket, true);
        udx_sim_run(sim, SECONDS(10));
        check(udx_sim_delivered(sim, B));
}

TEST(udx_idle_stream_sends_nothing_and_never_wakes)
{
        SIM sim = udx_sim_new(13, &wan);
        uint64_t packets;

        udx_sim_write(sim, A, 100000);
        udx_sim_run(sim, SECONDS(3));
        packets = sim->end[A].packets + sim->end[B].packets;
        check(udx_mux_deadline(sim->end[A].mux) == USEC_NEVER);
        check(udx_mux_deadline(sim->end[B].mux) == USEC_NEVER);
        udx_sim_run(sim, SECONDS(60));
        check_equal(sim->end[A].packets + sim->end[B].packets, packets);
}

TEST(udx_shut_window_stops_the_sender_and_opens_again)
{
        SIM sim = udx_sim_new(14, &wan);
        struct udx_stats stats;

        udx_stream_set_receive_limit(sim->end[B].stream, UDX_BUFFER_MIN);
        sim->end[B].reads = false;
        udx_sim_write(sim, A, 3 * 1024 * 1024);
        udx_sim_run(sim, SECONDS(30));
        udx_stream_stats(sim->end[B].stream, &stats);
        check(stats.readable_bytes <= UDX_BUFFER_MIN + 2 * UDX_DATAGRAM_MAX);
        check(stats.readable_bytes >= UDX_BUFFER_MIN - UDX_PAYLOAD_BASE);
        check(!sim->end[A].closed);
        sim->end[B].reads = true;
        check(udx_sim_run_until_read(sim, B, 3 * 1024 * 1024, SECONDS(3)) < SECONDS(2));
        check(udx_sim_delivered(sim, B));
}

TEST(udx_finds_out_that_a_window_opened_when_the_news_was_lost)
{
        SIM sim = udx_sim_new(15, &wan);

        udx_stream_set_receive_limit(sim->end[B].stream, UDX_BUFFER_MIN);
        sim->end[B].reads = false;
        udx_sim_write(sim, A, 600000);
        udx_sim_run(sim, SECONDS(10));
        udx_sim_set_link(sim, B, &(struct net_link){ .delay_us = 20000, .drop_nth = 1 });
        sim->end[B].reads = true;
        udx_sim_run(sim, SECONDS(5));
        check(udx_sim_delivered(sim, B));
}

TEST(udx_gives_up_on_a_window_that_stays_shut)
{
        SIM sim = udx_sim_new(16, &wan);

        udx_stream_set_receive_limit(sim->end[B].stream, UDX_BUFFER_MIN);
        sim->end[B].reads = false;
        udx_sim_write(sim, A, 600000);
        udx_sim_run(sim, SECONDS(55));
        check(!sim->end[A].closed);
        udx_sim_run(sim, SECONDS(10));
        check(sim->end[A].closed);
        check_equal(sim->end[A].reason, UDX_TIMEOUT);
        check(sim->end[B].closed);              /* and is told so */
        check_equal(sim->end[B].reason, UDX_RESET);
}

TEST(udx_tells_a_peer_that_comes_back_too_late)
{
        struct net_link dead = { .loss_ppm = 1000000 };
        SIM sim = udx_sim_new(17, &dead);

        udx_sim_write(sim, A, 100);
        udx_sim_run(sim, SECONDS(15));
        check_equal(sim->end[A].reason, UDX_TIMEOUT);
        check(!sim->end[B].closed);
        udx_sim_set_link(sim, A, &wan);
        udx_sim_set_link(sim, B, &wan);
        udx_sim_write(sim, B, 100);
        udx_sim_run(sim, SECONDS(1));
        check(sim->end[B].closed);
        check_equal(sim->end[B].reason, UDX_RESET);
}

/* Both write, both rest, packets are lost and overtake each other: nobody may run beyond a window and drown there. */
TEST(udx_survives_readers_that_rest_on_a_path_that_loses_and_reorders)
{
        for (uint64_t seed = 1; seed <= 12; seed++) {
                struct net_link there = { .delay_us = 50, .jitter_us = 400, .reorder = true, .bits_per_s = 1000000000 };
                struct net_link back = { .delay_us = 10, .loss_ppm = 50000 };
                SIM sim = udx_sim_new(seed, &there);

                udx_sim_set_link(sim, B, &back);
                for (int side = 0; side < 2; side++) {
                        udx_stream_set_receive_limit(sim->end[side].stream, UDX_BUFFER_MIN);
                        udx_sim_write(sim, (enum udx_sim_side)side, 1000000);
                        udx_sim_end(sim, (enum udx_sim_side)side);
                        sim->end[side].reads = false;
                }
                udx_sim_run(sim, SECONDS(20));
                check(!sim->end[A].closed && !sim->end[B].closed);
                sim->end[A].reads = sim->end[B].reads = true;
                udx_sim_run(sim, SECONDS(30));
                check(udx_sim_delivered(sim, A) && udx_sim_delivered(sim, B));
                check(sim->end[A].closed && sim->end[B].closed);
        }
}

TEST(udx_destroy_resets_the_peer_even_if_two_of_three_are_lost)
{
        SIM sim = udx_sim_new(17, &wan);

        udx_sim_write(sim, A, 5000);
        udx_sim_run(sim, SECONDS(1));
        udx_sim_set_link(sim, A, &(struct net_link){ .delay_us = 20000, .drop_nth = 1, .drop_count = 2 });
        udx_stream_destroy(sim->end[A].stream);
        udx_sim_run(sim, SECONDS(2));
        check(sim->end[B].closed);
        check_equal(sim->end[B].reason, UDX_RESET);
        check(!sim->end[A].closed);     /* who destroys is not told */
        udx_stream_free(sim->end[A].stream);
        sim->end[A].stream = NULL;
        udx_sim_run(sim, SECONDS(30));
        check(udx_mux_deadline(sim->end[A].mux) == USEC_NEVER);
}

TEST(udx_destroyed_stream_answers_what_still_comes)
{
        SIM sim = udx_sim_new(18, &wan);
        struct net_link dead = { .loss_ppm = 1000000 };

        udx_sim_set_link(sim, A, &dead);
        udx_stream_free(sim->end[A].stream);
        sim->end[A].stream = NULL;
        udx_sim_run(sim, SECONDS(3));
        check(!sim->end[B].closed);
        udx_sim_set_link(sim, A, &wan);
        udx_sim_write(sim, B, 10);
        udx_sim_run(sim, SECONDS(1));
        check(sim->end[B].closed);
        check_equal(sim->end[B].reason, UDX_RESET);
}

TEST(udx_packets_wait_until_the_stream_is_connected)
{
        SIM sim = udx_sim_new_apart(19, &wan);

        udx_sim_connect(sim, A);
        udx_sim_write(sim, A, 5000);
        udx_sim_run(sim, MSEC(500));
        check_equal(sim->end[B].path_events, 1);
        check_equal(sim->end[B].packets, 0);
        check_equal(sim->end[B].read, 0);
        udx_sim_connect(sim, B);
        udx_sim_run(sim, MSEC(1));
        check(udx_sim_delivered(sim, B));
        check_equal(sim->end[B].packets, 1);    /* one ACK for all */
}

TEST(udx_holds_sixteen_packets_and_no_more)
{
        SIM sim = udx_sim_new_apart(20, &wan);
        struct udx_path path = { .remote_id = udx_stream_local_id(sim->end[B].stream), .remote = sim->addr[B] };
        uint8_t packet[UDX_HEADER_BYTES + 1] = { UDX_MAGIC, UDX_VERSION, UDX_DATA, 0 };

        for (int i = 0; i < 4; i++)
                packet[4 + i] = (uint8_t)(path.remote_id >> (8 * i));
        for (uint8_t i = 0; i < 40; i++) {
                packet[12] = i;
                udx_sim_inject(sim, B, &sim->addr[A], packet, sizeof(packet));
        }
        check_equal(udx_mux_counters(sim->end[B].mux)->verdicts[UDX_HELD], 16);
        check_equal(udx_mux_counters(sim->end[B].mux)->verdicts[UDX_HELD_FULL], 24);
}

TEST(udx_moves_to_another_address_without_loss)
{
        SIM sim = udx_sim_new(21, &wan);
        struct addr direct = { .ip = { 10, 9, 9, 9 }, .port = 77 };
        struct udx_path path = *udx_stream_path(sim->end[A].stream);
        unsigned socket = net_endpoint_add(sim->net, &direct);

        net_link_set(sim->net, socket, &(struct net_link){ .delay_us = 3000 });
        udx_sim_write(sim, A, 2000000);
        udx_sim_write(sim, B, 2000000);
        udx_sim_run(sim, MSEC(250));
        path.socket = socket;           /* A speaks from elsewhere now; */
        udx_stream_connect(sim->end[A].stream, &path, net_now(sim->net));
        udx_stream_allow_moves(sim->end[B].stream, true);
        udx_sim_run(sim, MSEC(100));
        check_equal(sim->end[B].path_events, 1);
        path = *udx_stream_path(sim->end[B].stream);
        path.remote = direct;           /* and B follows */
        udx_stream_connect(sim->end[B].stream, &path, net_now(sim->net));
        udx_stream_allow_moves(sim->end[B].stream, false);
        udx_sim_run(sim, SECONDS(5));
        check(udx_sim_delivered(sim, A));
        check(udx_sim_delivered(sim, B));
        check_equal(udx_mux_counters(sim->end[A].mux)->timeouts + udx_mux_counters(sim->end[B].mux)->timeouts, 0);
}

TEST(udx_tells_of_a_move_back_too)
{
        SIM sim = udx_sim_new(25, &wan);
        struct addr elsewhere = { .ip = { 10, 9, 9, 9 }, .port = 77 };
        struct udx_path path = *udx_stream_path(sim->end[A].stream), back = path;

        path.socket = net_endpoint_add(sim->net, &elsewhere);
        udx_stream_allow_moves(sim->end[B].stream, true);
        udx_sim_write(sim, A, 10000);
        udx_sim_run(sim, MSEC(100));
        udx_stream_connect(sim->end[A].stream, &path, net_now(sim->net));
        udx_sim_write(sim, A, 10000);
        udx_sim_run(sim, MSEC(100));
        check_equal(sim->end[B].path_events, 1);
        path = *udx_stream_path(sim->end[B].stream);
        path.remote = elsewhere;
        udx_stream_connect(sim->end[B].stream, &path, net_now(sim->net));       /* B follows, */
        udx_stream_connect(sim->end[A].stream, &back, net_now(sim->net));       /* and A is back where it was */
        udx_sim_write(sim, A, 10000);
        udx_sim_run(sim, MSEC(100));
        check_equal(sim->end[B].path_events, 2);
}

/* Who answers from another socket than the one that was spoken to has another address in the peer's eyes. */
TEST(udx_tells_of_another_socket_too)
{
        SIM sim = udx_sim_new(26, &wan);
        uint8_t message[UDX_HEADER_BYTES] = { UDX_MAGIC, UDX_VERSION, UDX_MESSAGE };
        uint32_t id = udx_stream_local_id(sim->end[B].stream);

        for (int i = 0; i < 4; i++)
                message[4 + i] = (uint8_t)(id >> (8 * i));
        check_equal(udx_mux_receive(sim->end[B].mux, 77, &sim->addr[A], message, sizeof(message), net_now(sim->net)), UDX_OK);
        udx_sim_settle(sim);
        check_equal(sim->end[B].path_events, 0);        /* nobody asked */
        udx_stream_allow_moves(sim->end[B].stream, true);
        check_equal(udx_mux_receive(sim->end[B].mux, 77, &sim->addr[A], message, sizeof(message), net_now(sim->net)), UDX_OK);
        udx_sim_settle(sim);
        check_equal(sim->end[B].path_events, 1);
}

TEST(udx_messages_go_beside_the_stream)
{
        SIM sim = udx_sim_new(22, &lan);
        uint8_t buffer[UDX_MESSAGE_BUFFER];
        size_t len;

        check(udx_stream_send_message(sim->end[A].stream, "hello", 5));
        check(udx_stream_send_message(sim->end[A].stream, NULL, 0));
        check(!udx_stream_send_message(sim->end[A].stream, buffer, UDX_MESSAGE_BASE + 1));
        udx_sim_run(sim, SECONDS(1));
        check(sim->end[B].message_events >= 1);
        check(udx_stream_receive_message(sim->end[B].stream, buffer, &len));
        check_equal(len, 5);
        check_bytes(buffer, "hello", 5);
        check(udx_stream_receive_message(sim->end[B].stream, buffer, &len));
        check_equal(len, 0);
        check(!udx_stream_receive_message(sim->end[B].stream, buffer, &len));
}

TEST(udx_bursts_stay_small_and_links_full)
{
        struct net_link link = { .delay_us = 10000, .bits_per_s = 1000000000, .queue_bytes = 1 << 20 };
        SIM sim = udx_sim_new(23, &link);
        usec_t took_us;

        udx_sim_write(sim, A, 200000000);
        took_us = udx_sim_run_until_read(sim, B, 200000000, SECONDS(30));
        check(udx_sim_delivered(sim, B));
        check(took_us < SECONDS(200000000) / 125000000 * 10 / 7);       /* 70 % of the link, slow start included */
        check(udx_mux_counters(sim->end[A].mux)->packets_resent < 5000);
}

TEST(udx_fills_a_narrow_link_with_a_short_queue)
{
        struct net_link link = { .delay_us = 15000, .bits_per_s = 20000000, .queue_bytes = 40000 };
        SIM sim = udx_sim_new(24, &link);
        usec_t took_us;

        udx_sim_write(sim, A, 20000000);
        took_us = udx_sim_run_until_read(sim, B, 20000000, SECONDS(60));
        check(udx_sim_delivered(sim, B));
        check(took_us < SECONDS(20000000) / 2500000 * 10 / 7);
}

/* Loopback: 50 us there and back, 1 GB/s, and no more queue than a socket buffer of Linux's default size. */
TEST(udx_is_fast_where_the_round_trip_is_short)
{
        struct net_link link = { .delay_us = 25, .bits_per_s = 8000000000, .queue_bytes = 212992 };
        SIM sim = udx_sim_new(25, &link);
        usec_t took_us;

        udx_sim_write(sim, A, 300000000);
        took_us = udx_sim_run_until_read(sim, B, 300000000, SECONDS(10));
        check(udx_sim_delivered(sim, B));
        check(took_us < SECONDS(300) / 700);    /* 700 MB/s, slow start and what overflows included */
        check_equal(udx_mux_counters(sim->end[A].mux)->timeouts, 0);
}
