/* SPDX-License-Identifier: BSD-3-Clause */
#include "cores.h"

#include <sodium.h>
#include <string.h>

#include "cleanup.h"

static uint32_t worker_of(const struct core *core)
{
        return (uint32_t)(core - core->cores->list) + SWARM_SOCKETS_FIRST;
}

static void start(void *context)
{
        struct core *core = context;
        struct cores *cores = core->cores;

        if (!core->child)
                core->child = children_add(cores->children, IPC_SWARM, worker_of(core), NULL);
        else if (core_is_first(core))   /* the others wait for theirs, and are told in this turn */
                cores->moved(cores->context);
}

void cores_init(struct cores *cores, const struct swarm_sockets *first)
{
        *cores = (struct cores){ .count = 1 };
        cores->list[0] = (struct core){ .cores = cores, .sockets = *first };
}

void cores_begin(struct cores *cores, struct children *children, struct passed *passed, const struct conf *conf,
                 void (*moved)(void *context), void *context)
{
        cores->children = children;
        cores->moved = moved;
        cores->context = context;
        cores->count = conf->cores > 1 ? conf->cores : 1;
        for (size_t i = 0; i < cores->count; i++) {
                struct core *core = &cores->list[i];

                core->cores = cores;
                if (!core_is_first(core))
                        swarm_sockets_init(&core->sockets, children->log, passed, worker_of(core), conf->host, 0);
                if (swarm_sockets_made(&core->sockets))
                        start(core);
                swarm_sockets_watch(&core->sockets, children->loop, start, core);
        }
        for (size_t i = cores->count; i < ARRAY_LEN(cores->list); i++)
                swarm_sockets_drop(passed, (uint32_t)i + SWARM_SOCKETS_FIRST);
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

bool core_is_first(const struct core *core)
{
        return core == core->cores->list;
}

void core_mend(struct core *core)
{
        uint16_t port = core->sockets.server.port;

        swarm_sockets_mend(&core->sockets);
        if (core_is_first(core) && core->sockets.server.port != port)
                core->cores->moved(core->cores->context);
}

void cores_identity(uint32_t id, const uint8_t seed[CONF_KEY_BYTES], uint8_t seed_out[CONF_KEY_BYTES])
{
        _Static_assert((int)CONF_KEY_BYTES == (int)crypto_kdf_KEYBYTES, "a seed is a key");

        if (id == SWARM_SOCKETS_FIRST)
                memcpy(seed_out, seed, CONF_KEY_BYTES);
        else
                crypto_kdf_derive_from_key(seed_out, CONF_KEY_BYTES, id, "hg-cores", seed);
}
