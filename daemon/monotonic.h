/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_MONOTONIC_H
#define HG_MONOTONIC_H

#include <time.h>

#include "usec.h"

static inline usec_t monotonic_us(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return SECONDS(time.tv_sec) + (usec_t)time.tv_nsec / 1000;
}

/* What libev counts in. */
static inline double to_seconds(usec_t us)
{
        return (double)us / 1e6;
}

#endif
