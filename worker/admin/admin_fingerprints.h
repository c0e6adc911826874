/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose each connection to a service is: what its gateway said of the client, found by the ends of the connection. */
#ifndef HG_ADMIN_FINGERPRINTS_H
#define HG_ADMIN_FINGERPRINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc_fingerprint.h"
#include "map.h"
#include "usec.h"

enum { ADMIN_FINGERPRINTS_MAX = 32768 };        /* of some 400 bytes each, 1,100 at most */

struct admin_fingerprint {
        struct map_entry by_tuple;
        const void *from;               /* who said it last */
        uint64_t channel;               /* of swarm worker @swarm */
        uint32_t swarm;
        struct ipc_tuple tuple;
        usec_t since_us;                /* since the epoch */
        uint32_t idle_ms;
        uint16_t gate_port;
        uint32_t len;
        char text[];                    /* a JSON object, without NUL */
};

struct admin_fingerprints {
        struct map by_tuple;
        size_t text_bytes;              /* of all of them */
};

/* @key: 16 random bytes. */
void admin_fingerprints_init(struct admin_fingerprints *all, const uint8_t key[16]);
void admin_fingerprints_fini(struct admin_fingerprints *all);

/* @carries: @from carries that channel. Who does not says nothing new of one that is known. What is no JSON object is not kept: 0. -ENOBUFS:
 * there are too many; -ENOMEM. */
int admin_fingerprints_set(struct admin_fingerprints *all, const void *from, bool carries, const struct ipc_fingerprint *said, usec_t wall_us);
void admin_fingerprints_drop(struct admin_fingerprints *all, const void *from, const struct ipc_fingerprint_drop *said);

/* Forgets all that @from has said. */
void admin_fingerprints_lose(struct admin_fingerprints *all, const void *from);

/* NULL: nobody said anything of it. */
const struct admin_fingerprint *admin_fingerprints_find(const struct admin_fingerprints *all, const struct ipc_tuple *tuple);

#endif
