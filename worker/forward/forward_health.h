/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of services: each of those that say how is asked again and again whether it is there. So many at a time, spread over their
 * intervals. What the first check says counts at once; then it takes as many in a row as the service says. */
#ifndef HG_FORWARD_HEALTH_H
#define HG_FORWARD_HEALTH_H

#include "forward_services.h"
#include "heap.h"
#include "ipc_forward.h"
#include "run.h"
#include "run_watch.h"

enum { CHECKS_RUNNING_MAX = 64 };

struct checks {
        struct worker *worker;
        struct watch *watch;
        struct services *services;
        const struct ipc_forward_keep_alive *keep;
        struct random random;
        struct map by_number;
        struct heap due;                /* those that rest by their next time, others by when they are given up */
        struct list waiting;            /* until others are done */
        unsigned running;
};

/* Borrows all of these. */
void checks_init(struct checks *checks, struct worker *worker, struct watch *watch, struct services *services,
                 const struct ipc_forward_keep_alive *keep, const struct random *random);
void checks_fini(struct checks *checks);

/* The services were replaced, right now. What is known of those that stay stays. */
void checks_services_changed(struct checks *checks, usec_t now_us);

/* What the supervisor says of a local service. Takes @fd, -1: none. */
void checks_dialled(struct checks *checks, const struct ipc_service_dialled *dialled, int fd, usec_t now_us);

/* Does what is due; when that is the next time. */
void checks_advance(struct checks *checks, usec_t now_us);
usec_t checks_deadline(const struct checks *checks);

#endif
