/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker without a process: its code runs in the test, which holds the other ends of its links. Nothing here waits. */
#ifndef HG_INSIDE_H
#define HG_INSIDE_H

#include "run.h"

/* In place of a role: a second swarm worker, of id 2. All others have id 1. */
#define INSIDE_SWARM_2 IPC_ROLES

struct inside {
        struct worker *worker;
        struct ipc_link others[IPC_ROLES + 1];  /* by role; the supervisor always, siblings once introduced */
        uint64_t links;                 /* the number of the last introduction */
};

/* @worker begins as @role of @duty, id 1. */
void inside_begin(struct inside *inside, struct worker *worker, enum ipc_role role, enum ipc_duty duty);

/* Ours of all ends, and the worker's. It has parted from its siblings before (worker_part()). */
void inside_end(struct inside *inside);

/* Makes us its sibling of that role, in the place of the one before. */
void inside_introduce(struct inside *inside, enum ipc_role role);
void inside_depart(struct inside *inside, enum ipc_role role);

/* Sends whatever, allowed or not. @fds stay ours. */
void inside_send_raw(struct inside *inside, enum ipc_role as, uint32_t type, const void *payload, size_t len, const int *fds,
                     size_t fd_count);

/* Sends a message of the table; @fd -1: none; it stays ours. */
void inside_send(struct inside *inside, enum ipc_role as, enum ipc_type type, const void *payload, int fd);

/* What the worker said to that role: 1, or 0 for nothing now; a link that is over says nothing. */
int inside_receive(struct inside *inside, enum ipc_role as, struct ipc_received *message_out);

/* Reads and drops all that it said to anyone. */
void inside_drain(struct inside *inside);

#endif
