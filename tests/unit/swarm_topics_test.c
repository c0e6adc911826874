/* SPDX-License-Identifier: BSD-3-Clause */
/* One identity at several topics: each is announced, looked at and left on its own, and a peer is one peer wherever it is listed. */
#include <string.h>

#include "cleanup.h"
#include "swarm.h"
#include "test.h"

enum { OLD, NEW, TOPICS };

struct world {
        struct swarm *swarm;
        usec_t now_us;
        unsigned tasks[TOPICS][SWARM_DIAL + 1], dials;
        struct swarm_peer *dialled;
};

static const uint8_t peer_key[DHT_KEY_BYTES] = { 7 };
static const struct addr relay = { .ip = { 192, 0, 2, 1 }, .port = 1 };

static void world_free(struct world *w)
{
        swarm_free(w->swarm);
}

static void settle(struct world *w)
{
        struct swarm_task task;

        while (swarm_task(w->swarm, &task, w->now_us)) {
                if (task.kind == SWARM_DIAL) {
                        w->dials++;
                        w->dialled = task.peer;
                        continue;
                }
                w->tasks[task.topic][task.kind]++;
                swarm_query_done(w->swarm, task.topic, &relay, 1, 8, 8, w->now_us);
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

/* At the old topic for a while, and at the new one from now on. */
static struct world at_both(void)
{
        static uint64_t seed = 1;
        struct world w = { .now_us = SECONDS(100) };
        struct swarm_config config = { .random = { test_random_fill, &seed }, .key = { 9 } };

        check_equal(swarm_new(&w.swarm, &config), 0);
        swarm_join(w.swarm, OLD, w.now_us);
        swarm_reachable(w.swarm, &relay, 1, w.now_us);
        run(&w, MINUTES(5));
        swarm_join(w.swarm, NEW, w.now_us);
        return w;
}

TEST(swarm_announces_at_a_topic_that_it_joins_at_once_and_looks_there_often)
{
        cleanup_with(world_free) struct world w = at_both();
        unsigned looked = w.tasks[OLD][SWARM_LOOKUP];

        settle(&w);
        check_equal(w.tasks[NEW][SWARM_ANNOUNCE], 1);
        check(swarm_announced(w.swarm, NEW) && swarm_announced(w.swarm, OLD));
        run(&w, SECONDS(5));
        check(w.tasks[NEW][SWARM_LOOKUP] >= 4 && w.tasks[OLD][SWARM_LOOKUP] <= looked + 1);
        check_equal(w.tasks[OLD][SWARM_ANNOUNCE], 1);
}

TEST(swarm_leaves_one_topic_and_goes_on_at_the_other)
{
        cleanup_with(world_free) struct world w = at_both();
        unsigned looked;

        run(&w, SECONDS(5));
        swarm_listed(w.swarm, OLD, peer_key, &relay, 1, w.now_us);
        swarm_listed(w.swarm, NEW, peer_key, &relay, 1, w.now_us);
        settle(&w);
        check_equal(w.dials, 1);
        check_equal(swarm_peer_listed(w.dialled), 1u << OLD | 1u << NEW);
        swarm_leave(w.swarm, OLD, w.now_us);
        looked = w.tasks[OLD][SWARM_LOOKUP];
        check(!swarm_has_left(w.swarm, OLD));
        settle(&w);
        check_equal(w.tasks[OLD][SWARM_UNANNOUNCE], 1);
        check_equal(w.tasks[NEW][SWARM_UNANNOUNCE], 0);
        check(swarm_has_left(w.swarm, OLD) && !swarm_has_left(w.swarm, NEW));
        check_equal(swarm_peer_listed(w.dialled), 1u << NEW);
        run(&w, MINUTES(30));
        check_equal(w.tasks[OLD][SWARM_LOOKUP], looked);
        check(w.tasks[NEW][SWARM_ANNOUNCE] >= 3);
        check(swarm_admits(w.swarm, (const uint8_t[DHT_KEY_BYTES]){ 8 }, &relay, w.now_us));
        swarm_leave(w.swarm, NEW, w.now_us);
        check(!swarm_admits(w.swarm, (const uint8_t[DHT_KEY_BYTES]){ 8 }, &relay, w.now_us));
}

TEST(swarm_does_not_dial_who_was_at_a_topic_that_it_left)
{
        cleanup_with(world_free) struct world w = at_both();

        swarm_listed(w.swarm, OLD, peer_key, &relay, 1, w.now_us);
        settle(&w);
        check(swarm_connected(w.swarm, peer_key, &relay, false, w.now_us) == w.dialled);
        swarm_proven(w.swarm, w.dialled, true, w.now_us);
        run(&w, MINUTES(1));
        swarm_leave(w.swarm, OLD, w.now_us);
        swarm_over(w.swarm, w.dialled, SWARM_OUTDATED, w.now_us);
        run(&w, MINUTES(10));
        check_equal(w.dials, 1);
}

/* It may learn the new secret at any moment, or try another one; a stranger is shut out for long. */
TEST(swarm_lets_a_former_member_try_again_soon)
{
        enum { STRANGER, FORMER, ESTRANGED, CASES };

        for (int who = 0; who < CASES; who++) {
                cleanup_with(world_free) struct world w = at_both();
                struct swarm_peer *peer = swarm_connected(w.swarm, peer_key, &relay, true, w.now_us);

                if (who == FORMER) {
                        swarm_proven(w.swarm, peer, true, w.now_us);
                        swarm_over(w.swarm, peer, SWARM_OUTDATED, w.now_us);
                        peer = swarm_connected(w.swarm, peer_key, &relay, true, w.now_us);
                }
                swarm_over(w.swarm, peer, who == ESTRANGED ? SWARM_ESTRANGED : SWARM_HOSTILE, w.now_us);
                check(!swarm_admits(w.swarm, peer_key, &relay, w.now_us));
                run(&w, SECONDS(10));
                check_equal(swarm_admits(w.swarm, peer_key, &relay, w.now_us), who != STRANGER);
                swarm_forgive(w.swarm, w.now_us);
                check(swarm_admits(w.swarm, peer_key, &relay, w.now_us));
        }
}

/* What a peer can be greeted by: each try that came to nothing counts, until there is another way; and what was listed before it was
 * connected says nothing of who comes back. */
TEST(swarm_tells_how_often_a_peer_was_called_and_has_shown_nothing)
{
        cleanup_with(world_free) struct world w = at_both();
        struct swarm_peer *peer;

        swarm_listed(w.swarm, OLD, peer_key, &relay, 1, w.now_us);
        settle(&w);
        peer = w.dialled;
        for (unsigned i = 0; i < 3; i++) {
                check_equal(swarm_peer_unproven(peer), i);
                check(swarm_connected(w.swarm, peer_key, &relay, false, w.now_us) == peer);
                swarm_over(w.swarm, peer, SWARM_LOST, w.now_us);
                check_equal(swarm_peer_listed(peer), 1u << OLD);
                run(&w, SECONDS(30));
                check_equal(w.dials, i + 2);
        }
        swarm_over(w.swarm, peer, SWARM_FAILED, w.now_us);
        check_equal(swarm_peer_unproven(peer), 3);      /* a dial that led to nothing */
        check(swarm_connected(w.swarm, peer_key, &relay, true, w.now_us) == peer);
        swarm_over(w.swarm, peer, SWARM_LOST, w.now_us);
        check_equal(swarm_peer_unproven(peer), 3);      /* it called */
        swarm_forgive(w.swarm, w.now_us);
        check_equal(swarm_peer_unproven(peer), 0);
        check(swarm_connected(w.swarm, peer_key, &relay, true, w.now_us) == peer);
        swarm_proven(w.swarm, peer, true, w.now_us);
        swarm_over(w.swarm, peer, SWARM_LOST, w.now_us);
        check_equal(swarm_peer_unproven(peer), 0);
        check_equal(swarm_peer_listed(peer), 0);
}
