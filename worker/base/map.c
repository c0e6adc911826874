/* SPDX-License-Identifier: BSD-3-Clause */
#include "map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 16 };

static uint64_t load_le64(const uint8_t *bytes, size_t len)
{
        uint64_t value = 0;

        for (size_t i = 0; i < len; i++)
                value |= (uint64_t)bytes[i] << (8 * i);
        return value;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
        return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
        v[0] += v[1]; v[1] = rotate(v[1], 13); v[1] ^= v[0]; v[0] = rotate(v[0], 32);
        v[2] += v[3]; v[3] = rotate(v[3], 16); v[3] ^= v[2];
        v[0] += v[3]; v[3] = rotate(v[3], 21); v[3] ^= v[0];
        v[2] += v[1]; v[1] = rotate(v[1], 17); v[1] ^= v[2]; v[2] = rotate(v[2], 32);
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
}

void map_init(struct map *map, const uint8_t key[16])
{
        *map = (struct map){ .key = { load_le64(key, 8), load_le64(key + 8, 8) } };
}

void map_fini(struct map *map)
{
        free(map->buckets);
        map->buckets = NULL;
        map->bucket_count = map->count = 0;
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012. */
uint64_t map_hash(const struct map *map, const void *bytes, size_t len)
{
        const uint8_t *at = bytes;
        uint64_t v[4] = { map->key[0] ^ 0x736f6d6570736575, map->key[1] ^ 0x646f72616e646f6d,
                          map->key[0] ^ 0x6c7967656e657261, map->key[1] ^ 0x7465646279746573 };
        size_t whole = len / 8 * 8;

        for (size_t i = 0; i < whole; i += 8)
                sip_absorb(v, load_le64(at + i, 8));
        sip_absorb(v, load_le64(at + whole, len - whole) | (uint64_t)len << 56);
        v[2] ^= 0xff;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static int grow(struct map *map)
{
        size_t count = map->bucket_count ? map->bucket_count * 2 : FIRST_BUCKETS;
        struct map_entry **buckets = calloc(count, sizeof(*buckets));

        if (!buckets)
                return -ENOMEM;
        for (size_t i = 0; i < map->bucket_count; i++) {
                for (struct map_entry *entry = map->buckets[i], *next; entry; entry = next) {
                        struct map_entry **slot = &buckets[entry->hash & (count - 1)];

                        next = entry->next;
                        entry->next = *slot;
                        *slot = entry;
                }
        }
        free(map->buckets);
        map->buckets = buckets;
        map->bucket_count = count;
        return 0;
}

int map_insert(struct map *map, struct map_entry *entry, uint64_t hash)
{
        struct map_entry **slot;

        /* A map that can't grow gets slower, not fuller than it may be: only the first array is a must. */
        if (map->count >= map->bucket_count && grow(map) < 0 && !map->buckets)
                return -ENOMEM;
        slot = &map->buckets[hash & (map->bucket_count - 1)];
        *entry = (struct map_entry){ .next = *slot, .hash = hash };
        *slot = entry;
        map->count++;
        return 0;
}

void map_remove(struct map *map, struct map_entry *entry)
{
        struct map_entry **slot = &map->buckets[entry->hash & (map->bucket_count - 1)];

        while (*slot != entry) {
                assert(*slot);
                slot = &(*slot)->next;
        }
        *slot = entry->next;
        entry->next = NULL;
        map->count--;
}

static struct map_entry *skip_to(struct map_entry *entry, uint64_t hash)
{
        while (entry && entry->hash != hash)
                entry = entry->next;
        return entry;
}

struct map_entry *map_first(const struct map *map, uint64_t hash)
{
        return map->buckets ? skip_to(map->buckets[hash & (map->bucket_count - 1)], hash) : NULL;
}

struct map_entry *map_next(const struct map_entry *entry)
{
        return skip_to(entry->next, entry->hash);
}

struct map_entry *map_walk(const struct map *map, const struct map_entry *entry)
{
        size_t bucket = 0;

        if (entry && entry->next)
                return entry->next;
        if (entry)
                bucket = (entry->hash & (map->bucket_count - 1)) + 1;
        for (; bucket < map->bucket_count; bucket++)
                if (map->buckets[bucket])
                        return map->buckets[bucket];
        return NULL;
}
