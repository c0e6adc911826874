/* SPDX-License-Identifier: BSD-3-Clause */
/* The small application in each simulated host: what it does with channels, and what it remembers of peers. */
#ifndef HG_NODE_SIM_APP_H
#define HG_NODE_SIM_APP_H

#include "node_sim.h"

/* What the node reports. */
void node_sim_app_event(struct node_sim_host *host, const struct node_event *event);

/* Sends the next piece of what the channel has to say, as a pump does at each turn of its loop. */
void node_sim_app_say(struct node_sim_channel *channel);

struct node_sim_peer *node_sim_app_peer(struct node_sim_host *host, enum node_role role, const uint8_t key[NODE_KEY_BYTES]);

/* Of the host around it: its node was called and wants a turn. */
void node_sim_touch(struct node_sim_host *host);

/* What the supervisor does about sockets. */
void node_sim_add_sockets(struct node_sim_host *host, size_t count);
void node_sim_close_socket(struct node_sim_host *host, unsigned number);

#endif
