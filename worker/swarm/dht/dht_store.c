/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_store.h"

#include <stdlib.h>

#include "dht_id.h"
#include "list.h"
#include "map.h"

enum { SHARES = DHT_STORE_SOURCE_MAX + 1 };

/* A host that put something here. */
struct source {
        struct map_entry by_host;
        struct list peers;              /* store->shares[min(count, last)] */
        struct list entries;            /* latest written last */
        uint8_t ip[4];
        size_t count;
};

struct topic {
        struct map_entry by_target;
        uint8_t target[DHT_ID_BYTES];
        uint64_t bump_ms;
        struct entry **entries;         /* in no order */
        size_t count, capacity;
};

/* A record of a topic, or (@topic is NULL) a forward. */
struct entry {
        struct map_entry by_key;
        struct list by_age;             /* store->ages */
        struct list by_source;
        struct source *source;
        struct topic *topic;
        size_t place;                   /* in topic->entries */
        usec_t written_us;
        struct addr from;
        uint8_t target[DHT_ID_BYTES];
        uint8_t public_key[DHT_ID_BYTES];
        uint8_t relays[DHT_RECORD_KEPT_RELAYS * WIRE_ADDR_BYTES];
        uint8_t relay_count;
};

struct dht_store {
        struct random random;
        struct map records;             /* by topic and public key */
        struct map forwards;            /* by target */
        struct map topics, sources;
        struct list ages;               /* entries, latest written last */
        struct list shares[SHARES];     /* sources by how many entries they have: the greediest is found at once */
};

static void map_init_random(struct map *map, const struct random *random)
{
        uint8_t key[16];

        random_fill(random, key, sizeof(key));
        map_init(map, key);
}

struct dht_store *dht_store_new(const struct random *random)
{
        struct dht_store *store = calloc(1, sizeof(*store));

        if (!store)
                return NULL;
        store->random = *random;
        map_init_random(&store->records, random);
        map_init_random(&store->forwards, random);
        map_init_random(&store->topics, random);
        map_init_random(&store->sources, random);
        list_init(&store->ages);
        for (size_t i = 0; i < SHARES; i++)
                list_init(&store->shares[i]);
        return store;
}

/* --- Sources --- */

static bool has_no_share(const struct addr *from)
{
        return from->ip[0] == 127;
}

static void source_rank(struct dht_store *store, struct source *source)
{
        list_remove(&source->peers);
        list_push_back(&store->shares[MIN(source->count, (size_t)SHARES - 1)], &source->peers);
}

static struct source *source_find(const struct dht_store *store, const struct addr *from)
{
        uint64_t hash = map_hash(&store->sources, from->ip, sizeof(from->ip));

        for (struct map_entry *at = map_first(&store->sources, hash); at; at = map_next(at)) {
                struct source *source = container_of(at, struct source, by_host);

                if (memcmp(source->ip, from->ip, sizeof(source->ip)) == 0)
                        return source;
        }
        return NULL;
}

/* The source of @from, made when it is new. */
static struct source *source_get(struct dht_store *store, const struct addr *from)
{
        struct source *source = source_find(store, from);

        if (source)
                return source;
        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        memcpy(source->ip, from->ip, sizeof(source->ip));
        if (map_insert(&store->sources, &source->by_host, map_hash(&store->sources, source->ip, sizeof(source->ip))) < 0) {
                free(source);
                return NULL;
        }
        list_init(&source->peers);
        list_init(&source->entries);
        return source;
}

static void source_drop_empty(struct dht_store *store, struct source *source)
{
        if (source->count)
                return;
        list_remove(&source->peers);
        map_remove(&store->sources, &source->by_host);
        free(source);
}

/* --- Topics --- */

static struct topic *topic_find(const struct dht_store *store, const uint8_t *target)
{
        uint64_t hash = map_hash(&store->topics, target, DHT_ID_BYTES);

        for (struct map_entry *at = map_first(&store->topics, hash); at; at = map_next(at)) {
                struct topic *topic = container_of(at, struct topic, by_target);

                if (dht_id_equal(topic->target, target))
                        return topic;
        }
        return NULL;
}

static struct topic *topic_get(struct dht_store *store, const uint8_t *target)
{
        struct topic *topic = topic_find(store, target);

        if (topic)
                return topic;
        topic = calloc(1, sizeof(*topic));
        if (!topic)
                return NULL;
        memcpy(topic->target, target, sizeof(topic->target));
        if (map_insert(&store->topics, &topic->by_target, map_hash(&store->topics, target, DHT_ID_BYTES)) < 0) {
                free(topic);
                return NULL;
        }
        return topic;
}

static void topic_drop_empty(struct dht_store *store, struct topic *topic)
{
        if (topic->count)
                return;
        map_remove(&store->topics, &topic->by_target);
        free(topic->entries);
        free(topic);
}

static bool topic_reserve(struct topic *topic)
{
        size_t capacity = topic->capacity ? 2 * topic->capacity : 4;
        struct entry **entries;

        if (topic->count < topic->capacity)
                return true;
        entries = realloc(topic->entries, capacity * sizeof(struct entry *));
        if (!entries)
                return false;
        topic->entries = entries;
        topic->capacity = capacity;
        return true;
}

static void topic_add(struct topic *topic, struct entry *entry)
{
        entry->topic = topic;
        entry->place = topic->count;
        topic->entries[topic->count++] = entry;
}

static void topic_swap(struct topic *topic, size_t a, size_t b)
{
        struct entry *entry = topic->entries[a];

        topic->entries[a] = topic->entries[b];
        topic->entries[b] = entry;
        topic->entries[a]->place = a;
        topic->entries[b]->place = b;
}

static size_t topic_count_net(const struct topic *topic, const struct addr *from)
{
        size_t count = 0;

        for (size_t i = 0; i < topic->count; i++)
                count += memcmp(topic->entries[i]->from.ip, from->ip, 3) == 0;
        return count;
}

/* --- Entries --- */

static struct map *map_of(struct dht_store *store, const struct entry *entry)
{
        return entry->topic ? &store->records : &store->forwards;
}

static uint64_t record_hash(const struct dht_store *store, const uint8_t *topic, const uint8_t *public_key)
{
        uint8_t key[2 * DHT_ID_BYTES];

        memcpy(key, topic, DHT_ID_BYTES);
        memcpy(key + DHT_ID_BYTES, public_key, DHT_ID_BYTES);
        return map_hash(&store->records, key, sizeof(key));
}

static struct entry *record_find(const struct dht_store *store, const uint8_t *topic, const uint8_t *public_key)
{
        for (struct map_entry *at = map_first(&store->records, record_hash(store, topic, public_key)); at; at = map_next(at)) {
                struct entry *entry = container_of(at, struct entry, by_key);

                if (dht_id_equal(entry->target, topic) && dht_id_equal(entry->public_key, public_key))
                        return entry;
        }
        return NULL;
}

static struct entry *forward_find(const struct dht_store *store, const uint8_t *target)
{
        uint64_t hash = map_hash(&store->forwards, target, DHT_ID_BYTES);

        for (struct map_entry *at = map_first(&store->forwards, hash); at; at = map_next(at)) {
                struct entry *entry = container_of(at, struct entry, by_key);

                if (dht_id_equal(entry->target, target))
                        return entry;
        }
        return NULL;
}

static void entry_drop(struct dht_store *store, struct entry *entry)
{
        struct topic *topic = entry->topic;

        map_remove(map_of(store, entry), &entry->by_key);
        list_remove(&entry->by_age);
        list_remove(&entry->by_source);
        entry->source->count--;
        source_rank(store, entry->source);
        source_drop_empty(store, entry->source);
        if (topic) {
                topic_swap(topic, entry->place, topic->count - 1);
                topic->count--;
                topic_drop_empty(store, topic);
        }
        free(entry);
}

static void entry_write(struct dht_store *store, struct entry *entry, const struct dht_record *record, const struct addr *from,
                        usec_t now_us)
{
        entry->from = *from;
        entry->written_us = now_us;
        memcpy(entry->public_key, record->public_key, sizeof(entry->public_key));
        entry->relay_count = (uint8_t)MIN(record->relay_count, (size_t)DHT_RECORD_KEPT_RELAYS);
        if (entry->relay_count)
                memcpy(entry->relays, record->relays, (size_t)entry->relay_count * WIRE_ADDR_BYTES);
        list_remove(&entry->by_age);
        list_push_back(&store->ages, &entry->by_age);
}

static void entry_give_to(struct dht_store *store, struct entry *entry, struct source *source)
{
        entry->source = source;
        list_push_back(&source->entries, &entry->by_source);
        source->count++;
        source_rank(store, source);
}

/* Written again, perhaps from another host. */
static bool entry_rewrite(struct dht_store *store, struct entry *entry, const struct dht_record *record, const struct addr *from,
                          usec_t now_us)
{
        struct source *source = source_get(store, from), *before = entry->source;

        if (!source)
                return false;
        list_remove(&entry->by_source);
        before->count--;
        entry_give_to(store, entry, source);
        if (before != source) {
                source_rank(store, before);
                source_drop_empty(store, before);
        }
        entry_write(store, entry, record, from, now_us);
        return true;
}

/* The oldest entry of whoever has most. */
static struct entry *entry_of_the_greediest(struct dht_store *store)
{
        size_t share = SHARES - 1;

        while (list_empty(&store->shares[share]))
                share--;
        return list_entry(list_first(&list_entry(list_first(&store->shares[share]), struct source, peers)->entries),
                          struct entry, by_source);
}

/* Room for one more from @from: its own oldest goes when it has its share, the greediest one's when all is full. */
static void make_room(struct dht_store *store, const struct addr *from)
{
        struct source *source = source_find(store, from);

        if (source && !has_no_share(from) && source->count >= DHT_STORE_SOURCE_MAX)
                entry_drop(store, list_entry(list_first(&source->entries), struct entry, by_source));
        else if (store->records.count + store->forwards.count >= DHT_STORE_MAX)
                entry_drop(store, entry_of_the_greediest(store));
}

static struct entry *entry_new(struct dht_store *store, const uint8_t *target, const struct dht_record *record,
                               const struct addr *from, usec_t now_us)
{
        struct entry *entry = calloc(1, sizeof(*entry));
        struct source *source = entry ? source_get(store, from) : NULL;

        if (!source) {
                free(entry);
                return NULL;
        }
        memcpy(entry->target, target, sizeof(entry->target));
        list_init(&entry->by_age);
        list_init(&entry->by_source);
        entry_write(store, entry, record, from, now_us);
        entry_give_to(store, entry, source);
        return entry;
}

/* Undoes entry_new() for one that is in no map. */
static void entry_unmake(struct dht_store *store, struct entry *entry)
{
        list_remove(&entry->by_age);
        list_remove(&entry->by_source);
        entry->source->count--;
        source_rank(store, entry->source);
        source_drop_empty(store, entry->source);
        free(entry);
}

/* --- Records --- */

/* A full topic gives up one at random: who keeps coming back holds no more than its share of it. */
static bool topic_make_room(struct dht_store *store, const uint8_t *target, const struct addr *from)
{
        struct topic *topic = topic_find(store, target);

        if (!topic)
                return true;
        if (!has_no_share(from) && topic_count_net(topic, from) >= DHT_STORE_TOPIC_NET_MAX)
                return false;
        if (topic->count >= DHT_STORE_TOPIC_MAX)
                entry_drop(store, topic->entries[random_below(&store->random, (uint32_t)topic->count)]);
        return true;
}

bool dht_store_add(struct dht_store *store, const uint8_t *target, const struct dht_record *record, const struct addr *from,
                   usec_t now_us)
{
        struct entry *entry = record_find(store, target, record->public_key);
        struct topic *topic;

        if (entry)
                return entry_rewrite(store, entry, record, from, now_us);
        if (!topic_make_room(store, target, from))
                return false;
        make_room(store, from);
        topic = topic_get(store, target);
        if (!topic)
                return false;
        entry = topic_reserve(topic) ? entry_new(store, target, record, from, now_us) : NULL;
        if (entry && map_insert(&store->records, &entry->by_key, record_hash(store, target, record->public_key)) == 0) {
                topic_add(topic, entry);
                return true;
        }
        if (entry)
                entry_unmake(store, entry);
        topic_drop_empty(store, topic);
        return false;
}

void dht_store_remove(struct dht_store *store, const uint8_t *target, const uint8_t *public_key)
{
        struct entry *entry = record_find(store, target, public_key);

        if (entry)
                entry_drop(store, entry);
}

void dht_store_bump(struct dht_store *store, const uint8_t *target, uint64_t bump_ms, uint64_t now_ms)
{
        struct topic *topic = topic_find(store, target);

        if (topic && bump_ms > topic->bump_ms && bump_ms <= now_ms + DHT_BUMP_DRIFT_MS)
                topic->bump_ms = bump_ms;
}

static struct dht_record record_of(const struct entry *entry)
{
        return (struct dht_record){ entry->public_key, entry->relays, entry->relay_count };
}

/* The first of the topic's entries become a random choice of them. */
static void topic_draw(struct dht_store *store, struct topic *topic, struct dht_lookup *out)
{
        out->bump = topic->bump_ms;
        while (out->count < MIN(topic->count, (size_t)DHT_RECORDS_PER_LOOKUP)) {
                size_t left = topic->count - out->count;

                topic_swap(topic, out->count, out->count + random_below(&store->random, (uint32_t)left));
                out->records[out->count] = record_of(topic->entries[out->count]);
                out->count++;
        }
}

void dht_store_lookup(struct dht_store *store, const uint8_t *target, struct dht_lookup *out)
{
        struct topic *topic = topic_find(store, target);
        struct entry *forward = forward_find(store, target);

        out->count = 0;
        out->bump = 0;
        if (topic)
                topic_draw(store, topic, out);
        if (forward && out->count < DHT_RECORDS_PER_LOOKUP)
                out->records[out->count++] = record_of(forward);
}

/* --- Forwards --- */

bool dht_store_forward_set(struct dht_store *store, const uint8_t *target, const struct dht_record *record,
                           const struct addr *from, usec_t now_us)
{
        struct entry *entry = forward_find(store, target);

        if (entry)
                return entry_rewrite(store, entry, record, from, now_us);
        make_room(store, from);
        entry = entry_new(store, target, record, from, now_us);
        if (entry && map_insert(&store->forwards, &entry->by_key, map_hash(&store->forwards, target, DHT_ID_BYTES)) == 0)
                return true;
        if (entry)
                entry_unmake(store, entry);
        return false;
}

void dht_store_forward_remove(struct dht_store *store, const uint8_t *target)
{
        struct entry *entry = forward_find(store, target);

        if (entry)
                entry_drop(store, entry);
}

bool dht_store_forward(const struct dht_store *store, const uint8_t *target, struct addr *from_out)
{
        const struct entry *entry = forward_find(store, target);

        if (entry)
                *from_out = entry->from;
        return entry;
}

bool dht_store_forward_record(const struct dht_store *store, const uint8_t *target, struct dht_record *out)
{
        const struct entry *entry = forward_find(store, target);

        if (entry)
                *out = record_of(entry);
        return entry;
}

/* --- All --- */

void dht_store_expire(struct dht_store *store, usec_t now_us)
{
        while (!list_empty(&store->ages)) {
                struct entry *oldest = list_entry(list_first(&store->ages), struct entry, by_age);

                if (usec_add(oldest->written_us, DHT_STORE_LIFE_US) > now_us)
                        return;
                entry_drop(store, oldest);
        }
}

size_t dht_store_records(const struct dht_store *store)
{
        return store->records.count;
}

size_t dht_store_forwards(const struct dht_store *store)
{
        return store->forwards.count;
}

void dht_store_free(struct dht_store *store)
{
        if (!store)
                return;
        while (!list_empty(&store->ages))
                entry_drop(store, list_entry(list_first(&store->ages), struct entry, by_age));
        map_fini(&store->records);
        map_fini(&store->forwards);
        map_fini(&store->topics);
        map_fini(&store->sources);
        free(store);
}
