/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets that are older than this process: listeners of gates that a socket unit has opened and lends us (sd_listen_fds(3)), and sockets of
 * ours that the service manager keeps from one life to the next, so that whoever comes in between waits in them, and the network finds us
 * at the same port. What a socket is is asked of the kernel; its name says only whom it is from. Without a manager there are none. */
#ifndef HG_PASSED_H
#define HG_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "sockets.h"

enum passed_from {
        PASSED_LENT,                    /* a socket unit's: its FileDescriptorName is "gate" */
        PASSED_KEPT_GATE,
        PASSED_KEPT_DHT,                /* a UDP port of the swarm worker */
};

enum { PASSED_NAME_MAX = 96 };

struct passed_socket {
        int fd;                         /* -1: it has been taken, or dropped */
        enum passed_from from;
        struct socket_place place;
        char name[PASSED_NAME_MAX];
        const char *why;                /* it was last said to be of no use; NULL: it is of use */
};

struct passed {
        const struct log *log;
        struct passed_socket *list;
        size_t count;
        unsigned room;                  /* what the manager would keep beside what it does */
};

/* Takes what was passed, so that no child finds it; what can be nothing of ours is logged, and closed. */
void passed_init(struct passed *passed, const struct log *log);
void passed_fini(struct passed *passed);

/* Drops the kept gates that are not @wanted any more: they are shut for whoever waits there, and the place is free. */
void passed_sort(struct passed *passed, bool (*wanted)(const void *context, const struct socket_place *place), const void *context);

/* The socket of a gate that was passed for this place, now the caller's; -1: none. A lent one is a copy, to be had again. */
int passed_take_gate(struct passed *passed, const struct socket_place *place, bool *lent_out);

/* The same of a UDP port that was kept as @which: at @ip and, unless it is 0, @port. Another one of that name is dropped. */
int passed_take_dht(struct passed *passed, const char *which, const uint8_t ip[4], uint16_t port);

/* Calls @use for each that is lent: NULL, or why it is of no use, which is logged when it is news. */
void passed_each_lent(struct passed *passed, const char *(*use)(void *context, const struct socket_place *place), void *context);

/* Has the manager keep it for the next life, and not any more. False: it keeps no more. */
bool passed_keep_gate(struct passed *passed, const struct socket_place *place, int fd);
void passed_forget_gate(struct passed *passed, const struct socket_place *place);
bool passed_keep_dht(struct passed *passed, const char *which, int fd);
void passed_forget_dht(struct passed *passed, const char *which);

/* What was kept as @which, and nobody took. */
void passed_drop_dht(struct passed *passed, const char *which);

#endif
