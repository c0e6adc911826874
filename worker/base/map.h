/* SPDX-License-Identifier: BSD-3-Clause */
/* Hash map, intrusive, chained, keyed with SipHash so that strangers can't aim at one bucket. */
#ifndef HG_MAP_H
#define HG_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

struct map_entry {
        struct map_entry *next;
        uint64_t hash;
};

struct map {
        struct map_entry **buckets;     /* NULL until the first insert */
        size_t bucket_count, count;
        uint64_t key[2];
};

/* @key: 16 random bytes, private to this map. Allocates nothing yet. */
void map_init(struct map *map, const uint8_t key[16]);

/* Frees the buckets; the entries belong to whoever put them in. */
void map_fini(struct map *map);

/* SipHash-2-4 of @len bytes under the map's key. */
uint64_t map_hash(const struct map *map, const void *bytes, size_t len);

/* Adds @entry under @hash; duplicates are allowed and the caller's business. 0, or -ENOMEM for the first bucket array. */
int map_insert(struct map *map, struct map_entry *entry, uint64_t hash);

void map_remove(struct map *map, struct map_entry *entry);

/* The first entry with exactly @hash, and the next after @entry: the caller compares the full key. */
struct map_entry *map_first(const struct map *map, uint64_t hash);
struct map_entry *map_next(const struct map_entry *entry);

/* Walks all entries, in no order: map_walk(map, NULL) is the first; NULL after the last. Don't insert or remove meanwhile. */
struct map_entry *map_walk(const struct map *map, const struct map_entry *entry);

#endif
