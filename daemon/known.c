/* SPDX-License-Identifier: BSD-3-Clause */
#include "known.h"

#include <sodium.h>
#include <string.h>

#include "bytes.h"

enum {
        HALF_BYTES = 512,
        BODY_BYTES = HALF_BYTES - STATE_HALVES_COST,
        ADDRESS_BYTES = 6,
};

static const char magic[] = "hgnodes1";

_Static_assert(16 + 2 + IPC_KNOWN_MAX * ADDRESS_BYTES <= BODY_BYTES, "all nodes fit in a half");

static void digest_network(const struct conf *conf, uint8_t out[16])
{
        crypto_generichash_state state;

        crypto_generichash_init(&state, NULL, 0, 16);
        for (size_t i = 0; i < conf->bootstrap_count; i++) {
                const struct conf_bootstrap *node = &conf->bootstrap[i];

                crypto_generichash_update(&state, (const uint8_t *)node->host, strlen(node->host) + 1);
                crypto_generichash_update(&state, (const uint8_t[]){ (uint8_t)node->port, (uint8_t)(node->port >> 8) }, 2);
        }
        crypto_generichash_final(&state, out, 16);
}

static void write_body(const struct known *known, uint8_t body[BODY_BYTES])
{
        struct writer w = writer_over(body, BODY_BYTES);

        memset(body, 0, BODY_BYTES);
        write_bytes(&w, known->network, sizeof(known->network));
        write_u16le(&w, (uint16_t)known->nodes.count);
        for (uint32_t i = 0; i < known->nodes.count; i++) {
                write_bytes(&w, known->nodes.node[i].ip, sizeof(known->nodes.node[i].ip));
                write_u16le(&w, known->nodes.node[i].port);
        }
}

/* The nodes only if they are of our network. */
static void read_body(struct known *known, const uint8_t body[BODY_BYTES])
{
        struct reader r = reader_over(body, BODY_BYTES);
        uint8_t network[sizeof(known->network)];
        uint16_t count;

        read_copy(&r, network, sizeof(network));
        count = read_u16le(&r);
        if (count > IPC_KNOWN_MAX || memcmp(network, known->network, sizeof(network)) != 0)
                return;
        known->nodes.count = count;
        for (uint32_t i = 0; i < count; i++) {
                read_copy(&r, known->nodes.node[i].ip, sizeof(known->nodes.node[i].ip));
                known->nodes.node[i].port = read_u16le(&r);
        }
}

int known_init(struct known *known, const char *path, uid_t uid, gid_t gid, const struct conf *conf)
{
        uint8_t body[BODY_BYTES];
        int r;

        *known = (struct known){ 0 };
        digest_network(conf, known->network);
        r = state_halves_open(&known->file, path, uid, gid, magic, sizeof(body), body);
        read_body(known, body);
        return r;
}

void known_fini(struct known *known)
{
        state_halves_close(&known->file);
}

static bool is_possible(const struct ipc_swarm_known *nodes)
{
        if (nodes->count == 0 || nodes->count > IPC_KNOWN_MAX)
                return false;
        for (uint32_t i = 0; i < nodes->count; i++)
                if (nodes->node[i].port == 0)
                        return false;
        return true;
}

bool known_take(struct known *known, const struct ipc_swarm_known *nodes)
{
        uint8_t body[BODY_BYTES];
        bool failed = known->error;

        if (!is_possible(nodes))
                return false;
        known->nodes = *nodes;
        write_body(known, body);
        /* A full disk costs what this would have brought; there is another one in minutes. */
        known->error = -state_halves_write(&known->file, body);
        known->news = failed != (known->error != 0);
        return true;
}
