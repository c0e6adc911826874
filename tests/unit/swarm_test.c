/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "swarm.h"
#include "test.h"

enum { DIALS_KEPT = 64, CROWD = 99, TOLD_AT_A_TIME = 20 };

/* One swarm in virtual time. Queries are answered at once, by as many nodes as told; dials wait for the test. */
struct world {
        struct swarm *swarm;
        uint8_t key[DHT_KEY_BYTES];
        uint64_t seed;
        usec_t now_us;
        unsigned replying, accepting;           /* nodes that do */
        unsigned listing;                       /* members that each lookup lists and none did before */
        uint8_t listed;                         /* the last of them */
        bool crowded;                           /* instead, each lists some of a crowd */
        bool told[CROWD];
        unsigned announces, lookups, unannounces, dials;
        usec_t announced_us, looked_us;         /* when last */
        bool cleared;                           /* the last announcement withdrew the old record */
        struct swarm_peer *dialling[DIALS_KEPT];        /* the newest last */
        uint8_t dialled[DIALS_KEPT];            /* first byte of their keys */
};

static const struct addr relays[2] = { { .ip = { 10, 9, 9, 1 }, .port = 1 }, { .ip = { 10, 9, 9, 2 }, .port = 2 } };
static const struct addr home = { .ip = { 127, 0, 0, 1 }, .port = 7 };
static const struct addr afar = { .ip = { 192, 0, 43, 8 }, .port = 7 };

static struct world *world_new(uint8_t key)
{
        struct world *w = calloc(1, sizeof(*w));
        struct swarm_config config = { .random = { test_random_fill, &w->seed }, .key = { key } };

        check(w);
        *w = (struct world){ .key = { key }, .seed = key, .now_us = SECONDS(100), .replying = 8, .accepting = 8 };
        check(swarm_new(&w->swarm, &config) == 0);
        swarm_join(w->swarm, 0, w->now_us);
        return w;
}

static void world_freep(struct world **w)
{
        swarm_free((*w)->swarm);
        free(*w);
}

static void list_key(struct world *w, uint8_t first, uint8_t second)
{
        uint8_t key[DHT_KEY_BYTES] = { first, second };

        swarm_listed(w->swarm, 0, key, relays, 1, w->now_us);
}

static void answer(struct world *w, unsigned accepted)
{
        struct addr closest[DHT_K] = { home, afar };

        swarm_query_done(w->swarm, 0, closest, w->replying ? 2 : 0, w->replying, accepted, w->now_us);
}

static void list_some(struct world *w)
{
        const struct random random = { test_random_fill, &w->seed };

        for (unsigned i = 0; i < TOLD_AT_A_TIME; i++) {
                uint8_t member = (uint8_t)random_below(&random, CROWD);

                w->told[member] = true;
                list_key(w, 100, member);
        }
}

/* Does all the swarm wants done now. */
static void settle(struct world *w)
{
        struct swarm_task task;

        while (swarm_task(w->swarm, &task, w->now_us)) {
                switch (task.kind) {
                case SWARM_ANNOUNCE:
                        w->announces++;
                        w->announced_us = w->now_us;
                        w->cleared = task.clear;
                        answer(w, w->accepting);
                        break;
                case SWARM_LOOKUP:
                        w->lookups++;
                        w->looked_us = w->now_us;
                        for (unsigned i = 0; i < w->listing; i++)
                                list_key(w, 200, ++w->listed);
                        if (w->crowded)
                                list_some(w);
                        answer(w, 0);
                        break;
                case SWARM_UNANNOUNCE:
                        w->unannounces++;
                        answer(w, w->accepting);
                        break;
                case SWARM_DIAL:
                        check(w->dials < DIALS_KEPT);
                        w->dialled[w->dials] = task.key[0];
                        w->dialling[w->dials++] = task.peer;
                        break;
                }
        }
}

static void run(struct world *w, usec_t us)
{
        usec_t until_us = w->now_us + us;

        for (settle(w); swarm_deadline(w->swarm) <= until_us; settle(w)) {
                w->now_us = usec_max(w->now_us, swarm_deadline(w->swarm));
                swarm_advance(w->swarm, w->now_us);
        }
        w->now_us = until_us;
}

/* Until it has dialled @dials times in all; how long that took. */
static usec_t run_until_dials(struct world *w, unsigned dials, usec_t limit_us)
{
        usec_t start_us = w->now_us;

        while (w->dials < dials && w->now_us < start_us + limit_us)
                run(w, MSEC(10));
        check_equal(w->dials, dials);
        return w->now_us - start_us;
}

static struct swarm_peer *incoming(struct world *w, uint8_t first, const struct addr *from)
{
        uint8_t key[DHT_KEY_BYTES] = { first };

        return swarm_connected(w->swarm, key, from, true, w->now_us);
}

static bool admits(struct world *w, uint8_t first, const struct addr *from)
{
        uint8_t key[DHT_KEY_BYTES] = { first };

        return swarm_admits(w->swarm, key, from, w->now_us);
}

/* The dial that was asked for last succeeds, and the peer proves itself. */
static struct swarm_peer *succeed(struct world *w, bool useful)
{
        uint8_t key[DHT_KEY_BYTES] = { w->dialled[w->dials - 1] };
        struct swarm_peer *peer = swarm_connected(w->swarm, key, &afar, false, w->now_us);

        check(peer == w->dialling[w->dials - 1]);
        swarm_proven(w->swarm, peer, useful, w->now_us);
        settle(w);
        return peer;
}

static void fail(struct world *w, struct swarm_peer *peer)
{
        swarm_over(w->swarm, peer, SWARM_FAILED, w->now_us);
        settle(w);
}

TEST(swarm_announces_first_and_then_looks_at_once)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        run(w, SECONDS(1));
        check(!w->announces && !w->lookups && !swarm_announced(w->swarm, 0));
        swarm_reachable(w->swarm, relays, 1, w->now_us);
        settle(w);
        check(w->announces == 1 && w->lookups == 1 && swarm_announced(w->swarm, 0));
        check(w->announced_us == w->now_us && w->looked_us == w->now_us && w->cleared);
}

TEST(swarm_looks_even_while_it_is_not_reachable)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        run(w, SECONDS(4));
        check(!w->announces && w->lookups >= 2);
        swarm_reachable(w->swarm, relays, 1, w->now_us);
        run(w, MSEC(1));
        check_equal(w->announces, 1);
        check(w->looked_us >= w->announced_us);
}

TEST(swarm_looks_often_while_alone_and_rarely_in_company)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer;
        unsigned before;

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        run(w, SECONDS(2));
        check(w->lookups >= 3 && w->lookups <= 5);      /* at 0, 0.25, 0.75, 1.75 s, give or take a quarter */
        run(w, MINUTES(10));
        check(w->lookups >= 17 && w->lookups <= 40);    /* then every 30 s */

        list_key(w, 1, 0);
        settle(w);
        peer = succeed(w, true);
        run(w, MINUTES(2));
        before = w->lookups;
        run(w, MINUTES(60));
        check(w->lookups - before >= 12 && w->lookups - before <= 30);  /* each announcement is followed by one, too */

        before = w->lookups;
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);
        run(w, MSEC(320));
        check_equal(w->lookups, before + 1);
}

/* A node tells twenty members at a time, so where the answers of a crowd still bring new ones there are more. But who makes up members
 * without end does not make it ask without end. */
TEST(swarm_looks_again_soon_while_a_crowd_shows_new_faces)
{
        for (unsigned listing = 0; listing <= 1; listing++) {
                cleanup_with(world_freep) struct world *w = world_new(5);

                for (uint8_t i = 0; i < 19; i++)
                        list_key(w, 100, i);
                w->listing = listing;
                w->replying = 20;
                swarm_reachable(w->swarm, relays, 2, w->now_us);
                run(w, SECONDS(8));
                check(listing ? w->lookups >= 24 : w->lookups <= 7);
                run(w, MINUTES(5));
                check(w->lookups <= 24 + 25);
        }
}

/* That no answer of one node names anybody new says little. */
TEST(swarm_hears_of_a_whole_crowd_from_a_single_node)
{
        unsigned missed = 0;

        for (uint8_t key = 1; key <= 20; key++) {
                cleanup_with(world_freep) struct world *w = world_new(key);

                w->crowded = true;
                w->replying = 1;
                swarm_reachable(w->swarm, relays, 2, w->now_us);
                run(w, SECONDS(60));
                for (unsigned i = 0; i < CROWD; i++)
                        missed += !w->told[i];
                check(w->lookups < 200);
                w->lookups = 0;
                run(w, MINUTES(10));
                check(w->lookups < 30);
        }
        check(missed <= 3);
}

TEST(swarm_announces_again_before_its_record_dies)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        for (unsigned i = 1; i <= 6; i++) {
                run(w, MINUTES(14));
                check(w->announces > i && w->now_us - w->announced_us < MINUTES(14));
        }
        check(w->announces <= 12 && !w->cleared);
}

TEST(swarm_announces_anew_when_its_relays_change_but_not_all_the_time)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        run(w, SECONDS(1));
        swarm_reachable(w->swarm, relays, 1, w->now_us);        /* the same */
        run(w, SECONDS(60));
        check_equal(w->announces, 1);
        swarm_reachable(w->swarm, relays, 2, w->now_us);
        run(w, MSEC(1));
        check(w->announces == 2 && w->cleared);
        for (unsigned i = 0; i < 100; i++) {
                swarm_reachable(w->swarm, relays + i % 2, 1, w->now_us);
                run(w, MSEC(100));
        }
        check_equal(w->announces, 3);
}

TEST(swarm_announces_again_soon_when_nobody_took_the_record)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        w->accepting = 0;
        swarm_reachable(w->swarm, relays, 1, w->now_us);
        run(w, SECONDS(4));
        check(w->announces == 3 || w->announces == 2);  /* after about 1 and 3 s */
        check(!swarm_announced(w->swarm, 0));
        run(w, MINUTES(10));
        check(w->announces >= 11 && w->announces <= 22);
        w->accepting = 1;
        run(w, SECONDS(76));
        check(swarm_announced(w->swarm, 0));
}

TEST(swarm_wakes_by_announcing_and_looking)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        run(w, SECONDS(300));
        check_equal(w->announces, 1);
        swarm_wake(w->swarm, w->now_us);
        run(w, MSEC(1));
        check(w->announces == 2 && w->announced_us == w->looked_us);
}

TEST(swarm_dials_eight_at_a_time_alone_and_three_in_company)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        for (uint8_t i = 1; i <= 30; i++)
                list_key(w, (uint8_t)(20 + i), 0);
        settle(w);
        check_equal(w->dials, 8);
        succeed(w, true);
        check_equal(w->dials, 8);
        for (unsigned i = 0; i < 4; i++)
                fail(w, w->dialling[i]);
        check_equal(w->dials, 8);       /* three are under way still */
        fail(w, w->dialling[4]);
        check_equal(w->dials, 9);
}

TEST(swarm_ignores_its_own_key)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        list_key(w, 9, 0);
        settle(w);
        check(!w->dials && !admits(w, 9, &home) && admits(w, 8, &home));
}

TEST(swarm_tries_those_who_never_failed_first)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        for (uint8_t i = 1; i <= 8; i++)
                list_key(w, i, 0);      /* ghosts */
        settle(w);
        for (unsigned i = 0; i < 8; i++)
                fail(w, w->dialling[i]);
        for (uint8_t i = 1; i <= 8; i++)
                list_key(w, i, 0);      /* that they are listed again does not make them better */
        list_key(w, 100, 0);
        settle(w);
        check(w->dials == 9 && w->dialled[8] == 100);
        fail(w, w->dialling[8]);
        run_until_dials(w, 17, SECONDS(8));
}

/* But for those who wait for another reason. */
TEST(swarm_tries_all_that_failed_again_when_there_is_a_new_way)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        for (uint8_t i = 1; i <= 3; i++)
                list_key(w, i, 0);
        settle(w);
        for (unsigned i = 0; i < 2; i++)
                fail(w, w->dialling[i]);
        swarm_over(w->swarm, w->dialling[2], SWARM_AWAITED, w->now_us);
        settle(w);
        check_equal(w->dials, 3);
        swarm_retry(w->swarm, w->now_us);
        settle(w);
        check_equal(w->dials, 5);
        check(w->dialled[3] != w->dialled[2] && w->dialled[4] != w->dialled[2]);
}

TEST(swarm_tries_a_ghost_at_most_once_a_minute)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        unsigned dials;

        for (dials = 1; dials <= 3; dials++) {
                list_key(w, 1, 0);
                run_until_dials(w, dials, SECONDS(20));
                fail(w, w->dialling[dials - 1]);
        }
        run_until_dials(w, dials, SECONDS(20));
        fail(w, w->dialling[3]);
        run(w, MINUTES(10));
        check_equal(w->dials, 4);       /* nobody lists it: forgotten */
        for (unsigned i = 0; i < 600; i++) {    /* listed all the time */
                list_key(w, 1, 0);
                run(w, SECONDS(1));
                if (w->dials > dials)
                        fail(w, w->dialling[dials++]);
        }
        check(w->dials >= 4 + 9 && w->dials <= 4 + 11);
}

TEST(swarm_comes_back_soon_to_who_was_there)
{
        for (unsigned alone = 0; alone <= 1; alone++) {
                static const usec_t nominal_us[2][3] = { { SECONDS(1), SECONDS(5), SECONDS(15) }, { SECONDS(1), SECONDS(2), SECONDS(3) } };
                cleanup_with(world_freep) struct world *w = world_new(9);
                unsigned dials;

                for (uint8_t i = alone; i < 2; i++) {
                        list_key(w, i + 1, 0);
                        settle(w);
                        succeed(w, true);
                }
                dials = w->dials;
                run(w, SECONDS(20));
                swarm_over(w->swarm, w->dialling[dials - 1], SWARM_LOST, w->now_us);
                for (unsigned i = 0; i < ARRAY_LEN(nominal_us[0]); i++) {
                        usec_t took_us = run_until_dials(w, ++dials, SECONDS(20));

                        check(took_us >= nominal_us[alone][i] * 3 / 4 && took_us <= nominal_us[alone][i] * 5 / 4 + MSEC(20));
                        fail(w, w->dialling[dials - 1]);
                }
                if (!alone)
                        run(w, MINUTES(5));
                check_equal(w->dials, dials);
        }
}

/* It is all we had; but it may be gone for good. */
TEST(swarm_tries_its_last_peer_for_some_minutes)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer;
        unsigned dials;

        list_key(w, 1, 0);
        settle(w);
        peer = succeed(w, true);
        run(w, SECONDS(20));
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);
        for (dials = 1; dials < 1 + 24; dials++) {
                check(run_until_dials(w, dials + 1, SECONDS(20)) <= SECONDS(4));
                run(w, SECONDS(4));
                fail(w, w->dialling[dials]);
        }
        run(w, MINUTES(5));
        check_equal(w->dials, dials);
        list_key(w, 1, 0);
        run(w, SECONDS(10));
        check_equal(w->dials, dials + 1);
        fail(w, w->dialling[dials]);
        list_key(w, 1, 0);
        run(w, SECONDS(50));
        check_equal(w->dials, dials + 1);
}

/* What failed meanwhile says nothing about anybody; but who never was there has to wait as before. */
TEST(swarm_tries_all_anew_when_an_outage_is_over)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        unsigned dials, lookups;

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        for (uint8_t i = 1; i <= 2; i++) {
                list_key(w, i, 0);
                settle(w);
                succeed(w, true);
        }
        list_key(w, 3, 0);
        settle(w);
        run(w, MINUTES(1));
        w->replying = w->accepting = 0;
        for (unsigned i = 0; i < 2; i++)
                swarm_over(w->swarm, w->dialling[i], SWARM_LOST, w->now_us);
        fail(w, w->dialling[2]);
        for (dials = 3; dials < 3 + 12; run(w, MSEC(100)))
                for (; dials < w->dials; dials++)
                        fail(w, w->dialling[dials]);
        lookups = w->lookups;
        w->replying = w->accepting = 8;
        swarm_come_back(w->swarm, w->now_us);
        settle(w);
        check_equal(w->dials, dials + 3);
        run(w, 1);
        check_equal(w->lookups, lookups + 1);
        for (unsigned i = 0; i < 3; i++)
                fail(w, w->dialling[dials + i]);
        run(w, MSEC(1500));
        check_equal(w->dials, dials + 5);
        check(w->dialled[dials + 3] != 3 && w->dialled[dials + 4] != 3);
}

TEST(swarm_takes_its_time_with_who_never_was_there)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        static const usec_t nominal_us[] = { SECONDS(5), SECONDS(15), SECONDS(15) };

        list_key(w, 1, 0);
        settle(w);
        for (unsigned i = 0; i < ARRAY_LEN(nominal_us); i++) {
                usec_t took_us;

                fail(w, w->dialling[i]);
                took_us = run_until_dials(w, i + 2, SECONDS(20));
                check(took_us >= nominal_us[i] * 3 / 4 && took_us <= nominal_us[i] * 5 / 4 + MSEC(20));
        }
}

TEST(swarm_leaves_ghosts_alone_in_company)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        list_key(w, 1, 0);
        settle(w);
        succeed(w, true);
        list_key(w, 2, 0);
        settle(w);
        fail(w, w->dialling[1]);
        run_until_dials(w, 3, SECONDS(7));
        fail(w, w->dialling[2]);
        check(run_until_dials(w, 4, SECONDS(80)) >= SECONDS(45));
}

/* Two swarms dial each other at once. Whoever's attempt arrives first, both keep the one of the larger key. */
TEST(swarm_keeps_the_same_one_of_crossing_connections_on_both_sides)
{
        for (int order = 0; order < 2; order++) {
                cleanup_with(world_freep) struct world *small = world_new(3);
                cleanup_with(world_freep) struct world *large = world_new(200);

                list_key(small, 200, 0);
                list_key(large, 3, 0);
                settle(small);
                settle(large);
                check(small->dials == 1 && large->dials == 1);
                for (int side = 0; side < 2; side++) {
                        if (side == order) {
                                check(swarm_choose(small->swarm, large->key, false) == SWARM_TAKE_NEW);
                                swarm_over(small->swarm, small->dialling[0], SWARM_REPLACED, small->now_us);
                                check(incoming(small, 200, &home));
                        } else {
                                check(swarm_choose(large->swarm, small->key, false) == SWARM_KEEP_OLD);
                        }
                }
                succeed(large, true);
                run(small, MINUTES(1));
                run(large, MINUTES(1));
                check(small->dials == 1 && large->dials == 1);
        }
}

TEST(swarm_waits_a_moment_for_who_has_begun_to_come_but_not_twice_in_a_row)
{
        cleanup_with(world_freep) struct world *small = world_new(3);
        cleanup_with(world_freep) struct world *large = world_new(200);

        list_key(small, 200, 0);
        list_key(large, 3, 0);
        settle(small);
        settle(large);
        check(swarm_yields(large->swarm, large->dialling[0], false, large->now_us));
        check(!swarm_yields(large->swarm, large->dialling[0], true, large->now_us));    /* its dial wins where they cross */
        check(swarm_yields(small->swarm, small->dialling[0], true, small->now_us));
        swarm_over(small->swarm, small->dialling[0], SWARM_AWAITED, small->now_us);
        run(small, MSEC(900));
        check_equal(small->dials, 1);
        run_until_dials(small, 2, MSEC(200));           /* it did not come */
        check(!swarm_yields(small->swarm, small->dialling[1], true, small->now_us));
        check(!swarm_yields(small->swarm, small->dialling[1], false, small->now_us));
        small->now_us += SECONDS(10);
        check(swarm_yields(small->swarm, small->dialling[1], true, small->now_us));
}

TEST(swarm_takes_in_who_it_waited_for)
{
        cleanup_with(world_freep) struct world *w = world_new(3);

        list_key(w, 200, 0);
        settle(w);
        swarm_over(w->swarm, w->dialling[0], SWARM_AWAITED, w->now_us);
        check(incoming(w, 200, &home));
        run(w, MINUTES(1));
        check_equal(w->dials, 1);
}

TEST(swarm_lets_a_peer_that_comes_again_replace_what_it_had)
{
        cleanup_with(world_freep) struct world *w = world_new(200);
        uint8_t key[DHT_KEY_BYTES] = { 3 };
        struct swarm_peer *old;

        list_key(w, 3, 0);
        settle(w);
        old = succeed(w, true);
        check(swarm_choose(w->swarm, key, false) == SWARM_KEEP_OLD);
        check(swarm_choose(w->swarm, key, true) == SWARM_TAKE_NEW);
        swarm_over(w->swarm, old, SWARM_REPLACED, w->now_us);
        check(!swarm_find(w->swarm, key));
        check(incoming(w, 3, &home) && swarm_find(w->swarm, key));
        run(w, MINUTES(1));
        check_equal(w->dials, 1);
}

TEST(swarm_dials_at_once_who_was_left_behind_as_we_moved)
{
        cleanup_with(world_freep) struct world *w = world_new(201);

        list_key(w, 1, 0);
        settle(w);
        swarm_over(w->swarm, succeed(w, true), SWARM_MOVED, w->now_us);
        run(w, MSEC(10));
        check_equal(w->dials, 2);
}

TEST(swarm_does_not_dial_who_has_come_meanwhile)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer;

        list_key(w, 1, 0);
        settle(w);
        fail(w, w->dialling[0]);        /* to be tried again in 5 s */
        peer = incoming(w, 1, &home);
        list_key(w, 1, 0);
        run(w, MINUTES(1));
        check_equal(w->dials, 1);
        swarm_proven(w->swarm, peer, true, w->now_us);
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);
        run_until_dials(w, 2, SECONDS(3));
}

TEST(swarm_never_dials_a_stranger_that_only_came_in)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_over(w->swarm, incoming(w, 1, &home), SWARM_LOST, w->now_us);
        run(w, MINUTES(30));
        check_equal(w->dials, 0);
}

TEST(weakness_14_7_swarm_remembers_impostors_and_their_hosts)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer = incoming(w, 1, &afar);

        swarm_over(w->swarm, peer, SWARM_HOSTILE, w->now_us);
        list_key(w, 1, 0);
        run(w, MINUTES(4));
        check(!w->dials && !admits(w, 1, &afar) && !admits(w, 1, &home));
        check(incoming(w, 2, &afar) && incoming(w, 3, &afar));
        check(!admits(w, 4, &afar) && admits(w, 4, &home));     /* two guests at a time from there */
        run(w, MINUTES(2));
        check(admits(w, 4, &afar) && !admits(w, 1, &afar));
        run(w, MINUTES(5));
        check(admits(w, 1, &afar));
}

/* Who knows two secrets may begin by the one that we had in a life before. */
TEST(swarm_lets_whoever_may_be_mistaken_try_once_more)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer = incoming(w, 1, &home);

        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        check(!admits(w, 1, &home));
        run(w, MSEC(600));
        peer = incoming(w, 1, &home);
        check(peer);
        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        run(w, MINUTES(9));
        check(!admits(w, 1, &home));
        run(w, MINUTES(2));
        peer = incoming(w, 1, &home);
        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        run(w, MINUTES(9));
        check(!admits(w, 1, &home));            /* it had its chance; */
        run(w, MINUTES(2));
        peer = incoming(w, 1, &home);
        swarm_proven(w->swarm, peer, true, w->now_us);
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);
        peer = incoming(w, 1, &home);
        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        run(w, MSEC(600));
        check(admits(w, 1, &home));             /* and has another one once it has shown that it belongs to us */
}

/* What it was shut out for may have been right by the secret that came. */
TEST(swarm_that_has_another_secret_lets_everybody_try_as_if_for_the_first_time)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer = incoming(w, 1, &home);

        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        swarm_forgive(w->swarm, w->now_us);
        peer = incoming(w, 1, &home);
        check(peer);
        swarm_over(w->swarm, peer, SWARM_MISTAKEN, w->now_us);
        run(w, MSEC(600));
        check(admits(w, 1, &home));
}

/* It proved itself, was lost, was met once more and was a stranger by the secret that there was: when another one has come and it is
 * listed again there is no minute to wait. */
TEST(swarm_that_has_another_secret_dials_at_once_whom_it_failed_to_reach_by_the_old_one)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        list_key(w, 1, 0);
        settle(w);
        check_equal(w->dials, 1);
        swarm_over(w->swarm, w->dialling[0], SWARM_FAILED, w->now_us);
        run(w, SECONDS(10));
        check_equal(w->dials, 2);
        swarm_connected(w->swarm, (uint8_t[DHT_KEY_BYTES]){ 1 }, &afar, false, w->now_us);
        swarm_over(w->swarm, w->dialling[0], SWARM_MISTAKEN, w->now_us);
        swarm_forgive(w->swarm, w->now_us);
        list_key(w, 1, 0);
        settle(w);
        check_equal(w->dials, 3);
}

TEST(weakness_14_7_swarm_leaves_alone_who_has_its_own_role)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        list_key(w, 1, 0);
        settle(w);
        swarm_connected(w->swarm, (uint8_t[DHT_KEY_BYTES]){ 1 }, &afar, false, w->now_us);
        swarm_over(w->swarm, w->dialling[0], SWARM_UNNEEDED, w->now_us);
        for (unsigned i = 0; i < 59; i++) {
                list_key(w, 1, 0);
                run(w, MINUTES(1));
        }
        check(w->dials == 1 && !admits(w, 1, &afar));
        check(admits(w, 2, &afar));     /* and does not hold it against the host */
}

TEST(weakness_14_3_swarm_has_few_guests_in_all_and_from_one_host)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *first = incoming(w, 100, &afar), *peer;
        struct addr other = afar;

        for (uint8_t i = 1; i < SWARM_GUESTS_PER_HOST; i++)
                check(incoming(w, (uint8_t)(100 + i), &afar));
        check(!incoming(w, 99, &afar));
        swarm_proven(w->swarm, first, true, w->now_us); /* is no guest any more */
        check(incoming(w, 99, &afar));
        for (uint8_t i = SWARM_GUESTS_PER_HOST; i < SWARM_GUESTS_MAX; i++) {
                other.ip[3] = i;
                check((peer = incoming(w, (uint8_t)(100 + i), i % 2 ? &home : &other)));
        }
        check(!incoming(w, 98, &home));
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);
        check(incoming(w, 98, &home));
}

TEST(swarm_survives_a_flood_of_records)
{
        cleanup_with(world_freep) struct world *w = world_new(9);
        struct swarm_peer *peer;

        list_key(w, 1, 0);
        settle(w);
        peer = succeed(w, true);
        swarm_over(w->swarm, peer, SWARM_LOST, w->now_us);      /* waits to be tried again */
        for (unsigned i = 0; i < 50; i++)
                for (unsigned j = 0; j < 100; j++)
                        list_key(w, (uint8_t)(10 + i), (uint8_t)(1 + j));
        settle(w);
        check_equal(w->dials, 9);
        run(w, SECONDS(2));
        fail(w, w->dialling[8]);
        check(w->dials == 10 && w->dialled[9] == 1);
}

TEST(weakness_14_28_swarm_leaves_by_withdrawing_what_it_announced)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_reachable(w->swarm, relays, 1, w->now_us);
        list_key(w, 1, 0);
        settle(w);
        list_key(w, 2, 0);
        swarm_leave(w->swarm, 0, w->now_us);
        check(!swarm_has_left(w->swarm, 0));
        run(w, MINUTES(1));
        check(w->unannounces == 1 && w->dials == 1 && swarm_has_left(w->swarm, 0) && !admits(w, 3, &home));
        check(swarm_deadline(w->swarm) == USEC_NEVER);
}

TEST(swarm_leaves_at_once_when_it_announced_nothing)
{
        cleanup_with(world_freep) struct world *w = world_new(9);

        swarm_leave(w->swarm, 0, w->now_us);
        check(swarm_has_left(w->swarm, 0));
        run(w, MINUTES(1));
        check(!w->unannounces && !w->lookups);
}
