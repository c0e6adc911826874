/* SPDX-License-Identifier: BSD-3-Clause */
/* The send queue against a model that is one long array: whatever is reserved, filled, cut and released, a packet's bytes stay what
 * and where they were until they are released. */
#include "udx_queue.h"

#include <string.h>

#include "cleanup.h"
#include "random.h"
#include "test.h"

enum { BYTES_MAX = 1 << 20, PACKETS_MAX = 8192, PAYLOAD_MAX = 1152 };

struct model {
        struct udx_pool pool;
        struct udx_queue queue;
        uint8_t bytes[BYTES_MAX];       /* all that was committed */
        size_t committed, cut, released;
        struct udx_slice slices[PACKETS_MAX];
        size_t starts[PACKETS_MAX];
        unsigned first, count;          /* packets: oldest kept, all */
};

static void write_some(struct model *m, const struct random *random)
{
        static const uint32_t sizes[] = { 1, 40, 600, 3000, 64 * 1024 };
        size_t len = random_below(random, sizes[random_below(random, ARRAY_LEN(sizes))] + 1);
        size_t filled = random_below(random, 4) ? len : random_below(random, (uint32_t)len + 1);
        uint8_t *room = udx_queue_reserve(&m->queue, len);

        check(room);
        if (m->committed + filled > BYTES_MAX)
                filled = 0;
        for (size_t i = 0; i < len; i++)
                room[i] = (uint8_t)random_below(random, 256);
        if (filled)
                memcpy(m->bytes + m->committed, room, filled);
        udx_queue_commit(&m->queue, filled);
        m->committed += filled;
}

static void cut_one(struct model *m)
{
        size_t len = udx_queue_next_cut(&m->queue, PAYLOAD_MAX), left = m->committed - m->cut;

        check(!len == !left && len <= MIN(left, (size_t)PAYLOAD_MAX));
        if (!len || m->count == PACKETS_MAX)
                return;
        udx_queue_cut(&m->queue, len, &m->slices[m->count]);
        m->starts[m->count++] = m->cut;
        m->cut += len;
}

static void check_slice(const struct model *m, unsigned packet)
{
        struct iovec iov[2];
        unsigned pieces = udx_slice_iovec(&m->slices[packet], iov);
        size_t at = m->starts[packet];

        for (unsigned i = 0; i < pieces; at += iov[i++].iov_len)
                check_bytes(iov[i].iov_base, m->bytes + at, iov[i].iov_len);
        check_equal(at - m->starts[packet], m->slices[packet].len);
}

static void release_some(struct model *m, const struct random *random)
{
        size_t len = 0;

        for (unsigned n = random_below(random, m->count - m->first + 1); n; n--)
                len += m->slices[m->first++].len;
        udx_queue_release(&m->queue, len);
        m->released += len;
}

static void step(struct model *m, const struct random *random)
{
        switch (random_below(random, 4)) {
        case 0:
                write_some(m, random);
                break;
        case 1:
                for (unsigned n = random_below(random, 20); n; n--)
                        cut_one(m);
                break;
        case 2:
                if (m->count > m->first)
                        check_slice(m, m->first + random_below(random, m->count - m->first));
                break;
        default:
                release_some(m, random);
        }
        check_equal(m->queue.kept_bytes, m->committed - m->released);
        check_equal(m->queue.unsent_bytes, m->committed - m->cut);
}

TEST(udx_queue_keeps_every_byte_where_it_is_until_it_is_released)
{
        for (uint64_t seed = 1; seed <= 40; seed++) {
                static struct model m;
                uint64_t state = seed;
                struct random random = { test_random_fill, &state };

                memset(&m, 0, sizeof(m));
                udx_pool_init(&m.pool);
                udx_queue_init(&m.queue, &m.pool);
                for (unsigned i = 0; i < 600; i++)
                        step(&m, &random);
                while (m.cut < m.committed && m.count < PACKETS_MAX)
                        cut_one(&m);
                for (unsigned packet = m.first; packet < m.count; packet++)
                        check_slice(&m, packet);
                udx_queue_fini(&m.queue);
                udx_pool_fini(&m.pool);
        }
}

TEST(udx_queue_lets_small_writes_share_a_packet_with_what_follows)
{
        static struct udx_pool pool;
        struct udx_queue queue;

        udx_queue_init(&queue, &pool);
        check(udx_queue_reserve(&queue, 100));
        udx_queue_commit(&queue, 100);
        check(udx_queue_reserve(&queue, 60000));
        udx_queue_commit(&queue, 60000);
        check_equal(udx_queue_next_cut(&queue, PAYLOAD_MAX), PAYLOAD_MAX);
        check(queue.head == queue.tail);        /* in one piece */
        udx_queue_fini(&queue);
        udx_pool_fini(&pool);
}
