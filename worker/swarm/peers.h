/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is connected, and what each last advertised, unread: kept so that a new router worker can be told everything. */
#ifndef HG_SWARM_PEERS_H
#define HG_SWARM_PEERS_H

#include "run.h"
#include "list.h"
#include "node.h"

struct peers {
        struct list all;
        struct worker_link *router;        /* NULL: none */
};

void peers_init(struct peers *peers);
void peers_fini(struct peers *peers);

/* A (new) router worker: it is told of every peer; NULL: it is gone. */
void peers_introduce(struct peers *peers, struct worker_link *router);

/* Takes NODE_PEER_UP, NODE_PEER_DOWN, NODE_PEER_LEAVES, NODE_ADVERT and NODE_ADVERT_LONG. */
void peers_event(struct peers *peers, const struct node_event *event);

#endif
