/* SPDX-License-Identifier: BSD-3-Clause */
/* udx-bulk [-s SEED] [WORD…]: a row of figures for each path whose name has one of the words in it; all without. Those of answers
 * are of many short transfers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "udx_bulk.h"

struct path {
        const char *name;
        double mbit, delay_ms, queue_ms, loss_percent;
        struct udx_bulk_spec spec;
        unsigned warm_s, run_s;         /* started so long before it is measured, and measured so long */
};

static const struct path paths[] = {
        { "wan-100", 100, 20, 40, 0, { .flows = 1 }, 2, 10 },
        { "wan-1000", 1000, 20, 40, 0, { .batch_us = 50 }, 2, 3 },
        { "wan-1000-loss-0.1", 1000, 20, 40, 0.1, { .batch_us = 50 }, 2, 3 },
        { "wan-1000-loss-1", 1000, 20, 40, 1, { .batch_us = 50 }, 2, 3 },
        { "wan-1000-loss-3", 1000, 20, 40, 3, { .batch_us = 50 }, 2, 3 },
        { "wan-100-loss-1", 100, 20, 40, 1, { .flows = 1 }, 2, 10 },
        { "wan-100-loss-5", 100, 20, 40, 5, { .flows = 1 }, 2, 10 },
        { "wan-10-loss-5", 10, 20, 40, 5, { .flows = 1 }, 5, 20 },
        { "long-1000-loss-0.1", 1000, 100, 100, 0.1, { .batch_us = 100 }, 5, 5 },
        { "start-1000", 1000, 100, 88, 0.1, { .batch_us = 1000 }, 0, 20 },
        { "start-1000-late", 1000, 100, 88, 0.1, { .batch_us = 5000 }, 0, 20 },
        { "deep-20", 20, 20, 2000, 0, { .flows = 1 }, 5, 20 },
        { "deep-100", 100, 20, 1000, 0, { .flows = 1 }, 5, 10 },
        { "shallow-100", 100, 20, 4, 0, { .flows = 1 }, 5, 10 },
        { "shallow-1000", 1000, 20, 4, 0, { .batch_us = 50 }, 2, 3 },
        { "slow-1", 1, 50, 300, 0, { .flows = 1 }, 10, 30 },
        { "slow-1-loss-1", 1, 50, 300, 1, { .flows = 1 }, 10, 30 },
        { "two-50", 50, 20, 40, 0, { .flows = 2, .stagger_us = SECONDS(3) }, 15, 30 },
        { "two-50-deep", 50, 20, 400, 0, { .flows = 2, .stagger_us = SECONDS(3) }, 15, 30 },
        { "two-50-shallow", 50, 20, 4, 0, { .flows = 2, .stagger_us = SECONDS(3) }, 15, 30 },
        { "two-50-loss-1", 50, 20, 40, 1, { .flows = 2, .stagger_us = SECONDS(3) }, 15, 30 },
        { "four-50", 50, 20, 40, 0, { .flows = 4, .stagger_us = SECONDS(3) }, 25, 30 },
        { "burst-1000", 1000, 10, 8.4, 0, { .batch_us = 0 }, 0, 2 },
        { "sixteen-100", 100, 10, 20, 0, { .flows = 16 }, 5, 20 },
        { "sixty-100", 100, 10, 20, 0, { .flows = 60 }, 5, 20 },
        { "reorder-100", 100, 20, 40, 0, { .there = { .jitter_us = 5000, .reorder = true } }, 2, 10 },
        { "reorder-100-loss-1", 100, 20, 40, 1, { .there = { .jitter_us = 5000, .reorder = true } }, 2, 10 },
        { "reorder-100-far", 100, 20, 40, 0, { .there = { .jitter_us = 30000, .reorder = true } }, 2, 10 },
        { "reorder-100-far-loss-1", 100, 20, 40, 1, { .there = { .jitter_us = 30000, .reorder = true } }, 2, 10 },
        { "jitter-100", 100, 20, 40, 0, { .there = { .jitter_us = 10000 }, .back = { .jitter_us = 10000 } }, 2, 10 },
        { "aggregate-100", 100, 5, 20, 0, { .batch_us = 8000 }, 2, 10 },
        { "lan-1000", 1000, 0.1, 2, 0, { .batch_us = 20 }, 1, 2 },
        { "lan-1000-loss-0.1", 1000, 0.1, 2, 0.1, { .batch_us = 20 }, 1, 2 },
        { "old-50-shallow-0", 50, 20, 4, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 30, 5 },
        { "old-50-shallow-5", 50, 20, 4, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 35, 5 },
        { "old-50-shallow-10", 50, 20, 4, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 40, 10 },
        { "old-50-shallow-20", 50, 20, 4, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 50, 20 },
        { "old-50-0", 50, 20, 40, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 30, 5 },
        { "old-50-5", 50, 20, 40, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 35, 5 },
        { "old-50-10", 50, 20, 40, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 40, 10 },
        { "old-50-20", 50, 20, 40, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 50, 20 },
        { "old-50-deep-0", 50, 20, 400, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 30, 5 },
        { "old-50-deep-5", 50, 20, 400, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 35, 5 },
        { "old-50-deep-10", 50, 20, 400, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 40, 10 },
        { "old-50-deep-20", 50, 20, 400, 0, { .flows = 2, .stagger_us = SECONDS(30) }, 50, 20 },
        { "old-100-far-0", 100, 50, 100, 0, { .flows = 2, .stagger_us = SECONDS(30), .datagrams_grow = true }, 30, 5 },
        { "old-100-far-5", 100, 50, 100, 0, { .flows = 2, .stagger_us = SECONDS(30), .datagrams_grow = true }, 35, 5 },
        { "old-100-far-10", 100, 50, 100, 0, { .flows = 2, .stagger_us = SECONDS(30), .datagrams_grow = true }, 40, 10 },
        { "old-100-far-20", 100, 50, 100, 0, { .flows = 2, .stagger_us = SECONDS(30), .datagrams_grow = true }, 50, 20 },
        { "answers-100-loss-1", 100, 20, 40, 1, { .flows = 16, .answer_bytes = 30000 }, 2, 100 },
        { "answers-100-loss-5", 100, 20, 40, 5, { .flows = 16, .answer_bytes = 30000 }, 2, 100 },
        { "loopback-8000", 8000, 0.025, 0.213, 0, { .batch_us = 20 }, 1, 1 },
};

/* Many short transfers, each with nothing behind it. */
static void run_answers(const struct path *path, const struct udx_bulk_figures *figures)
{
        printf("%-20s | %u answers of %.0f kB: %.1f ms on average, 99 of 100 %.1f ms, most %.1f ms; %llu timeouts\n", path->name,
               figures->answers, (double)path->spec.answer_bytes / 1000, (double)figures->answer_mean_us / 1000,
               (double)figures->answer_p99_us / 1000, (double)figures->answer_max_us / 1000, (unsigned long long)figures->timeouts);
}

static void run(const struct path *path, uint64_t seed)
{
        struct udx_bulk_spec spec = path->spec;
        struct udx_bulk_figures figures;
        cleanup_with(udx_bulk_freep) struct udx_bulk *bulk = NULL;

        spec.seed = seed;
        spec.there.delay_us = spec.back.delay_us = (usec_t)(path->delay_ms * 1000);
        spec.there.bits_per_s = (uint64_t)(path->mbit * 1e6);
        spec.there.queue_bytes = (size_t)(path->mbit * 125 * path->queue_ms);
        spec.there.loss_ppm = spec.back.loss_ppm = (uint32_t)(path->loss_percent * 10000);
        bulk = udx_bulk_new(&spec);
        udx_bulk_run(bulk, SECONDS(path->warm_s));
        figures = udx_bulk_run(bulk, SECONDS(path->run_s));
        if (spec.answer_bytes) {
                run_answers(path, &figures);
                return;
        }
        printf("%-20s | %8.2f | %5.1f | %7.1f | %7.1f | %5.3f | %5.2f | %5.2f | %3llu\n", path->name, figures.bits_per_s / 1e6,
               figures.bits_per_s / path->mbit / 1e4, (double)figures.queue_mean_us / 1000, (double)figures.queue_p95_us / 1000,
               figures.jain, 100.0 * (double)figures.resent / (double)figures.packets,
               100.0 * (double)figures.duplicates / (double)figures.packets, (unsigned long long)figures.timeouts);
}

static bool named(const struct path *path, char **words, int count)
{
        for (int i = 0; i < count; i++)
                if (strstr(path->name, words[i]))
                        return true;
        return count == 0;
}

int main(int argc, char **argv)
{
        uint64_t seed = 1;
        int option;

        while ((option = getopt(argc, argv, "s:")) != -1) {
                if (option != 's') {
                        fputs("usage: udx-bulk [-s SEED] [WORD...]\n", stderr);
                        return 2;
                }
                seed = strtoull(optarg, NULL, 10);
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        puts("path                 |   Mbit/s | of it | queue ms | p95 ms | Jain  | resent % | in vain % | timeouts");
        for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
                if (named(&paths[i], argv + optind, argc - optind))
                        run(&paths[i], seed);
        return 0;
}
