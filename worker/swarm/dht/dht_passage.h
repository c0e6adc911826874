/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshakes that passed through us on their way to a server, remembered for DHT_PASSAGE_LIFE_US: only an answer to one of
 * them is carried back, so that nobody makes us send what they like to whom they like. Clients give up after 4 s. */
#ifndef HG_DHT_PASSAGE_H
#define HG_DHT_PASSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "usec.h"

enum { DHT_PASSAGES_MAX = 4096 };

#define DHT_PASSAGE_LIFE_US SECONDS(10)

struct dht_passages;

struct dht_passages *dht_passages_new(const struct random *random);
void dht_passages_free(struct dht_passages *passages);

/* A client asked under @tid for the server of @target. When there are too many the oldest is forgotten. */
void dht_passages_add(struct dht_passages *passages, uint16_t tid, const uint8_t *target, const struct addr *client, usec_t now_us);
bool dht_passages_has(const struct dht_passages *passages, uint16_t tid, const uint8_t *target, const struct addr *client,
                      usec_t now_us);

#endif
