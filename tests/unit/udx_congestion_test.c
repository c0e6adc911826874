/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control and RTT estimation by their RFCs' numbers. */
#include "udx_congestion.h"

#include "test.h"
#include "udx_rtt.h"

enum { FULL = UDX_FULL_BYTES };

/* A round trip in which the window is kept full and is acknowledged packet by packet. */
static void round_trip(struct udx_congestion *c, uint32_t *seq, usec_t rtt_us, usec_t *now_us)
{
        *now_us += rtt_us;
        for (size_t packets = c->cwnd / FULL; packets; packets--) {
                uint32_t nxt = *seq + (uint32_t)(c->cwnd / FULL);
                struct udx_congestion_ack ack = {
                        .delivered_bytes = FULL, .flying_bytes = c->cwnd - FULL, .una = ++*seq, .nxt = nxt,
                        .rtt_us = rtt_us, .srtt_us = rtt_us, .progress = true, .limited = true, .now_us = *now_us,
                };

                udx_congestion_on_ack(c, &ack);
        }
}

TEST(udx_congestion_doubles_each_round_trip_at_first)
{
        struct udx_congestion c;
        uint32_t seq = 0;
        usec_t now_us = SECONDS(1);

        udx_congestion_init(&c);
        check_equal(c.cwnd, 10 * FULL);
        for (size_t expected = 20; expected <= 640; expected *= 2) {
                round_trip(&c, &seq, 10000, &now_us);
                check_equal(c.cwnd, expected * FULL);
        }
}

TEST(udx_congestion_does_not_grow_a_window_that_was_not_used)
{
        struct udx_congestion c;
        struct udx_congestion_ack ack = { .delivered_bytes = FULL, .una = 1, .nxt = 1, .rtt_us = 10000, .srtt_us = 10000 };

        udx_congestion_init(&c);
        for (unsigned i = 0; i < 1000; i++)
                udx_congestion_on_ack(&c, &ack);
        check_equal(c.cwnd, 10 * FULL);
}

/* RFC 9406: a queue that builds up slows the growth, five such rounds end it. */
TEST(udx_congestion_leaves_slow_start_when_delay_rises)
{
        struct udx_congestion c;
        uint32_t seq = 0;
        usec_t now_us = SECONDS(1);
        size_t before;

        udx_congestion_init(&c);
        for (unsigned i = 0; i < 3; i++)
                round_trip(&c, &seq, 20000, &now_us);
        check_equal(c.cwnd, 80 * FULL);
        round_trip(&c, &seq, 26000, &now_us);
        before = c.cwnd;
        check(before < 160 * FULL);
        for (unsigned i = 0; i < 4; i++)
                round_trip(&c, &seq, 26000, &now_us);
        check(c.cwnd < before * 3);             /* a quarter more each round: 1.25 to the fourth is 2.44 */
        round_trip(&c, &seq, 26000, &now_us);
        check(c.ssthresh != SIZE_MAX);          /* and that was enough */
}

TEST(udx_congestion_takes_a_delay_that_passes_for_no_queue)
{
        struct udx_congestion c;
        uint32_t seq = 0;
        usec_t now_us = SECONDS(1);

        udx_congestion_init(&c);
        for (unsigned i = 0; i < 3; i++)
                round_trip(&c, &seq, 20000, &now_us);
        round_trip(&c, &seq, 26000, &now_us);
        round_trip(&c, &seq, 20000, &now_us);
        check_equal(c.css_rounds, 0);
        for (unsigned i = 0; i < 10; i++)
                round_trip(&c, &seq, 20000, &now_us);
        check_equal(c.ssthresh, SIZE_MAX);
}

/* RFC 9438 4.6 and 4.2: down to 0.7, back at the old window after K = cbrt(W_max * 0.3 / 0.4) seconds, growing beyond it later. */
TEST(udx_congestion_comes_back_on_the_cubic)
{
        struct udx_congestion c;
        uint32_t seq = 0;
        usec_t now_us = SECONDS(1), lost_us;

        udx_congestion_init(&c);
        while (c.cwnd < 1000 * FULL)
                round_trip(&c, &seq, 100000, &now_us);
        c.cwnd = 1000 * FULL;
        check(udx_congestion_on_loss(&c, 1000 * FULL, 999 * FULL, seq + 1000));
        check_equal(c.ssthresh, 700 * FULL);
        check(!udx_congestion_on_loss(&c, 999 * FULL, 900 * FULL, seq + 1000));         /* once per window */
        seq += 1000;
        lost_us = now_us;
        round_trip(&c, &seq, 100000, &now_us);
        check_equal(c.phase, UDX_CONGESTION_OPEN);
        while (now_us < lost_us + MSEC(8500))
                round_trip(&c, &seq, 100000, &now_us);
        check(c.cwnd > 985 * FULL && c.cwnd < 1000 * FULL);     /* K is 9.09 s; the plateau is flat */
        while (now_us < lost_us + SECONDS(15))
                round_trip(&c, &seq, 100000, &now_us);
        check(c.cwnd > 1050 * FULL);
}

TEST(udx_congestion_starts_slowly_after_a_timeout)
{
        struct udx_congestion c;
        uint32_t seq = 0;
        usec_t now_us = SECONDS(1);

        udx_congestion_init(&c);
        for (unsigned i = 0; i < 4; i++)
                round_trip(&c, &seq, 10000, &now_us);
        udx_congestion_on_timeout(&c, 0, seq + 160);
        check_equal(c.cwnd, 2 * FULL);
        check_equal(c.ssthresh, 112 * FULL);
        udx_congestion_on_timeout(&c, 0, seq + 160);
        check_equal(c.ssthresh, 112 * FULL);    /* not reduced twice for the same losses */
        round_trip(&c, &seq, 10000, &now_us);
        check_equal(c.cwnd, 4 * FULL);
}

TEST(udx_congestion_paces_at_more_than_the_window_per_round_trip)
{
        struct udx_congestion c;

        udx_congestion_init(&c);
        check_equal(udx_congestion_rate(&c, 0), 0);
        check_equal(udx_congestion_rate(&c, 10000), 10 * FULL * 100 * 2);       /* slow start: twice */
        c.ssthresh = c.cwnd;
        check_equal(udx_congestion_rate(&c, 10000), 10 * FULL * 100 * 5 / 4);
}

/* RFC 6298 2, with libudx's least timeout. */
TEST(udx_rtt_estimates_as_the_rfc_says)
{
        struct udx_rtt rtt;

        udx_rtt_init(&rtt);
        check_equal(rtt.rto_us, SECONDS(1));
        check_equal(udx_rtt_min(&rtt), 0);
        udx_rtt_sample(&rtt, 400000, SECONDS(1));
        check_equal(rtt.srtt_us, 400000);
        check_equal(rtt.var_us, 200000);
        check_equal(rtt.rto_us, 1200000);
        udx_rtt_sample(&rtt, 480000, SECONDS(2));
        check_equal(rtt.srtt_us, 410000);
        check_equal(rtt.var_us, 170000);
        check_equal(udx_rtt_min(&rtt), 400000);
}

TEST(udx_rtt_is_not_fooled_by_absurd_samples)
{
        struct udx_rtt rtt;

        udx_rtt_init(&rtt);
        udx_rtt_sample(&rtt, SECONDS(3600), SECONDS(1));
        check_equal(rtt.srtt_us, SECONDS(5));
        udx_rtt_init(&rtt);
        for (unsigned i = 0; i < 50; i++)
                udx_rtt_sample(&rtt, 10000, SECONDS(1));
        udx_rtt_sample(&rtt, SECONDS(100), SECONDS(2));
        check(rtt.srtt_us < 20000);
        for (unsigned i = 0; i < 1000; i++) {
                udx_rtt_sample(&rtt, SECONDS(100000), SECONDS(2));
                check(rtt.rto_us >= SECONDS(1) && rtt.rto_us <= SECONDS(30));
        }
}

TEST(udx_rtt_forgets_a_minimum_of_long_ago)
{
        struct udx_rtt rtt;

        udx_rtt_init(&rtt);
        udx_rtt_sample(&rtt, 1000, SECONDS(1));
        udx_rtt_sample(&rtt, 50000, SECONDS(100));
        check_equal(udx_rtt_min(&rtt), 1000);
        udx_rtt_sample(&rtt, 50000, SECONDS(160));
        check_equal(udx_rtt_min(&rtt), 1000);
        udx_rtt_sample(&rtt, 50000, SECONDS(320));
        check_equal(udx_rtt_min(&rtt), 50000);
}
