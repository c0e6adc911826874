/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stream has received: bytes in order, the first of them contiguous for the reader and the others in a queue of packets; packets
 * ahead of a gap; and which those are, as ranges, for SACK. What is held here is never let go before it was read: a peer forgets what
 * was SACKed. When a gap is filled megabytes are in order at once, whose copy would keep sockets waiting: the reader has them copied, as
 * it reads. */
#ifndef HG_UDX_ASSEMBLY_H
#define HG_UDX_ASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udx_packet.h"
#include "udx_pool.h"

#define UDX_REORDER_MAX 65536           /* packets that may be held, with the gaps between them */

struct udx_held;

struct udx_ahead {
        struct udx_sack packets;
        uint32_t bytes;                 /* of payload */
};

struct udx_assembly {
        struct udx_pool *pool;
        uint8_t *bytes;                 /* [@start, @end) of @capacity is readable */
        size_t capacity, start, end;
        size_t limit_bytes;
        size_t squeezed_bytes;          /* in its place, if less: there was no memory for more */
        size_t gather_bytes;            /* so many the reader wants contiguous */
        uint32_t next;                  /* packet expected */
        uint32_t queue_len;             /* packets before @next that are held, their payload follows @bytes */
        size_t queue_bytes;
        uint32_t slot_count;            /* ring of held packets, by seq; a power of two or 0 */
        struct udx_held **slots;
        struct udx_ahead *ranges;       /* ascending, disjoint, not touching, all above @next */
        uint32_t range_count, range_capacity;
        size_t held_bytes, held_memory; /* payload, queued and ahead, and what it costs to hold it */
};

enum udx_taken {
        UDX_TAKEN,              /* in order; maybe more with it */
        UDX_TAKEN_AHEAD,        /* held behind a gap */
        UDX_TAKEN_BEFORE,       /* a duplicate */
        UDX_TOO_FAR,            /* UDX_REORDER_MAX or more beyond the first packet that is held */
        UDX_TOO_MUCH,           /* no space or no memory */
};

void udx_assembly_init(struct udx_assembly *assembly, struct udx_pool *pool, size_t limit_bytes);
void udx_assembly_fini(struct udx_assembly *assembly);

/* Takes packet @seq with its payload (none for a lone END), copied. */
enum udx_taken udx_assembly_take(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len);

/* Forgets what is held ahead: nothing can follow an END. */
void udx_assembly_drop_ahead(struct udx_assembly *assembly);

/* Contiguous. While any are in order there are some, if there is memory. */
static inline size_t udx_assembly_readable(const struct udx_assembly *assembly)
{
        return assembly->end - assembly->start;
}

/* In order, contiguous or not. */
static inline size_t udx_assembly_unread(const struct udx_assembly *assembly)
{
        return udx_assembly_readable(assembly) + assembly->queue_bytes;
}

static inline size_t udx_assembly_window(const struct udx_assembly *assembly)
{
        size_t unread = udx_assembly_unread(assembly);
        size_t limit = assembly->squeezed_bytes < assembly->limit_bytes ? assembly->squeezed_bytes : assembly->limit_bytes;

        return unread < limit ? limit - unread : 0;
}

/* Until the next such call the reader wants the first @len bytes contiguous, as soon as they are here and there is memory. */
void udx_assembly_gather(struct udx_assembly *assembly, size_t len);

/* The first @len readable bytes were read. */
void udx_assembly_consume(struct udx_assembly *assembly, size_t len);

#endif
