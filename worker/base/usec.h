/* SPDX-License-Identifier: BSD-3-Clause */
/* Time as a value. Whoever is below a process gets it as an argument and never asks for it. */
#ifndef HG_USEC_H
#define HG_USEC_H

#include <stdint.h>

typedef uint64_t usec_t;

#define USEC_NEVER UINT64_MAX
#define MSEC(n) ((usec_t)(n) * 1000)
#define SECONDS(n) ((usec_t)(n) * 1000000)
#define MINUTES(n) SECONDS((usec_t)(n) * 60)

/* One reading of the three clocks, taken once for everything a turn does. */
struct now {
        usec_t mono_us; /* CLOCK_MONOTONIC: every timer */
        usec_t boot_us; /* CLOCK_BOOTTIME: counts sleep, to notice it */
        usec_t wall_us; /* CLOCK_REALTIME since the epoch, for what peers compare */
};

static inline usec_t usec_min(usec_t a, usec_t b)
{
        return a < b ? a : b;
}

static inline usec_t usec_max(usec_t a, usec_t b)
{
        return a > b ? a : b;
}

/* Deadline @after_us from @now_us; USEC_NEVER stays never. */
static inline usec_t usec_add(usec_t now_us, usec_t after_us)
{
        return after_us >= USEC_NEVER - now_us ? USEC_NEVER : now_us + after_us;
}

#endif
