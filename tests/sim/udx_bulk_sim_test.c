/* SPDX-License-Identifier: BSD-3-Clause */
/* What bulk transfers make of paths: they fill them, share them, and leave their queues alone. Virtual time and one seed: the figures
 * are the same everywhere, and the bounds are wide all the same. */
#include "udx_bulk.h"

#include <stdio.h>

#include "cleanup.h"
#include "test.h"

#define BULK cleanup_with(udx_bulk_freep) struct udx_bulk *

static struct udx_bulk_spec path(double mbit, double delay_ms, double queue_ms, double loss_percent)
{
        struct udx_bulk_spec spec = {
                .seed = 7,
                .there = { .delay_us = (usec_t)(delay_ms * 1000), .loss_ppm = (uint32_t)(loss_percent * 10000),
                           .bits_per_s = (uint64_t)(mbit * 1e6), .queue_bytes = (size_t)(mbit * 125 * queue_ms) },
                .back = { .delay_us = (usec_t)(delay_ms * 1000), .loss_ppm = (uint32_t)(loss_percent * 10000) },
        };

        return spec;
}

/* Goodput in hundredths of the link, after two seconds in which it may find its rate. */
static double filled(const struct udx_bulk_spec *spec, usec_t us)
{
        BULK bulk = udx_bulk_new(spec);
        struct udx_bulk_figures figures;

        udx_bulk_run(bulk, SECONDS(2));
        figures = udx_bulk_run(bulk, us);
        check(figures.timeouts == 0);
        check(figures.resent < figures.packets / 10);
        return 100 * figures.bits_per_s / (double)spec->there.bits_per_s;
}

TEST(udx_bulk_fills_a_path_whatever_it_loses)
{
        static const double losses[] = { 0, 0.1, 1, 3, 5 };

        for (size_t i = 0; i < sizeof(losses) / sizeof(*losses); i++) {
                struct udx_bulk_spec spec = path(50, 20, 40, losses[i]);

                check(filled(&spec, SECONDS(5)) > 80);
        }
}

/* The window grows to what the path takes: of a gigabit and 40 ms, 5 MB are under way, and four times as much while a hole is filled. */
TEST(udx_bulk_fills_a_gigabit_that_loses_three_percent)
{
        struct udx_bulk_spec spec = path(1000, 20, 40, 3);

        spec.batch_us = 50;
        check(filled(&spec, SECONDS(2)) > 70);
}

/* The first round whose losses are measured as the path's own has nothing to be compared with. */
TEST(udx_bulk_does_not_take_the_path_s_own_loss_for_more_than_that)
{
        struct udx_bulk_spec spec = path(1000, 20, 40, 3);

        spec.batch_us = 50;
        spec.seed = 2;
        check(filled(&spec, SECONDS(2)) > 80);
}

TEST(udx_bulk_fills_a_gigabit_around_half_the_world)
{
        struct udx_bulk_spec spec = path(1000, 100, 100, 0.1);
        BULK bulk = NULL;

        spec.batch_us = 100;
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(5));
        check(udx_bulk_run(bulk, SECONDS(2)).bits_per_s > 0.8 * 1e9);
}

/* Its queue holds less than half of what is under way, and to find its rate costs it once: what ends STARTUP is the path, though the
 * peer's window was full as well. */
TEST(udx_bulk_overfills_a_long_path_once)
{
        for (uint64_t seed = 1; seed <= 3; seed += 2) {
                struct udx_bulk_spec spec = path(1000, 100, 88, 0.1);
                struct udx_bulk_figures figures;
                BULK bulk = NULL;

                spec.seed = seed;
                spec.batch_us = MSEC(1);
                bulk = udx_bulk_new(&spec);
                udx_bulk_run(bulk, SECONDS(6));
                figures = udx_bulk_run(bulk, SECONDS(6));
                printf("# %.1f %% of the link, %.2f %% resent\n", figures.bits_per_s / 1e7,
                       100 * (double)figures.resent / (double)figures.packets);
                check(figures.bits_per_s > 0.85 * 1e9);
                check(figures.resent < figures.packets / 200);
        }
}

/* On a busy machine a timer is late, and what could have left meanwhile leaves then: half a megabyte, of 25 that are under way. */
TEST(udx_bulk_loses_no_rate_where_it_wakes_up_late)
{
        struct udx_bulk_spec spec = path(1000, 100, 88, 0.1);
        struct udx_bulk_figures figures;
        BULK bulk = NULL;

        spec.batch_us = MSEC(5);
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(5));
        figures = udx_bulk_run(bulk, SECONDS(3));
        printf("# %.1f %% of the link\n", figures.bits_per_s / 1e7);
        check(figures.bits_per_s > 0.8 * 1e9);
}

/* Whoever was not told that the window may grow keeps to it. */
TEST(udx_bulk_keeps_to_a_window_that_does_not_grow)
{
        struct udx_bulk_spec spec = path(1000, 20, 40, 0);
        BULK bulk = NULL;

        spec.window_bytes = UDX_BUFFER_MIN;
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(1));
        check(udx_bulk_run(bulk, SECONDS(1)).read_sum < 26 * UDX_BUFFER_MIN);
}

TEST(udx_bulk_does_not_collapse_on_a_slow_path_that_loses_five_percent)
{
        struct udx_bulk_spec spec = path(5, 30, 60, 5);

        check(filled(&spec, SECONDS(20)) > 70);
}

/* The queue holds three seconds; what it adds stays well below two round trips, of one flow and of two. */
TEST(udx_bulk_does_not_fill_a_deep_queue)
{
        for (unsigned flows = 1; flows <= 2; flows++) {
                struct udx_bulk_spec spec = path(20, 20, 3000, 0);
                struct udx_bulk_figures figures;
                BULK bulk = NULL;

                spec.flows = flows;
                spec.stagger_us = SECONDS(1);
                bulk = udx_bulk_new(&spec);
                udx_bulk_run(bulk, SECONDS(5));
                figures = udx_bulk_run(bulk, SECONDS(20));
                check(figures.queue_mean_us < MSEC(60));
                check(figures.queue_p95_us < MSEC(80));
                check(figures.bits_per_s > 0.9 * 20e6);
        }
}

/* A queue of a tenth of a round trip, far less than it takes to make a window's loss worth while. */
TEST(udx_bulk_fills_a_path_with_a_short_queue_and_loses_little)
{
        struct udx_bulk_spec spec = path(50, 20, 4, 0);
        BULK bulk = udx_bulk_new(&spec);
        struct udx_bulk_figures figures;

        udx_bulk_run(bulk, SECONDS(3));
        figures = udx_bulk_run(bulk, SECONDS(10));
        check(figures.bits_per_s > 0.8 * 50e6);
        check(figures.resent < figures.packets / 33);
}

TEST(udx_bulk_is_fair_to_who_comes_later)
{
        static const double queues_ms[] = { 4, 40, 400 };

        for (size_t i = 0; i < sizeof(queues_ms) / sizeof(*queues_ms); i++) {
                struct udx_bulk_spec spec = path(20, 20, queues_ms[i], 0);
                struct udx_bulk_figures figures;
                BULK bulk = NULL;

                spec.flows = 2;
                spec.stagger_us = SECONDS(3);
                bulk = udx_bulk_new(&spec);
                udx_bulk_run(bulk, SECONDS(15));
                figures = udx_bulk_run(bulk, SECONDS(25));
                check(figures.jain > 0.9);
                check(figures.bits_per_s > 0.8 * 20e6);
                check(figures.resent < figures.packets / 10);
        }
}

/* Nor does one that has had the path to itself for half a minute keep it. */
TEST(udx_bulk_is_fair_to_who_comes_much_later)
{
        struct udx_bulk_spec spec = path(20, 20, 40, 0);
        struct udx_bulk_figures figures;
        BULK bulk = NULL;

        spec.flows = 2;
        spec.stagger_us = SECONDS(30);
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(30));
        figures = udx_bulk_run(bulk, SECONDS(5));
        check(figures.jain > 0.6 && figures.read[1] > figures.read_sum / 10);
        udx_bulk_run(bulk, SECONDS(5));
        check(udx_bulk_run(bulk, SECONDS(10)).jain > 0.9);
}

/* Who says less than its share gets all of that through beside one that takes what it can, leaves the rest to it, and does not take what it
 * said for what it could say: once it has more it gets its share of that. */
TEST(udx_bulk_leaves_its_share_to_who_has_little_to_say)
{
        static const double queues_ms[] = { 4, 40, 400 }, shares[] = { 0.02, 0.3 };

        for (size_t i = 0; i < ARRAY_LEN(queues_ms); i++) {
                for (size_t j = 0; j < ARRAY_LEN(shares); j++) {
                        struct udx_bulk_spec spec = path(20, 20, queues_ms[i], 0);
                        double said = shares[j] * 20e6 / 8 * 10;
                        struct udx_bulk_figures figures;
                        BULK bulk = NULL;

                        spec.flows = 2;
                        spec.app_flows = 1;
                        spec.app_bytes_per_s = (uint64_t)(shares[j] * 20e6 / 8);
                        spec.stagger_us = SECONDS(3);
                        bulk = udx_bulk_new(&spec);
                        udx_bulk_run(bulk, SECONDS(10));
                        figures = udx_bulk_run(bulk, SECONDS(10));
                        printf("# queue %.0f ms: %.1f %% of what it said, %.1f %% of the link\n", queues_ms[i],
                               100 * (double)figures.read[0] / said, 100 * figures.bits_per_s / 20e6);
                        check((double)figures.read[0] > 0.95 * said);
                        check(figures.bits_per_s > 0.8 * 20e6);
                        udx_bulk_set_app_rate(bulk, 0);
                        figures = udx_bulk_run(bulk, SECONDS(5));
                        check(queues_ms[i] < 40 || figures.read[0] > figures.read_sum / 5);
                        check(udx_bulk_run(bulk, SECONDS(5)).jain > 0.8);
                }
        }
}

TEST(udx_bulk_resends_nothing_in_vain_where_packets_overtake_each_other)
{
        struct udx_bulk_spec spec = path(50, 20, 40, 0);
        struct udx_bulk_figures figures;
        BULK bulk = NULL;

        spec.there.jitter_us = MSEC(5);
        spec.there.reorder = true;
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(1));
        figures = udx_bulk_run(bulk, SECONDS(5));
        check(figures.bits_per_s > 0.85 * 50e6);
        check(figures.resent < figures.packets / 200);
}

TEST(udx_bulk_follows_a_path_that_gets_slower_and_faster)
{
        struct udx_bulk_spec spec = path(50, 20, 1000, 0);
        struct net_link slow = spec.there;
        struct udx_bulk_figures figures;
        BULK bulk = udx_bulk_new(&spec);

        udx_bulk_run(bulk, SECONDS(3));
        slow.bits_per_s = 10000000;
        udx_bulk_set_link(bulk, &slow);
        udx_bulk_run(bulk, SECONDS(8));         /* a window that was right before takes half a second now, and so each round */
        figures = udx_bulk_run(bulk, SECONDS(5));
        check(figures.queue_p95_us < MSEC(80));
        check(figures.bits_per_s > 0.85 * 10e6);
        udx_bulk_set_link(bulk, &spec.there);
        udx_bulk_run(bulk, SECONDS(5));
        figures = udx_bulk_run(bulk, SECONDS(3));
        check(figures.bits_per_s > 0.85 * 50e6);
}

/* Ten seconds of little say nothing about what the path can do. */
TEST(udx_bulk_is_fast_at_once_after_a_pause)
{
        struct udx_bulk_spec spec = path(50, 20, 40, 0);
        BULK bulk = udx_bulk_new(&spec);
        struct udx_bulk_figures figures;

        udx_bulk_run(bulk, SECONDS(3));
        udx_bulk_set_app_rate(bulk, 50000);
        udx_bulk_run(bulk, SECONDS(10));
        udx_bulk_set_app_rate(bulk, 0);
        udx_bulk_run(bulk, MSEC(100));
        figures = udx_bulk_run(bulk, SECONDS(1));
        check(figures.bits_per_s > 0.8 * 50e6);
        check(figures.resent < figures.packets / 50);
}

TEST(udx_bulk_comes_back_after_the_path_was_dead_for_a_while)
{
        struct udx_bulk_spec spec = path(50, 20, 40, 0);
        struct net_link dead = { .loss_ppm = 1000000 };
        BULK bulk = udx_bulk_new(&spec);
        struct udx_bulk_figures figures;

        udx_bulk_run(bulk, SECONDS(2));
        udx_bulk_set_link(bulk, &dead);
        udx_bulk_run(bulk, SECONDS(4));
        udx_bulk_set_link(bulk, &spec.there);
        udx_bulk_run(bulk, SECONDS(3));
        figures = udx_bulk_run(bulk, SECONDS(2));
        check(figures.bits_per_s > 0.8 * 50e6);
}
