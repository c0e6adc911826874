/* SPDX-License-Identifier: BSD-3-Clause */
#include "cores.h"

#include <sodium.h>

static void start(void *context)
{
        struct core *core = context;
        struct cores *cores = core->cores;

        if (!core->child)               /* else it waits for them, and is told in this turn */
                core->child = children_add(cores->children, IPC_SWARM, (uint32_t)(core - cores->list) + 2, NULL);
}

void cores_init(struct cores *cores, struct children *children, const struct conf *conf)
{
        *cores = (struct cores){ .children = children, .count = conf->cores > 1 ? conf->cores - 1 : 0 };
        for (size_t i = 0; i < cores->count; i++) {
                struct core *core = &cores->list[i];

                core->cores = cores;
                swarm_sockets_init(&core->sockets, children->log, NULL, conf->host, 0);
                if (swarm_sockets_made(&core->sockets))
                        start(core);
                swarm_sockets_watch(&core->sockets, children->loop, start, core);
        }
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
