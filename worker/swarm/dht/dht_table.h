/* SPDX-License-Identifier: BSD-3-Clause */
/* Kademlia routing table: the nodes we know, in k-buckets by the bits their id shares with ours, and in the order we last
 * heard them. A full bucket keeps its old nodes: who swaps them decides that (dht_upkeep.c). Time is in ticks of 5 s. */
#ifndef HG_DHT_TABLE_H
#define HG_DHT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dht_id.h"
#include "list.h"
#include "random.h"

enum { DHT_BUCKET_NODES = 20 };

struct dht_table;

struct dht_node {
        struct list heard;              /* the table's, latest heard last */
        struct addr addr;
        uint8_t id[DHT_ID_BYTES];
        uint32_t added, pinged, seen;   /* ticks; pinged: when we last had to do with it */
        uint32_t sampled;               /* tick it last told us our address; 0: never */
        bool doubted;                   /* somebody said since it was last heard that it is down */
};

/* @id (copied): ours, or random while we have none. NULL: no memory. */
struct dht_table *dht_table_new(const uint8_t id[DHT_ID_BYTES]);
void dht_table_free(struct dht_table *table);

size_t dht_table_count(const struct dht_table *table);
const uint8_t *dht_table_id(const struct dht_table *table);

struct dht_node *dht_table_find(const struct dht_table *table, const uint8_t id[DHT_ID_BYTES]);

/* A new node (not in the table), heard at @tick. NULL: the id is ours, the bucket is full, or no memory. */
struct dht_node *dht_table_insert(struct dht_table *table, const struct addr *addr, const uint8_t id[DHT_ID_BYTES],
                                  uint32_t tick);

/* We have another id: sorts all nodes anew. Gone is who has that id or, of a bucket too full now, was not heard lately. */
void dht_table_rename(struct dht_table *table, const uint8_t id[DHT_ID_BYTES]);

/* Takes @node out and frees it. */
void dht_table_remove(struct dht_table *table, struct dht_node *node);

/* @node was heard at @tick. */
void dht_table_touch(struct dht_table *table, struct dht_node *node, uint32_t tick);

/* The nodes nearest to @target, nearest first: exactly those, where JavaScript nodes approximate. */
size_t dht_table_closest(const struct dht_table *table, const uint8_t target[DHT_ID_BYTES], const struct dht_node **out,
                         size_t max);

/* How many nodes share so many bits of their id with ours. */
void dht_table_count_buckets(const struct dht_table *table, unsigned counts_out[DHT_ID_BITS]);

/* Who should prove itself before @id is refused for a full bucket: pinged longest ago, then added longest ago, not in this
 * tick. NULL: there is room, or nobody to doubt. dht-rpc index.js _addNode(). */
struct dht_node *dht_table_rival(const struct dht_table *table, const uint8_t id[DHT_ID_BYTES], uint32_t tick);

/* In the order heard: NULL before the first and after the last. */
struct dht_node *dht_table_older(const struct dht_table *table, const struct dht_node *node);
struct dht_node *dht_table_newer(const struct dht_table *table, const struct dht_node *node);

/* Any node; NULL: there is none. */
struct dht_node *dht_table_random(const struct dht_table *table, const struct random *random);

#endif
