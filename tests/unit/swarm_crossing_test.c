/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of two connections to one peer stays. */
#include "swarm_world.h"

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
