/* SPDX-License-Identifier: BSD-3-Clause */
/* How long nodes take to answer, all of them taken together, and when to ask again: RFC 6298. Nodes are as far as they are, so that a
 * mixture of them makes for a long timer; whoever is farther is asked once more than he had to be. dht-rpc waits a second each time. */
#ifndef HG_RPC_RTT_H
#define HG_RPC_RTT_H

#include <stdbool.h>

#include "usec.h"

#define RPC_TIMER_MIN_US MSEC(200)
#define RPC_TIMER_MAX_US SECONDS(1)

/* Zeroed: nothing is known. */
struct rpc_rtt {
        usec_t smoothed_us, varies_us;
};

/* A request that was sent once was answered after that. */
void rpc_rtt_sample(struct rpc_rtt *rtt, usec_t sample_us);

/* How long to wait for the answer to a first send before the second; as long as nothing is known, RPC_TIMER_MAX_US. */
usec_t rpc_rtt_timer(const struct rpc_rtt *rtt);

#endif
