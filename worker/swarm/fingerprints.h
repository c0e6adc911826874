/* SPDX-License-Identifier: BSD-3-Clause */
/* What the admin worker, where there is one, is told of the connections to services that are carried here: whose each of them is. It hears of each
 * before its first byte moves, of its end, and of all that are there when it is new. */
#ifndef HG_SWARM_FINGERPRINTS_H
#define HG_SWARM_FINGERPRINTS_H

#include <stdbool.h>

#include "ipc_channel.h"
#include "ipc_fingerprint.h"
#include "list.h"
#include "run.h"

struct fingerprints {
        struct worker *worker;
        struct list told, untold;
        bool wanted;                    /* there is an admin worker, or was one, which comes again */
};

struct fingerprint;

void fingerprints_init(struct fingerprints *all, struct worker *worker);

/* Of a channel that has arrived. NULL: nobody wants to know, its gateway said nothing, or there is no memory. */
struct fingerprint *fingerprint_new(struct fingerprints *all, const struct ipc_channel_arrived *arrived);

/* Its connection is there. One to a unix socket is nobody's. NULL is fine. */
void fingerprint_tell(struct fingerprint *fingerprint, const struct ipc_channel_ready *ready);

/* It is over. NULL is fine. */
void fingerprint_free(struct fingerprint *fingerprint);

/* There is a new admin worker. */
void fingerprints_introduce(struct fingerprints *all);

/* It takes more: what it has not heard of is told, as much as it takes now. */
void fingerprints_advance(struct fingerprints *all);

#endif
