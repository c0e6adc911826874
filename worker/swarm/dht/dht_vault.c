/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_vault.h"

#include <stdlib.h>

#include "dht_id.h"
#include "heap.h"
#include "list.h"
#include "map.h"

/* A host that put something here. */
struct source {
        struct map_entry by_host;
        struct heap_entry by_greed;     /* vault->greed */
        struct list values;             /* latest put last */
        uint8_t ip[4];
        size_t bytes;
};

struct value {
        struct map_entry by_target;     /* vault->values[kind] */
        struct list by_age;             /* vault->ages */
        struct list by_source;
        struct source *source;
        enum dht_vault_kind kind;
        usec_t put_us;
        size_t len;
        uint8_t target[DHT_ID_BYTES];
        uint8_t bytes[];
};

struct dht_vault {
        struct map values[DHT_VAULT_KINDS];
        struct map sources;
        struct heap greed;              /* sources, those with most bytes first */
        struct list ages;               /* values, latest put last */
        size_t bytes;
};

static void map_init_random(struct map *map, const struct random *random)
{
        uint8_t key[16];

        random_fill(random, key, sizeof(key));
        map_init(map, key);
}

struct dht_vault *dht_vault_new(const struct random *random)
{
        struct dht_vault *vault = calloc(1, sizeof(*vault));

        if (!vault)
                return NULL;
        for (unsigned kind = 0; kind < DHT_VAULT_KINDS; kind++)
                map_init_random(&vault->values[kind], random);
        map_init_random(&vault->sources, random);
        list_init(&vault->ages);
        return vault;
}

/* --- Sources --- */

static struct source *source_find(const struct dht_vault *vault, const uint8_t ip[4])
{
        uint64_t hash = map_hash(&vault->sources, ip, 4);

        for (struct map_entry *at = map_first(&vault->sources, hash); at; at = map_next(at)) {
                struct source *source = container_of(at, struct source, by_host);

                if (memcmp(source->ip, ip, sizeof(source->ip)) == 0)
                        return source;
        }
        return NULL;
}

static struct source *source_get(struct dht_vault *vault, const uint8_t ip[4])
{
        struct source *source = source_find(vault, ip);

        if (source)
                return source;
        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        list_init(&source->values);
        memcpy(source->ip, ip, sizeof(source->ip));
        if (map_insert(&vault->sources, &source->by_host, map_hash(&vault->sources, ip, 4)) < 0) {
                free(source);
                return NULL;
        }
        return source;
}

/* Counts @source's bytes anew; one that has none is gone. */
static void source_charge(struct dht_vault *vault, struct source *source, size_t bytes)
{
        vault->bytes = vault->bytes - source->bytes + bytes;
        source->bytes = bytes;
        heap_set(&vault->greed, &source->by_greed, bytes ? USEC_NEVER - bytes : USEC_NEVER);
        if (bytes)
                return;
        map_remove(&vault->sources, &source->by_host);
        free(source);
}

/* --- Values --- */

static size_t cost_of(const struct value *value)
{
        return value->len + DHT_VAULT_VALUE_COST;
}

static struct value *value_find(const struct dht_vault *vault, enum dht_vault_kind kind, const uint8_t *target)
{
        const struct map *map = &vault->values[kind];

        for (struct map_entry *at = map_first(map, map_hash(map, target, DHT_ID_BYTES)); at; at = map_next(at)) {
                struct value *value = container_of(at, struct value, by_target);

                if (dht_id_equal(value->target, target))
                        return value;
        }
        return NULL;
}

static void value_drop(struct dht_vault *vault, struct value *value)
{
        map_remove(&vault->values[value->kind], &value->by_target);
        list_remove(&value->by_age);
        list_remove(&value->by_source);
        source_charge(vault, value->source, value->source->bytes - cost_of(value));
        free(value);
}

static void source_drop_oldest(struct dht_vault *vault, struct source *source)
{
        value_drop(vault, list_entry(list_first(&source->values), struct value, by_source));
}

/* For @cost more bytes of @ip. */
static void make_room(struct dht_vault *vault, const uint8_t ip[4], size_t cost)
{
        struct source *source;

        while (ip[0] != 127 && (source = source_find(vault, ip)) && source->bytes + cost > DHT_VAULT_SOURCE_BYTES)
                source_drop_oldest(vault, source);
        while (vault->bytes + cost > DHT_VAULT_BYTES)
                source_drop_oldest(vault, container_of(heap_first(&vault->greed), struct source, by_greed));
}

static void value_touch(struct dht_vault *vault, struct value *value, usec_t now_us)
{
        value->put_us = now_us;
        list_remove(&value->by_age);
        list_push_back(&vault->ages, &value->by_age);
        list_remove(&value->by_source);
        list_push_back(&value->source->values, &value->by_source);
}

static struct value *value_new(enum dht_vault_kind kind, const uint8_t *target, const void *bytes, size_t len)
{
        struct value *value = calloc(1, sizeof(*value) + len);

        if (!value)
                return NULL;
        list_init(&value->by_age);
        list_init(&value->by_source);
        value->kind = kind;
        value->len = len;
        memcpy(value->target, target, sizeof(value->target));
        if (len)
                memcpy(value->bytes, bytes, len);
        return value;
}

static bool value_insert(struct dht_vault *vault, struct value *value, const uint8_t ip[4], usec_t now_us)
{
        struct map *map = &vault->values[value->kind];
        struct source *source = source_get(vault, ip);

        if (!source)
                return false;
        if (map_insert(map, &value->by_target, map_hash(map, value->target, DHT_ID_BYTES)) < 0) {
                source_charge(vault, source, source->bytes);
                return false;
        }
        value->source = source;
        source_charge(vault, source, source->bytes + cost_of(value));
        value_touch(vault, value, now_us);
        return true;
}

bool dht_vault_put(struct dht_vault *vault, enum dht_vault_kind kind, const uint8_t *target, const void *bytes, size_t len,
                   const struct addr *from, usec_t now_us)
{
        struct value *before = value_find(vault, kind, target), *value;
        uint8_t ip[4];

        if (before && before->len == len && (len == 0 || memcmp(before->bytes, bytes, len) == 0)) {
                value_touch(vault, before, now_us);
                return true;
        }
        value = value_new(kind, target, bytes, len);
        if (!value)
                return false;
        memcpy(ip, before ? before->source->ip : from->ip, sizeof(ip));
        if (before)
                value_drop(vault, before);
        make_room(vault, ip, cost_of(value));
        if (value_insert(vault, value, ip, now_us))
                return true;
        free(value);
        return false;
}

const uint8_t *dht_vault_get(const struct dht_vault *vault, enum dht_vault_kind kind, const uint8_t *target, size_t *len_out)
{
        const struct value *value = value_find(vault, kind, target);

        if (!value)
                return NULL;
        *len_out = value->len;
        return value->bytes;
}

/* --- All --- */

void dht_vault_expire(struct dht_vault *vault, usec_t now_us)
{
        while (!list_empty(&vault->ages)) {
                struct value *oldest = list_entry(list_first(&vault->ages), struct value, by_age);

                if (usec_add(oldest->put_us, DHT_VAULT_LIFE_US) > now_us)
                        return;
                value_drop(vault, oldest);
        }
}

size_t dht_vault_values(const struct dht_vault *vault)
{
        size_t count = 0;

        for (unsigned kind = 0; kind < DHT_VAULT_KINDS; kind++)
                count += vault->values[kind].count;
        return count;
}

size_t dht_vault_bytes(const struct dht_vault *vault)
{
        return vault->bytes;
}

void dht_vault_free(struct dht_vault *vault)
{
        if (!vault)
                return;
        while (!list_empty(&vault->ages))
                value_drop(vault, list_entry(list_first(&vault->ages), struct value, by_age));
        for (unsigned kind = 0; kind < DHT_VAULT_KINDS; kind++)
                map_fini(&vault->values[kind]);
        map_fini(&vault->sources);
        free(vault);
}
