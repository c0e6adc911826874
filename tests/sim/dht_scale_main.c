/* SPDX-License-Identifier: BSD-3-Clause */
/* dht-scale [-s SEED] [-m MINUTES] NODES…: a row of figures for each size of the network. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dht_scale.h"

static void usage(void)
{
        fputs("usage: dht-scale [-s SEED] [-m MINUTES] NODES...\n", stderr);
        exit(2);
}

static double per(uint64_t sum, uint64_t count)
{
        return count ? (double)sum / (double)count : 0;
}

static void print(const struct dht_scale_spec *spec, const struct dht_scale_figures *f)
{
        printf("%6u | %u of %u | %.1f | %.2f, %u | %.0f, %.0f | ", spec->nodes, f->found, f->lookups,
               per(f->asked + f->replies, f->lookups), per(f->hops, f->lookups), f->hops_most, per(f->took_us, f->lookups) / 1000,
               (double)f->took_most_us / 1000);
        printf("%.1f %% | %.0f %% | %u of %u | %.0f | %.0f | %016" PRIx64 "\n", 100 * per(f->live_entries, f->entries),
               100 * per(f->live_entries, f->ideal_entries), f->blind, f->tables,
               per(f->sent, spec->nodes) * 60 / ((double)f->churned_us / 1e6), per(f->bytes_per_node, 1024), f->hash);
}

int main(int argc, char **argv)
{
        struct dht_scale_spec spec = { .seed = 1, .records = 100, .join_us = SECONDS(60), .churn_us = MINUTES(5), .replaced_percent = 10,
                                       .pause_us = MSEC(100), .bytes_of = 100 };
        bool good = true;
        int option;

        while ((option = getopt(argc, argv, "s:m:")) != -1) {
                if (option == 's')
                        spec.seed = strtoull(optarg, NULL, 10);
                else if (option == 'm')
                        spec.churn_us = MINUTES(1) * strtoull(optarg, NULL, 10);
                else
                        usage();
        }
        if (optind == argc)
                usage();
        setvbuf(stdout, NULL, _IOLBF, 0);
        puts(" nodes | found | messages a lookup | hops, most | ms a lookup, most | live entries | full | blind | datagrams a node and minute | "
             "KiB a node | hash");
        for (; optind < argc; optind++) {
                struct dht_scale_figures figures;

                spec.nodes = (unsigned)strtoul(argv[optind], NULL, 10);
                if (spec.nodes < 10)
                        usage();
                figures = dht_scale_run(&spec);
                print(&spec, &figures);
                good = good && figures.found == figures.lookups && figures.bootstrapped == figures.grown;
        }
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
