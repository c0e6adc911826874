/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control on a path that is an equation, and RTT estimation by its RFC's numbers. */
#include "udx_congestion.h"

#include "cleanup.h"
#include "test.h"
#include "udx_rtt.h"

enum { FULL = UDX_FULL_BYTES };

/* A path of @rate bytes/s and @rtt_us without a queue, over which a sender sends whatever it may, packet by packet. */
struct path {
        struct udx_congestion c;
        struct udx_rate rate;
        uint64_t bytes_per_s;
        usec_t rtt_us, now_us;
        uint32_t una;
        unsigned loss;                  /* of a hundred packets */
        unsigned sent;
        enum udx_rate_limit limit;
        size_t most;                    /* bytes in flight, by whom that is limited */
};

static void path_init(struct path *path, uint64_t bytes_per_s, usec_t rtt_us)
{
        *path = (struct path){ .bytes_per_s = bytes_per_s, .rtt_us = rtt_us, .now_us = SECONDS(1), .most = SIZE_MAX };
        udx_congestion_init(&path->c, 1);
}

/* One round trip: a window leaves, paced, and is acknowledged as fast as the path delivers; what is beyond it queues. */
static void round_trip(struct path *path)
{
        size_t window = MIN(path->c.cwnd, path->most), paced = (size_t)(path->c.pacing_rate * path->rtt_us / 1000000);
        unsigned packets = (unsigned)(MIN(window, paced ? MAX(paced, (size_t)FULL) : window) / FULL);
        usec_t took_us = usec_max((usec_t)packets * FULL * 1000000 / path->bytes_per_s, 1);
        uint64_t delivered = path->rate.delivered;
        usec_t sent_us = path->now_us, queued_us = took_us > path->rtt_us ? took_us - path->rtt_us : 0;

        for (unsigned i = 1; i <= packets; i++) {
                usec_t at_us = sent_us + path->rtt_us + took_us * i / packets;
                struct udx_rate_sample sample = { .any = true, .sent_us = sent_us };
                struct udx_congestion_ack ack = {
                        .rate = &path->rate, .sample = &sample, .delivered_bytes = FULL, .rtt_us = path->rtt_us + queued_us * i / packets,
                        .flying_bytes = (packets - i) * (size_t)FULL, .una = ++path->una, .now_us = at_us,
                };

                if (++path->sent % 100 < path->loss && i < packets) {        /* the last one is the sample */
                        path->rate.lost += FULL;
                        continue;
                }
                path->rate.delivered += FULL;
                sample.mark = (struct udx_rate_mark){ .delivered = (uint32_t)delivered, .flying = packets * FULL, .limit = path->limit };
                sample.send_us = took_us * i / packets;
                sample.ack_us = took_us * i / packets + 1;
                if (i == packets)
                        sample.ack_us = usec_max(took_us, path->rtt_us);
                else
                        sample.any = false;     /* one sample a round, of all of it */
                udx_congestion_on_ack(&path->c, &ack);
        }
        path->now_us = sent_us + path->rtt_us + queued_us;
}

static void round_trips(struct path *path, unsigned count)
{
        while (count--)
                round_trip(path);
}

TEST(udx_congestion_begins_with_ten_packets_at_once)
{
        struct udx_congestion c;

        udx_congestion_init(&c, 1);
        check_equal(c.cwnd, 10 * FULL);         /* RFC 6928 */
        check_equal(udx_congestion_rate(&c), 0);
}

TEST(udx_congestion_doubles_until_the_path_is_full)
{
        struct path path;

        path_init(&path, 12500000, 40000);
        for (unsigned i = 0; i < 5; i++) {
                size_t before = path.c.cwnd;

                check_equal(path.c.state, UDX_STARTUP);
                round_trip(&path);
                check(path.c.cwnd >= before + before / 2);
        }
        round_trips(&path, 15);
        check(path.c.full && path.c.state != UDX_STARTUP);
        check(udx_max2(&path.c.bw) > 12500000 / 10 * 9 && udx_max2(&path.c.bw) < 12500000 / 10 * 11);
        check(path.c.cwnd >= 500000 && path.c.cwnd < 1500000);          /* about twice what the path holds */
        check_equal(path.c.min_rtt_us, 40000);
}

TEST(udx_congestion_probes_in_cycles)
{
        unsigned seen[UDX_PROBE_RTT + 1] = { 0 };
        struct path path;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 30);
        for (unsigned i = 0; i < 100; i++) {
                round_trip(&path);
                seen[path.c.state]++;
        }
        check(seen[UDX_CRUISE] > seen[UDX_UP] && seen[UDX_UP] >= 5 && seen[UDX_DOWN] >= 5);
        check_equal(seen[UDX_STARTUP], 0);
}

TEST(udx_congestion_takes_the_paths_own_loss_for_no_congestion)
{
        struct path path;

        path_init(&path, 12500000, 40000);
        path.loss = 5;
        round_trips(&path, 400);
        check(udx_max2(&path.c.bw) > 12500000 / 10 * 8);
        check(path.c.cwnd > 400000);
}

/* Nothing that was measured while the application had little to say makes the path slower. */
TEST(udx_congestion_learns_no_slowness_from_an_application)
{
        struct path path;
        uint64_t before;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 30);
        before = udx_max2(&path.c.bw);
        path.limit = UDX_LIMIT_APP;
        path.most = 3 * FULL;
        round_trips(&path, 200);
        check(udx_max2(&path.c.bw) > before / 100 * 95);       /* of a cycle that had begun before */
        check(path.c.full);
}

/* It says a little less than could leave, and more than the path takes: losses are the path's word, whoever sets the pace. Without any it
 * is no reason to leave STARTUP, as before. */
TEST(udx_congestion_leaves_startup_for_losses_whoever_sets_the_pace)
{
        for (unsigned loss = 0; loss <= 30; loss += 30) {
                struct path path;

                path_init(&path, 12500000, 40000);
                round_trips(&path, 5);
                check_equal(path.c.state, UDX_STARTUP);
                path.limit = UDX_LIMIT_APP;
                path.most = 400 * FULL;         /* of 416 that are under way */
                round_trips(&path, 2);
                path.loss = loss;
                round_trips(&path, 3);
                check_equal(path.c.full, loss > 0);
                check_equal(path.c.full_by_peer, false);
        }
}

TEST(udx_congestion_starts_again_when_the_peers_window_opens)
{
        struct path path;

        path_init(&path, 12500000, 40000);
        path.limit = UDX_LIMIT_PEER;
        path.most = 20 * FULL;
        round_trips(&path, 10);
        check(path.c.full && path.c.full_by_peer);
        path.limit = UDX_LIMIT_PATH;
        path.most = SIZE_MAX;
        round_trips(&path, 15);
        check(udx_max2(&path.c.bw) > 12500000 / 10 * 9);
}

TEST(udx_congestion_follows_a_path_that_gets_slower)
{
        struct path path;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 30);
        path.bytes_per_s = 2500000;
        round_trips(&path, 60);
        check(udx_max2(&path.c.bw) < 3000000);
        check(path.c.pacing_rate < 4000000);
}

TEST(udx_congestion_looks_for_the_least_round_trip_every_ten_seconds)
{
        struct path path;
        bool seen = false;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 30);
        path.rtt_us = 60000;            /* longer, and it stays so */
        for (unsigned i = 0; i < 400; i++) {
                round_trip(&path);
                if (path.c.state == UDX_PROBE_RTT && path.c.probe_rtt_end_us) {
                        seen = true;
                        check(path.c.cwnd < 400000);
                }
        }
        check(seen);
        check_equal(path.c.min_rtt_us, 60000);
        check(path.c.cwnd > 500000);
}

TEST(udx_congestion_begins_carefully_after_a_timeout_and_is_back_when_all_was_acknowledged)
{
        struct path path;
        size_t before;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 30);
        before = path.c.cwnd;
        udx_congestion_on_timeout(&path.c, 0, path.una + 5);
        check_equal(path.c.phase, UDX_CONGESTION_TIMED_OUT);
        check_equal(path.c.cwnd, 2 * FULL);
        udx_congestion_on_timeout(&path.c, 0, path.una + 5);
        round_trips(&path, 5);
        check_equal(path.c.phase, UDX_CONGESTION_OPEN);
        check(path.c.cwnd >= before / 2);
}

TEST(udx_congestion_counts_one_recovery_for_a_window)
{
        struct path path;

        path_init(&path, 12500000, 40000);
        round_trips(&path, 10);
        check(udx_congestion_on_loss(&path.c, path.una + 10));
        check(!udx_congestion_on_loss(&path.c, path.una + 20));
        round_trip(&path);
        check_equal(path.c.phase, UDX_CONGESTION_OPEN);
        check(udx_congestion_on_loss(&path.c, path.una + 10));
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
