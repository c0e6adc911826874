/* SPDX-License-Identifier: BSD-3-Clause */
/* How long it takes from the start of a provider and a gateway until they know each other, 20 ms each way. */
#include <stdio.h>
#include <stdlib.h>

#include "node_streets.h"
#include "test.h"

enum { SEEDS = 3, TIMES_MAX = 256 };

static const enum street_kind consistent[] = { STREET_OPEN, STREET_CONE, STREET_JEALOUS, STREET_DOUBLE };

struct times {
        usec_t us[TIMES_MAX];
        size_t count;
};

static int compare(const void *a, const void *b)
{
        usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;

        return (x > y) - (x < y);
}

static usec_t percentile(struct times *times, unsigned percent)
{
        qsort(times->us, times->count, sizeof(times->us[0]), compare);
        return times->us[MIN(times->count - 1, times->count * percent / 100)];
}

static void meet(struct times *times, enum street_kind provider, enum street_kind gateway, bool running, unsigned loss_percent)
{
        struct net_link link = { .delay_us = MSEC(20), .jitter_us = MSEC(2), .loss_ppm = loss_percent * 10000 };

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct street street = street_new(seed * 1000 + provider * 10 + gateway, &link, provider, gateway);

                times->us[times->count++] = street_meet_new(&street, running, SECONDS(30));
                check(street_met(&street));
                street_free(&street);
        }
}

static void check_times(struct times *times, const char *what, bool running, usec_t median_us, usec_t p95_us)
{
        printf("# %s, %s: median %u ms, 95th percentile %u ms, most %u ms\n", what, running ? "the gateway runs" : "both new",
               (unsigned)(percentile(times, 50) / 1000), (unsigned)(percentile(times, 95) / 1000), (unsigned)(percentile(times, 100) / 1000));
        check(percentile(times, 50) <= median_us && percentile(times, 95) <= p95_us);
}

static void meet_all_consistent(unsigned loss_percent, const char *what, usec_t median_us, usec_t p95_us)
{
        for (int running = 0; running <= 1; running++) {
                struct times times = { .count = 0 };

                for (size_t provider = 0; provider < ARRAY_LEN(consistent); provider++)
                        for (size_t gateway = 0; gateway < ARRAY_LEN(consistent); gateway++)
                                meet(&times, consistent[provider], consistent[gateway], running, loss_percent);
                check_times(&times, what, running, median_us, p95_us);
        }
}

/* Bootstrap, table, relays, announcement, lookup, handshake, punch, the end of the dial that crosses, hello: twelve ways there and back. */
TEST(consistent_nats_meet_half_a_second_after_their_start)
{
        meet_all_consistent(0, "consistent", MSEC(480), MSEC(480));
}

TEST(a_datagram_in_fifty_that_is_lost_costs_them_no_seconds)
{
        meet_all_consistent(2, "consistent, 2 % lost", MSEC(800), SECONDS(2));
}

TEST(where_one_nat_gives_each_remote_another_port_two_seconds_are_enough_for_most)
{
        for (int running = 0; running <= 1; running++) {
                struct times times = { .count = 0 };

                for (size_t i = 1; i < ARRAY_LEN(consistent); i++) {
                        meet(&times, consistent[i], STREET_SYMMETRIC, running, 0);
                        meet(&times, STREET_CARRIER, consistent[i], running, 0);
                }
                check_times(&times, "by chance", running, MSEC(1500), SECONDS(5));
        }
}
