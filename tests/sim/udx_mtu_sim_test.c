/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stream makes of paths that carry more than the least, of those that don't, and of black holes: what is longer vanishes, and
 * nobody says so. */
#include <stdio.h>

#include "cleanup.h"
#include "test.h"
#include "udx_bulk.h"
#include "udx_sim.h"

#define SIM cleanup_with(udx_sim_freep) struct udx_sim *
#define BULK cleanup_with(udx_bulk_freep) struct udx_bulk *

enum { TRANSFER = 20000000 };

static const struct net_link wan = { .delay_us = 15000, .bits_per_s = 100000000, .queue_bytes = 500000, .mtu_bytes = 1500 };

static struct net_link wan_of(size_t mtu_bytes)
{
        struct net_link link = wan;

        link.mtu_bytes = mtu_bytes;
        return link;
}

/* Writes 20 MB from A to B and checks that they arrived; how long that took. */
static usec_t transfer(struct udx_sim *sim)
{
        usec_t took_us;

        udx_sim_write(sim, A, TRANSFER);
        took_us = udx_sim_run_until_read(sim, B, sim->end[B].read + TRANSFER, SECONDS(60));
        check(udx_sim_delivered(sim, B));
        return took_us;
}

TEST(udx_mtu_finds_what_the_path_carries)
{
        static const struct { size_t mtu, datagram; } paths[] = {
                { 0, 1472 }, { 9000, 1472 }, { 1500, 1472 }, { 1499, 1464 }, { 1492, 1464 }, { 1450, 1422 }, { 1449, 1392 }, { 1420, 1392 },
                { 1400, 1372 }, { 1300, 1252 }, { 1280, 1252 }, { 1279, 1172 }, { 1200, 1172 },
        };

        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
                struct net_link link = wan_of(paths[i].mtu);
                SIM sim = udx_sim_new(31 + i, &link);

                udx_sim_let_datagrams_grow(sim);
                transfer(sim);
                check_equal(udx_sim_datagram_bytes(sim, A), paths[i].datagram);
                check_equal(udx_sim_datagram_bytes(sim, B), UDX_PACKET_BASE);           /* it had nothing to say, and didn't ask */
                check_equal(udx_mux_counters(sim->end[A].mux)->timeouts, 0);
                check_equal(udx_mux_counters(sim->end[A].mux)->black_holes, 0);
                check(udx_mux_counters(sim->end[A].mux)->mtu_probes_sent <= 2 + 3 * 9);
                check_equal(net_totals(sim->net)->cut, 0);
        }
}

TEST(udx_mtu_stays_where_it_may_not_grow)
{
        SIM sim = udx_sim_new(50, &wan);

        transfer(sim);
        check_equal(udx_sim_datagram_bytes(sim, A), UDX_PACKET_BASE);
        check_equal(udx_mux_counters(sim->end[A].mux)->mtu_probes_sent, 0);
}

/* A question and its answer, however often, ask the path for nothing. */
TEST(udx_mtu_is_asked_for_by_bulk_alone)
{
        SIM sim = udx_sim_new(51, &wan);

        udx_sim_let_datagrams_grow(sim);
        for (int i = 0; i < 100; i++) {
                udx_sim_write(sim, A, 900);
                udx_sim_run(sim, MSEC(100));
        }
        check(udx_sim_delivered(sim, B));
        check_equal(udx_mux_counters(sim->end[A].mux)->mtu_probes_sent, 0);
}

TEST(udx_mtu_saves_a_fifth_of_the_packets)
{
        SIM small = udx_sim_new(52, &wan);
        SIM large = udx_sim_new(52, &wan);

        udx_sim_let_datagrams_grow(large);
        check(transfer(large) < transfer(small));
        check(large->end[A].packets < small->end[A].packets * 81 / 100);
        check(large->end[B].packets <= small->end[B].packets);
}

TEST(udx_mtu_differs_from_one_direction_to_the_other)
{
        struct net_link narrow = wan_of(1400);
        SIM sim = udx_sim_new(53, &wan);

        udx_sim_set_link(sim, B, &narrow);
        udx_sim_let_datagrams_grow(sim);
        udx_sim_write(sim, B, TRANSFER);
        transfer(sim);
        udx_sim_run(sim, SECONDS(2));
        check(udx_sim_delivered(sim, A));
        check_equal(udx_sim_datagram_bytes(sim, A), 1472);
        check_equal(udx_sim_datagram_bytes(sim, B), 1372);
        check_equal(udx_mux_counters(sim->end[B].mux)->black_holes, 0);
}

/* The longest time in which nothing arrived at B, while A has something to say. */
static usec_t longest_silence(struct udx_sim *sim, usec_t us)
{
        usec_t until_us = net_now(sim->net) + us, since_us = net_now(sim->net), longest_us = 0;
        uint64_t read = sim->end[B].read;

        while (net_now(sim->net) < until_us) {
                udx_sim_run(sim, MSEC(1));
                if (sim->end[B].read != read)
                        since_us = net_now(sim->net);
                read = sim->end[B].read;
                longest_us = usec_max(longest_us, net_now(sim->net) - since_us);
        }
        return longest_us;
}

/* In the middle of a transfer a tunnel gets in the way. */
TEST(udx_mtu_falls_back_in_a_black_hole)
{
        static const size_t mtus[] = { 1499, 1420, 1280, 1200 };

        for (size_t i = 0; i < ARRAY_LEN(mtus); i++) {
                struct net_link narrow = wan_of(mtus[i]);
                SIM sim = udx_sim_new(60 + i, &wan);
                usec_t silence_us;

                udx_sim_let_datagrams_grow(sim);
                udx_sim_write(sim, A, TRANSFER);
                udx_sim_run(sim, MSEC(600));
                check_equal(udx_sim_datagram_bytes(sim, A), 1472);
                check(sim->end[B].read < TRANSFER / 2);
                udx_sim_set_link(sim, A, &narrow);
                silence_us = longest_silence(sim, SECONDS(1));
                check(silence_us < MSEC(300));                          /* a round trip is 30 to 70 ms */
                check_equal(udx_sim_datagram_bytes(sim, A), UDX_PACKET_BASE);
                udx_sim_run_until_read(sim, B, TRANSFER, SECONDS(30));
                check(udx_sim_delivered(sim, B));
                check_equal(udx_mux_counters(sim->end[A].mux)->black_holes, 1);
                check_equal(udx_mux_counters(sim->end[A].mux)->timeouts, 0);
                check(net_totals(sim->net)->cut > 0);
        }
}

/* Later it looks again, and takes what there is; and more, when there is more. */
TEST(udx_mtu_rises_again)
{
        struct net_link narrow = wan_of(1420);
        SIM sim = udx_sim_new(70, &wan);

        udx_sim_let_datagrams_grow(sim);
        transfer(sim);
        udx_sim_set_link(sim, A, &narrow);
        transfer(sim);
        check_equal(udx_mux_counters(sim->end[A].mux)->black_holes, 1);
        udx_sim_run(sim, SECONDS(6));
        transfer(sim);
        check_equal(udx_sim_datagram_bytes(sim, A), 1392);
        udx_sim_set_link(sim, A, &wan);
        udx_sim_run(sim, SECONDS(300));
        transfer(sim);
        check_equal(udx_sim_datagram_bytes(sim, A), 1392);
        udx_sim_run(sim, SECONDS(300));
        transfer(sim);
        check_equal(udx_sim_datagram_bytes(sim, A), 1472);
        check_equal(udx_mux_counters(sim->end[A].mux)->black_holes, 1);
}

/* A path that carries no fragments: the stream ends as one that hears nothing, and a new one begins with what passes. */
TEST(udx_mtu_ends_where_fragments_vanish_too)
{
        struct net_link narrow = wan_of(1420);
        SIM sim = udx_sim_new(71, &wan);

        narrow.whole = true;
        udx_sim_let_datagrams_grow(sim);
        transfer(sim);
        udx_sim_write(sim, A, TRANSFER);
        udx_sim_run(sim, MSEC(500));
        udx_sim_set_link(sim, A, &narrow);
        udx_sim_run(sim, SECONDS(60));
        check(sim->end[A].closed && sim->end[A].reason == UDX_TIMEOUT);
        check(!sim->end[B].wrong);
}

/* The same when little is under way: three packets or one, and then silence. */
TEST(udx_mtu_falls_back_though_little_is_said)
{
        struct net_link narrow = wan_of(1300);

        for (unsigned packets = 1; packets <= 4; packets++) {
                SIM sim = udx_sim_new(80 + packets, &wan);
                uint64_t before;

                udx_sim_let_datagrams_grow(sim);
                transfer(sim);
                udx_sim_set_link(sim, A, &narrow);
                before = sim->end[B].read;
                udx_sim_write(sim, A, packets * UDX_PAYLOAD_MAX);
                check(udx_sim_run_until_read(sim, B, before + packets * UDX_PAYLOAD_MAX, SECONDS(5)) < SECONDS(2));
                check(udx_sim_delivered(sim, B));
                before = sim->end[B].read;
                udx_sim_write(sim, A, 100000);
                check(udx_sim_run_until_read(sim, B, before + 100000, SECONDS(5)) < SECONDS(2));
                check(udx_sim_delivered(sim, B));
        }
}

/* Loss is not length: it may look like that now and then, and is soon made good. */
TEST(udx_mtu_stays_up_on_a_path_that_loses)
{
        struct net_link link = wan;
        unsigned up = 0, falls;
        SIM sim = NULL;

        link.loss_ppm = 100000;
        sim = udx_sim_new(90, &link);
        udx_sim_let_datagrams_grow(sim);
        udx_sim_write(sim, A, 1000000000);
        for (unsigned s = 0; s < 60; s++) {
                udx_sim_run(sim, SECONDS(1));
                up += udx_sim_datagram_bytes(sim, A) >= 1422;
        }
        falls = (unsigned)udx_mux_counters(sim->end[A].mux)->black_holes;
        printf("# up %u of 60 s, %u falls\n", up, falls);
        check(up >= 50);
        check(falls <= 2);
}

/* Nothing gets through for a while: that is no black hole, or it is soon made good. */
TEST(udx_mtu_survives_an_outage)
{
        SIM sim = udx_sim_new(91, &wan);

        udx_sim_let_datagrams_grow(sim);
        udx_sim_write(sim, A, 200000000);
        for (unsigned i = 0; i < 4; i++) {
                udx_sim_run(sim, SECONDS(1));
                net_endpoint_set_up(sim->net, sim->end[A].socket, false);
                udx_sim_run(sim, MSEC(80 * i));
                net_endpoint_set_up(sim->net, sim->end[A].socket, true);
        }
        udx_sim_run(sim, SECONDS(9));
        check_equal(udx_sim_datagram_bytes(sim, A), 1472);
}

/* What is lost of probes slows nobody down: a path of 1,280 bytes refuses one after another. */
TEST(udx_mtu_probes_cost_no_speed)
{
        double rates[2];

        for (unsigned grows = 0; grows < 2; grows++) {
                struct udx_bulk_spec spec = { .seed = 7, .there = wan, .back = wan, .datagrams_grow = grows };
                BULK bulk = NULL;

                spec.there.mtu_bytes = 1220;
                bulk = udx_bulk_new(&spec);
                rates[grows] = udx_bulk_run(bulk, SECONDS(5)).bits_per_s;
                check_equal(udx_bulk_stats(bulk, 0).datagram_bytes, UDX_PACKET_BASE);
        }
        printf("# %.1f without probes, %.1f Mbit/s with\n", rates[0] / 1e6, rates[1] / 1e6);
        check(rates[1] > 0.98 * rates[0]);
}

/* Who sends longer packets gets no more than the other. */
TEST(udx_mtu_is_fair)
{
        struct udx_bulk_spec spec = { .seed = 8, .there = wan, .back = wan, .datagrams_grow = true, .flows = 4 };
        BULK bulk = udx_bulk_new(&spec);

        udx_bulk_run(bulk, SECONDS(4));
        check(udx_bulk_run(bulk, SECONDS(10)).jain > 0.9);
}

TEST(udx_mtu_begins_anew_on_another_path)
{
        SIM sim = udx_sim_new(92, &wan);
        struct addr direct = { .ip = { 10, 9, 9, 9 }, .port = 77 };
        struct net_link narrow = wan_of(1300);
        struct udx_path path;
        unsigned socket = net_endpoint_add(sim->net, &direct);

        udx_sim_let_datagrams_grow(sim);
        net_link_set(sim->net, socket, &wan);
        net_link_set_between(sim->net, sim->end[A].socket, socket, &narrow);
        udx_sim_write(sim, A, TRANSFER);
        udx_sim_run(sim, MSEC(600));
        check_equal(udx_sim_datagram_bytes(sim, A), 1472);
        path = *udx_stream_path(sim->end[B].stream);
        path.socket = socket;           /* B speaks from elsewhere now, and A follows; what is under way is too long for that path */
        udx_stream_allow_moves(sim->end[A].stream, true);
        udx_stream_connect(sim->end[B].stream, &path, net_now(sim->net));
        udx_sim_run(sim, MSEC(30));
        path = *udx_stream_path(sim->end[A].stream);
        path.remote = direct;
        udx_stream_connect(sim->end[A].stream, &path, net_now(sim->net));
        check_equal(udx_sim_datagram_bytes(sim, A), UDX_PACKET_BASE);
        udx_sim_run_until_read(sim, B, TRANSFER, SECONDS(30));
        check(udx_sim_delivered(sim, B));
        check_equal(udx_sim_datagram_bytes(sim, A), 1252);
}
