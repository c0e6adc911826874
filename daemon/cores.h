/* SPDX-License-Identifier: BSD-3-Clause */
/* Swarm workers beside the first, which each keep one more core busy: with sockets and identities of their own they are, to others, more
 * peers of the same router. What there is one of in an instance is the first one's: the node that serves the DHT, the relay, what is
 * asked of the network. */
#ifndef HG_CORES_H
#define HG_CORES_H

#include "children.h"
#include "conf.h"
#include "swarm_sockets.h"

struct core {
        struct cores *cores;
        struct child *child;            /* NULL: it has no sockets yet */
        struct swarm_sockets sockets;
};

struct cores {
        struct children *children;
        struct core list[CONF_CORES_MAX - 1];   /* of worker 2 and up */
        size_t count;
};

/* Begins those of @conf beyond the first: at once, or when they get their sockets. */
void cores_init(struct cores *cores, struct children *children, struct passed *passed, const struct conf *conf);
void cores_fini(struct cores *cores);

/* The one of that child; NULL: it is none of these. */
struct core *cores_find(struct cores *cores, const struct child *child);

/* The seed of the identity of worker @id, which follows from that of the first and lasts as long. */
void cores_identity(uint32_t id, const uint8_t seed[CONF_KEY_BYTES], uint8_t seed_out[CONF_KEY_BYTES]);

#endif
