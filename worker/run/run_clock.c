/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "run.h"

static usec_t clock_us(clockid_t clock)
{
        struct timespec time;

        clock_gettime(clock, &time);
        return SECONDS(time.tv_sec) + (usec_t)time.tv_nsec / 1000;
}

void worker_now(struct now *now)
{
        *now = (struct now){ .mono_us = clock_us(CLOCK_MONOTONIC), .boot_us = clock_us(CLOCK_BOOTTIME),
                             .wall_us = clock_us(CLOCK_REALTIME) };
}
