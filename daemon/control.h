/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: people ask, with hypergate(1), and are answered. A connection is one request: a line of words; the answer is
 * lines of JSON, of which the last has the type "end", then the connection is closed. What changes something is for root and for who the
 * instance runs as: the configuration is read anew, services are added and removed, it is drained, clients are let in, the log has another
 * level. */
#ifndef HG_CONTROL_H
#define HG_CONTROL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "list.h"

struct supervisor;

/* A group whose members may ask what changes nothing. */
#define CONTROL_READERS "hypergate"

enum {
        CONTROL_CONNS_MAX = 16,         /* at a time; further ones wait */
        CONTROL_BACKLOG = 64,
        CONTROL_LINE_MAX = 32 * 1024,   /* of a request: some hundred services to be added */
        CONTROL_OUT_MAX = 4 * 1024 * 1024,      /* unread by who asked: then it is cut off */
        CONTROL_PATIENCE_S = 60,        /* for a request, and for an answer */
};

struct control {
        struct supervisor *supervisor;
        int listener, conn;             /* -1: none */
        ev_io acceptable;
        struct list conns;
        unsigned count;
        bool begun;
        bool alone;                     /* it exists for one request, and ends with it */
};

/* A socket at @path, of @uid:@gid alone, and of the group CONTROL_READERS where there is one that we may give it to; a stale one is replaced.
 * 0 or -errno: -EADDRINUSE: somebody serves there. */
int control_listen(const char *path, uid_t uid, gid_t gid, int *fd_out);

/* @listener, or @conn with which the instance ends; -1: none. Theirs is the control's from now on. */
void control_init(struct control *control, struct supervisor *supervisor, int listener, int conn);

/* All workers are up: takes requests from now on. */
void control_begin(struct control *control);
void control_fini(struct control *control);

#endif
