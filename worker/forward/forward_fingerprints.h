/* SPDX-License-Identifier: BSD-3-Clause */
/* What the admin worker, where there is one, is told of a connection to a service as soon as it is made: whose it is. From then on the swarm
 * worker that carries it says so, which lives on when this worker does not. */
#ifndef HG_FORWARD_FINGERPRINTS_H
#define HG_FORWARD_FINGERPRINTS_H

#include "ipc_channel.h"
#include "ipc_fingerprint.h"
#include "run.h"

struct fingerprint;

/* Of a channel that has arrived from that swarm worker. NULL: nobody wants to know, its gateway said nothing, or there is no memory. */
struct fingerprint *fingerprint_new(struct worker *worker, uint32_t swarm, const struct ipc_channel_arrived *arrived);

/* Its connection is made, with these ends. To an admin worker that has no time the swarm worker says it a moment later. NULL is fine. */
void fingerprint_tell(struct fingerprint *fingerprint, const struct ipc_tuple *tuple, uint32_t idle_ms);

/* It is over, or was never handed on. NULL is fine. */
void fingerprint_free(struct fingerprint *fingerprint);

#endif
