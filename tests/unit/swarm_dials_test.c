/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a swarm dials, and when again. */
#include "swarm_world.h"

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
