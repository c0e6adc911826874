/* SPDX-License-Identifier: BSD-3-Clause */
/* So many a second and no more, on average; after a pause as many at once as in RATE_BURST_S. By the generic cell rate algorithm (ITU-T
 * I.371, Annex A), which keeps one time and no counter. */
#ifndef HG_RATE_H
#define HG_RATE_H

#include <stdbool.h>

#include "usec.h"

enum {
        RATE_BURST_S = 10,              /* a page that opens six connections at once is no flood */
        RATE_MAX = 1000000,             /* a second: time has no smaller parts here */
};

/* Zeroed: nothing was taken yet. */
struct rate {
        usec_t even_us;                 /* when all that was taken would have been, at an even pace */
};

/* Whether another one may be taken. @per_s: at most RATE_MAX; 0: no limit. */
static inline bool rate_allows(const struct rate *rate, uint32_t per_s, usec_t now_us)
{
        return !per_s || rate->even_us <= usec_add(now_us, SECONDS(RATE_BURST_S) - SECONDS(1) / per_s);
}

static inline void rate_take(struct rate *rate, uint32_t per_s, usec_t now_us)
{
        if (per_s)
                rate->even_us = usec_max(rate->even_us, now_us) + SECONDS(1) / per_s;
}

/* A new one would say the same. */
static inline bool rate_rests(const struct rate *rate, usec_t now_us)
{
        return rate->even_us <= now_us;
}

#endif
