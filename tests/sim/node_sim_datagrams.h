/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels of datagrams of the application in a simulated host: what is said can be told from all else that is, and what is heard
 * and should not have been is a mistake of its host. */
#ifndef HG_NODE_SIM_DATAGRAMS_H
#define HG_NODE_SIM_DATAGRAMS_H

#include "node_sim.h"

/* Of a channel with datagrams: the next ones it has to say; and what it hears, which a provider sends back. */
void node_sim_datagrams_say(struct node_sim_channel *channel);
void node_sim_datagrams_hear(struct node_sim_channel *channel);

#endif
