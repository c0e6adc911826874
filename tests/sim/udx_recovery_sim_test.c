/* SPDX-License-Identifier: BSD-3-Clause */
/* What was lost, or only looks so, is found out soon, whatever the path: outages, packets that overtake each other, bad luck. */
#include <stdio.h>

#include "udx_bulk.h"
#include "udx_sim.h"

#include "cleanup.h"
#include "test.h"

#define SIM cleanup_with(udx_sim_freep) struct udx_sim *

static const struct net_link wan = { .delay_us = 20000 };

/* Drops what has DATA and that number, so often. */
struct unlucky {
        uint32_t seq;
        unsigned times;
};

static bool is_unlucky(void *context, const uint8_t *bytes, size_t len)
{
        struct unlucky *unlucky = context;
        struct udx_packet packet;

        if (!unlucky->times || udx_packet_read(bytes, len, &packet) != UDX_OK || !(packet.type & UDX_DATA) || packet.seq != unlucky->seq)
                return false;
        unlucky->times--;
        return true;
}

/* Of twenty packets with nothing behind them, any one is lost, and again when it is sent again: nothing that was sent later arrives to
 * tell, and nobody waits a second for it. */
TEST(udx_does_not_wait_for_what_is_lost_again)
{
        enum { BYTES = 20 * UDX_PAYLOAD_BASE };

        for (unsigned times = 1; times <= 3; times++) {
                usec_t longest_us = 0;

                for (uint32_t seq = 0; seq < 20; seq++) {
                        struct unlucky unlucky = { seq + 1, times };
                        struct net_link link = { .delay_us = 20000, .drops = is_unlucky, .context = &unlucky };
                        SIM sim = udx_sim_new(200 + seq, &wan);

                        udx_sim_write(sim, A, 1);
                        udx_sim_run(sim, SECONDS(1));           /* the round trip is known */
                        udx_sim_set_link(sim, A, &link);
                        udx_sim_write(sim, A, BYTES);
                        longest_us = usec_max(longest_us, udx_sim_run_until_read(sim, B, 1 + BYTES, SECONDS(20)));
                        check(udx_sim_delivered(sim, B));
                        check_equal(unlucky.times, 0);
                }
                printf("# lost %u times: %.1f ms at most\n", times, (double)longest_us / 1000);
                check(longest_us < MSEC(20) + (MSEC(170) << (times - 1)));
        }
}

/* After an outage all is sent again, and of that one is lost: once something was heard nobody waits for a timeout any more. */
TEST(udx_does_not_wait_for_what_is_lost_again_after_a_timeout)
{
        enum { BYTES = 12 * UDX_PAYLOAD_BASE };
        static const struct net_link dead = { .loss_ppm = 1000000 };
        usec_t longest_us = 0;

        for (unsigned n = 2; n <= 12; n++) {
                struct net_link unlucky = { .delay_us = 20000, .drop_nth = n };
                SIM sim = udx_sim_new(400 + n, &wan);

                udx_sim_write(sim, A, 1);
                udx_sim_run(sim, SECONDS(1));
                udx_sim_set_link(sim, A, &dead);
                udx_sim_write(sim, A, BYTES);
                udx_sim_run(sim, MSEC(1500));
                udx_sim_set_link(sim, A, &unlucky);
                udx_sim_run_until_read(sim, B, 2, SECONDS(20));
                longest_us = usec_max(longest_us, udx_sim_run_until_read(sim, B, 1 + BYTES, SECONDS(20)));
                check(udx_sim_delivered(sim, B));
        }
        printf("# %.1f ms at most\n", (double)longest_us / 1000);
        check(longest_us < MSEC(300));
}

/* Nothing comes back for as long as @us: the first answer that does is to what was sent again, and all before it seems to have taken so long. */
static usec_t outage_at_first(uint64_t seed, usec_t us)
{
        enum { FIRST = 10 * UDX_PAYLOAD_BASE, BYTES = FIRST + 100000 };
        static const struct net_link dead = { .loss_ppm = 1000000 }, lossy = { .delay_us = 20000, .loss_ppm = 50000 };
        SIM sim = udx_sim_new(seed, &lossy);
        usec_t took_us;

        udx_sim_set_link(sim, B, &dead);
        udx_sim_write(sim, A, FIRST);
        udx_sim_run(sim, us);
        udx_sim_set_link(sim, B, &lossy);
        udx_sim_write(sim, A, BYTES - FIRST);
        took_us = udx_sim_run_until_read(sim, B, BYTES, SECONDS(300));
        check(udx_sim_delivered(sim, B));
        return took_us;
}

TEST(udx_outage_is_not_taken_for_the_round_trip)
{
        usec_t longest_us = 0;

        for (uint64_t seed = 1; seed <= 20; seed++)
                longest_us = usec_max(longest_us, outage_at_first(seed, MSEC(500) * seed));
        printf("# %.1f s at most\n", (double)longest_us / 1e6);
        check(longest_us < SECONDS(6));
}

/* A packet takes 0.8 s, and the round trip was known to be 40 ms: whatever times out is sent again before its answer can come, and as long as
 * that is so no answer says how long it took. */
TEST(udx_finds_out_that_the_path_has_become_slow)
{
        static const struct net_link slow = { .delay_us = 200000, .bits_per_s = 12000, .queue_bytes = 5000 };
        enum { BYTES = 60000 };
        SIM sim = udx_sim_new(300, &wan);
        usec_t took_us;

        udx_sim_write(sim, A, 1);
        udx_sim_run(sim, SECONDS(1));
        udx_sim_set_link(sim, A, &slow);
        udx_sim_write(sim, A, BYTES);
        took_us = udx_sim_run_until_read(sim, B, 1 + BYTES, SECONDS(300));
        printf("# %.1f s, %u timeouts\n", (double)took_us / 1e6, (unsigned)udx_mux_counters(sim->end[A].mux)->timeouts);
        check(udx_sim_delivered(sim, B));
        check(took_us < SECONDS(55));           /* the wire alone takes 42 */
}

/* As much as three quarters of the least round trip: RACK's first window is one. */
TEST(udx_fills_a_path_where_packets_overtake_each_other_by_far)
{
        static const uint32_t losses_ppm[] = { 0, 10000 };

        for (size_t i = 0; i < ARRAY_LEN(losses_ppm); i++) {
                struct udx_bulk_spec spec = {
                        .seed = 7,
                        .there = { .delay_us = MSEC(20), .jitter_us = MSEC(30), .reorder = true, .loss_ppm = losses_ppm[i],
                                   .bits_per_s = 50000000, .queue_bytes = 250000 },
                        .back = { .delay_us = MSEC(20) },
                };
                cleanup_with(udx_bulk_freep) struct udx_bulk *bulk = udx_bulk_new(&spec);
                struct udx_bulk_figures figures;

                udx_bulk_run(bulk, SECONDS(2));
                figures = udx_bulk_run(bulk, SECONDS(10));
                printf("# %.1f Mbit/s, %.2f %% in vain\n", figures.bits_per_s / 1e6,
                       100.0 * (double)figures.duplicates / (double)figures.packets);
                check(figures.bits_per_s > 0.6 * 50e6);
                check(figures.duplicates < figures.packets / 100);
        }
}
