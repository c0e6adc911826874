/* SPDX-License-Identifier: BSD-3-Clause */
#include "cores.h"

#include <sodium.h>

#include "cleanup.h"

static uint32_t worker_of(const struct core *core)
{
        return (uint32_t)(core - core->cores->list) + SWARM_SOCKETS_FIRST + 1;
}

static void start(void *context)
{
        struct core *core = context;

        if (!core->child)               /* else it waits for them, and is told in this turn */
                core->child = children_add(core->cores->children, IPC_SWARM, worker_of(core), NULL);
}

void cores_init(struct cores *cores, struct children *children, struct passed *passed, const struct conf *conf)
{
        *cores = (struct cores){ .children = children, .count = conf->cores > 1 ? conf->cores - 1 : 0 };
        for (size_t i = 0; i < cores->count; i++) {
                struct core *core = &cores->list[i];

                core->cores = cores;
                swarm_sockets_init(&core->sockets, children->log, passed, worker_of(core), conf->host, 0);
                if (swarm_sockets_made(&core->sockets))
                        start(core);
                swarm_sockets_watch(&core->sockets, children->loop, start, core);
        }
        for (size_t i = cores->count; i < ARRAY_LEN(cores->list); i++)
                swarm_sockets_drop(passed, (uint32_t)i + SWARM_SOCKETS_FIRST + 1);
}

void cores_fini(struct cores *cores)
{
        for (size_t i = 0; i < cores->count; i++)
                swarm_sockets_fini(&cores->list[i].sockets);
        cores->count = 0;
}

struct core *cores_find(struct cores *cores, const struct child *child)
{
        for (size_t i = 0; i < cores->count; i++)
                if (cores->list[i].child == child)
                        return &cores->list[i];
        return NULL;
}

void cores_identity(uint32_t id, const uint8_t seed[CONF_KEY_BYTES], uint8_t seed_out[CONF_KEY_BYTES])
{
        _Static_assert((int)CONF_KEY_BYTES == (int)crypto_kdf_KEYBYTES, "a seed is a key");

        crypto_kdf_derive_from_key(seed_out, CONF_KEY_BYTES, id, "hg-cores", seed);
}
