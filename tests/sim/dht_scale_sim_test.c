/* SPDX-License-Identifier: BSD-3-Clause */
/* A thousand nodes of which a tenth is replaced every minute. Ten thousand: dht-scale, see tests/README.md. */
#include "dht_scale.h"

#include "test.h"

static struct dht_scale_spec thousand(uint64_t seed)
{
        return (struct dht_scale_spec){
                .seed = seed, .nodes = 1000, .records = 50, .join_us = SECONDS(60), .churn_us = MINUTES(3), .replaced_percent = 10,
                .pause_us = MSEC(100),
        };
}

TEST(dht_a_thousand_nodes_find_every_record_while_others_come_and_go_and_the_same_seed_gives_the_same_run)
{
        struct dht_scale_spec spec = thousand(1);
        struct dht_scale_figures f = dht_scale_run(&spec);

        check(f.grown >= 950 && f.bootstrapped == f.grown);
        check(f.accepted_least >= 18);
        check(f.replaced >= 290);
        check(f.lookups >= 100);
        check_equal(f.found, f.lookups);
        check(f.listed_least >= 5);                                     /* of 20 nodes that took it three minutes ago */
        check(f.hops <= 3 * f.lookups && f.hops_most <= 5);             /* log2(1000) / log2(20) is 2.3 */
        check(f.asked <= 50 * f.lookups);
        check(f.took_most_us <= SECONDS(3));
        check(100 * f.live_entries >= 85 * f.entries);
        check(3 * f.live_entries >= f.ideal_entries);                   /* a young node knows those near it */
        check(f.blind <= 2);                                            /* was 12, see dht_hollow.c */
        check(f.sent <= 120 * spec.nodes * f.churned_us / MINUTES(1));   /* datagrams a node and minute, idle but for its upkeep */
        check(dht_scale_run(&spec).hash == f.hash);
}
