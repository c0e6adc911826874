/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the supervisor's rooms: what is logged can be read, and a child can be one end of a socket pair. */
#ifndef HG_DAEMON_WORLD_H
#define HG_DAEMON_WORLD_H

#include <ev.h>

#include "children.h"
#include "log.h"

struct world {
        struct ev_loop *loop;
        struct log log;
        int stderr_fd, log_fd;          /* where stderr led to; what it leads to now */
        struct children children;
        struct child child;
        struct ipc_link worker;         /* the other end of its link */
};

/* A child of @role that runs, without a process. */
void world_begin(struct world *world, enum ipc_role role);
void world_end(struct world *world);

/* One more; @worker: the other end of its link. */
void world_child(struct world *world, struct child *child, struct ipc_link *worker, enum ipc_role role, uint32_t id);
void world_child_end(struct world *world, struct child *child, struct ipc_link *worker);

/* All that was logged since the last call. */
const char *world_logged(struct world *world);

/* The next message to the child; its type, IPC_NOTHING when there is none. */
enum ipc_type world_told(struct world *world, struct ipc_received *message_out);

/* Lets @timer fire now, if it is running; whether it was. */
bool world_fire(struct world *world, ev_timer *timer);

#endif
