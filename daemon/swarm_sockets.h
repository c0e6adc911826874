/* SPDX-License-Identifier: BSD-3-Clause */
/* A swarm worker's two UDP sockets: made once, the same in each of its lives, so that peers find it where it was; and in the next life of all, if
 * the service manager keeps them, so that NATs go on leading to them. */
#ifndef HG_SWARM_SOCKETS_H
#define HG_SWARM_SOCKETS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "children.h"
#include "ipc_swarm.h"
#include "log.h"
#include "passed.h"
#include "sockets.h"

enum {
        SWARM_SOCKETS_FIRST = 1,        /* the worker whose sockets others look for at the usual ports */
        SWARM_SOCKETS_BURST = 512,      /* two punches, and a worker that begins anew in between */
        SWARM_SOCKETS_BURST_S = 10,
};

struct swarm_sockets {
        const struct log *log;
        struct passed *passed;
        uint32_t worker;                /* SWARM_SOCKETS_FIRST, or a further one */
        bool server_kept, client_kept;  /* by the service manager */
        uint8_t host[4];
        uint8_t mark;                   /* highest byte of our stream ids: whoever guesses it gets past the kernel, and no further */
        uint16_t port;                  /* wanted; 0: the usual ones, for a further worker any */
        struct udp_made server, client; /* fd -1: not yet, or with a port, which it had, not again */
        usec_t freed_by_us;             /* such a port is waited for */
        unsigned failures;
        int error;
        unsigned granted;               /* since @granted_us */
        usec_t granted_us;
        struct ev_loop *loop;
        ev_timer retry;
        void (*made)(void *context);
        void *context;
};

/* Of that @worker. Tries at once, while we still may what an ordinary user may not. */
void swarm_sockets_init(struct swarm_sockets *sockets, const struct log *log, struct passed *passed, uint32_t worker, const uint8_t host[4],
                        uint16_t port);

/* What was kept for a worker that there is none of in this life is dropped. */
void swarm_sockets_drop(struct passed *passed, uint32_t worker);
void swarm_sockets_fini(struct swarm_sockets *sockets);

/* Both are there. */
bool swarm_sockets_made(const struct swarm_sockets *sockets);

/* Another life begins: what the one before has shut is so for all who hold it, and is made anew, on the same port if that is free or the
 * service manager is about to free it: then later. */
void swarm_sockets_mend(struct swarm_sockets *sockets);

/* What the swarm worker wants beside them (struct ipc_swarm_want): granted, as many as fds and ports allow, and no more than
 * SWARM_SOCKETS_BURST in SWARM_SOCKETS_BURST_S seconds. False: it wants what nobody may. */
bool swarm_sockets_grant(struct swarm_sockets *sockets, struct child *child, const struct ipc_swarm_want *want);

/* Keeps trying for those that are missing, now or after a mend; @made is called later, each time that all are there again. */
void swarm_sockets_watch(struct swarm_sockets *sockets, struct ev_loop *loop, void (*made)(void *context), void *context);

#endif
