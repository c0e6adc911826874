/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a swarm lets in, how many at once, and for how long not. */
#include "swarm_world.h"

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
