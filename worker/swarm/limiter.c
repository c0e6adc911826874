/* SPDX-License-Identifier: BSD-3-Clause */
#include "limiter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A level is in millionths of bytes, so that what is earned in a microsecond is whole. */
#define PARTS INT64_C(1000000)

enum { TURNS_PER_S = 100 };             /* of each bucket, at most, while there are connections that wait: short enough to be smooth */

struct lane {
        struct limiter_bucket *bucket;
        struct list queue;              /* of struct limited_way */
        struct heap_entry turn;         /* while somebody waits */
        int64_t level;                  /* below 0: a datagram was larger than what there was */
        usec_t earned_us;               /* what came in until then is in it */
        uint64_t aside_bytes;           /* of datagrams since the last turn */
};

struct limiter_bucket {
        struct map_entry by_name;
        struct list in_left;
        struct limiter_spec spec;
        size_t connections;
        struct lane lane[LIMITER_WAYS];
};

void limiter_init(struct limiter *limiter, const uint8_t key[16])
{
        *limiter = (struct limiter){ 0 };
        map_init(&limiter->buckets, key);
        list_init(&limiter->left);
}

static uint64_t name_hash(const struct limiter *limiter, const struct limiter_spec *spec)
{
        return map_hash(&limiter->buckets, spec, sizeof(*spec));
}

static struct limiter_bucket *find(const struct limiter *limiter, const struct limiter_spec *spec)
{
        for (struct map_entry *at = map_first(&limiter->buckets, name_hash(limiter, spec)); at; at = map_next(at)) {
                struct limiter_bucket *bucket = container_of(at, struct limiter_bucket, by_name);

                if (bucket->spec.name == spec->name && bucket->spec.bytes_per_s == spec->bytes_per_s &&
                    bucket->spec.burst_bytes == spec->burst_bytes)
                        return bucket;
        }
        return NULL;
}

static int64_t full_level(const struct limiter_bucket *bucket)
{
        return (int64_t)bucket->spec.burst_bytes * PARTS;
}

static void earn(struct lane *lane, usec_t now_us)
{
        int64_t rate = (int64_t)lane->bucket->spec.bytes_per_s, full = full_level(lane->bucket), missing = full - lane->level;
        usec_t passed_us = now_us > lane->earned_us ? now_us - lane->earned_us : 0;

        lane->level = passed_us > (usec_t)(missing / rate) ? full : lane->level + (int64_t)passed_us * rate;
        lane->earned_us = usec_max(lane->earned_us, now_us);
}

static void forget(struct limiter *limiter, struct limiter_bucket *bucket)
{
        list_remove(&bucket->in_left);
        limiter->left_count--;
        map_remove(&limiter->buckets, &bucket->by_name);
        free(bucket);
}

static bool is_full(struct limiter_bucket *bucket, usec_t now_us)
{
        bool full = true;

        for (unsigned i = 0; i < LIMITER_WAYS; i++) {
                earn(&bucket->lane[i], now_us);
                full = full && bucket->lane[i].level == full_level(bucket);
        }
        return full;
}

/* Those that a new one would be like, and those that are too many. */
static void forget_left(struct limiter *limiter, usec_t now_us)
{
        list_for_each(at, &limiter->left) {
                struct limiter_bucket *bucket = list_entry(at, struct limiter_bucket, in_left);

                if (!is_full(bucket, now_us) && limiter->left_count <= LIMITER_LEFT_MAX)
                        return;
                forget(limiter, bucket);
        }
}

void limiter_fini(struct limiter *limiter)
{
        list_for_each(at, &limiter->left)
                forget(limiter, list_entry(at, struct limiter_bucket, in_left));
        assert(limiter->buckets.count == 0);
        map_fini(&limiter->buckets);
}

static struct limiter_bucket *bucket_new(struct limiter *limiter, const struct limiter_spec *spec, usec_t now_us)
{
        struct limiter_bucket *bucket = calloc(1, sizeof(*bucket));

        if (!bucket)
                return NULL;
        bucket->spec = *spec;
        list_init(&bucket->in_left);
        for (unsigned i = 0; i < LIMITER_WAYS; i++) {
                struct lane *lane = &bucket->lane[i];

                lane->bucket = bucket;
                lane->level = full_level(bucket);
                lane->earned_us = now_us;
                list_init(&lane->queue);
        }
        if (map_insert(&limiter->buckets, &bucket->by_name, name_hash(limiter, spec)) == 0)
                return bucket;
        free(bucket);
        return NULL;
}

int limiter_join(struct limiter *limiter, struct limited *limited, const struct limiter_spec *spec, unsigned ways, usec_t now_us)
{
        struct limiter_bucket *bucket = find(limiter, spec);

        if (!bucket && !(bucket = bucket_new(limiter, spec, now_us)))
                return -ENOMEM;
        if (!list_empty(&bucket->in_left)) {
                list_remove(&bucket->in_left);
                limiter->left_count--;
        }
        bucket->connections++;
        limited->bucket = bucket;
        for (unsigned i = 0; i < LIMITER_WAYS; i++) {
                limited->way[i] = (struct limited_way){ .limited = limited, .counts = ways & 1u << i };
                list_init(&limited->way[i].in_queue);
        }
        return 0;
}

static bool counts(const struct limited *limited, enum limiter_way way)
{
        return limited && limited->way[way].counts;
}

static void leave_queue(struct limiter *limiter, struct limited *limited, enum limiter_way way)
{
        struct lane *lane = &limited->bucket->lane[way];

        list_remove(&limited->way[way].in_queue);
        if (list_empty(&lane->queue))
                heap_remove(&limiter->turns, &lane->turn);
}

void limiter_leave(struct limiter *limiter, struct limited *limited, usec_t now_us)
{
        struct limiter_bucket *bucket = limited ? limited->bucket : NULL;

        if (!bucket)
                return;
        leave_queue(limiter, limited, LIMITER_UP);
        leave_queue(limiter, limited, LIMITER_DOWN);
        *limited = (struct limited){ 0 };
        if (--bucket->connections)
                return;
        list_push_back(&limiter->left, &bucket->in_left);
        limiter->left_count++;
        forget_left(limiter, now_us);
}

/* What is taken in one turn. */
static int64_t quantum_bytes(const struct lane *lane)
{
        return (int64_t)MIN(MAX(lane->bucket->spec.bytes_per_s / TURNS_PER_S, UINT64_C(1)), lane->bucket->spec.burst_bytes);
}

static bool has_quantum(const struct lane *lane)
{
        return lane->level >= quantum_bytes(lane) * PARTS;
}

static usec_t quantum_at_us(const struct lane *lane)
{
        int64_t rate = (int64_t)lane->bucket->spec.bytes_per_s, missing = quantum_bytes(lane) * PARTS - lane->level;

        return missing > 0 ? usec_add(lane->earned_us, (usec_t)((missing + rate - 1) / rate)) : lane->earned_us;
}

size_t limiter_allow(struct limiter *limiter, struct limited *limited, enum limiter_way way, usec_t now_us)
{
        struct limited_way *mine;
        struct lane *lane;

        if (!counts(limited, way))
                return SIZE_MAX;
        mine = &limited->way[way];
        lane = &limited->bucket->lane[way];
        if (mine->turn) {
                mine->turn = false;
                return (size_t)quantum_bytes(lane);
        }
        if (!list_empty(&mine->in_queue))
                return 0;
        earn(lane, now_us);
        if (list_empty(&lane->queue) && has_quantum(lane))
                return (size_t)(lane->level / PARTS);
        list_push_back(&lane->queue, &mine->in_queue);
        if (!heap_holds(&lane->turn))
                heap_insert(&limiter->turns, &lane->turn, quantum_at_us(lane));
        return 0;
}

void limiter_take(struct limited *limited, enum limiter_way way, size_t bytes)
{
        if (counts(limited, way))
                limited->bucket->lane[way].level -= (int64_t)bytes * PARTS;
}

size_t limiter_fitting(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count, usec_t now_us)
{
        struct lane *lane;
        size_t bytes = 0;

        if (!counts(limited, way))
                return count;
        lane = &limited->bucket->lane[way];
        earn(lane, now_us);
        for (size_t i = 0; i < count; i++) {
                bool yields = !list_empty(&lane->queue) && lane->aside_bytes + bytes >= (uint64_t)quantum_bytes(lane);

                if (yields || lane->level <= (int64_t)bytes * PARTS)
                        return i;
                bytes += datagrams[i].iov_len;
        }
        return count;
}

void limiter_take_datagrams(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count)
{
        if (!counts(limited, way))
                return;
        for (size_t i = 0; i < count; i++) {
                limiter_take(limited, way, datagrams[i].iov_len);
                limited->bucket->lane[way].aside_bytes += datagrams[i].iov_len;
        }
}

struct limited *limiter_turn(struct limiter *limiter, usec_t now_us, enum limiter_way *way_out)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&limiter->turns, now_us))) {
                struct lane *lane = container_of(due, struct lane, turn);
                struct limited_way *next = list_entry(list_first(&lane->queue), struct limited_way, in_queue);

                earn(lane, now_us);
                if (!has_quantum(lane)) {
                        heap_insert(&limiter->turns, &lane->turn, quantum_at_us(lane));
                        continue;
                }
                list_remove(&next->in_queue);
                if (!list_empty(&lane->queue))
                        heap_insert(&limiter->turns, &lane->turn, now_us);
                lane->aside_bytes = 0;
                next->turn = true;
                *way_out = (enum limiter_way)(lane - lane->bucket->lane);
                return next->limited;
        }
        return NULL;
}

void limiter_pass_on(struct limited *limited, enum limiter_way way)
{
        limited->way[way].turn = false;
}

usec_t limiter_deadline(const struct limiter *limiter)
{
        return heap_deadline(&limiter->turns);
}
