/* SPDX-License-Identifier: BSD-3-Clause */
/* The swarm workers of an instance, each of which keeps one core busy: with sockets and identities of their own they are, to others, so
 * many peers of the same router. What there is one of in an instance is the first one's: the node that serves the DHT, the relay, what is
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
        struct core list[CONF_CORES_MAX];       /* of worker 1 and up; the first one is always there */
        size_t count;
        void (*moved)(void *context);
        void *context;
};

/* Takes over the sockets of the first, which were made while we still might what an ordinary user may not. */
void cores_init(struct cores *cores, const struct swarm_sockets *first);
void cores_fini(struct cores *cores);

/* Begins all of @conf, each at once or when it gets its sockets. @moved is called when the first one, at whose port others may begin, has
 * got other sockets than it had. */
void cores_begin(struct cores *cores, struct children *children, struct passed *passed, const struct conf *conf,
                 void (*moved)(void *context), void *context);

/* A swarm worker; NULL: @child is none. */
struct core *cores_find(struct cores *cores, const struct child *child);
bool core_is_first(const struct core *core);

/* Another life of its child begins: see swarm_sockets_mend(). */
void core_mend(struct core *core);

/* The seed of the identity of worker @id: the first one's is @seed, those of the others follow from it and last as long. */
void cores_identity(uint32_t id, const uint8_t seed[CONF_KEY_BYTES], uint8_t seed_out[CONF_KEY_BYTES]);

#endif
