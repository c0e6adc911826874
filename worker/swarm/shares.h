/* SPDX-License-Identifier: BSD-3-Clause */
/* How many channels each peer has to services here. */
#ifndef HG_SWARM_SHARES_H
#define HG_SWARM_SHARES_H

#include "map.h"
#include "node.h"

struct share;

struct shares {
        struct map all;                 /* of peers that have any, by key */
};

/* @key: 16 random bytes. */
void shares_init(struct shares *shares, const uint8_t key[16]);

/* All have been given back. */
void shares_fini(struct shares *shares);

/* One channel more of @peer; *@count_out: how many it has then. NULL: no memory. */
struct share *shares_take(struct shares *shares, const uint8_t peer[NODE_KEY_BYTES], uint32_t *count_out);

/* One less. NULL is fine. */
void shares_give_back(struct shares *shares, struct share *share);

#endif
