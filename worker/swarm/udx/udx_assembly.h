/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stream has received: bytes in order, contiguous, waiting for the reader; packets ahead of a gap, each on its own;
 * and which those are, as ranges, for SACK. What is held here is never let go before it was read: a peer forgets what was SACKed. */
#ifndef HG_UDX_ASSEMBLY_H
#define HG_UDX_ASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udx_packet.h"
#include "udx_pool.h"

#define UDX_REORDER_MAX 65536           /* packets ahead of the first missing one that are looked at */

struct udx_held;

struct udx_assembly {
        struct udx_pool *pool;
        uint8_t *bytes;                 /* [@start, @end) of @capacity is readable */
        size_t capacity, start, end;
        size_t limit_bytes;
        size_t squeezed_bytes;          /* in its place, if less: there was no memory for more */
        uint32_t next;                  /* packet expected */
        uint32_t slot_count;            /* ring of held packets, by seq; a power of two or 0 */
        struct udx_held **slots;
        struct udx_sack *ranges;        /* ascending, disjoint, not touching, all above @next */
        uint32_t range_count, range_capacity;
        size_t held_bytes, held_memory; /* payload, and what it costs to hold it */
};

enum udx_taken {
        UDX_TAKEN,              /* in order; maybe more with it */
        UDX_TAKEN_AHEAD,        /* held behind a gap */
        UDX_TAKEN_BEFORE,       /* a duplicate */
        UDX_TOO_FAR,            /* beyond UDX_REORDER_MAX */
        UDX_TOO_MUCH,           /* no space or no memory */
};

void udx_assembly_init(struct udx_assembly *assembly, struct udx_pool *pool, size_t limit_bytes);
void udx_assembly_fini(struct udx_assembly *assembly);

/* Takes packet @seq with its payload (none for a lone END), copied. */
enum udx_taken udx_assembly_take(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len);

/* Forgets what is held ahead: nothing can follow an END. */
void udx_assembly_drop_ahead(struct udx_assembly *assembly);

static inline size_t udx_assembly_readable(const struct udx_assembly *assembly)
{
        return assembly->end - assembly->start;
}

static inline size_t udx_assembly_window(const struct udx_assembly *assembly)
{
        size_t readable = udx_assembly_readable(assembly);
        size_t limit = assembly->squeezed_bytes < assembly->limit_bytes ? assembly->squeezed_bytes : assembly->limit_bytes;

        return readable < limit ? limit - readable : 0;
}

/* The first @len readable bytes were read. */
void udx_assembly_consume(struct udx_assembly *assembly, size_t len);

#endif
