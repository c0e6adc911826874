/* SPDX-License-Identifier: BSD-3-Clause */
/* What acknowledgements tell: how long the path is, and what is lost on it. */
#include "udx_recovery.h"

#include "cleanup.h"
#include "test.h"

struct bench {
        struct udx_pool pool;
        struct udx_recovery recovery;
        struct udx_rtt rtt;
};

static void bench_init(struct bench *b)
{
        udx_pool_init(&b->pool);
        udx_recovery_init(&b->recovery, &b->pool);
        udx_rtt_init(&b->rtt);
}

static void bench_fini(struct bench *b)
{
        udx_recovery_fini(&b->recovery);
        udx_pool_fini(&b->pool);
}

#define BENCH(name)                                             \
        cleanup_with(bench_fini) struct bench name;             \
        bench_init(&name)

static void send(struct bench *b, unsigned count, usec_t now_us)
{
        struct udx_slice slice = { .len = 1000 };

        for (unsigned i = 0; i < count; i++) {
                check(udx_recovery_reserve(&b->recovery));
                udx_recovery_sent(&b->recovery, UDX_DATA, &slice, now_us);
        }
}

/* All below @ack has arrived, and from @start to before @end; returns the round trip, or USEC_NEVER. */
static usec_t hear(struct bench *b, uint32_t ack, uint32_t start, uint32_t end, usec_t now_us)
{
        struct udx_delivered delivered = { .rtt_us = USEC_NEVER };
        struct udx_sack sack = { start, end };

        udx_recovery_ack(&b->recovery, ack, &b->rtt, now_us, &delivered);
        if (start != end)
                udx_recovery_sack(&b->recovery, &sack, &b->rtt, now_us, &delivered);
        if (delivered.rtt_us != USEC_NEVER)
                udx_rtt_sample(&b->rtt, delivered.rtt_us, now_us);
        return delivered.rtt_us;
}

TEST(udx_round_trip_is_of_the_packet_sent_last)
{
        BENCH(b);

        send(&b, 1, MSEC(1000));
        send(&b, 2, MSEC(1010));
        check_equal(hear(&b, 3, 0, 0, MSEC(1050)), MSEC(40));
        send(&b, 1, MSEC(1100));
        send(&b, 1, MSEC(1110));
        check_equal(hear(&b, 3, 4, 5, MSEC(1155)), MSEC(45));
}

/* All answers were lost but the one to what was sent again. */
TEST(udx_round_trip_is_not_the_time_that_answers_were_lost)
{
        BENCH(b);

        send(&b, 10, MSEC(1000));
        udx_recovery_resent(&b.recovery, 0, MSEC(5000));
        check_equal(hear(&b, 10, 0, 0, MSEC(5040)), USEC_NEVER);
        check_equal(b.rtt.srtt_us, 0);

        send(&b, 2, MSEC(6000));
        udx_recovery_resent(&b.recovery, 11, MSEC(8000));
        check_equal(hear(&b, 10, 11, 12, MSEC(8040)), USEC_NEVER);
        send(&b, 1, MSEC(8040));
        udx_recovery_resent(&b.recovery, 10, MSEC(8040));
        check_equal(hear(&b, 13, 0, 0, MSEC(8080)), MSEC(40));          /* that one was sent with it, and once */
}

/* An answer sooner than any round trip is to the first sending, and says how long the packet took that was sent after that. */
TEST(udx_round_trip_is_known_where_packets_are_sent_again_too_early)
{
        BENCH(b);

        send(&b, 1, MSEC(1000));
        check_equal(hear(&b, 1, 0, 0, MSEC(1040)), MSEC(40));
        send(&b, 1, MSEC(1100));
        send(&b, 1, MSEC(1110));
        udx_recovery_resent(&b.recovery, 1, MSEC(1145));
        check_equal(hear(&b, 3, 0, 0, MSEC(1150)), MSEC(40));
}

/* Nor does that say how fast the path is: what was delivered since the second sending is of no round trip. */
TEST(udx_rate_is_not_of_a_sending_that_had_no_time_to_arrive)
{
        BENCH(b);
        struct udx_delivered delivered = { .rtt_us = USEC_NEVER };

        send(&b, 1, MSEC(1000));
        check_equal(hear(&b, 1, 0, 0, MSEC(1040)), MSEC(40));
        send(&b, 2, MSEC(1100));
        udx_recovery_resent(&b.recovery, 1, MSEC(1135));
        udx_recovery_ack(&b.recovery, 2, &b.rtt, MSEC(1140), &delivered);
        check_equal(delivered.bytes, b.recovery.rate.delivered / 2);
        check(!delivered.sample.any);
        udx_recovery_ack(&b.recovery, 3, &b.rtt, MSEC(1141), &delivered);
        check(delivered.sample.any);
        check_equal(delivered.sample.sent_us, MSEC(1100));
}

/* All that is known of the path is the answer to a lone packet, which had waited a millisecond. */
TEST(udx_answer_that_did_not_wait_is_for_what_was_sent_again)
{
        BENCH(b);

        send(&b, 1, SECONDS(1));
        hear(&b, 1, 0, 0, SECONDS(1) + MSEC(41));
        send(&b, 2, SECONDS(2));
        udx_recovery_resent(&b.recovery, 1, SECONDS(3));
        hear(&b, 2, 0, 0, SECONDS(3) + MSEC(40));
        check_equal(b.recovery.rack_sent_us, SECONDS(3));
        check_equal(udx_recovery_detect(&b.recovery, &b.rtt, true, SECONDS(3) + MSEC(40)), 1);
}

/* A timeout, an answer after @took_us, and how long the next timeout is. */
static usec_t doubt(struct bench *b, usec_t took_us)
{
        udx_rtt_init(&b->rtt);
        for (unsigned i = 0; i < 20; i++)
                udx_rtt_sample(&b->rtt, MSEC(40), SECONDS(1));
        udx_rtt_doubt(&b->rtt, took_us);
        return b->rtt.rto_us;
}

TEST(udx_timeout_grows_until_the_round_trip_is_known_again)
{
        BENCH(b);

        check_equal(doubt(&b, MSEC(45)), SECONDS(1));           /* what a round trip takes */
        check_equal(doubt(&b, MSEC(400)), SECONDS(2));
        check_equal(doubt(&b, USEC_NEVER), SECONDS(2));
        for (unsigned i = 0; i < 10; i++)
                udx_rtt_doubt(&b.rtt, MSEC(400));
        check_equal(b.rtt.rto_us, UDX_RTO_MAX_US);
        udx_rtt_sample(&b.rtt, MSEC(40), SECONDS(2));
        check_equal(b.rtt.rto_us, SECONDS(1));
}

/* Of ten packets the first arrives @late_us after the others, or never; returns whether it was sent again meanwhile. */
static bool first_comes_late(struct bench *b, usec_t late_us)
{
        uint32_t first = b->recovery.nxt;
        usec_t now_us = SECONDS(1 + first), arrival_us = late_us == USEC_NEVER ? USEC_NEVER : now_us + MSEC(40) + late_us;
        bool resent = false;

        send(b, 10, now_us);
        now_us += MSEC(40);
        hear(b, first, first + 1, first + 10, now_us);
        udx_recovery_detect(&b->recovery, &b->rtt, false, now_us);
        if (b->recovery.reorder_deadline_us < arrival_us) {
                now_us = b->recovery.reorder_deadline_us;
                udx_recovery_detect(&b->recovery, &b->rtt, false, now_us);
        }
        if (b->recovery.lost.count) {
                udx_recovery_resent(&b->recovery, first, now_us);
                resent = true;
        }
        hear(b, first + 10, 0, 0, usec_min(arrival_us, now_us + MSEC(40)));
        return resent;
}

TEST(udx_waits_longer_for_what_is_overtaken_where_that_was_seen)
{
        BENCH(b);

        send(&b, 1, SECONDS(1));
        hear(&b, 1, 0, 0, SECONDS(1) + MSEC(40));
        check(first_comes_late(&b, MSEC(15)));          /* three others are here: it is lost at once */
        check(!first_comes_late(&b, MSEC(15)));
        check(first_comes_late(&b, MSEC(25)));          /* two quarters of 40 ms were waited */
        check(!first_comes_late(&b, MSEC(25)));
        check(first_comes_late(&b, MSEC(45)));          /* and no longer than a round trip ever */
        check(first_comes_late(&b, MSEC(45)));
}

TEST(udx_waits_less_again_where_nothing_is_overtaken)
{
        BENCH(b);

        send(&b, 1, SECONDS(1));
        hear(&b, 1, 0, 0, SECONDS(1) + MSEC(40));
        check(first_comes_late(&b, MSEC(15)));
        for (unsigned i = 0; i < 15; i++)
                check(first_comes_late(&b, USEC_NEVER));
        check(!first_comes_late(&b, MSEC(15)));
        check(first_comes_late(&b, USEC_NEVER));
        check(first_comes_late(&b, MSEC(15)));
}

/* Patience that is never had would have to be lost again, step by step, before there is less of it than a round trip. */
TEST(udx_learns_no_patience_beyond_a_round_trip)
{
        BENCH(b);

        send(&b, 1, SECONDS(1));
        hear(&b, 1, 0, 0, SECONDS(1) + MSEC(40));
        for (unsigned i = 0; i < 100; i++)
                check(first_comes_late(&b, usec_min(MSEC(15 + 10 * i), MSEC(45))));
        check(!first_comes_late(&b, MSEC(35)));
        check(b.recovery.reorder_steps <= 4);
        for (unsigned i = 0; i < 3 * 16; i++)
                check(first_comes_late(&b, USEC_NEVER));
        check(first_comes_late(&b, MSEC(15)));
}

/* A probe is sent again because of silence: no packet has overtaken another when both arrive. */
TEST(udx_probe_in_vain_says_nothing_of_what_is_overtaken)
{
        BENCH(b);

        send(&b, 1, SECONDS(1));
        hear(&b, 1, 0, 0, SECONDS(1) + MSEC(40));
        send(&b, 2, SECONDS(2));
        udx_recovery_resent(&b.recovery, 2, SECONDS(2) + MSEC(80));
        hear(&b, 3, 0, 0, SECONDS(2) + MSEC(81));
        check_equal(b.recovery.reorder_steps, 1);
        check(!b.recovery.reordered);
}
