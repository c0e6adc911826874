/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to a service being made, over one of its addresses after the other; who was asked before may still answer, and the first who does
 * is taken (RFC 8305 5). What time each may take is for the caller to say. */
#ifndef HG_FORWARD_DIAL_H
#define HG_FORWARD_DIAL_H

#include "forward_socket.h"
#include "ipc_forward.h"
#include "list.h"
#include "run_watch.h"
#include "usec.h"

/* After so long the next address is asked, too: "Connection Attempt Delay", RFC 8305 8. */
#define DIAL_PATIENCE_US MSEC(250)

struct dial {
        struct watch *watch;
        const struct ipc_forward_service *service;      /* not a unix socket */
        const struct ipc_forward_keep_alive *keep;
        struct watched watched;         /* ready when there is something to be said by dial_look(); its descriptor is -1 in between */
        union socket_address remote;    /* tried last, or the one that is connected */
        struct list passed;             /* over, but still under way */
        unsigned next;                  /* address */
        int error;                      /* of the last one; 0: there was none */
};

/* Borrows @service and @keep. @ready is called when dial_look() has something to say. */
void dial_init(struct dial *dial, struct watch *watch, const struct ipc_forward_service *service, const struct ipc_forward_keep_alive *keep,
               void (*ready)(struct watched *watched, uint32_t events));

/* Asks the next addresses. 0: connected, and dial_take() yields it; -EINPROGRESS: one is being waited for, or those passed over; else none
 * is left. */
int dial_next(struct dial *dial);

/* How it stands with the one that is waited for: 0, -EINPROGRESS, or -errno: dial_fail() with that, then the next. */
int dial_look(struct dial *dial);

/* The one that is waited for is given up. */
void dial_fail(struct dial *dial, int error);

/* Its time is over, but it may still answer while the next one is asked: dial_next(). Without memory it is given up. */
void dial_pass(struct dial *dial);

/* How long to wait before that, of @left_us for all of them. Without another address that is all there is. */
usec_t dial_patience_us(const struct dial *dial, usec_t left_us);

/* The descriptor, connected or not, which is the caller's from then on; -1: none. All others are given up. */
int dial_take(struct dial *dial);

/* Addresses behind the one that is tried. */
unsigned dial_left(const struct dial *dial);

/* Gives up. May be said at any time after dial_init(). */
void dial_fini(struct dial *dial);

#endif
