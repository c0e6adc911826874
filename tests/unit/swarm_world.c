/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm_world.h"

#include <stdlib.h>

enum { TOLD_AT_A_TIME = 20 };

struct world *world_new(uint8_t key)
{
        struct world *w = calloc(1, sizeof(*w));
        struct swarm_config config = { .random = { test_random_fill, &w->seed }, .key = { key } };

        check(w);
        *w = (struct world){ .key = { key }, .seed = key, .now_us = SECONDS(100), .replying = 8, .accepting = 8 };
        check(swarm_new(&w->swarm, &config) == 0);
        swarm_join(w->swarm, 0, w->now_us);
        return w;
}

void world_freep(struct world **w)
{
        swarm_free((*w)->swarm);
        free(*w);
}

void list_key(struct world *w, uint8_t first, uint8_t second)
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

void settle(struct world *w)
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

void run(struct world *w, usec_t us)
{
        usec_t until_us = w->now_us + us;

        for (settle(w); swarm_deadline(w->swarm) <= until_us; settle(w)) {
                w->now_us = usec_max(w->now_us, swarm_deadline(w->swarm));
                swarm_advance(w->swarm, w->now_us);
        }
        w->now_us = until_us;
}

usec_t run_until_dials(struct world *w, unsigned dials, usec_t limit_us)
{
        usec_t start_us = w->now_us;

        while (w->dials < dials && w->now_us < start_us + limit_us)
                run(w, MSEC(10));
        check_equal(w->dials, dials);
        return w->now_us - start_us;
}

struct swarm_peer *incoming(struct world *w, uint8_t first, const struct addr *from)
{
        uint8_t key[DHT_KEY_BYTES] = { first };

        return swarm_connected(w->swarm, key, from, true, w->now_us);
}

bool admits(struct world *w, uint8_t first, const struct addr *from)
{
        uint8_t key[DHT_KEY_BYTES] = { first };

        return swarm_admits(w->swarm, key, from, w->now_us);
}

struct swarm_peer *succeed(struct world *w, bool useful)
{
        uint8_t key[DHT_KEY_BYTES] = { w->dialled[w->dials - 1] };
        struct swarm_peer *peer = swarm_connected(w->swarm, key, &afar, false, w->now_us);

        check(peer == w->dialling[w->dials - 1]);
        swarm_proven(w->swarm, peer, useful, w->now_us);
        settle(w);
        return peer;
}

void fail(struct world *w, struct swarm_peer *peer)
{
        swarm_over(w->swarm, peer, SWARM_FAILED, w->now_us);
        settle(w);
}
