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

void udx_assembly_drop_ahead(struct udx_assembly *assembly)
{
        for (uint32_t i = 0; i < assembly->range_count; i++)
                for (uint32_t seq = assembly->ranges[i].start; seq != assembly->ranges[i].end; seq++)
                        let_go(assembly, seq);
        release_slots(assembly);
}

void udx_assembly_fini(struct udx_assembly *assembly)
{
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

/* What is behind the gap that has just closed becomes readable, as far as memory goes; the rest stays held. */
static void drain(struct udx_assembly *assembly)
{
        struct udx_sack *first = assembly->ranges;

        if (!assembly->range_count || first->start != assembly->next)
                return;
        while (first->start != first->end) {
                struct udx_held *held = *slot_of(assembly, first->start);

                if (!append(assembly, held->payload, held->len))
                        return;
                let_go(assembly, first->start);
                assembly->next = ++first->start;
        }
        memmove(first, first + 1, --assembly->range_count * sizeof(*first));
        if (!assembly->range_count)
                release_slots(assembly);
}

static enum udx_taken take_in_order(struct udx_assembly *assembly, const uint8_t *payload, size_t len)
{
        if (udx_assembly_readable(assembly) + len > assembly->limit_bytes + SLACK_BYTES || !append(assembly, payload, len))
                return UDX_TOO_MUCH;
        assembly->next++;
        drain(assembly);
        return UDX_TAKEN;
}

/* Index of the first range that starts after @seq. */
static uint32_t range_after(const struct udx_assembly *assembly, uint32_t seq)
{
        uint32_t low = 0, high = assembly->range_count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (udx_seq_diff(assembly->ranges[middle].start, seq) > 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static bool grow_ranges(struct udx_assembly *assembly)
{
        uint32_t capacity = MAX(2 * assembly->range_capacity, (uint32_t)RANGES_FIRST);
        struct udx_sack *ranges;

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
static void range_add(struct udx_assembly *assembly, uint32_t at, uint32_t seq)
{
        struct udx_sack *ranges = assembly->ranges;
        bool before = at > 0 && ranges[at - 1].end == seq;
        bool after = at < assembly->range_count && ranges[at].start == seq + 1;

        if (before && after) {
                ranges[at - 1].end = ranges[at].end;
                memmove(&ranges[at], &ranges[at + 1], (--assembly->range_count - at) * sizeof(*ranges));
        } else if (before) {
                ranges[at - 1].end++;
        } else if (after) {
                ranges[at].start--;
        } else {
                memmove(&ranges[at + 1], &ranges[at], (assembly->range_count++ - at) * sizeof(*ranges));
                ranges[at] = (struct udx_sack){ .start = seq, .end = seq + 1 };
        }
}

/* The ring spans from @next to the farthest packet held: its size follows what is allowed, never more than UDX_REORDER_MAX. */
static bool grow_slots(struct udx_assembly *assembly, uint32_t distance)
{
        uint32_t count = MAX(assembly->slot_count, (uint32_t)SLOTS_FIRST), old_count = assembly->slot_count;
        struct udx_held **slots, **old = assembly->slots;

        if (distance < assembly->slot_count)
                return true;
        while (count <= distance)
                count *= 2;
        slots = udx_pool_take(assembly->pool, count * sizeof(*slots));
        if (!slots)
                return false;
        memset(slots, 0, count * sizeof(*slots));
        for (uint32_t i = 0; i < assembly->range_count; i++)
                for (uint32_t seq = assembly->ranges[i].start; seq != assembly->ranges[i].end; seq++)
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

        return assembly->held_bytes + len <= window && assembly->held_memory + memory <= 2 * window;
}

static enum udx_taken take_ahead(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len)
{
        uint32_t at = range_after(assembly, seq);
        struct udx_held *held;

        if (at > 0 && udx_seq_diff(assembly->ranges[at - 1].end, seq) > 0)
                return UDX_TAKEN_BEFORE;
        if (!fits_ahead(assembly, len) || !grow_ranges(assembly) || !grow_slots(assembly, seq - assembly->next))
                return UDX_TOO_MUCH;
        held = udx_pool_take(assembly->pool, sizeof(*held) + len);
        if (!held)
                return UDX_TOO_MUCH;
        held->len = (uint16_t)len;
        if (len)
                memcpy(held->payload, payload, len);
        *slot_of(assembly, seq) = held;
        assembly->held_bytes += len;
        assembly->held_memory += memory_of(held);
        range_add(assembly, at, seq);
        return UDX_TAKEN_AHEAD;
}

enum udx_taken udx_assembly_take(struct udx_assembly *assembly, uint32_t seq, const uint8_t *payload, size_t len)
{
        int32_t distance;

        assert(len <= UINT16_MAX);
        drain(assembly);        /* memory may have been short before */
        distance = udx_seq_diff(seq, assembly->next);
        if (distance == 0 && (!assembly->range_count || assembly->ranges[0].start != seq))
                return take_in_order(assembly, payload, len);
        if (distance < 0)
                return UDX_TAKEN_BEFORE;
        if (distance >= UDX_REORDER_MAX)
                return UDX_TOO_FAR;
        return take_ahead(assembly, seq, payload, len);
}

void udx_assembly_consume(struct udx_assembly *assembly, size_t len)
{
        assert(len <= udx_assembly_readable(assembly));
        assembly->start += len;
        if (assembly->start < assembly->end)
                return;
        if (assembly->squeezed_bytes < assembly->limit_bytes)
                assembly->squeezed_bytes += assembly->squeezed_bytes / 8;
        udx_pool_give(assembly->pool, assembly->bytes, assembly->capacity);
        assembly->bytes = NULL;
        assembly->capacity = assembly->start = assembly->end = 0;
        drain(assembly);
}
