/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_memory.h"

#include <ev.h>
#include <stdlib.h>

enum {
        RESERVE_BYTES = 64 * 1024,      /* libev's tables of some thousand descriptors */
        SPARE_PARTS = 16,               /* for the buffers of those that run; in parts, for the heap has holes */
        SPARE_PART_BYTES = 16 * 1024,
        ASKED_EVERY = 16,               /* times, while there is enough: so many connections take far less than the spare */
};

static void *reserve;                   /* NULL: in use */
static unsigned unasked;                /* so many may still come unasked */

static void *allocate(void *old, long size)
{
        void *new;

        if (size == 0) {
                free(old);
                return NULL;
        }
        new = realloc(old, (size_t)size);
        if (!new && reserve) {
                free(reserve);
                reserve = NULL;
                new = realloc(old, (size_t)size);
        }
        return new;
}

bool run_memory_begin(void)
{
        if (!reserve)
                reserve = malloc(RESERVE_BYTES);
        ev_set_allocator(allocate);
        return reserve;
}

bool run_memory_short(void)
{
        void *volatile part[SPARE_PARTS];       /* or the compiler sees that nobody uses it */
        bool is_short = false;

        if (unasked > 0 && reserve) {
                unasked--;
                return false;
        }
        if (!reserve)
                reserve = malloc(RESERVE_BYTES);
        for (unsigned i = 0; i < SPARE_PARTS; i++) {
                part[i] = malloc(SPARE_PART_BYTES);
                is_short = is_short || !part[i];
        }
        for (unsigned i = 0; i < SPARE_PARTS; i++)
                free(part[i]);
        is_short = is_short || !reserve;
        unasked = is_short ? 0 : ASKED_EVERY - 1;
        return is_short;
}
