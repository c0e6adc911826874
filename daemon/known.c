/* SPDX-License-Identifier: BSD-3-Clause */
#include "known.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "state_file.h"

enum {
        HALF_BYTES = 512,
        DIGEST_BYTES = 32,
        BODY_BYTES = HALF_BYTES - DIGEST_BYTES,
        ADDRESS_BYTES = 6,
};

static const char magic[8] = "hgnodes1";

_Static_assert(sizeof(magic) + 8 + 16 + 2 + IPC_KNOWN_MAX * ADDRESS_BYTES <= BODY_BYTES, "all nodes fit in a half");

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

/* --- A half --- */

static void half_write(const struct known *known, uint8_t half[HALF_BYTES])
{
        struct writer w = writer_over(half, BODY_BYTES);

        memset(half, 0, HALF_BYTES);
        write_bytes(&w, magic, sizeof(magic));
        write_u64le(&w, known->number);
        write_bytes(&w, known->network, sizeof(known->network));
        write_u16le(&w, (uint16_t)known->nodes.count);
        for (uint32_t i = 0; i < known->nodes.count; i++) {
                write_bytes(&w, known->nodes.node[i].ip, sizeof(known->nodes.node[i].ip));
                write_u16le(&w, known->nodes.node[i].port);
        }
        crypto_generichash(half + BODY_BYTES, DIGEST_BYTES, half, BODY_BYTES, NULL, 0);
}

/* Takes over what is in @half if that is whole and newer; the nodes only if they are of our network. */
static void half_read(struct known *known, const uint8_t half[HALF_BYTES])
{
        struct reader r = reader_over(half, BODY_BYTES);
        uint8_t digest[DIGEST_BYTES], network[sizeof(known->network)], found[sizeof(magic)];
        struct ipc_swarm_known nodes = { 0 };
        uint64_t number;

        crypto_generichash(digest, sizeof(digest), half, BODY_BYTES, NULL, 0);
        read_copy(&r, found, sizeof(found));
        number = read_u64le(&r);
        read_copy(&r, network, sizeof(network));
        nodes.count = read_u16le(&r);
        if (memcmp(digest, half + BODY_BYTES, sizeof(digest)) != 0 || memcmp(found, magic, sizeof(magic)) != 0 ||
            nodes.count > IPC_KNOWN_MAX || number <= known->number)
                return;
        for (uint32_t i = 0; i < nodes.count; i++) {
                read_copy(&r, nodes.node[i].ip, sizeof(nodes.node[i].ip));
                nodes.node[i].port = read_u16le(&r);
        }
        known->number = number;
        known->nodes = memcmp(network, known->network, sizeof(network)) == 0 ? nodes : (struct ipc_swarm_known){ 0 };
}

/* --- The file --- */

int known_init(struct known *known, const char *path, uid_t uid, gid_t gid, const struct conf *conf)
{
        uint8_t half[HALF_BYTES];

        *known = (struct known){ .fd = path ? state_file_open(path, uid, gid) : -1 };
        digest_network(conf, known->network);
        if (known->fd < 0) {
                int r = path ? known->fd : 0;

                known->fd = -1;
                return r;
        }
        for (off_t at = 0; at < 2 * HALF_BYTES; at += HALF_BYTES)
                if (pread(known->fd, half, sizeof(half), at) == sizeof(half))
                        half_read(known, half);
        return 0;
}

void known_fini(struct known *known)
{
        if (known->fd >= 0)
                close(known->fd);
        known->fd = -1;
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

/* 0, or why it is not there. */
static int store(const struct known *known, const uint8_t half[HALF_BYTES])
{
        ssize_t len = pwrite(known->fd, half, HALF_BYTES, known->number % 2 ? HALF_BYTES : 0);

        return len == HALF_BYTES ? 0 : len < 0 ? errno : ENOSPC;
}

bool known_take(struct known *known, const struct ipc_swarm_known *nodes)
{
        uint8_t half[HALF_BYTES];

        if (!is_possible(nodes))
                return false;
        known->nodes = *nodes;
        known->number++;
        half_write(known, half);
        /* A full disk costs what this would have brought; the next, in minutes, goes to the same half. */
        known->error = known->fd >= 0 ? store(known, half) : 0;
        if (known->error)
                known->number--;
        return true;
}
