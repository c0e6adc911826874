/* SPDX-License-Identifier: BSD-3-Clause */
/* The bound UDP sockets of gates: what comes in there goes to its client's session. */
#ifndef HG_FORWARD_DATAGRAMS_H
#define HG_FORWARD_DATAGRAMS_H

#include "forward_sessions.h"
#include "ipc_forward.h"

struct datagrams {
        struct worker *worker;
        struct watch *watch;
        struct clients *clients;
        uint8_t *buffer;                /* SESSIONS_BUFFER_BYTES, from the first gate on */
        struct list all, next;          /* @next: of the configuration being told */
        uint64_t dropped, told;         /* datagrams without room; those of them that the supervisor knows of */
        usec_t tell_us;                 /* not before */
};

void datagrams_init(struct datagrams *datagrams, struct worker *worker, struct watch *watch, struct clients *clients);
void datagrams_fini(struct datagrams *datagrams);

/* The complete list, in between. A gate that stays keeps its sessions, whatever socket it comes with. */
void datagrams_begin(struct datagrams *datagrams);
void datagrams_end(struct datagrams *datagrams);

/* Takes @fd. 0 or -ENOMEM. */
int datagrams_add(struct datagrams *datagrams, const struct ipc_forward_listener *what, int fd);

/* Ends sessions that are silent, and tells what was dropped; when that is the next time. */
void datagrams_advance(struct datagrams *datagrams, usec_t now_us);
usec_t datagrams_deadline(const struct datagrams *datagrams);

#endif
