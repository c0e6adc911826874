/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_passage.h"

#include <stdlib.h>

#include "bytes.h"
#include "dht_id.h"
#include "list.h"
#include "map.h"

enum { KEY_BYTES = 2 + DHT_ID_BYTES + 4 + 2 };

struct passage {
        struct map_entry by_key;
        struct list by_age;
        usec_t until_us;
        uint8_t key[KEY_BYTES];
};

struct dht_passages {
        struct map by_key;
        struct list by_age;             /* latest last */
};

struct dht_passages *dht_passages_new(const struct random *random)
{
        struct dht_passages *passages = calloc(1, sizeof(*passages));
        uint8_t key[16];

        if (!passages)
                return NULL;
        random_fill(random, key, sizeof(key));
        map_init(&passages->by_key, key);
        list_init(&passages->by_age);
        return passages;
}

static void passage_drop(struct dht_passages *passages, struct passage *passage)
{
        map_remove(&passages->by_key, &passage->by_key);
        list_remove(&passage->by_age);
        free(passage);
}

static struct passage *passage_oldest(const struct dht_passages *passages)
{
        struct list *entry = list_first(&passages->by_age);

        return entry ? list_entry(entry, struct passage, by_age) : NULL;
}

void dht_passages_free(struct dht_passages *passages)
{
        struct passage *oldest;

        if (!passages)
                return;
        while ((oldest = passage_oldest(passages)))
                passage_drop(passages, oldest);
        map_fini(&passages->by_key);
        free(passages);
}

static void key_write(uint8_t key[KEY_BYTES], uint16_t tid, const uint8_t *target, const struct addr *client)
{
        struct writer w = writer_over(key, KEY_BYTES);

        write_u16le(&w, tid);
        write_bytes(&w, target, DHT_ID_BYTES);
        write_bytes(&w, client->ip, sizeof(client->ip));
        write_u16le(&w, client->port);
}

static struct passage *passage_find(const struct dht_passages *passages, const uint8_t key[KEY_BYTES])
{
        for (struct map_entry *at = map_first(&passages->by_key, map_hash(&passages->by_key, key, KEY_BYTES)); at;
             at = map_next(at)) {
                struct passage *passage = container_of(at, struct passage, by_key);

                if (memcmp(passage->key, key, KEY_BYTES) == 0)
                        return passage;
        }
        return NULL;
}

static void make_room(struct dht_passages *passages, usec_t now_us)
{
        struct passage *oldest;

        while ((oldest = passage_oldest(passages)) &&
               (oldest->until_us <= now_us || passages->by_key.count >= DHT_PASSAGES_MAX))
                passage_drop(passages, oldest);
}

void dht_passages_add(struct dht_passages *passages, uint16_t tid, const uint8_t *target, const struct addr *client, usec_t now_us)
{
        uint8_t key[KEY_BYTES];
        struct passage *passage;

        key_write(key, tid, target, client);
        passage = passage_find(passages, key);
        if (!passage) {
                make_room(passages, now_us);
                passage = calloc(1, sizeof(*passage));
                if (!passage)
                        return;
                memcpy(passage->key, key, KEY_BYTES);
                list_init(&passage->by_age);
                if (map_insert(&passages->by_key, &passage->by_key, map_hash(&passages->by_key, key, KEY_BYTES)) < 0) {
                        free(passage);
                        return;
                }
        }
        passage->until_us = now_us + DHT_PASSAGE_LIFE_US;
        list_remove(&passage->by_age);
        list_push_back(&passages->by_age, &passage->by_age);
}

bool dht_passages_has(const struct dht_passages *passages, uint16_t tid, const uint8_t *target, const struct addr *client,
                      usec_t now_us)
{
        uint8_t key[KEY_BYTES];
        const struct passage *passage;

        key_write(key, tid, target, client);
        passage = passage_find(passages, key);
        return passage && passage->until_us > now_us;
}
