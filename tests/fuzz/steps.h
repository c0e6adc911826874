/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the steps of an input begin. A target whose input is a play of many steps tells it while it runs; steps_mutate.c changes whole
 * steps, so that what comes after a change still means what it meant. */
#ifndef HG_FUZZ_STEPS_H
#define HG_FUZZ_STEPS_H

#include "bytes.h"

enum { STEPS_KNOWN_MAX = 512 };

/* Of the input that ran last: step i is the bytes from at[i] to at[i + 1]. What is behind the last one was not read. */
struct steps {
        const uint8_t *start;
        uint64_t hash;                  /* of its bytes */
        size_t count, at[STEPS_KNOWN_MAX + 1];
};

extern struct steps steps;

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/. */
static inline uint64_t steps_hash(const uint8_t *data, size_t len)
{
        uint64_t hash = UINT64_C(14695981039346656037);

        for (size_t i = 0; i < len; i++)
                hash = (hash ^ data[i]) * UINT64_C(1099511628211);
        return hash;
}

/* A new input begins. */
static inline struct reader steps_begin(const uint8_t *data, size_t len)
{
        steps.start = data;
        steps.hash = steps_hash(data, len);
        steps.count = 0;
        return reader_over(data, len);
}

/* Whether there is another step; it begins here. */
static inline bool steps_next(const struct reader *r)
{
        if (reader_left(r) == 0 || r->failed)
                return false;
        if (steps.count == STEPS_KNOWN_MAX)
                return true;
        steps.at[steps.count++] = (size_t)(r->at - steps.start);
        steps.at[steps.count] = (size_t)(r->end - steps.start);
        return true;
}

#endif
