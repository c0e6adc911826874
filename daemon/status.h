/* SPDX-License-Identifier: BSD-3-Clause */
/* How the instance fares: what swarm workers tell, in the words people look for in the log and in `systemctl status`. */
#ifndef HG_STATUS_H
#define HG_STATUS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "gates.h"
#include "ipc_forward.h"
#include "ipc_message.h"
#include "ipc_router.h"
#include "ipc_swarm.h"
#include "log.h"

enum { STATUS_ASKED_EVERY_S = 10 };     /* a node that hears nobody asks its bootstrap nodes again within this */

struct status {
        struct ev_loop *loop;
        const struct log *log;
        const struct gates *gates;
        const struct conf *conf;
        struct ipc_swarm_status of[CONF_CORES_MAX];     /* what each swarm worker said last */
        struct ipc_swarm_status last;   /* of all together: each is connected to the same peers, and carries channels of its own; how the
                                         * DHT is, the first says */
        struct ipc_swarm_status gone;   /* what those of before had counted: bytes and packets, which never become less */
        uint64_t dropped;               /* datagrams, by forward workers and swarm workers of before */
        uint64_t adverts_dropped;       /* by router workers */
        uint64_t ended[IPC_REASONS];    /* channels, by the word of forward workers */
        struct log_limit told;          /* lines: a worker is believed, but not so often */
        bool told_unreachable;
        ev_timer unreachable;           /* from when the network should be reached until it is */
        ev_timer stats;                 /* the next line about what was carried: */
        uint64_t stats_sent_bytes, stats_received_bytes;        /* up to the last one */
        ev_timer line;                  /* the next status line, at most one a second */
        void (*lost)(void *context);    /* the network has not been reached for a while */
        void *context;
};

/* @conf is borrowed. @gates: NULL without a gateway. */
void status_init(struct status *status, struct ev_loop *loop, const struct log *log, const struct gates *gates,
                 const struct conf *conf, void (*lost)(void *context), void *context);
void status_fini(struct status *status);

/* @conf in its place. */
void status_reload(struct status *status, const struct conf *conf);

/* The swarm worker of that id (from 1) starts from nothing, now. */
void status_begin(struct status *status, uint32_t swarm);
void status_swarm(struct status *status, uint32_t swarm, const struct ipc_swarm_status *now);

/* What a forward worker counted since it last said so. */
void status_forward(struct status *status, const struct ipc_forward_status *more);

/* The same of a router worker. */
void status_router(struct status *status, const struct ipc_router_status *more);

/* Something that the status line shows has changed. */
void status_touch(struct status *status);

/* The status line; returns @out. */
const char *status_text(const struct status *status, char *out, size_t size);

#endif
