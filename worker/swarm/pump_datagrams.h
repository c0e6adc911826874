/* SPDX-License-Identifier: BSD-3-Clause */
/* The pump's two directions for datagrams, many in one system call. */
#ifndef HG_SWARM_PUMP_DATAGRAMS_H
#define HG_SWARM_PUMP_DATAGRAMS_H

#include "pump.h"

/* One batch from the local socket into the channel; and all the channel has for it, or what it takes: then it is
 * awaited. False: the socket is of no use any more. */
bool pump_datagrams_out(struct pump *pump);
bool pump_datagrams_in(struct pump *pump);

/* Whether it waits for @event of its local connection. */
void pump_await(struct pump *pump, int event, bool wanted);

#endif
