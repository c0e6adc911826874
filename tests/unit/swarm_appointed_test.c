/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that are written down: dialled where they are, and never given up. */
#include <string.h>

#include "cleanup.h"
#include "swarm.h"
#include "test.h"

static const uint8_t key[DHT_KEY_BYTES] = { 7 };
static const struct addr there = { .ip = { 192, 0, 2, 1 }, .port = 1 }, moved = { .ip = { 192, 0, 2, 9 }, .port = 2 };

static struct swarm *swarm_of(uint8_t own, uint64_t *seed)
{
        struct swarm_config config = { .random = { test_random_fill, seed }, .key = { own } };
        struct swarm *swarm;

        *seed = own;
        check_equal(swarm_new(&swarm, &config), 0);
        swarm_join(swarm, 0, SECONDS(100));
        return swarm;
}

/* The next dial until @until_us; queries find nobody. */
static bool next_dial(struct swarm *swarm, usec_t *now_us, usec_t until_us, struct swarm_task *out)
{
        for (;;) {
                while (swarm_task(swarm, out, *now_us)) {
                        if (out->kind == SWARM_DIAL)
                                return true;
                        swarm_query_done(swarm, 0, NULL, 0, 0, 0, *now_us);
                }
                if (swarm_deadline(swarm) > until_us)
                        return false;
                *now_us = usec_max(*now_us, swarm_deadline(swarm));
                swarm_advance(swarm, *now_us);
        }
}

TEST(one_is_dialled_at_once_and_again_for_as_long_as_it_takes)
{
        usec_t now_us = SECONDS(100), last_us = now_us;
        struct swarm_task task;
        uint64_t seed;
        struct swarm *swarm = swarm_of(1, &seed);

        check_equal(swarm_appoint(swarm, key, &there, now_us), 0);
        for (unsigned i = 0; i < 1000; i++) {
                check(next_dial(swarm, &now_us, last_us + SECONDS(7), &task));
                check(memcmp(task.key, key, sizeof(key)) == 0 && task.addr_count == 1 && addr_equal(&task.addrs[0], &there));
                check(i > 0 || now_us == SECONDS(100));
                last_us = now_us;
                swarm_over(swarm, task.peer, SWARM_FAILED, now_us);
        }
        swarm_free(swarm);
}

TEST(its_written_address_goes_first_whatever_the_topic_lists)
{
        static const struct addr listed[DHT_PEER_RELAYS_MAX] = { { .ip = { 198, 51, 100, 1 }, .port = 5 } };
        usec_t now_us = SECONDS(100);
        struct swarm_task task;
        uint64_t seed;
        struct swarm *swarm = swarm_of(1, &seed);

        check_equal(swarm_appoint(swarm, key, &there, now_us), 0);
        swarm_listed(swarm, 0, key, listed, DHT_PEER_RELAYS_MAX, now_us);
        check(next_dial(swarm, &now_us, now_us, &task));
        check_equal(task.addr_count, DHT_PEER_RELAYS_MAX);
        check(addr_equal(&task.addrs[0], &there) && addr_equal(&task.addrs[1], &listed[0]));
        swarm_over(swarm, task.peer, SWARM_FAILED, now_us);
        check_equal(swarm_appoint(swarm, key, &moved, now_us), 0);
        check(next_dial(swarm, &now_us, now_us + SECONDS(2), &task));
        check(addr_equal(&task.addrs[0], &moved));
        swarm_free(swarm);
}

TEST(a_flood_of_records_does_not_push_it_out_nor_does_its_own_refusal)
{
        usec_t now_us = SECONDS(100);
        struct swarm_task task;
        uint64_t seed;
        struct swarm *swarm = swarm_of(1, &seed);

        check_equal(swarm_appoint(swarm, key, &there, now_us), 0);
        check(next_dial(swarm, &now_us, now_us, &task));
        check(swarm_connected(swarm, key, &there, false, now_us) == task.peer);
        swarm_over(swarm, task.peer, SWARM_HOSTILE, now_us);
        for (unsigned i = 0; i < 2 * SWARM_PEERS_MAX; i++) {
                uint8_t other[DHT_KEY_BYTES] = { 9, (uint8_t)i, (uint8_t)(i >> 8) };

                swarm_listed(swarm, 0, other, &moved, 1, now_us);
        }
        now_us += MINUTES(10);
        swarm_advance(swarm, now_us);
        check(next_dial(swarm, &now_us, now_us, &task));
        check(memcmp(task.key, key, sizeof(key)) == 0);
        swarm_free(swarm);
}

TEST(nobody_dials_himself)
{
        usec_t now_us = SECONDS(100);
        struct swarm_task task;
        uint64_t seed;
        struct swarm *swarm = swarm_of(7, &seed);

        check_equal(swarm_appoint(swarm, key, &there, now_us), 0);
        check(!next_dial(swarm, &now_us, now_us + SECONDS(20), &task));
        swarm_free(swarm);
}
