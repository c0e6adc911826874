/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider on streets of every kind, in both roles, and behind one router of every kind, under loss, and whoever dials
 * whom: those who can meet do, those who can't know why, and nothing stays behind of either. */
#include <inttypes.h>
#include <stdio.h>

#include "cleanup.h"
#include "faults.h"
#include "node_streets.h"

enum {
        LOSSES = 3,
        PAIRS = STREET_KINDS * STREET_KINDS + STREET_ROUTERS,   /* of a seed: then those behind one router */
        PERCENT_MISSED_MAX = 2,
        DATAGRAMS_MAX = 60000,
};

#define SKEW_US MSEC(500)
#define PATIENCE_US SECONDS(30)
#define IMPOSSIBLE_US SECONDS(15)
#define SETTLED_US SECONDS(4)           /* sockets that are not needed any more are gone */
#define SILENCE_US SECONDS(45)          /* longer than any mapping lives that is not kept */

static const unsigned loss_percents[LOSSES] = { 0, 2, 10 };     /* of what leaves each host */

/* How soon those who can meet have met, and those who can't know it. */
static const usec_t soon_us[] = { MSEC(500), SECONDS(2), SECONDS(5), SECONDS(10), PATIENCE_US };
static const usec_t known_us[] = { SECONDS(2), SECONDS(5), IMPOSSIBLE_US };

enum sum {
        SUM_POSSIBLE,           /* pairs that can meet, whether they did or not */
        SUM_SOON,               /* met within soon_us[0], ... */
        SUM_IMPOSSIBLE = SUM_SOON + ARRAY_LEN(soon_us),
        SUM_KNOWN,              /* and that they are was found out within known_us[0], ... */
        SUMS = SUM_KNOWN + ARRAY_LEN(known_us)
};

/* For each loss: first those without chance, then those with. */
static unsigned sum_of(unsigned loss, bool chance, enum sum sum)
{
        return (2 * loss + chance) * SUMS + sum;
}

/* A pair, and how it is dealt with. */
struct scene {
        uint64_t seed;
        unsigned loss;
        enum street_start start;
        char name[96];
        struct street street;
};

static unsigned failures;

static void tell(const struct scene *scene, const char *what)
{
        static const char *const starts[STREET_STARTS] = { "provider first", "gateway first", "at once" };

        printf("# pair %" PRIu64 ": %s, %s, %u %% loss: %s\n", scene->seed, scene->name, starts[scene->start],
               loss_percents[scene->loss], what);
}

static void fail(const struct scene *scene, const char *what)
{
        tell(scene, what);
        failures++;
}

/* Only much loss is an excuse, which faults_sum_up() judges. */
static void miss(const struct scene *scene, const char *what)
{
        (loss_percents[scene->loss] < 10 ? fail : tell)(scene, what);
}

static void count(const struct scene *scene, enum sum all, const usec_t *limits_us, size_t limits, usec_t took_us)
{
        faults_add(sum_of(scene->loss, scene->street.random, all), 1);
        for (size_t i = 0; i < limits; i++)
                if (took_us <= limits_us[i])
                        faults_add(sum_of(scene->loss, scene->street.random, all + 1 + i), 1);
}

static void check_possible(struct scene *scene)
{
        struct street *street = &scene->street;
        usec_t took_us = street_meet_from(street, scene->start, SKEW_US, PATIENCE_US);
        bool met = street_met(street);

        count(scene, SUM_POSSIBLE, soon_us, ARRAY_LEN(soon_us), met ? took_us : USEC_NEVER);
        if (!met)
                miss(scene, "not met");
        node_sim_run(street->sim, met && !scene->loss ? SILENCE_US : SETTLED_US);
        if (met && !scene->loss && !(street_met(street) && street_echoes(street)))
                fail(scene, "met, but nothing gets through after a silence");
}

static void check_impossible(struct scene *scene)
{
        usec_t known;

        street_meet_from(&scene->street, scene->start, SKEW_US, IMPOSSIBLE_US);
        known = street_known_us(&scene->street);
        count(scene, SUM_IMPOSSIBLE, known_us, ARRAY_LEN(known_us), known);
        if (street_met(&scene->street))
                fail(scene, "met, where nobody can");
        else if (known == USEC_NEVER)
                miss(scene, "they do not know that it is impossible");
}

static void check_scene(struct scene *scene)
{
        if (scene->street.verdict == NODE_REACHED)
                check_possible(scene);
        else
                check_impossible(scene);
        if (net_totals(scene->street.sim->net)->sent > DATAGRAMS_MAX)
                fail(scene, "a flood");
        if (!street_is_clean(&scene->street))
                fail(scene, "something stayed behind");
        street_free(&scene->street);
}

static void set_scene(struct scene *scene, unsigned pair)
{
        struct net_link link = { .delay_us = MSEC(10), .jitter_us = MSEC(5), .reorder = true,
                                 .loss_ppm = loss_percents[scene->loss] * 10000 };
        unsigned provider = pair / STREET_KINDS, gateway = pair % STREET_KINDS, router = pair - STREET_KINDS * STREET_KINDS;

        if (provider < STREET_KINDS) {
                scene->street = street_new(scene->seed, &link, provider, gateway);
                snprintf(scene->name, sizeof(scene->name), "%s, %s", street_names[provider], street_names[gateway]);
        } else {
                scene->street = street_new_router(scene->seed, &link, router);
                snprintf(scene->name, sizeof(scene->name), "%s", street_router_names[router]);
        }
}

void faults_story(uint64_t seed)
{
        for (unsigned pair = 0; pair < PAIRS; pair++) {
                struct scene scene = {
                        .seed = seed * PAIRS + pair,
                        .loss = (unsigned)(seed % LOSSES),
                        .start = (enum street_start)(seed / LOSSES % STREET_STARTS),
                };

                set_scene(&scene, pair);
                check_scene(&scene);
        }
        must(!failures);
}

/* One is nothing to judge by. */
static bool is_most(uint64_t some, uint64_t all)
{
        return all - some <= MAX(all * PERCENT_MISSED_MAX / 100, (uint64_t)1);
}

static void tell_sums(const uint64_t *sums, const usec_t *limits_us, size_t limits)
{
        for (size_t i = 0; i < limits; i++)
                printf(" %.1f s: %" PRIu64 "%s", (double)limits_us[i] / 1e6, sums[i], i + 1 < limits ? "," : "");
}

bool faults_sum_up(const uint64_t sums[FAULTS_SUMS_MAX])
{
        bool good = true;

        for (unsigned loss = 0; loss < LOSSES; loss++)
                for (unsigned chance = 0; chance < 2; chance++) {
                        const uint64_t *sum = &sums[sum_of(loss, chance, 0)];
                        uint64_t met = sum[SUM_SOON + ARRAY_LEN(soon_us) - 1], known = sum[SUM_KNOWN + ARRAY_LEN(known_us) - 1];

                        printf("# %u %% loss, %s: %" PRIu64 " can meet; met within", loss_percents[loss], chance ? "chance" : "consistent",
                               sum[SUM_POSSIBLE]);
                        tell_sums(&sum[SUM_SOON], soon_us, ARRAY_LEN(soon_us));
                        printf(", not: %" PRIu64 "; %" PRIu64 " can't; know it within", sum[SUM_POSSIBLE] - met, sum[SUM_IMPOSSIBLE]);
                        tell_sums(&sum[SUM_KNOWN], known_us, ARRAY_LEN(known_us));
                        printf(", not: %" PRIu64 "\n", sum[SUM_IMPOSSIBLE] - known);
                        good = good && is_most(met, sum[SUM_POSSIBLE]) && is_most(known, sum[SUM_IMPOSSIBLE]);
                }
        return good;
}
