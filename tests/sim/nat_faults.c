/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider on streets of every kind, in both roles, under loss, and whoever dials whom: those who can meet do, those who
 * can't know why, and nothing stays behind of either. */
#include <inttypes.h>
#include <stdio.h>

#include "cleanup.h"
#include "faults.h"
#include "node_streets.h"

enum { LOSSES = 3, PERCENT_MISSED_MAX = 2, DATAGRAMS_MAX = 60000 };

#define SKEW_US MSEC(500)
#define PATIENCE_US SECONDS(30)
#define IMPOSSIBLE_US SECONDS(15)

static const unsigned loss_percents[LOSSES] = { 0, 2, 10 };     /* of what leaves each host */

/* How soon those who can meet have met. */
static const usec_t soon_us[] = { MSEC(500), SECONDS(2), SECONDS(5), SECONDS(10), SECONDS(30) };

enum sum {
        SUM_POSSIBLE,           /* pairs of streets that one can pass, met or not */
        SUM_SOON,               /* met within soon_us[0], ... */
        SUM_IMPOSSIBLE = SUM_SOON + ARRAY_LEN(soon_us),
        SUM_KNOWN,              /* and that they are was found out in time */
        SUMS
};

static bool is_by_chance(enum street_kind kind)
{
        return kind == STREET_SYMMETRIC || kind == STREET_CARRIER;
}

/* For each loss: first those without chance, then those with. */
static unsigned sum_of(unsigned loss, bool chance, enum sum sum)
{
        return (2 * loss + chance) * SUMS + sum;
}

static unsigned failures;

static void tell_pair(uint64_t seed, enum street_kind provider, enum street_kind gateway, enum street_start start, const char *what)
{
        static const char *const starts[STREET_STARTS] = { "provider first", "gateway first", "at once" };

        printf("# pair %" PRIu64 ": %s, %s, %s: %s\n", seed, street_names[provider], street_names[gateway], starts[start], what);
}

static void fail_pair(uint64_t seed, enum street_kind provider, enum street_kind gateway, enum street_start start, const char *what)
{
        tell_pair(seed, provider, gateway, start, what);
        failures++;
}

static void count_meeting(struct street *street, unsigned loss, bool chance, usec_t took_us)
{
        faults_add(sum_of(loss, chance, SUM_POSSIBLE), 1);
        for (size_t i = 0; i < ARRAY_LEN(soon_us); i++)
                if (street_met(street) && took_us <= soon_us[i])
                        faults_add(sum_of(loss, chance, SUM_SOON + i), 1);
}

static void check_pair(uint64_t seed, enum street_kind provider, enum street_kind gateway, unsigned loss, enum street_start start)
{
        struct net_link link = { .delay_us = MSEC(10), .jitter_us = MSEC(5), .reorder = true, .loss_ppm = loss_percents[loss] * 10000 };
        struct street street = street_new(seed, &link, provider, gateway);
        bool chance = is_by_chance(provider) || is_by_chance(gateway), passable = street_is_passable(provider, gateway);
        usec_t took_us = street_meet_from(&street, start, SKEW_US, passable ? PATIENCE_US : IMPOSSIBLE_US);

        if (passable) {
                count_meeting(&street, loss, chance, took_us);
                if (!street_met(&street))
                        (loss_percents[loss] < 10 ? fail_pair : tell_pair)(seed, provider, gateway, start, "not met");
                node_sim_run(street.sim, SECONDS(4));   /* sockets that are not needed any more are gone */
                if (street_met(&street) && !loss && !street_echoes(&street))
                        fail_pair(seed, provider, gateway, start, "met, but nothing gets through");
        } else {
                faults_add(sum_of(loss, chance, SUM_IMPOSSIBLE), 1);
                faults_add(sum_of(loss, chance, SUM_KNOWN), street_knows_impossible(&street));
                if (!street_knows_impossible(&street))
                        (loss_percents[loss] < 10 ? fail_pair : tell_pair)(seed, provider, gateway, start, "they do not know that it is impossible");
        }
        if (net_totals(street.sim->net)->sent > DATAGRAMS_MAX)
                fail_pair(seed, provider, gateway, start, "a flood");
        if (!street_is_clean(&street))
                fail_pair(seed, provider, gateway, start, "something stayed behind");
        street_free(&street);
}

void faults_story(uint64_t seed)
{
        unsigned loss = (unsigned)(seed % LOSSES);
        enum street_start start = (enum street_start)(seed / LOSSES % STREET_STARTS);

        for (unsigned provider = 0; provider < STREET_KINDS; provider++)
                for (unsigned gateway = 0; gateway < STREET_KINDS; gateway++)
                        check_pair(seed * STREET_KINDS * STREET_KINDS + provider * STREET_KINDS + gateway, provider, gateway, loss, start);
        must(!failures);
}

/* One is nothing to judge by. */
static bool is_most(uint64_t some, uint64_t all)
{
        return all - some <= MAX(all * PERCENT_MISSED_MAX / 100, (uint64_t)1);
}

bool faults_sum_up(const uint64_t sums[FAULTS_SUMS_MAX])
{
        bool good = true;

        for (unsigned loss = 0; loss < LOSSES; loss++)
                for (unsigned chance = 0; chance < 2; chance++) {
                        const uint64_t *sum = &sums[sum_of(loss, chance, 0)];
                        uint64_t met = sum[SUM_SOON + ARRAY_LEN(soon_us) - 1];

                        printf("# %u %% loss, %s: %" PRIu64 " can meet; met within", loss_percents[loss], chance ? "chance" : "consistent",
                               sum[SUM_POSSIBLE]);
                        for (size_t i = 0; i < ARRAY_LEN(soon_us); i++)
                                printf(" %.1f s: %" PRIu64 ",", (double)soon_us[i] / 1e6, sum[SUM_SOON + i]);
                        printf(" not: %" PRIu64 "; %" PRIu64 " can't, %" PRIu64 " know it\n", sum[SUM_POSSIBLE] - met, sum[SUM_IMPOSSIBLE],
                               sum[SUM_KNOWN]);
                        good = good && is_most(met, sum[SUM_POSSIBLE]) && is_most(sum[SUM_KNOWN], sum[SUM_IMPOSSIBLE]);
                }
        return good;
}
