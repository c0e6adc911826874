/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_fingerprints.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void admin_fingerprints_init(struct admin_fingerprints *all, const uint8_t key[16])
{
        *all = (struct admin_fingerprints){ .text_bytes = 0 };
        map_init(&all->by_tuple, key);
}

static void forget(struct admin_fingerprints *all, struct admin_fingerprint *fingerprint)
{
        map_remove(&all->by_tuple, &fingerprint->by_tuple);
        all->text_bytes -= fingerprint->len;
        free(fingerprint);
}

void admin_fingerprints_fini(struct admin_fingerprints *all)
{
        struct map_entry *at;

        while ((at = map_walk(&all->by_tuple, NULL)))
                forget(all, container_of(at, struct admin_fingerprint, by_tuple));
        map_fini(&all->by_tuple);
}

static struct admin_fingerprint *find(const struct admin_fingerprints *all, const struct ipc_tuple *tuple)
{
        struct map_entry *at = map_first(&all->by_tuple, map_hash(&all->by_tuple, tuple, sizeof(*tuple)));

        for (; at; at = map_next(at)) {
                struct admin_fingerprint *fingerprint = container_of(at, struct admin_fingerprint, by_tuple);

                if (memcmp(&fingerprint->tuple, tuple, sizeof(*tuple)) == 0)
                        return fingerprint;
        }
        return NULL;
}

const struct admin_fingerprint *admin_fingerprints_find(const struct admin_fingerprints *all, const struct ipc_tuple *tuple)
{
        return find(all, tuple);
}

static bool is_object(const char *text, size_t len)
{
        json_t *json = json_loadb(text, len, 0, NULL);
        bool good = json_is_object(json);

        json_decref(json);
        return good;
}

static struct admin_fingerprint *make(const void *from, const struct ipc_fingerprint *said, usec_t since_us)
{
        struct admin_fingerprint *fingerprint = malloc(sizeof(*fingerprint) + said->metadata_len);

        if (!fingerprint)
                return NULL;
        *fingerprint = (struct admin_fingerprint){ .from = from, .channel = said->channel, .swarm = said->swarm, .tuple = said->tuple,
                                                   .since_us = since_us, .idle_ms = said->idle_ms, .gate_port = said->gate_port,
                                                   .len = said->metadata_len };
        memcpy(fingerprint->text, said->metadata, said->metadata_len);
        return fingerprint;
}

int admin_fingerprints_set(struct admin_fingerprints *all, const void *from, bool carries, const struct ipc_fingerprint *said, usec_t wall_us)
{
        struct admin_fingerprint *before = find(all, &said->tuple), *fingerprint;
        bool known = before && before->channel == said->channel && before->swarm == said->swarm;
        usec_t since_us = known ? before->since_us : wall_us;

        if (known && !carries)
                return 0;               /* it came late */
        if (before)
                forget(all, before);    /* its connection is over, or there could be no other */
        if (!is_object(said->metadata, said->metadata_len))
                return 0;
        if (all->by_tuple.count >= ADMIN_FINGERPRINTS_MAX)
                return -ENOBUFS;
        fingerprint = make(from, said, since_us);
        if (!fingerprint)
                return -ENOMEM;
        if (map_insert(&all->by_tuple, &fingerprint->by_tuple, map_hash(&all->by_tuple, &said->tuple, sizeof(said->tuple))) < 0) {
                free(fingerprint);
                return -ENOMEM;
        }
        all->text_bytes += fingerprint->len;
        return 0;
}

void admin_fingerprints_drop(struct admin_fingerprints *all, const void *from, const struct ipc_fingerprint_drop *said)
{
        struct admin_fingerprint *fingerprint = find(all, &said->tuple);

        if (fingerprint && fingerprint->from == from && fingerprint->channel == said->channel && fingerprint->swarm == said->swarm)
                forget(all, fingerprint);
}

void admin_fingerprints_lose(struct admin_fingerprints *all, const void *from)
{
        for (struct map_entry *at = map_walk(&all->by_tuple, NULL), *next; at; at = next) {
                struct admin_fingerprint *fingerprint = container_of(at, struct admin_fingerprint, by_tuple);

                next = map_walk(&all->by_tuple, at);
                if (fingerprint->from == from)
                        forget(all, fingerprint);
        }
}
