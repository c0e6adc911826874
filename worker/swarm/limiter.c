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

static void bucket_join(struct limiter *limiter, struct limiter_bucket *bucket)
{
        if (!list_empty(&bucket->in_left)) {
                list_remove(&bucket->in_left);
                limiter->left_count--;
        }
        bucket->connections++;
}

int limiter_join(struct limiter *limiter, struct limited *limited, const struct limiter_spec *spec, unsigned ways, usec_t now_us)
{
        struct limiter_bucket *bucket = find(limiter, spec);
        unsigned at = limited->bucket[0] ? 1 : 0;

        assert(!limited->bucket[at]);
        if (!bucket && !(bucket = bucket_new(limiter, spec, now_us)))
                return -ENOMEM;
        bucket_join(limiter, bucket);
        limited->bucket[at] = bucket;
        for (unsigned i = 0; i < LIMITER_WAYS; i++) {
                struct limited_way *way = &limited->way[i];

                way->limited = limited;
                way->counts[at] = ways & 1u << i;
                if (at == 0)
                        list_init(&way->in_queue);
        }
        return 0;
}

/* NULL: what goes that way does not count in the bucket @at, or there is none. */
static struct lane *lane_of(const struct limited *limited, enum limiter_way way, unsigned at)
{
        return limited->way[way].counts[at] ? &limited->bucket[at]->lane[way] : NULL;
}

static bool counts(const struct limited *limited, enum limiter_way way)
{
        return limited && (limited->way[way].counts[0] || limited->way[way].counts[1]);
}

/* What was put by is there for others. */
static void give_back(struct limited *limited, enum limiter_way way)
{
        struct limited_way *mine = &limited->way[way];

        for (unsigned i = 0; i < mine->passed; i++) {
                struct lane *lane = lane_of(limited, way, i);

                if (lane)
                        lane->level += mine->put_by[i];
                mine->put_by[i] = 0;
        }
        mine->passed = 0;
        mine->turn = false;
}

static void leave_queue(struct limiter *limiter, struct limited *limited, enum limiter_way way)
{
        struct limited_way *mine = &limited->way[way];
        struct lane *lane;

        if (!list_empty(&mine->in_queue)) {
                lane = lane_of(limited, way, mine->passed);
                list_remove(&mine->in_queue);
                if (list_empty(&lane->queue))
                        heap_remove(&limiter->turns, &lane->turn);
        }
        give_back(limited, way);
}

static void bucket_leave(struct limiter *limiter, struct limiter_bucket *bucket)
{
        if (--bucket->connections)
                return;
        list_push_back(&limiter->left, &bucket->in_left);
        limiter->left_count++;
}

void limiter_leave(struct limiter *limiter, struct limited *limited, usec_t now_us)
{
        struct limiter_bucket *first = limited ? limited->bucket[0] : NULL, *second = limited ? limited->bucket[1] : NULL;

        if (!first)
                return;
        leave_queue(limiter, limited, LIMITER_UP);
        leave_queue(limiter, limited, LIMITER_DOWN);
        *limited = (struct limited){ 0 };
        bucket_leave(limiter, first);
        if (second)
                bucket_leave(limiter, second);
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

/* Whether the bucket @mine->passed lets it through, or else it waits there. Who has waited takes no more than a turn's worth. */
static bool pass(struct limiter *limiter, struct limited_way *mine, struct lane *lane, usec_t now_us)
{
        bool turn = mine->turn;

        mine->turn = false;
        mine->waited[mine->passed] = turn;
        earn(lane, now_us);
        if (turn || (list_empty(&lane->queue) && has_quantum(lane))) {
                mine->put_by[mine->passed] = quantum_bytes(lane) * PARTS;
                lane->level -= mine->put_by[mine->passed];
                return true;
        }
        list_push_back(&lane->queue, &mine->in_queue);
        if (!heap_holds(&lane->turn))
                heap_insert(&limiter->turns, &lane->turn, quantum_at_us(lane));
        return false;
}

size_t limiter_allow(struct limiter *limiter, struct limited *limited, enum limiter_way way, usec_t now_us)
{
        struct limited_way *mine;
        int64_t least = INT64_MAX;

        if (!counts(limited, way))
                return SIZE_MAX;
        mine = &limited->way[way];
        if (!list_empty(&mine->in_queue))
                return 0;
        for (; mine->passed < LIMITER_BUCKETS; mine->passed++) {
                struct lane *lane = lane_of(limited, way, mine->passed);

                if (lane && !pass(limiter, mine, lane, now_us))
                        return 0;
        }
        for (unsigned i = 0; i < LIMITER_BUCKETS; i++) {
                const struct lane *lane = lane_of(limited, way, i);

                if (lane)
                        least = MIN(least, (mine->put_by[i] + (mine->waited[i] ? 0 : MAX(lane->level, 0))) / PARTS);
        }
        give_back(limited, way);
        return (size_t)least;
}

void limiter_take(struct limited *limited, enum limiter_way way, size_t bytes)
{
        for (unsigned i = 0; limited && i < LIMITER_BUCKETS; i++) {
                struct lane *lane = lane_of(limited, way, i);

                if (lane)
                        lane->level -= (int64_t)bytes * PARTS;
        }
}

static size_t lane_fitting(const struct lane *lane, const struct iovec *datagrams, size_t count)
{
        size_t bytes = 0;

        for (size_t i = 0; i < count; i++) {
                bool yields = !list_empty(&lane->queue) && lane->aside_bytes + bytes >= (uint64_t)quantum_bytes(lane);

                if (yields || lane->level <= (int64_t)bytes * PARTS)
                        return i;
                bytes += datagrams[i].iov_len;
        }
        return count;
}

size_t limiter_fitting(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count, usec_t now_us)
{
        for (unsigned i = 0; limited && i < LIMITER_BUCKETS; i++) {
                struct lane *lane = lane_of(limited, way, i);

                if (!lane)
                        continue;
                earn(lane, now_us);
                count = lane_fitting(lane, datagrams, count);
        }
        return count;
}

void limiter_take_datagrams(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count)
{
        size_t bytes = 0;

        for (size_t i = 0; i < count; i++)
                bytes += datagrams[i].iov_len;
        limiter_take(limited, way, bytes);
        for (unsigned i = 0; limited && i < LIMITER_BUCKETS; i++) {
                struct lane *lane = lane_of(limited, way, i);

                if (lane)
                        lane->aside_bytes += bytes;
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
        if (limited->way[way].turn)
                give_back(limited, way);
}

usec_t limiter_deadline(const struct limiter *limiter)
{
        return heap_deadline(&limiter->turns);
}
