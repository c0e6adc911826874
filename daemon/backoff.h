/* SPDX-License-Identifier: BSD-3-Clause */
/* When to try again: at once or soon, then twice as late each time. */
#ifndef HG_BACKOFF_H
#define HG_BACKOFF_H

#include "usec.h"

/* After @failures in a row (from 1): @first_us, doubled for each further one, at most @max_us. */
static inline usec_t backoff_us(unsigned failures, usec_t first_us, usec_t max_us)
{
        usec_t wait_us = first_us;

        while (failures-- > 1 && wait_us < max_us)
                wait_us *= 2;
        return usec_min(wait_us, max_us);
}

#endif
