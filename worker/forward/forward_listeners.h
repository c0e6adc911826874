/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening sockets: whoever connects becomes a client. */
#ifndef HG_FORWARD_LISTENERS_H
#define HG_FORWARD_LISTENERS_H

#include "forward_greetings.h"
#include "heap.h"
#include "ipc_forward.h"
#include "list.h"
#include "run_watch.h"

struct listeners {
        struct worker *worker;
        struct watch *watch;
        struct greetings *greetings;
        struct list all, next;          /* @next: of the configuration being told */
        struct heap paused;
};

void listeners_init(struct listeners *listeners, struct worker *worker, struct watch *watch, struct greetings *greetings);
void listeners_fini(struct listeners *listeners);

/* The complete list, in between. Those of before accept until the end; then these do. */
void listeners_begin(struct listeners *listeners);
void listeners_end(struct listeners *listeners);

/* Takes @fd. 0 or -ENOMEM. */
int listeners_add(struct listeners *listeners, const struct ipc_forward_listener *what, int fd);

/* Takes up again what was paused and is due; when that is the next time. */
void listeners_advance(struct listeners *listeners, usec_t now_us);
usec_t listeners_deadline(const struct listeners *listeners);

#endif
