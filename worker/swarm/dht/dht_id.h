/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids and targets, 32 bytes each, and the distance between two of them: their XOR, read as a number (Kademlia paper, 2.1). */
#ifndef HG_DHT_ID_H
#define HG_DHT_ID_H

#include <stdbool.h>
#include <stdint.h>

enum {
        DHT_ID_BYTES = 32,
        DHT_ID_BITS = 8 * DHT_ID_BYTES,
};

bool dht_id_equal(const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES]);

/* Negative: @a is nearer to @target than @b; positive: farther; 0: they are the same. */
int dht_id_compare(const uint8_t target[DHT_ID_BYTES], const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES]);

/* Leading bits both have in common; DHT_ID_BITS when they are the same. */
unsigned dht_id_shared_bits(const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES]);

#endif
