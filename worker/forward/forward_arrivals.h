/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels that arrive from gateways: each is connected to its service, or another one behind the same gate port if that fails, and handed to
 * the swarm worker that it came from, or refused. */
#ifndef HG_FORWARD_ARRIVALS_H
#define HG_FORWARD_ARRIVALS_H

#include "forward_services.h"
#include "forward_tally.h"
#include "heap.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "map.h"
#include "run.h"
#include "run_watch.h"

enum { ARRIVALS_PENDING_MAX = 512 };    /* connections that are not made yet; of one peer at most half of what others leave */

/* For all addresses of a service together, shared evenly by those still to be tried: a gateway that is an original gives up
 * after 15 s, and shall hear why before. */
#define ARRIVALS_CONNECT_US SECONDS(10)

#define ARRIVALS_SILENT_US SECONDS(1)   /* what is known of a service only then is no refusal: nobody else shall wait for it */

struct arrivals {
        struct worker *worker;
        struct watch *watch;
        struct services services;
        struct ipc_forward_keep_alive keep;
        struct map by_number;
        struct heap deadlines;          /* of connections being made */
        struct list pending_all;
        size_t pending;
        struct tally tally;
};

/* Keeps @worker and @watch. */
void arrivals_init(struct arrivals *arrivals, struct worker *worker, struct watch *watch, const struct random *random);
void arrivals_fini(struct arrivals *arrivals);

/* The services were replaced: swarm workers hear which gate ports that concerns, and which sessions of datagrams lead to what is
 * no service any more. */
void arrivals_services_changed(struct arrivals *arrivals);

/* A new swarm worker hears what we hold. */
void arrivals_introduce(struct arrivals *arrivals, struct worker_link *swarm);

/* The one of that id has ended. What it had is gone, and the kernel has reset it. */
void arrivals_lose(struct arrivals *arrivals, uint32_t swarm);

/* What the swarm worker of that id says. */
void arrivals_arrived(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_arrived *arrived, usec_t now_us);
/* What the supervisor says of a local service. Takes @fd, -1: none. */
void arrivals_dialled(struct arrivals *arrivals, const struct ipc_service_dialled *dialled, int fd, usec_t now_us);

void arrivals_gone(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel *gone);
void arrivals_closed(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_closed *closed, usec_t now_us);

/* Gives up on what did not answer; when that is the next time. */
void arrivals_advance(struct arrivals *arrivals, usec_t now_us);
usec_t arrivals_deadline(const struct arrivals *arrivals);

#endif
