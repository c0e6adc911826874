/* SPDX-License-Identifier: BSD-3-Clause */
/* What the DHT stores about peers, as bytes: peer records, lookup replies and (un)announcements with their signatures.
 * HyperDHT lib/messages.js and lib/persistent.js; integers are compact-encoding's. */
#ifndef HG_DHT_RECORD_H
#define HG_DHT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "wire.h"

enum {
        DHT_RECORD_RELAYS_MAX = 32,     /* a record with more is refused unread: JavaScript nodes keep 3 */
        DHT_RECORD_KEPT_RELAYS = 3,
        DHT_RECORDS_PER_LOOKUP = 20,
        DHT_SIGNATURE_BYTES = 64,
        DHT_RECORD_MAX = 32 + 1 + DHT_RECORD_RELAYS_MAX * WIRE_ADDR_BYTES,
        DHT_KEPT_RECORD_MAX = 32 + 1 + DHT_RECORD_KEPT_RELAYS * WIRE_ADDR_BYTES,
        DHT_ANNOUNCE_MAX = 1 + DHT_RECORD_MAX + 32 + DHT_SIGNATURE_BYTES + 9,
        DHT_LOOKUP_MAX = 1 + DHT_RECORDS_PER_LOOKUP * DHT_KEPT_RECORD_MAX + 9,
};

/* publicKey32, relay addresses. Pointers lead into the bytes that were read. */
struct dht_record {
        const uint8_t *public_key;
        const uint8_t *relays;          /* @relay_count addresses of WIRE_ADDR_BYTES */
        size_t relay_count;
};

void dht_record_read(struct reader *r, struct dht_record *out);
void dht_record_write(struct writer *w, const struct dht_record *record);

/* Relay address @index (< relay_count). */
struct addr dht_record_relay(const struct dht_record *record, size_t index);

/* A whole value that is one record: the reply to FIND_PEER. */
bool dht_record_decode(const void *bytes, size_t len, struct dht_record *out);

/* The reply to LOOKUP: at most DHT_RECORDS_PER_LOOKUP records are looked at. */
struct dht_lookup {
        struct dht_record records[DHT_RECORDS_PER_LOOKUP];
        size_t count;
        uint64_t bump;                  /* 0 also where an old node left it out */
};

bool dht_lookup_decode(const void *bytes, size_t len, struct dht_lookup *out);
void dht_lookup_write(struct writer *w, const struct dht_lookup *lookup);

/* The value of ANNOUNCE and UNANNOUNCE. Absent fields are NULL. */
struct dht_announce {
        bool has_record;
        struct dht_record record;
        const uint8_t *refresh;
        const uint8_t *signature;
        uint64_t bump;                  /* milliseconds since the epoch; 0: none. Not signed */
};

bool dht_announce_decode(const void *bytes, size_t len, struct dht_announce *out);
void dht_announce_write(struct writer *w, const struct dht_announce *announce);

enum dht_claim {
        DHT_CLAIM_ANNOUNCE,
        DHT_CLAIM_UNANNOUNCE,
};

/* Where and when a claim holds: at one node, for as long as its token. */
struct dht_scope {
        const uint8_t *target;          /* 32 bytes each */
        const uint8_t *node_id;         /* of the serving node */
        const uint8_t *token;
};

/* Signs record and refresh of @announce for @scope. @secret_key: 64 bytes, of the record's public key. */
void dht_claim_sign(enum dht_claim claim, const struct dht_scope *scope, const struct dht_announce *announce,
                    const uint8_t *secret_key, uint8_t signature_out[DHT_SIGNATURE_BYTES]);

/* False also when there is no record or no signature. */
bool dht_claim_verify(enum dht_claim claim, const struct dht_scope *scope, const struct dht_announce *announce);

#endif
