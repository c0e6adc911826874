/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal's line about each attempt to reach a peer: how it was reached, or why it was not; and about each relay that is left, or come
 * back to. */
#ifndef HG_SWARM_ATTEMPTS_H
#define HG_SWARM_ATTEMPTS_H

#include "node.h"
#include "run.h"

enum { ATTEMPTS_FAILED_MAX = 32 };      /* peers whose failure has been told */

/* Zeroed: nothing was told. */
struct attempts {
        struct {
                uint8_t peer[NODE_KEY_BYTES];
                enum node_failure failure;
        } failed[ATTEMPTS_FAILED_MAX];
        size_t failed_count, next;      /* in use; the one to be replaced next */
        usec_t since_us;                /* when the minute began in which */
        unsigned told;                  /* as many failures were told */
};

/* What is as it was with that peer, and more failures than a few a minute (anybody may be listed as a peer), are told at debug level
 * only. @event: of NODE_ATTEMPT, NODE_MOVED, NODE_PEER_LEAVES or NODE_PEER_DOWN. */
void attempts_tell(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us);

/* In words: "the peer gave up", ... */
const char *attempts_failure(enum node_failure failure);

#endif
