/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_pacer.h"

#include "cleanup.h"
#include "udx_congestion.h"

#define MICRO 1000000
#define BURST_MIN ((uint64_t)16 * UDX_FULL_BYTES)
#define BURST_IDLE ((uint64_t)64 * UDX_FULL_BYTES)      /* what a peer's socket buffer of 208 KiB surely holds */
#define LATE_US MSEC(10)
#define LATE_SHARE 32                   /* of cwnd: a sixteenth of what the path holds */
#define RATE_MAX ((uint64_t)1 << 40)           /* beyond it sums don't fit */
#define EARNED_MAX ((uint64_t)1 << 61)         /* and more than this is no use: it fills any bucket */
#define RUN_BYTES ((uint64_t)55 * UDX_FULL_BYTES)

void udx_pacer_init(struct udx_pacer *pacer)
{
        *pacer = (struct udx_pacer){ .level = (int64_t)BURST_MIN * MICRO };
}

/* All of the time counts, however slow: that is what was told by udx_pacer_ready_at(). */
static int64_t earned(uint64_t rate, usec_t elapsed_us)
{
        return (int64_t)(rate * usec_min(elapsed_us, EARNED_MAX / MAX(rate, (uint64_t)1)));
}

void udx_pacer_fill(struct udx_pacer *pacer, uint64_t rate, size_t cwnd, bool idle, usec_t due_us, usec_t now_us)
{
        uint64_t late_us = due_us < now_us ? usec_min(now_us - due_us, LATE_US) : 0;
        uint64_t burst, made_up_for = idle ? BURST_IDLE : MAX(BURST_IDLE, (uint64_t)cwnd / LATE_SHARE);
        int64_t before = idle ? 0 : pacer->level;

        rate = MIN(rate, RATE_MAX);
        burst = MAX(rate / 1000, BURST_MIN);            /* timers are good for a millisecond */
        if (idle)
                burst = MIN(burst, BURST_IDLE);
        burst = MAX(burst, MIN(rate * late_us / 1000000, made_up_for));
        pacer->level += earned(rate, now_us - pacer->filled_us);
        pacer->level = MIN(pacer->level, MAX((int64_t)(burst * MICRO), before));
        pacer->filled_us = now_us;
}

usec_t udx_pacer_ready_at(const struct udx_pacer *pacer, uint64_t rate)
{
        uint64_t quantum = MIN(MAX(rate / 1000, (uint64_t)UDX_FULL_BYTES), RUN_BYTES);
        int64_t missing = (int64_t)(quantum * MICRO) - pacer->level;

        if (missing <= 0 || !rate)
                return pacer->filled_us;
        return pacer->filled_us + (usec_t)missing / rate + 1;
}
