/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_table.h"

#include <stdlib.h>
#include <string.h>

struct bucket {
        unsigned count;
        struct dht_node *nodes[DHT_BUCKET_NODES];
};

struct dht_table {
        uint8_t id[DHT_ID_BYTES];
        size_t count;
        unsigned deepest;               /* no bucket from here on was ever used */
        struct list heard;
        struct bucket *buckets[DHT_ID_BITS];    /* by shared leading bits; NULL while never used */
};

struct dht_table *dht_table_new(const uint8_t id[DHT_ID_BYTES])
{
        struct dht_table *table = calloc(1, sizeof(*table));

        if (!table)
                return NULL;
        memcpy(table->id, id, sizeof(table->id));
        list_init(&table->heard);
        return table;
}

void dht_table_free(struct dht_table *table)
{
        if (!table)
                return;
        list_for_each(at, &table->heard)
                free(list_entry(at, struct dht_node, heard));
        for (unsigned i = 0; i < DHT_ID_BITS; i++)
                free(table->buckets[i]);
        free(table);
}

size_t dht_table_count(const struct dht_table *table)
{
        return table->count;
}

const uint8_t *dht_table_id(const struct dht_table *table)
{
        return table->id;
}

static unsigned bucket_of(const struct dht_table *table, const uint8_t id[DHT_ID_BYTES])
{
        unsigned bits = dht_id_shared_bits(table->id, id);

        return bits < DHT_ID_BITS ? bits : DHT_ID_BITS - 1;
}

struct dht_node *dht_table_find(const struct dht_table *table, const uint8_t id[DHT_ID_BYTES])
{
        const struct bucket *bucket = table->buckets[bucket_of(table, id)];

        for (unsigned i = 0; bucket && i < bucket->count; i++)
                if (dht_id_equal(bucket->nodes[i]->id, id))
                        return bucket->nodes[i];
        return NULL;
}

/* The bucket for @id, made on first use; NULL when it has no room. */
static struct bucket *bucket_with_room(struct dht_table *table, const uint8_t id[DHT_ID_BYTES])
{
        unsigned bits = bucket_of(table, id);
        struct bucket **bucket = &table->buckets[bits];

        table->deepest = MAX(table->deepest, bits + 1);
        if (!*bucket)
                *bucket = calloc(1, sizeof(**bucket));
        return *bucket && (*bucket)->count < DHT_BUCKET_NODES ? *bucket : NULL;
}

struct dht_node *dht_table_insert(struct dht_table *table, const struct addr *addr, const uint8_t id[DHT_ID_BYTES], uint32_t tick)
{
        struct bucket *bucket = dht_id_equal(table->id, id) ? NULL : bucket_with_room(table, id);
        struct dht_node *node = bucket ? calloc(1, sizeof(*node)) : NULL;

        if (!node)
                return NULL;
        node->addr = *addr;
        memcpy(node->id, id, sizeof(node->id));
        node->added = node->pinged = node->seen = tick;
        bucket->nodes[bucket->count++] = node;
        list_push_back(&table->heard, &node->heard);
        table->count++;
        return node;
}

void dht_table_rename(struct dht_table *table, const uint8_t id[DHT_ID_BYTES])
{
        memcpy(table->id, id, sizeof(table->id));
        for (unsigned i = 0; i < DHT_ID_BITS; i++)
                if (table->buckets[i])
                        table->buckets[i]->count = 0;
        for (struct list *at = table->heard.prev, *older; at != &table->heard; at = older) {
                struct dht_node *node = list_entry(at, struct dht_node, heard);
                struct bucket *bucket = dht_id_equal(node->id, id) ? NULL : bucket_with_room(table, node->id);

                older = at->prev;
                if (bucket) {
                        bucket->nodes[bucket->count++] = node;
                        continue;
                }
                list_remove(&node->heard);
                table->count--;
                free(node);
        }
}

void dht_table_remove(struct dht_table *table, struct dht_node *node)
{
        struct bucket *bucket = table->buckets[bucket_of(table, node->id)];
        unsigned i = 0;

        while (bucket->nodes[i] != node)
                i++;
        bucket->nodes[i] = bucket->nodes[--bucket->count];
        list_remove(&node->heard);
        table->count--;
        free(node);
}

void dht_table_touch(struct dht_table *table, struct dht_node *node, uint32_t tick)
{
        node->pinged = node->seen = tick;
        node->doubted = false;
        list_remove(&node->heard);
        list_push_back(&table->heard, &node->heard);
}

/* The nodes that @nearest holds from @from on, and those of the bucket: the nearest of them, in order. Returns how many it holds. */
static size_t merge_bucket(const struct bucket *bucket, const uint8_t *target, const struct dht_node **nearest, size_t from,
                           size_t count, size_t max)
{
        for (unsigned i = 0; bucket && i < bucket->count; i++) {
                const struct dht_node *node = bucket->nodes[i];
                size_t at = count < max ? count++ : max;

                for (; at > from && dht_id_compare(target, node->id, nearest[at - 1]->id) < 0; at--)
                        if (at < max)
                                nearest[at] = nearest[at - 1];
                if (at < max)
                        nearest[at] = node;
        }
        return count;
}

/* Of all nodes those are nearest which share more bits with the target than we do: its own bucket, where they are. All buckets
 * beyond share as many as we do; and of those before, each is farther than the next. */
size_t dht_table_closest(const struct dht_table *table, const uint8_t target[DHT_ID_BYTES], const struct dht_node **out, size_t max)
{
        unsigned own = bucket_of(table, target), bit;
        size_t count = merge_bucket(table->buckets[own], target, out, 0, 0, max), from = count;

        for (bit = own + 1; bit < table->deepest && from < max; bit++)
                count = merge_bucket(table->buckets[bit], target, out, from, count, max);
        for (bit = own; bit > 0 && count < max; bit--)
                count = merge_bucket(table->buckets[bit - 1], target, out, count, count, max);
        return count;
}

void dht_table_count_buckets(const struct dht_table *table, unsigned counts_out[DHT_ID_BITS])
{
        for (unsigned bits = 0; bits < DHT_ID_BITS; bits++)
                counts_out[bits] = table->buckets[bits] ? table->buckets[bits]->count : 0;
}

static bool more_doubtful(const struct dht_node *a, const struct dht_node *b)
{
        return !b || a->pinged < b->pinged || (a->pinged == b->pinged && a->added < b->added);
}

struct dht_node *dht_table_rival(const struct dht_table *table, const uint8_t id[DHT_ID_BYTES], uint32_t tick)
{
        const struct bucket *bucket = table->buckets[bucket_of(table, id)];
        struct dht_node *rival = NULL;

        if (!bucket || bucket->count < DHT_BUCKET_NODES)
                return NULL;
        for (unsigned i = 0; i < bucket->count; i++)
                if (bucket->nodes[i]->pinged != tick && more_doubtful(bucket->nodes[i], rival))
                        rival = bucket->nodes[i];
        return rival;
}

static struct dht_node *node_or_null(const struct dht_table *table, struct list *entry)
{
        return entry == &table->heard ? NULL : list_entry(entry, struct dht_node, heard);
}

struct dht_node *dht_table_older(const struct dht_table *table, const struct dht_node *node)
{
        return node_or_null(table, node ? node->heard.prev : table->heard.prev);
}

struct dht_node *dht_table_newer(const struct dht_table *table, const struct dht_node *node)
{
        return node_or_null(table, node ? node->heard.next : table->heard.next);
}

struct dht_node *dht_table_random(const struct dht_table *table, const struct random *random)
{
        struct dht_node *node = dht_table_newer(table, NULL);

        for (uint32_t i = random_below(random, (uint32_t)table->count); node && i > 0; i--)
                node = dht_table_newer(table, node);
        return node;
}
