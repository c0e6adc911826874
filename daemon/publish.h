/* SPDX-License-Identifier: BSD-3-Clause */
/* What each worker shall know, and nothing else: the complete configuration of its role. */
#ifndef HG_PUBLISH_H
#define HG_PUBLISH_H

#include "ipc_forward.h"
#include "supervisor.h"

/* Sends it. False: there is nothing to be told yet (the swarm worker's way into the network is not known). */
bool publish(struct supervisor *supervisor, struct child *child);

/* The router worker hears who holds @gate, at once. */
void publish_gate(struct supervisor *supervisor, const struct gate *gate);

/* The same of a host's port. */
void publish_host(struct supervisor *supervisor, const struct host *host);

/* All that have gates hear, at once, until when clients from there are let in. */
void publish_allowance(struct supervisor *supervisor, const struct ipc_forward_allow *who);

/* The router worker hears that a service has gone or is there again. */
void publish_health(struct supervisor *supervisor, const struct ipc_service_health *health);

#endif
