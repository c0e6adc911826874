/* SPDX-License-Identifier: BSD-3-Clause */
/* Bulk transfers that share one bottleneck, in virtual time: what a path of some rate, queue, delay and loss makes of congestion
 * control and loss recovery. All flows go from A to B, each a stream of its own, and most have always more to say. */
#ifndef HG_UDX_BULK_H
#define HG_UDX_BULK_H

#include "net.h"
#include "udx.h"

enum { UDX_BULK_FLOWS = 60 };

struct udx_bulk_spec {
        uint64_t seed;
        struct net_link there, back;
        unsigned flows;                 /* 0: one */
        usec_t stagger_us;              /* each starts that long after the one before */
        usec_t batch_us;                /* what arrives waits that long for more to come along, as in a busy machine; 0: not at all */
        size_t window_bytes;            /* the receiver's, for good; 0: begins with what UDX takes at most, and may grow */
        bool datagrams_grow;            /* to what the path carries */
        uint64_t app_bytes_per_s;       /* the applications write no faster; 0: as fast as it goes. But only those of */
        unsigned app_flows;             /* so many flows, the first ones; 0: of all */
        uint64_t answer_bytes;          /* they write so much, and as much again a while after it has arrived; 0: without an end */
};

/* Of one stretch of time. */
struct udx_bulk_figures {
        usec_t us;
        uint64_t read[UDX_BULK_FLOWS], read_sum;
        double bits_per_s, jain;        /* of what was read; 1: all flows alike */
        usec_t queue_mean_us, queue_p95_us;
        unsigned answers;               /* that arrived, */
        usec_t answer_mean_us, answer_p99_us, answer_max_us;  /* and what that took */
        uint64_t packets, resent, duplicates, timeouts, queue_drops;
};

struct udx_bulk;

struct udx_bulk *udx_bulk_new(const struct udx_bulk_spec *spec);
void udx_bulk_freep(struct udx_bulk **bulk);

/* Lets @us pass and tells what happened meanwhile. */
struct udx_bulk_figures udx_bulk_run(struct udx_bulk *bulk, usec_t us);

/* Another path from now on, from A to B. */
void udx_bulk_set_link(struct udx_bulk *bulk, const struct net_link *there);
void udx_bulk_set_app_rate(struct udx_bulk *bulk, uint64_t bytes_per_s);

struct udx_stats udx_bulk_stats(const struct udx_bulk *bulk, unsigned flow);
usec_t udx_bulk_now(const struct udx_bulk *bulk);

#endif
