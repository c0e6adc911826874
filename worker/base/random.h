/* SPDX-License-Identifier: BSD-3-Clause */
/* Randomness as an argument: the kernel's in a process, a seeded generator in the simulator and in tests. */
#ifndef HG_RANDOM_H
#define HG_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
        void (*fill)(void *context, void *out, size_t len);
        void *context;
};

static inline void random_fill(const struct random *random, void *out, size_t len)
{
        random->fill(random->context, out, len);
}

static inline uint32_t random_u32(const struct random *random)
{
        uint32_t value;

        random_fill(random, &value, sizeof(value));
        return value;
}

/* Uniform in [0, bound); 0 when @bound is 0. Rejection keeps it free of modulo bias. */
static inline uint32_t random_below(const struct random *random, uint32_t bound)
{
        uint32_t value, floor = bound ? (uint32_t)(-bound) % bound : 0;

        if (bound < 2)
                return 0;
        do
                value = random_u32(random);
        while (value < floor);
        return value % bound;
}

#endif
