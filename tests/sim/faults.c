/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

#include <inttypes.h>
#include <stdio.h>

static bool one_in(const struct random *random, uint32_t count)
{
        return random_below(random, count) == 0;
}

static void draw_link(struct net_link *link, const struct random *random)
{
        link->delay_us = 100 + random_below(random, 40000);
        link->jitter_us = one_in(random, 3) ? 0 : random_below(random, 30000);
        link->reorder = !one_in(random, 3);
        link->loss_ppm = one_in(random, 3) ? 0 : random_below(random, 300000);
        link->duplicate_ppm = one_in(random, 2) ? 0 : random_below(random, 100000);
        if (one_in(random, 4)) {
                link->bits_per_s = 500000 + random_below(random, 20000000);
                link->queue_bytes = 10000 + random_below(random, 100000);
        }
}

void faults_draw(struct faults *faults, const struct random *random, usec_t within_us)
{
        *faults = (struct faults){ .corrupt = one_in(random, 4), .mortal = one_in(random, 6) };
        for (unsigned i = 0; i < FAULTS_SIDES; i++) {
                draw_link(&faults->link[i], random);
                if (faults->corrupt)
                        faults->link[i].corrupt_ppm = random_below(random, 20000);
                if (faults->link[i].loss_ppm / 10000 > faults->loss_percent)
                        faults->loss_percent = faults->link[i].loss_ppm / 10000;
        }
        if (!one_in(random, 2))
                faults->outage_count = random_below(random, FAULTS_OUTAGES_MAX + 1);
        for (size_t i = 0; i < faults->outage_count; i++)
                faults->outages[i] = (struct faults_outage){
                        .at_us = random_below(random, (uint32_t)within_us),
                        .for_us = random_below(random, (uint32_t)SECONDS(4)),
                        .side = random_below(random, FAULTS_SIDES),
                };
        faults->death_us = random_below(random, (uint32_t)within_us);
}

bool faults_mild(const struct faults *faults)
{
        return !faults->corrupt && !faults->mortal && faults->loss_percent <= 10 && faults->outage_count <= 1;
}

bool faults_sum_up(const uint64_t sums[FAULTS_SUMS_MAX])
{
        printf("# %" PRIu64 " mild, %" PRIu64 " arrived whole, %" PRIu64 " did not, %" PRIu64 " datagrams\n", sums[FAULTS_MILD],
               sums[FAULTS_DELIVERED], sums[FAULTS_GAVE_UP], sums[FAULTS_DATAGRAMS]);
        return true;
}
