/* SPDX-License-Identifier: BSD-3-Clause */
/* What a persistent node holds for others: the records of topics, and the forwards: where servers that announced their own key
 * are reached. Everything is dropped DHT_STORE_LIFE_US after it was last written, however often it is read.
 *
 * Strangers fill it, so it has bounds, and each source host a share: who comes too much displaces itself. Loopback has no
 * share: it is this machine's own, and a test network of fifty nodes is that one host. */
#ifndef HG_DHT_STORE_H
#define HG_DHT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dht_record.h"
#include "random.h"
#include "usec.h"

enum {
        DHT_STORE_MAX = 65536,          /* records and forwards together */
        DHT_STORE_TOPIC_MAX = 1024,     /* records of one topic */
        DHT_STORE_TOPIC_NET_MAX = 64,   /* of those from one /24 */
        DHT_STORE_SOURCE_MAX = 256,     /* from one host */
};

#define DHT_STORE_LIFE_US MINUTES(20)   /* hyperdht index.js maxAge; announcers come back every 10 to 12 minutes */
#define DHT_BUMP_DRIFT_MS 60000         /* hyperdht lib/persistent.js: a bump from further in the future is ignored */

struct dht_store;

struct dht_store *dht_store_new(const struct random *random);
void dht_store_free(struct dht_store *store);

/* Puts @record (copied; its first DHT_RECORD_KEPT_RELAYS relays) under @topic, in the place of an earlier one of that key.
 * A source that has its share loses its oldest. False: its /24 has its share of the topic, or no memory. */
bool dht_store_add(struct dht_store *store, const uint8_t *topic, const struct dht_record *record, const struct addr *from,
                   usec_t now_us);
void dht_store_remove(struct dht_store *store, const uint8_t *topic, const uint8_t *public_key);

/* When the topic was last bumped, kept while it has records; @now_ms since the epoch. */
void dht_store_bump(struct dht_store *store, const uint8_t *topic, uint64_t bump_ms, uint64_t now_ms);

/* Records of @topic, DHT_RECORDS_PER_LOOKUP at random when there are more, then the forward's, and the bump. Their pointers
 * lead into the store: good until it changes. */
void dht_store_lookup(struct dht_store *store, const uint8_t *topic, struct dht_lookup *out);

/* The server of @target is reached at @from, the source of its announcement. */
bool dht_store_forward_set(struct dht_store *store, const uint8_t *target, const struct dht_record *record,
                           const struct addr *from, usec_t now_us);
void dht_store_forward_remove(struct dht_store *store, const uint8_t *target);
bool dht_store_forward(const struct dht_store *store, const uint8_t *target, struct addr *from_out);

/* The record that came with it. */
bool dht_store_forward_record(const struct dht_store *store, const uint8_t *target, struct dht_record *out);

/* Drops what has become too old. */
void dht_store_expire(struct dht_store *store, usec_t now_us);

size_t dht_store_records(const struct dht_store *store);
size_t dht_store_forwards(const struct dht_store *store);

#endif
