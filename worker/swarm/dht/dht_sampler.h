/* SPDX-License-Identifier: BSD-3-Clause */
/* What others say our address is, and whether they agree: the last 16 answers vote (npm nat-sampler 1.0.1). */
#ifndef HG_DHT_SAMPLER_H
#define HG_DHT_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

enum {
        DHT_SAMPLES = 16,
        DHT_SAMPLER_SLOTS = 2 * DHT_SAMPLES,            /* each sample counts for its address, and for its host alone */
        DHT_SAMPLER_COUNTERS = DHT_SAMPLER_SLOTS + 4,   /* two may win without a slot, two are new */
};

/* Zeroed: it knows nothing. */
struct dht_sampler {
        struct {
                struct addr addr;       /* port 0: the host alone */
                unsigned hits;          /* slots that hold it */
        } counters[DHT_SAMPLER_COUNTERS];
        uint8_t slots[DHT_SAMPLER_SLOTS];
        unsigned len, top, samples;
        int best_addr, best_host;       /* counters, from 1; 0: none yet */
        bool known;
        struct addr result;
};

/* Somebody sees us as @seen. True: that changed the result. */
bool dht_sampler_add(struct dht_sampler *sampler, const struct addr *seen);

/* Our address; port 0: the host is agreed on, the port is not. False: not even that. */
bool dht_sampler_result(const struct dht_sampler *sampler, struct addr *out);

#endif
