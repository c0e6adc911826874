/* SPDX-License-Identifier: BSD-3-Clause */
/* Buckets against the formula: no more than the burst and what the rate earns meanwhile, and hardly less. */
#include <string.h>

#include "limiter.h"
#include "test.h"

enum { FLOWS_MAX = 16 };

/* Connections that always have more, in virtual time. */
struct scene {
        struct limiter limiter;
        struct limited flow[FLOWS_MAX];
        uint64_t bytes[FLOWS_MAX][LIMITER_WAYS];
        uint64_t all[LIMITER_WAYS];
        size_t count;
        usec_t now_us;
};

static void begin(struct scene *scene, size_t count, const struct limiter_spec *spec, unsigned ways)
{
        memset(scene, 0, sizeof(*scene));
        scene->now_us = SECONDS(100);
        scene->count = count;
        limiter_init(&scene->limiter, (const uint8_t[16]){ 1 });
        for (size_t i = 0; i < count; i++)
                check_equal(limiter_join(&scene->limiter, &scene->flow[i], spec, ways, scene->now_us), 0);
}

static void finish(struct scene *scene)
{
        for (size_t i = 0; i < scene->count; i++)
                limiter_leave(&scene->limiter, &scene->flow[i], scene->now_us);
        limiter_fini(&scene->limiter);
}

/* As much as it may at once, in reads of at most 64 KiB; then it waits. */
static void pour(struct scene *scene, size_t i, enum limiter_way way)
{
        size_t len;

        while (!limiter_waits(&scene->flow[i], way) && (len = limiter_allow(&scene->limiter, &scene->flow[i], way, scene->now_us)) > 0) {
                len = len < 65536 ? len : 65536;
                limiter_take(&scene->flow[i], way, len);
                scene->bytes[i][way] += len;
                scene->all[way] += len;
        }
}

/* @late_us: how much later than it should each turn is seen to. The bucket's promise is held against every moment. */
static void run(struct scene *scene, usec_t until_us, usec_t late_us, const struct limiter_spec *spec)
{
        usec_t since_us = scene->now_us;
        struct limited *next;
        enum limiter_way way;

        while (limiter_deadline(&scene->limiter) != USEC_NEVER) {
                usec_t next_us = usec_max(limiter_deadline(&scene->limiter), scene->now_us) + late_us;

                if (next_us > until_us)
                        break;
                scene->now_us = next_us;
                while ((next = limiter_turn(&scene->limiter, scene->now_us, &way)))
                        pour(scene, (size_t)(next - scene->flow), way);
                for (unsigned i = 0; i < LIMITER_WAYS; i++)
                        check(scene->all[i] <= spec->burst_bytes + (scene->now_us - since_us) * spec->bytes_per_s / 1000000);
        }
        scene->now_us = until_us;
}

TEST(limiter_lets_through_what_the_bucket_holds_and_the_rate_earns)
{
        static const uint64_t rates[] = { 125, 12500, 1250000, 125000000, UINT64_C(1) << 39 };
        static const usec_t late_us[] = { 1, 1000, 7000 };

        for (size_t i = 0; i < sizeof(rates) / sizeof(*rates) * 3; i++) {
                static struct scene scene;
                struct limiter_spec spec = { .name = 7, .bytes_per_s = rates[i / 3], .burst_bytes = rates[i / 3] / 5 };
                uint64_t due = spec.burst_bytes + 10 * spec.bytes_per_s;

                begin(&scene, 1, &spec, 1 << LIMITER_UP | 1 << LIMITER_DOWN);
                pour(&scene, 0, LIMITER_UP);
                check_equal(scene.all[LIMITER_UP] > spec.burst_bytes - spec.burst_bytes / 10, true);
                run(&scene, scene.now_us + SECONDS(10), late_us[i % 3], &spec);
                check(scene.all[LIMITER_UP] <= due && scene.all[LIMITER_UP] >= due - due / 50);
                check_equal(scene.all[LIMITER_DOWN], 0);
                finish(&scene);
        }
}

TEST(limiter_shares_one_bucket_fairly_between_eight)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 1000000, .burst_bytes = 20000 };
        uint64_t least = UINT64_MAX, most = 0;

        begin(&scene, 8, &spec, 1 << LIMITER_DOWN);
        for (size_t i = 0; i < 8; i++)
                pour(&scene, i, LIMITER_DOWN);
        run(&scene, scene.now_us + SECONDS(10), 500, &spec);
        for (size_t i = 0; i < 8; i++) {
                least = scene.bytes[i][LIMITER_DOWN] < least ? scene.bytes[i][LIMITER_DOWN] : least;
                most = scene.bytes[i][LIMITER_DOWN] > most ? scene.bytes[i][LIMITER_DOWN] : most;
        }
        check(most - least <= 20000 + 10000);   /* the first one's burst, and a turn */
        check(scene.all[LIMITER_DOWN] >= 9500000);
        finish(&scene);
}

TEST(limiter_counts_each_way_on_its_own_and_only_those_it_is_about)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 1000000, .burst_bytes = 20000 };

        begin(&scene, 2, &spec, 1 << LIMITER_UP | 1 << LIMITER_DOWN);
        pour(&scene, 0, LIMITER_UP);
        pour(&scene, 1, LIMITER_DOWN);
        run(&scene, scene.now_us + SECONDS(10), 500, &spec);
        check(scene.all[LIMITER_UP] >= 9500000 && scene.all[LIMITER_DOWN] >= 9500000);
        finish(&scene);

        begin(&scene, 1, &spec, 1 << LIMITER_DOWN);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[0], LIMITER_UP, scene.now_us), SIZE_MAX);
        check_equal(limiter_fitting(&scene.flow[0], LIMITER_UP, &(struct iovec){ .iov_len = 65507 }, 1, scene.now_us), 1);
        finish(&scene);
}

TEST(limiter_does_not_begin_anew_with_another_connection)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 1000, .burst_bytes = 2000 }, other = spec;

        begin(&scene, 1, &spec, 1 << LIMITER_UP);
        pour(&scene, 0, LIMITER_UP);
        check_equal(scene.all[LIMITER_UP], 2000);
        limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        check_equal(scene.limiter.buckets.count, 1);
        scene.now_us += MSEC(500);
        check_equal(limiter_join(&scene.limiter, &scene.flow[0], &spec, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[0], LIMITER_UP, scene.now_us), 500);
        other.name = 8;
        check_equal(limiter_join(&scene.limiter, &scene.flow[1], &other, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[1], LIMITER_UP, scene.now_us), 2000);
        scene.count = 2;
        finish(&scene);
}

TEST(limiter_forgets_buckets_that_are_full_again_and_those_that_are_too_many)
{
        static struct scene scene;
        struct limiter_spec spec = { .bytes_per_s = 1000, .burst_bytes = 2000 };

        begin(&scene, 0, &spec, 0);
        for (unsigned i = 0; i < LIMITER_LEFT_MAX + 100; i++) {
                spec.name = i;
                check_equal(limiter_join(&scene.limiter, &scene.flow[0], &spec, 1 << LIMITER_UP, scene.now_us), 0);
                limiter_take(&scene.flow[0], LIMITER_UP, 1000);
                limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        }
        check_equal(scene.limiter.buckets.count, LIMITER_LEFT_MAX);
        scene.now_us += SECONDS(1);
        spec.name++;
        check_equal(limiter_join(&scene.limiter, &scene.flow[0], &spec, 1 << LIMITER_UP, scene.now_us), 0);
        limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        check_equal(scene.limiter.buckets.count, 0);
        finish(&scene);
}

TEST(limiter_drops_datagrams_that_an_empty_bucket_has_nothing_for)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 100000, .burst_bytes = 3000 };
        struct iovec datagrams[10];
        uint64_t bytes = 0;
        usec_t since_us;

        for (size_t i = 0; i < 10; i++)
                datagrams[i] = (struct iovec){ .iov_len = 1200 };
        begin(&scene, 1, &spec, 1 << LIMITER_UP);
        since_us = scene.now_us;
        check_equal(limiter_fitting(&scene.flow[0], LIMITER_UP, datagrams, 10, scene.now_us), 3);
        for (; scene.now_us <= since_us + SECONDS(10); scene.now_us += 777) {
                size_t fit = limiter_fitting(&scene.flow[0], LIMITER_UP, datagrams, 10, scene.now_us);

                limiter_take_datagrams(&scene.flow[0], LIMITER_UP, datagrams, fit);
                bytes += fit * 1200;
                check(bytes <= 3000 + 1200 + (scene.now_us - since_us) / 10);
        }
        check(bytes >= 1000000 - 2400);
        finish(&scene);
}

/* A flood of datagrams would leave a stream nothing, which waits until there is enough for a turn. */
TEST(limiter_lets_streams_have_their_turn_beside_datagrams)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 1000000, .burst_bytes = 20000 };
        struct iovec datagram = { .iov_len = 1200 };
        uint64_t datagrams = 0;
        usec_t end_us;

        begin(&scene, 2, &spec, 1 << LIMITER_UP);
        end_us = scene.now_us + SECONDS(10);
        pour(&scene, 0, LIMITER_UP);
        for (; scene.now_us < end_us; scene.now_us += 100) {
                struct limited *next;
                enum limiter_way way;

                if (limiter_fitting(&scene.flow[1], LIMITER_UP, &datagram, 1, scene.now_us)) {
                        limiter_take_datagrams(&scene.flow[1], LIMITER_UP, &datagram, 1);
                        datagrams += datagram.iov_len;
                }
                while ((next = limiter_turn(&scene.limiter, scene.now_us, &way)))
                        pour(&scene, (size_t)(next - scene.flow), way);
        }
        check(datagrams > 4000000 && scene.all[LIMITER_UP] > 4000000);
        check(datagrams + scene.all[LIMITER_UP] <= 10021200);
        finish(&scene);
}

/* Three connections of a client: two with a narrow bucket each beside the wide one of all three. */
TEST(limiter_keeps_what_two_buckets_hold_where_a_connection_is_of_both)
{
        static struct scene scene;
        static const struct limiter_spec wide = { .name = 1, .bytes_per_s = 1000000, .burst_bytes = 20000 };
        static const struct limiter_spec narrow[] = { { .name = 2, .bytes_per_s = 600000, .burst_bytes = 10000 },
                                                      { .name = 3, .bytes_per_s = 100000, .burst_bytes = 10000 } };

        begin(&scene, 3, &wide, 1 << LIMITER_UP | 1 << LIMITER_DOWN);
        for (size_t i = 0; i < 2; i++)
                check_equal(limiter_join(&scene.limiter, &scene.flow[i], &narrow[i], 1 << LIMITER_DOWN, scene.now_us), 0);
        for (size_t i = 0; i < 3; i++)
                pour(&scene, i, LIMITER_DOWN);
        pour(&scene, 1, LIMITER_UP);
        run(&scene, scene.now_us + SECONDS(10), 500, &wide);    /* which sees that the wide one is never exceeded */
        check(scene.all[LIMITER_DOWN] >= 9500000);
        check(scene.bytes[1][LIMITER_DOWN] <= 1010000 && scene.bytes[1][LIMITER_DOWN] >= 950000);
        check(scene.bytes[0][LIMITER_DOWN] >= 3500000 && scene.bytes[2][LIMITER_DOWN] >= 3500000);
        check(scene.bytes[1][LIMITER_UP] >= 9500000);           /* the narrow one is about the other way */
        finish(&scene);
}

TEST(limiter_gives_back_what_was_put_by_for_who_leaves)
{
        static struct scene scene;
        static const struct limiter_spec first = { .name = 1, .bytes_per_s = 1000, .burst_bytes = 100 },
                                         second = { .name = 2, .bytes_per_s = 1000, .burst_bytes = 100 };

        begin(&scene, 3, &first, 1 << LIMITER_UP);
        check_equal(limiter_join(&scene.limiter, &scene.flow[0], &second, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_join(&scene.limiter, &scene.flow[1], &second, 1 << LIMITER_UP, scene.now_us), 0);
        limiter_take(&scene.flow[1], LIMITER_UP, 50);
        limiter_take(&scene.flow[1], LIMITER_UP, 50);
        scene.now_us += MSEC(5);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[2], LIMITER_UP, scene.now_us), 0);        /* a turn is ten */
        limiter_leave(&scene.limiter, &scene.flow[2], scene.now_us);
        scene.now_us += MSEC(5);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[0], LIMITER_UP, scene.now_us), 10);       /* both have a turn's worth */
        limiter_take(&scene.flow[0], LIMITER_UP, 10);
        limiter_leave(&scene.limiter, &scene.flow[1], scene.now_us);
        limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        scene.now_us += MSEC(20);
        check_equal(limiter_join(&scene.limiter, &scene.flow[0], &first, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_join(&scene.limiter, &scene.flow[0], &second, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_join(&scene.limiter, &scene.flow[1], &first, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_join(&scene.limiter, &scene.flow[2], &second, 1 << LIMITER_UP, scene.now_us), 0);
        limiter_take(&scene.flow[2], LIMITER_UP, 20);           /* the second is empty */
        check_equal(limiter_allow(&scene.limiter, &scene.flow[0], LIMITER_UP, scene.now_us), 0);
        limiter_take(&scene.flow[1], LIMITER_UP, 10);           /* and the first, but for what was put by */
        check_equal(limiter_allow(&scene.limiter, &scene.flow[1], LIMITER_UP, scene.now_us), 0);
        limiter_leave(&scene.limiter, &scene.flow[1], scene.now_us);
        limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        check_equal(limiter_join(&scene.limiter, &scene.flow[1], &first, 1 << LIMITER_UP, scene.now_us), 0);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[1], LIMITER_UP, scene.now_us), 10);
        check_equal(limiter_deadline(&scene.limiter), USEC_NEVER);
        scene.count = 3;
        finish(&scene);
}

TEST(limiter_passes_on_the_turn_of_who_left_or_did_not_use_it)
{
        static struct scene scene;
        struct limiter_spec spec = { .name = 7, .bytes_per_s = 1000, .burst_bytes = 100 };
        enum limiter_way way;

        begin(&scene, 3, &spec, 1 << LIMITER_UP);
        for (size_t i = 0; i < 3; i++)
                pour(&scene, i, LIMITER_UP);
        limiter_leave(&scene.limiter, &scene.flow[0], scene.now_us);
        scene.now_us += MSEC(10);
        check(limiter_turn(&scene.limiter, scene.now_us, &way) == &scene.flow[1]);
        limiter_pass_on(&scene.flow[1], way);
        check(limiter_turn(&scene.limiter, scene.now_us, &way) == &scene.flow[2]);
        check_equal(limiter_allow(&scene.limiter, &scene.flow[2], LIMITER_UP, scene.now_us), 10);
        limiter_take(&scene.flow[2], LIMITER_UP, 10);
        check(!limiter_turn(&scene.limiter, scene.now_us, &way));
        check_equal(limiter_deadline(&scene.limiter), USEC_NEVER);
        finish(&scene);
}
