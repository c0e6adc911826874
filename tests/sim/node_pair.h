/* SPDX-License-Identifier: BSD-3-Clause */
/* One provider and one gateway, both of identity 1: what most scenes of whole nodes are about. */
#ifndef HG_NODE_PAIR_H
#define HG_NODE_PAIR_H

#include "cleanup.h"
#include "node_sim.h"

struct pair {
        struct node_sim *sim;
        struct node_sim_host *provider, *gateway;
};

/* There, and not joined. */
struct pair pair_new(uint64_t seed, const struct net_link *link);
void pair_free(struct pair *pair);

/* Both join; returns how long it took until gateway_knows(), or 30 s. */
usec_t pair_up(struct pair *pair);

/* They know each other; a check otherwise. */
struct pair paired(uint64_t seed, const struct net_link *link);

/* For node_sim_run_until(); @context is a struct pair. */
bool gateway_knows(void *context);              /* up, and advertised to it */
bool gateway_is_up(void *context);
bool gateway_is_down(void *context);

/* The same of a struct node_sim_channel: refused or closed. */
bool is_over(void *context);

/* Of all hosts. */
unsigned mistakes(const struct node_sim *sim);

/* NULL: none. */
struct node_sim_channel *first_channel(struct node_sim_host *host);

#endif
