/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory that stands in for a DHT: dht.h as far as peers use it, without a network. */
#ifndef HG_PEER_SIM_DHT_H
#define HG_PEER_SIM_DHT_H

#include "peer_sim.h"

struct dht *peer_sim_dht_new(struct peer_sim_node *node);
void peer_sim_dht_free(struct dht *dht);

/* Hands a handshake message to a listener as if it had come over the network; for hostile ones. */
void peer_sim_dht_knock(struct dht *dht, const struct dht_inbound *inbound, const void *noise, size_t len);

/* The same with a round of a punch. */
void peer_sim_dht_punch(struct dht *dht, const struct dht_inbound *inbound, uint64_t id, const void *sealed, size_t len);

/* The last answer any server gave, and to where. */
struct peer_sim_answer {
        uint8_t noise[DHT_NOISE_MAX];
        size_t len;
        struct dht_inbound inbound;
};

const struct peer_sim_answer *peer_sim_dht_answer(const struct dht *dht);

/* The last that it said in a round of a punch, sealed; none since peer_sim_dht_punch(): len is 0. */
const struct peer_sim_answer *peer_sim_dht_round(const struct dht *dht);

#endif
