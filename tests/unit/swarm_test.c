/* SPDX-License-Identifier: BSD-3-Clause */
/* When a swarm announces itself and looks for others, and how it leaves. */
#include "swarm_world.h"

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
