/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_assembly.h"

#include <assert.h>
#include <string.h>

#include "cleanup.h"

struct udx_held {
        uint16_t len;
        uint8_t payload[];
};

enum {
        BYTES_FIRST = 4096,
        SLOTS_FIRST = 64,
        RANGES_FIRST = 64,
        SQUEEZED_MIN = UDX_POOL_RESERVE / 16 * 9,
        GATHER_BYTES = 64 * 1024,       /* contiguous at least: a message of ours, */
        GATHER_AT_ONCE = 256 * 1024,    /* and copied in lumps, or what is left of the former would move for each packet */
        SLACK_BYTES = 2 * UDX_DATAGRAM_MAX,     /* a tail probe may exceed the window by one packet */
};

void udx_assembly_init(struct udx_assembly *assembly, struct udx_pool *pool, size_t limit_bytes)
{
        *assembly = (struct udx_assembly){ .pool = pool, .limit_bytes = limit_bytes, .squeezed_bytes = SIZE_MAX };
}

static void release_slots(struct udx_assembly *assembly)
{
        udx_pool_give(assembly->pool, assembly->slots, assembly->slot_count * sizeof(*assembly->slots));
        udx_pool_give(assembly->pool, assembly->ranges, assembly->range_capacity * sizeof(*assembly->ranges));
        assembly->slots = NULL;
        assembly->ranges = NULL;
        assembly->slot_count = assembly->range_count = assembly->range_capacity = 0;
}

static struct udx_held **slot_of(struct udx_assembly *assembly, uint32_t seq)
{
        return &assembly->slots[seq & (assembly->slot_count - 1)];
}

static size_t memory_of(const struct udx_held *held)
{
        return udx_pool_round(sizeof(*held) + held->len);
}

static void let_go(struct udx_assembly *assembly, uint32_t seq)
{
        struct udx_held **slot = slot_of(assembly, seq), *held = *slot;

        assembly->held_bytes -= held->len;
        assembly->held_memory -= memory_of(held);
        udx_pool_give(assembly->pool, held, sizeof(*held) + held->len);
        *slot = NULL;
}

static void release_if_empty(struct udx_assembly *assembly)
{
        if (assembly->slots && !assembly->range_count && !assembly->queue_len)
                release_slots(assembly);
}

void udx_assembly_drop_ahead(struct udx_assembly *assembly)
{
        for (uint32_t i = 0; i < assembly->range_count; i++)
                for (uint32_t seq = assembly->ranges[i].packets.start; seq != assembly->ranges[i].packets.end; seq++)
                        let_go(assembly, seq);
        assembly->range_count = 0;
        release_if_empty(assembly);
}

void udx_assembly_fini(struct udx_assembly *assembly)
{
        for (; assembly->queue_len; assembly->queue_len--)
                let_go(assembly, assembly->next - assembly->queue_len);
        udx_assembly_drop_ahead(assembly);
        udx_pool_give(assembly->pool, assembly->bytes, assembly->capacity);
        udx_assembly_init(assembly, assembly->pool, assembly->limit_bytes);
}

/* A buffer of at least *@size bytes, which it says then. */
static uint8_t *larger_buffer(struct udx_assembly *assembly, size_t *size)
{
        uint8_t *bytes;

        if (*size > UDX_POOL_RESERVE)
                return udx_pool_take_sparing(assembly->pool, *size);
        bytes = udx_pool_take(assembly->pool, *size);
        if (!bytes && assembly->capacity < UDX_POOL_RESERVE) {
                bytes = udx_pool_take_reserve(assembly->pool, UDX_POOL_TO_RECEIVE);
                *size = UDX_POOL_RESERVE;
        }
        return bytes;
}

/* Room for @len more bytes at the end. Unread bytes move to the front only when they fill at most 9/16 of the buffer, so that
 * 9 bytes move for at least 7 that arrive, however slowly the reader reads; and a window of 4 MiB needs a buffer of 8. Without memory
 * the window is what the buffer holds, and that is enough for a message of ours. */
static bool make_room(struct udx_assembly *assembly, size_t len)
{
        size_t readable = udx_assembly_readable(assembly);
        size_t size = MAX(udx_pool_round((readable + len) * 16 / 9), (size_t)BYTES_FIRST);
        uint8_t *bytes;

        if (assembly->capacity - assembly->end >= len)
                return true;
        if (readable + len <= assembly->capacity / 16 * 9) {
                memmove(assembly->bytes, assembly->bytes + assembly->start, readable);
        } else {
                bytes = larger_buffer(assembly, &size);
                if (!bytes) {
                        assembly->squeezed_bytes = MAX(assembly->capacity / 16 * 9, (size_t)SQUEEZED_MIN);
                        return false;
                }
                if (readable)
                        memcpy(bytes, assembly->bytes + assembly->start, readable);
                udx_pool_give(assembly->pool, assembly->bytes, assembly->capacity);
                assembly->bytes = bytes;
                assembly->capacity = size;
        }
        assembly->start = 0;
        assembly->end = readable;
        return true;
}

static bool append(struct udx_assembly *assembly, const uint8_t *payload, size_t len)
{
        if (!len)
                return true;
        if (!make_room(assembly, len))
                return false;
        memcpy(assembly->bytes + assembly->end, payload, len);
        assembly->end += len;
        return true;
}

/* Copies what is queued as far as the reader wants it and memory goes. */
static void gather(struct udx_assembly *assembly)
{
        size_t wanted = MAX(assembly->gather_bytes, (size_t)GATHER_BYTES);

        if (!assembly->queue_len || udx_assembly_readable(assembly) >= wanted)
                return;
        wanted = MAX(assembly->gather_bytes, (size_t)GATHER_AT_ONCE);
        (void)make_room(assembly, MIN(assembly->queue_bytes, wanted - udx_assembly_readable(assembly)));
        while (assembly->queue_len && udx_assembly_readable(assembly) < wanted) {
                uint32_t seq = assembly->next - assembly->queue_len;
                const struct udx_held *held = *slot_of(assembly, seq);

                if (!append(assembly, held->payload, held->len))
                        return;
                assembly->queue_bytes -= held->len;
                assembly->queue_len--;
                let_go(assembly, seq);
        }
        release_if_empty(assembly);
}

/* What was behind the gap that has just closed is in order, too. */
static void close_gap(struct udx_assembly *assembly)
{
        struct udx_ahead *first = assembly->ranges;

        if (!assembly->range_count || first->packets.start != assembly->next)
                return;
        assembly->queue_len += first->packets.end - first->packets.start;
        assembly->queue_bytes += first->bytes;
        assembly->next = first->packets.end;
        memmove(first, first + 1, --assembly->range_count * sizeof(*first));
}

/* Index of the first range that starts after @seq. */
static uint32_t range_after(const struct udx_assembly *assembly, uint32_t seq)
{
        uint32_t low = 0, high = assembly->range_count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (udx_seq_diff(assembly->ranges[middle].packets.start, seq) > 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static bool grow_ranges(struct udx_assembly *assembly)
{
        uint32_t capacity = MAX(2 * assembly->range_capacity, (uint32_t)RANGES_FIRST);
        struct udx_ahead *ranges;

        if (assembly->range_count < assembly->range_capacity)
                return true;
        ranges = udx_pool_take(assembly->pool, capacity * sizeof(*ranges));
        if (!ranges)
                return false;
        if (assembly->range_count)
                memcpy(ranges, assembly->ranges, assembly->range_count * sizeof(*ranges));
        udx_pool_give(assembly->pool, assembly->ranges, assembly->range_capacity * sizeof(*ranges));
        assembly->ranges = ranges;
        assembly->range_capacity = capacity;
        return true;
}

/* Adds @seq, in none yet, to the ranges around index @at (see range_after); room for one more is there. */
static void range_add(struct udx_assembly *assembly, uint32_t at, uint32_t seq, uint32_t len)
{
        struct udx_ahead *ranges = assembly->ranges;
        bool before = at > 0 && ranges[at - 1].packets.end == seq;
        bool after = at < assembly->range_count && ranges[at].packets.start == seq + 1;

        if (before && after) {
                ranges[at - 1].packets.end = ranges[at].packets.end;
                ranges[at - 1].bytes += len + ranges[at].bytes;
                memmove(&ranges[at], &ranges[at + 1], (--assembly->range_count - at) * sizeof(*ranges));
        } else if (before) {
                ranges[at - 1].packets.end++;
                ranges[at - 1].bytes += len;
        } else if (after) {
                ranges[at].packets.start--;
                ranges[at].bytes += len;
        } else {
                memmove(&ranges[at + 1], &ranges[at], (assembly->range_count++ - at) * sizeof(*ranges));
                ranges[at] = (struct udx_ahead){ .packets = { .start = seq, .end = seq + 1 }, .bytes = len };
        }
}

/* The ring spans from the first packet that is held to the last: its size follows what is allowed, never more than UDX_REORDER_MAX. */
static bool grow_slots(struct udx_assembly *assembly, uint32_t span)
{
        uint32_t count = MAX(assembly->slot_count, (uint32_t)SLOTS_FIRST), old_count = assembly->slot_count;
        uint32_t first = assembly->next - assembly->queue_len;
        struct udx_held **slots, **old = assembly->slots;

        if (span < assembly->slot_count)
                return true;
        while (count <= span)
                count *= 2;
        slots = udx_pool_take(assembly->pool, count * sizeof(*slots));
        if (!slots)
                return false;
        memset(slots, 0, count * sizeof(*slots));
        for (uint32_t seq = first; seq != first + old_count; seq++)
                slots[seq & (count - 1)] = old[seq & (old_count - 1)];
        udx_pool_give(assembly->pool, old, old_count * sizeof(*slots));
        assembly->slots = slots;
        assembly->slot_count = count;
        return true;
}

/* Bounded by the window in bytes and by twice that in memory, so that tiny packets can't cost what large ones would not. */
static bool fits_ahead(const struct udx_assembly *assembly, size_t len)
{
        size_t window = udx_assembly_window(assembly);
        size_t memory = udx_pool_round(sizeof(struct udx_held) + len);

        return assembly->held_bytes - assembly->queue_bytes + len <= window &&
               assembly->held_memory + memory <= 2 * (window + assembly->queue_bytes);
}

/* The same for what is in order. It may be refused: once the reader has read what is queued it needs no slot. */
static bool fits_queue(const struct udx_assembly *assembly, size_t len)
{
        return assembly->held_memory + udx_pool_round(sizeof(struct udx_held) + len) <= 2 * assembly->limit_bytes;
}

/* A copy of the payload in its slot. */
static bool hold(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len)
{
        struct udx_held *held;

        if (!grow_slots(assembly, seq - (assembly->next - assembly->queue_len)))
                return false;
        held = udx_pool_take(assembly->pool, sizeof(*held) + len);
        if (!held)
                return false;
        held->len = (uint16_t)len;
        if (len)
                memcpy(held->payload, payload, len);
        *slot_of(assembly, seq) = held;
        assembly->held_bytes += len;
        assembly->held_memory += memory_of(held);
        return true;
}

static bool append_to_queue(struct udx_assembly *assembly, const uint8_t *payload, size_t len)
{
        if (!fits_queue(assembly, len) || !hold(assembly, assembly->next, payload, len))
                return false;
        assembly->queue_len++;
        assembly->queue_bytes += len;
        return true;
}

static enum udx_taken take_in_order(struct udx_assembly *assembly, const uint8_t *payload, size_t len)
{
        if (udx_assembly_unread(assembly) + len > assembly->limit_bytes + SLACK_BYTES)
                return UDX_TOO_MUCH;
        if (!(assembly->queue_len ? append_to_queue(assembly, payload, len) : append(assembly, payload, len)))
                return UDX_TOO_MUCH;
        assembly->next++;
        close_gap(assembly);
        gather(assembly);
        return UDX_TAKEN;
}

static enum udx_taken take_ahead(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len)
{
        uint32_t at = range_after(assembly, seq);

        if (at > 0 && udx_seq_diff(assembly->ranges[at - 1].packets.end, seq) > 0)
                return UDX_TAKEN_BEFORE;
        if (!fits_ahead(assembly, len) || !grow_ranges(assembly) || !hold(assembly, seq, payload, len))
                return UDX_TOO_MUCH;
        range_add(assembly, at, seq, (uint32_t)len);
        return UDX_TAKEN_AHEAD;
}

enum udx_taken udx_assembly_take(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len)
{
        int32_t distance;

        assert(len <= UINT16_MAX);
        gather(assembly);       /* memory may have been short before */
        distance = udx_seq_diff(seq, assembly->next);
        if (distance < 0)
                return UDX_TAKEN_BEFORE;
        if (distance + (int64_t)assembly->queue_len >= UDX_REORDER_MAX)
                return UDX_TOO_FAR;
        return distance ? take_ahead(assembly, seq, payload, len) : take_in_order(assembly, payload, len);
}

void udx_assembly_gather(struct udx_assembly *assembly, size_t len)
{
        assembly->gather_bytes = len;
        gather(assembly);
}

void udx_assembly_consume(struct udx_assembly *assembly, size_t len)
{
        assert(len <= udx_assembly_readable(assembly));
        assembly->start += len;
        if (assembly->start == assembly->end) {
                if (assembly->squeezed_bytes < assembly->limit_bytes)
                        assembly->squeezed_bytes += assembly->squeezed_bytes / 8;
                udx_pool_give(assembly->pool, assembly->bytes, assembly->capacity);
                assembly->bytes = NULL;
                assembly->capacity = assembly->start = assembly->end = 0;
        }
        gather(assembly);
}
