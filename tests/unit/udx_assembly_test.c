/* SPDX-License-Identifier: BSD-3-Clause */
/* Reassembly against a model: packets in any order, again and again, a reader that reads as it likes, also without memory. (Linked
 * with --wrap=malloc.) */
#include "udx_assembly.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "random.h"
#include "test.h"

enum { PACKETS = 3000, LIMIT = 256 * 1024, LONG_LIMIT = 2 * 1024 * 1024 };

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static size_t largest = SIZE_MAX;       /* that can be had */

void *__wrap_malloc(size_t size)
{
        return size <= largest ? __real_malloc(size) : NULL;
}

struct model {
        struct udx_pool pool;
        struct udx_assembly assembly;
        uint32_t first;                 /* seq of packet 0 */
        bool taken[PACKETS];
        uint64_t read;
};

/* Packet @n holds @n % 1153 bytes. */
static size_t len_of(uint32_t n)
{
        return n % 1153;
}

static uint8_t byte_at(uint64_t at)
{
        return (uint8_t)(at * 7 + at / 256);
}

static uint64_t start_of(uint32_t n)
{
        uint64_t at = 0;

        for (uint32_t i = 0; i < n; i++)
                at += len_of(i);
        return at;
}

static void take(struct model *m, uint32_t n)
{
        uint8_t payload[1153];
        uint64_t at = start_of(n);
        bool in_order = m->first + n == m->assembly.next;
        enum udx_taken taken;

        for (size_t i = 0; i < len_of(n); i++)
                payload[i] = byte_at(at + i);
        taken = udx_assembly_take(&m->assembly, m->first + n, payload, len_of(n));
        if (m->taken[n])
                check_equal(taken, UDX_TAKEN_BEFORE);
        else if (taken != UDX_TOO_MUCH)
                check_equal(taken, in_order ? UDX_TAKEN : UDX_TAKEN_AHEAD);
        m->taken[n] = m->taken[n] || taken == UDX_TAKEN || taken == UDX_TAKEN_AHEAD;
}

static void read_some(struct model *m, const struct random *random)
{
        size_t readable = udx_assembly_readable(&m->assembly);
        size_t len = random_below(random, 3) ? readable : random_below(random, (uint32_t)readable + 1);
        const uint8_t *bytes = m->assembly.bytes + m->assembly.start;

        for (size_t i = 0; i < len; i++)
                check_equal(bytes[i], byte_at(m->read + i));
        m->read += len;
        udx_assembly_consume(&m->assembly, len);
}

/* The ranges are exactly the runs of packets that are here beyond the next expected one. */
static void check_ranges(const struct model *m)
{
        uint32_t range = 0;

        for (uint32_t n = m->assembly.next - m->first; n < PACKETS; n++) {
                if (!m->taken[n])
                        continue;
                check(range < m->assembly.range_count);
                check_equal(m->assembly.ranges[range].packets.start, m->first + n);
                while (n < PACKETS && m->taken[n])
                        n++;
                check_equal(m->assembly.ranges[range].packets.end, m->first + n);
                range++;
        }
        check_equal(range, m->assembly.range_count);
}

static void run(struct model *m, size_t limit, uint64_t seed)
{
        struct random random = { test_random_fill, &seed };
        uint32_t spread = 1 + random_below(&random, (uint32_t)(limit / 655));

        m->first = random_below(&random, 2) ? random_u32(&random) : UINT32_MAX - 100;
        udx_assembly_init(&m->assembly, &m->pool, limit);
        m->assembly.next = m->first;
        for (unsigned steps = 0; m->assembly.next != m->first + PACKETS; steps++) {
                uint32_t n = m->assembly.next - m->first + random_below(&random, spread);

                check(steps < 200000);
                take(m, MIN(n, (uint32_t)PACKETS - 1));
                if (steps % 5 == 0)
                        take(m, m->assembly.next - m->first < PACKETS ? m->assembly.next - m->first : 0);
                if (!random_below(&random, 9))
                        read_some(m, &random);
                if (!random_below(&random, 99))
                        udx_assembly_gather(&m->assembly, random_below(&random, (uint32_t)limit));
                check(udx_assembly_readable(&m->assembly) || !udx_assembly_unread(&m->assembly));
                check(udx_assembly_unread(&m->assembly) <= limit + 2 * UDX_DATAGRAM_MAX);
                check(m->assembly.held_memory <= 2 * limit);
                if (steps % 64 == 0)
                        check_ranges(m);
        }
        while (udx_assembly_readable(&m->assembly))
                read_some(m, &random);
        check_equal(m->read, start_of(PACKETS));
        check_equal(m->assembly.held_bytes, 0);
        check(!m->assembly.bytes && !m->assembly.slots && !m->assembly.ranges);        /* an idle stream holds nothing */
}

TEST(udx_assembly_yields_every_byte_once_and_in_order)
{
        for (uint64_t seed = 1; seed <= 12; seed++) {
                static struct model m;

                memset(&m, 0, sizeof(m));
                udx_pool_init(&m.pool);
                run(&m, seed % 2 ? LIMIT : LONG_LIMIT, seed);
                udx_assembly_fini(&m.assembly);
                udx_pool_fini(&m.pool);
        }
}

/* 2048 is enough for each packet and for tables, but not for a buffer: there is the one that was put by. */
TEST(udx_assembly_without_memory_takes_what_a_reader_takes)
{
        static const size_t sizes[] = { 2048, 16384, 65536, 131072 };

        for (uint64_t seed = 1; seed <= 12; seed++) {
                static struct model m;

                memset(&m, 0, sizeof(m));
                udx_pool_init(&m.pool);
                check(!udx_pool_short(&m.pool));
                largest = sizes[seed % ARRAY_LEN(sizes)];
                run(&m, LIMIT, seed);
                largest = SIZE_MAX;
                udx_assembly_fini(&m.assembly);
                udx_pool_fini(&m.pool);
        }
}

static size_t fill(struct udx_assembly *assembly)
{
        static uint8_t payload[1000];
        size_t taken = 0;

        while (udx_assembly_window(assembly) >= sizeof(payload) &&
               udx_assembly_take(assembly, assembly->next, payload, sizeof(payload)) == UDX_TAKEN)
                taken += sizeof(payload);
        return taken;
}

TEST(udx_window_is_what_there_is_memory_for_and_grows_again)
{
        struct udx_pool pool;
        struct udx_assembly assembly;
        unsigned times = 0;

        udx_pool_init(&pool);
        check(!udx_pool_short(&pool));
        udx_assembly_init(&assembly, &pool, LIMIT);
        largest = 32768;
        check(fill(&assembly) >= 64 * 1024);    /* a message of ours fits */
        check_equal(udx_assembly_take(&assembly, assembly.next, (uint8_t[1000]){ 0 }, 1000), UDX_TOO_MUCH);
        check(udx_assembly_window(&assembly) < 1000);
        largest = SIZE_MAX;
        do {
                udx_assembly_consume(&assembly, udx_assembly_readable(&assembly));
                check(++times < 20);
        } while (fill(&assembly) < LIMIT - 1000);
        udx_assembly_fini(&assembly);
        udx_pool_fini(&pool);
}

TEST(udx_gap_that_closes_costs_no_copy_of_all_behind_it)
{
        static uint8_t payload[1000];
        enum { BEHIND = 8000 };
        struct udx_pool pool;
        struct udx_assembly assembly;
        size_t left = (BEHIND + 1) * sizeof(payload);

        udx_pool_init(&pool);
        udx_assembly_init(&assembly, &pool, 2 * left);
        for (uint32_t seq = 1; seq <= BEHIND; seq++)
                check_equal(udx_assembly_take(&assembly, seq, payload, sizeof(payload)), UDX_TAKEN_AHEAD);
        check_equal(udx_assembly_take(&assembly, 0, payload, sizeof(payload)), UDX_TAKEN);
        check_equal(assembly.next, BEHIND + 1);         /* acknowledged, and in the window: */
        check_equal(udx_assembly_unread(&assembly), left);
        check_equal(udx_assembly_window(&assembly), left);
        check(udx_assembly_readable(&assembly) < 512 * 1024);

        udx_assembly_gather(&assembly, left / 2);
        check(udx_assembly_readable(&assembly) >= left / 2);
        udx_assembly_gather(&assembly, 0);
        check_equal(udx_assembly_take(&assembly, BEHIND + 1, payload, sizeof(payload)), UDX_TAKEN);     /* at the end of the queue */
        check_equal(udx_assembly_take(&assembly, BEHIND + 3, payload, sizeof(payload)), UDX_TAKEN_AHEAD);
        udx_assembly_drop_ahead(&assembly);
        for (left += sizeof(payload); left; ) {
                size_t len = MIN(udx_assembly_readable(&assembly), (size_t)65536);

                check(len && udx_assembly_readable(&assembly) >= MIN(left, (size_t)65536));
                udx_assembly_consume(&assembly, len);
                left -= len;
        }
        check_equal(udx_assembly_unread(&assembly), 0);
        check_equal(assembly.held_memory, 0);
        check(!assembly.bytes && !assembly.slots);
        udx_assembly_fini(&assembly);
        udx_pool_fini(&pool);
}
