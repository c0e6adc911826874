/* SPDX-License-Identifier: BSD-3-Clause */
/* Forward workers: one for each gate and each service, up to a cap; beyond it they share. Gates and services never share:
 * who holds a service may connect, who holds a gate can't. */
#ifndef HG_FORWARDS_H
#define HG_FORWARDS_H

#include "children.h"
#include "list.h"

enum {
        FORWARDS_MAX = 64,              /* processes of an instance, half of them for each duty when it has both; and one more for services
                                         * that come when all of them run */
        FORWARDS_OF_HOSTS = 4,          /* of a virtual network, beside these */
        FORWARDS_STOP_MS = 2000,        /* what a worker that holds nothing any more gets for its goodbye */
};

struct forward {
        struct list in_all;
        enum ipc_duty duty;
        unsigned held;                  /* gates, or groups of services */
        struct child *child;            /* NULL until forwards_start() */
        uint32_t protocols;             /* of the services it will connect to: or of 1 << enum ipc_protocol */
        uint16_t ports[IPC_PORTS_MAX];
        size_t port_count;
        bool any_port;                  /* more than fit */
};

struct forwards {
        struct children *children;
        struct list all;
        unsigned max;                   /* of each duty */
        uint32_t last_id;
};

void forwards_init(struct forwards *forwards, struct children *children, unsigned max);
void forwards_fini(struct forwards *forwards);

/* One to hold one thing more: a new one, or the one that holds least. NULL: no memory. */
struct forward *forwards_hold(struct forwards *forwards, enum ipc_duty duty);

/* One to hold a group of services more, among those that @fits lets through when there are enough; if none of these does, a new one that
 * may connect to any port. NULL: no memory. */
struct forward *forwards_hold_services(struct forwards *forwards, bool (*fits)(const struct forward *forward, const void *group),
                                       const void *group);

/* It will connect to that port. Before it is started: afterwards nothing opens its wall. */
void forward_add_port(struct forward *forward, uint16_t protocol, uint16_t port);

/* Whether its wall lets it connect there, or is not built yet. */
bool forward_reaches(const struct forward *forward, uint16_t protocol, uint16_t port);

/* Starts those that aren't. 0 or -ENOMEM. */
int forwards_start(struct forwards *forwards);

/* It holds one thing less; the worker that holds nothing is stopped, and @forward is gone. True: it lives on. */
bool forwards_release(struct forwards *forwards, struct forward *forward);

/* That of a child with role IPC_FORWARD; NULL when it is being stopped. */
struct forward *forward_of(const struct child *child);

#endif
