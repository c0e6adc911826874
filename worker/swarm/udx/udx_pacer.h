/* SPDX-License-Identifier: BSD-3-Clause */
/* A bucket of bytes that fills at the pacing rate: spreads a window over its round trip, in bursts worth a send call. */
#ifndef HG_UDX_PACER_H
#define HG_UDX_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usec.h"

struct udx_pacer {
        int64_t level;          /* bytes times 1e6; below 0: the last packet was taken on credit */
        usec_t filled_us;
};

/* Full for a first burst. */
void udx_pacer_init(struct udx_pacer *pacer);

/* Fills up to @now_us at @rate bytes per second. @idle: nothing is in flight, so no acknowledgement paces what comes. @due_us: when it
 * was to be filled, if somebody waited for it: a timer that fires late costs no rate, up to ten milliseconds of it and a share of @cwnd
 * (bytes), or what a socket surely holds if that is more. USEC_NEVER: nobody did. */
void udx_pacer_fill(struct udx_pacer *pacer, uint64_t rate, size_t cwnd, bool idle, usec_t due_us, usec_t now_us);

/* Something may be sent; how much of it is the caller's to end when this turns false. */
static inline bool udx_pacer_allows(const struct udx_pacer *pacer)
{
        return pacer->level > 0;
}

static inline void udx_pacer_spend(struct udx_pacer *pacer, size_t bytes)
{
        pacer->level -= (int64_t)bytes * 1000000;
}

/* When a millisecond's worth, at least a packet, at most a full run, will be there. */
usec_t udx_pacer_ready_at(const struct udx_pacer *pacer, uint64_t rate);

#endif
