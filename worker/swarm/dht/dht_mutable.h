/* SPDX-License-Identifier: BSD-3-Clause */
/* Mutable values as bytes: what MUTABLE_PUT carries, what MUTABLE_GET answers, and the signature that makes a value its key's.
 * HyperDHT lib/messages.js mutablePutRequest, mutableGetResponse; lib/persistent.js mutableSignable(). */
#ifndef HG_DHT_MUTABLE_H
#define HG_DHT_MUTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "dht_record.h"
#include "wire.h"

/* Pointers lead into the bytes that were read. */
struct dht_mutable {
        const uint8_t *public_key;      /* 32 bytes; put only */
        uint64_t seq;
        const uint8_t *value;
        size_t value_len;
        const uint8_t *signature;       /* DHT_SIGNATURE_BYTES, over seq and value */
};

/* publicKey32, seq, value, signature64 */
bool dht_mutable_put_decode(const void *bytes, size_t len, struct dht_mutable *out);
void dht_mutable_put_write(struct writer *w, const struct dht_mutable *mutable);

/* seq, value, signature64. The key is who asked knows it; @public_key is NULL when read. */
bool dht_mutable_decode(const void *bytes, size_t len, struct dht_mutable *out);
void dht_mutable_write(struct writer *w, const struct dht_mutable *mutable);

/* @secret_key: 64 bytes. */
void dht_mutable_sign(const struct dht_mutable *mutable, const uint8_t *secret_key, uint8_t signature_out[DHT_SIGNATURE_BYTES]);
bool dht_mutable_verify(const struct dht_mutable *mutable);

#endif
