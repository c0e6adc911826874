/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway's tunnel without memory for what its peer sends: nobody who reads loses anything. (Linked with --wrap of
 * malloc, realloc and tunnel_receive.) */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel_pair.h"

enum { NEITHER = -1, QUICK = 1 << 20, KIB = 1024, MIB = 1024 * 1024, BULKS = 4 };

size_t __real_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);
size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static size_t budget_bytes = SIZE_MAX;          /* a gateway gets no more than this for what waits to be read */
static unsigned refused;
static struct tunnel *limited, *receiving;

size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us)
{
        size_t taken;

        receiving = tunnel;
        taken = __real_tunnel_receive(tunnel, bytes, len, now_us);
        receiving = NULL;
        return taken;
}

static bool refuses(size_t size)
{
        struct tunnel_stats stats;

        if (!receiving || receiving != limited || budget_bytes == SIZE_MAX)
                return false;
        tunnel_stats(receiving, &stats);
        if (stats.queued_bytes + size <= budget_bytes)
                return false;
        refused++;
        return true;
}

void *__wrap_malloc(size_t size)
{
        return refuses(size) ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return refuses(size) ? NULL : __real_realloc(old, size);
}

static void limit(const struct pair *pair, enum tunnel_role role, size_t bytes)
{
        limited = pair->side[role].t;
        budget_bytes = bytes;
        refused = 0;
}

static struct pair *pair_up(uint64_t seed, int original)
{
        struct pair *pair = pair_new(seed, original);

        pair->answer = (struct pair_plan){ .want = 0, .read_max = QUICK };
        pair_run(pair, MSEC(5));
        check(pair->side[0].ups == 1 && pair->side[1].ups == 1);
        return pair;
}

static void free_pair(struct pair **pair)
{
        limited = NULL;
        budget_bytes = SIZE_MAX;
        pair_free(*pair);
}

static void check_whole(struct pair *pair, const struct pair_app *app, usec_t limit_us)
{
        const struct pair_app *other;

        check(pair_until(pair, pair_gone, app, limit_us));
        other = pair_other(app);
        check(pair_until(pair, pair_gone, other, limit_us));
        check(app->closed && other->closed);
        check_equal(app->reason, TUNNEL_DONE);
        check_equal(other->reason, TUNNEL_DONE);
        check(pair_got_all(app) && pair_got_all(other));
}

TEST(who_reads_is_served_piece_by_piece_though_there_is_no_memory_at_all)
{
        for (int original = NEITHER; original < 2; original++) {
                cleanup_with(free_pair) struct pair *pair = pair_up(20 + original, original);
                struct pair_app *bulk[BULKS], *small;

                limit(pair, TUNNEL_GATEWAY, 0);
                pair->answer.want = 2 * MIB;
                for (unsigned i = 0; i < BULKS; i++)
                        bulk[i] = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
                pair_run(pair, MSEC(20));
                pair->answer.want = 100;
                small = pair_open(pair, 80, (struct pair_plan){ .want = 100, .read_max = QUICK });
                check_whole(pair, small, SECONDS(2));
                for (unsigned i = 0; i < BULKS; i++)
                        check_whole(pair, bulk[i], SECONDS(20));
                check(refused > 0);

                limit(pair, TUNNEL_GATEWAY, SIZE_MAX);
                pair->answer.want = 8 * MIB;
                check_whole(pair, pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK }), SECONDS(1));
                check_equal(tunnel_hungry_us(pair->side[TUNNEL_GATEWAY].t), USEC_NEVER);
        }
}

/* They were promised more than there is: nothing moves until one of them gives back what it holds. */
TEST(who_stopped_reading_gives_back_what_it_holds_while_others_go_hungry)
{
        cleanup_with(free_pair) struct pair *pair = pair_up(30, NEITHER);
        struct tunnel *gateway = pair->side[TUNNEL_GATEWAY].t;
        struct pair_app *stopped[2], *quick;
        usec_t hungry_us;

        limit(pair, TUNNEL_GATEWAY, 300 * KIB);
        pair->answer.want = 1 * MIB;
        for (unsigned i = 0; i < ARRAY_LEN(stopped); i++)
                stopped[i] = pair_open(pair, 80, (struct pair_plan){ .read_max = 0 });
        quick = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
        pair_run(pair, MSEC(900));
        hungry_us = tunnel_hungry_us(gateway);
        check(hungry_us <= pair->now_us && tunnel_paused(gateway));
        check_equal(tunnel_hog_bytes(gateway, hungry_us, pair->now_us), 0);     /* it may still read */
        pair_run(pair, MSEC(200));
        check(tunnel_hog_bytes(gateway, hungry_us, pair->now_us) >= 100 * KIB);
        check(tunnel_hog_bytes(gateway, hungry_us, pair->now_us) <= 256 * KIB);
        tunnel_cut_hog(gateway, hungry_us, pair->now_us);
        check_whole(pair, quick, SECONDS(5));
        check_equal(pair_gone(stopped[0]) + pair_gone(stopped[1]), 1);
        for (unsigned i = 0; i < ARRAY_LEN(stopped); i++) {
                if (!pair_gone(stopped[i])) {   /* keeps what it holds, and gets the rest when it reads on */
                        stopped[i]->plan.read_max = QUICK;
                        check_whole(pair, stopped[i], SECONDS(5));
                } else {
                        check_equal(stopped[i]->reason, TUNNEL_LIMIT);
                        check_equal(pair_other(stopped[i])->reason, TUNNEL_RESET);
                }
        }
}

/* A reader that can't send may wait for that before it reads on. */
TEST(who_can_not_send_is_not_taken_for_one_who_stopped_before_ten_seconds)
{
        cleanup_with(free_pair) struct pair *pair = pair_up(35, NEITHER);
        struct tunnel *gateway = pair->side[TUNNEL_GATEWAY].t;
        usec_t hungry_us;

        limit(pair, TUNNEL_GATEWAY, 100 * KIB);
        pair->answer = (struct pair_plan){ .want = 1 * MIB, .read_max = 0 };
        pair_open(pair, 80, (struct pair_plan){ .want = 1 * MIB, .read_max = 0 });
        pair_run(pair, SECONDS(9));
        hungry_us = tunnel_hungry_us(gateway);
        check(hungry_us < MSEC(100) + pair->now_us - SECONDS(9));
        check_equal(tunnel_hog_bytes(gateway, hungry_us, pair->now_us), 0);
        pair_run(pair, SECONDS(2));
        check(tunnel_hog_bytes(gateway, hungry_us, pair->now_us) > 0);
}

TEST(windows_shrink_without_memory_and_grow_again_with_it)
{
        static const size_t rates[] = { 20000, 1000, QUICK };    /* bytes a millisecond; the second after it was pressed */
        cleanup_with(free_pair) struct pair *pair = pair_up(40, NEITHER);
        struct pair_side *gateway = &pair->side[TUNNEL_GATEWAY];
        size_t waiting[ARRAY_LEN(rates)];
        struct pair_app *app;

        pair->answer.want = UINT64_C(1) << 40;
        app = pair_open(pair, 80, (struct pair_plan){ .never_end = true });
        for (unsigned i = 0; i < ARRAY_LEN(rates); i++) {
                struct tunnel_stats stats;

                app->plan.read_max = rates[i];
                for (unsigned ms = 0; ms < 5000; ms++) {
                        if (i == 1)
                                tunnel_press(gateway->t, pair->now_us);
                        pair_turn(pair);
                }
                app->plan.read_max = 0;
                pair_run(pair, MSEC(200));
                tunnel_stats(gateway->t, &stats);
                waiting[i] = stats.queued_bytes;
        }
        check(waiting[0] >= 1 * MIB);
        check(waiting[1] >= 32 * KIB && waiting[1] <= 64 * KIB);
        check(waiting[2] >= 1 * MIB);
}

TEST(an_open_for_which_there_is_no_memory_is_refused)
{
        cleanup_with(free_pair) struct pair *pair = pair_up(50, NEITHER);
        struct pair_app *app;

        limit(pair, TUNNEL_PROVIDER, 0);
        app = pair_open(pair, 80, (struct pair_plan){ .want = 100, .read_max = QUICK });
        check(pair_until(pair, pair_gone, app, SECONDS(1)));
        check(app->refused);
        check_equal(app->reason, TUNNEL_DECLINED);
        check(refused > 0);
        limit(pair, TUNNEL_PROVIDER, SIZE_MAX);
        check_whole(pair, pair_open(pair, 80, (struct pair_plan){ .want = 100, .read_max = QUICK }), SECONDS(1));
}
