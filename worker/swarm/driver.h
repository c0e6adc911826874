/* SPDX-License-Identifier: BSD-3-Clause */
/* What turns the node's wheels: datagrams in, time, events out, datagrams out. The simulator has its own, as short. */
#ifndef HG_SWARM_DRIVER_H
#define HG_SWARM_DRIVER_H

#include <ev.h>

#include "node.h"
#include "udp.h"

struct driver {
        struct ev_loop *loop;
        struct node *node;
        struct udp *udp;
        struct now now;                 /* of this turn */
        int timer_fd;                   /* libev's own timers round to milliseconds: too coarse for pacing and probes */
        usec_t timer_us;                /* what it is armed for */
        usec_t eased_us;                /* when it was last set later than it was */
        ev_io receivable[UDP_SOCKETS_MAX], strange[UDP_SOCKETS_OWN], sendable, timer;
        unsigned strangers_left;        /* of their datagrams that may be read now */
        usec_t strangers_earned_us;     /* when that was last more */
        usec_t strangers_us;            /* they are read again from then on; USEC_NEVER: they are read */
        ev_prepare before_sleep;
        ev_check after_sleep;
        void (*turn)(void *context);    /* a turn begins: @now is fresh */
        void (*event)(void *context, const struct node_event *event);
        void *context;
};

/* Makes the timer; to be called before the worker is confined. 0 or -errno. */
int driver_init(struct driver *driver, struct ev_loop *loop, struct udp *udp);
void driver_fini(struct driver *driver);

/* Starts turning @node; the callbacks get @context. */
void driver_start(struct driver *driver, struct node *node, void (*turn)(void *context),
                  void (*event)(void *context, const struct node_event *event), void *context);

/* A socket of the udp was replaced. */
void driver_watch_socket(struct driver *driver, unsigned number);

/* One that was added is closed. */
void driver_close_socket(struct driver *driver, unsigned number);

/* Reads the clocks for this turn. */
void driver_tell_time(struct driver *driver);

/* Everything that is due, reported and sent, and the timer set: the one place that does. Runs by itself before each sleep. */
void driver_settle(struct driver *driver);

#endif
