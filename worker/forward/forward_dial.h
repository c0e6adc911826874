/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to a service being made, over one of its addresses after the other. What time each may take is for the caller to say. */
#ifndef HG_FORWARD_DIAL_H
#define HG_FORWARD_DIAL_H

#include "forward_socket.h"
#include "ipc_message.h"
#include "run_watch.h"

struct dial {
        struct watch *watch;
        const struct ipc_forward_service *service;      /* not a unix socket */
        const struct ipc_forward_keep_alive *keep;
        struct watched watched;         /* ready when there is something to be said by dial_look(); its descriptor is -1 in between */
        union socket_address remote;    /* tried last */
        unsigned next;                  /* address */
        int error;                      /* of the last one; 0: there was none */
};

/* Borrows @service and @keep. @ready is called when dial_look() has something to say. */
void dial_init(struct dial *dial, struct watch *watch, const struct ipc_forward_service *service, const struct ipc_forward_keep_alive *keep,
               void (*ready)(struct watched *watched, uint32_t events));

/* Asks the next addresses. 0: connected, and dial_take() yields it; -EINPROGRESS: one is being waited for; else none is left. */
int dial_next(struct dial *dial);

/* How it stands with the one that is waited for: 0, -EINPROGRESS, or -errno: dial_fail() with that, then the next. */
int dial_look(struct dial *dial);

/* The one that is waited for is given up. */
void dial_fail(struct dial *dial, int error);

/* The descriptor, connected or not, which is the caller's from then on; -1: none. */
int dial_take(struct dial *dial);

/* Addresses behind the one that is tried. */
unsigned dial_left(const struct dial *dial);

/* Gives up. May be said at any time after dial_init(). */
void dial_fini(struct dial *dial);

#endif
