/* SPDX-License-Identifier: BSD-3-Clause */
/* A large DHT of which a part is replaced all the time: nodes join, some clients announce, nodes of the network look up, and what
 * that costs is counted. */
#ifndef HG_DHT_SCALE_H
#define HG_DHT_SCALE_H

#include <stdint.h>

#include "usec.h"

struct dht_scale_spec {
        uint64_t seed;
        unsigned nodes;                 /* of the network, of which the first three stay */
        unsigned records;               /* each of a client and a topic of its own */
        usec_t join_us;                 /* all have come after so long */
        usec_t churn_us;                /* and then are replaced for so long, while lookups run */
        unsigned replaced_percent;      /* of them, a minute */
        usec_t pause_us;                /* between two lookups */
        unsigned bytes_of;              /* nodes whose memory is counted in the end; 0 where malloc can't tell */
};

struct dht_scale_figures {
        uint64_t hash;                  /* of all that happened */
        unsigned bootstrapped;          /* of the nodes of the network that live at the end and are older than ten seconds: */
        unsigned grown;                 /* so many */
        unsigned accepted_least;        /* nodes that took a record: the fewest */
        unsigned replaced;
        unsigned lookups, found;
        uint64_t asked, replies, hops, took_us;         /* sums over the lookups */
        unsigned hops_most, listed_least;
        usec_t took_most_us;
        uint64_t sent;                  /* datagrams of all, while nodes were replaced */
        usec_t churned_us;              /* so long */
        uint64_t entries, live_entries, ideal_entries;  /* of the tables; those of nodes that live; what full tables would have */
        unsigned tables, blind;         /* looked into; those that know nobody of a part of the network where there are many */
        uint64_t bytes_per_node;
};

struct dht_scale_figures dht_scale_run(const struct dht_scale_spec *spec);

#endif
