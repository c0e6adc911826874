/* SPDX-License-Identifier: BSD-3-Clause */
/* The value of PEER_HANDSHAKE, request and reply: a Noise message and whom it concerns. hyperdht lib/messages.js handshake. */
#ifndef HG_DHT_CARRIER_H
#define HG_DHT_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bytes.h"

enum { DHT_CARRIER_OVERHEAD = 1 + 1 + 3 + 6 + 6 };

struct dht_carrier {
        uint64_t mode;                  /* enum dht_mode, or what a stranger made up */
        const uint8_t *noise;           /* leads into the bytes that were read */
        size_t noise_len;
        bool has_peer, has_relay;
        struct addr peer, relay;        /* peerAddress, relayAddress */
};

bool dht_carrier_decode(const void *bytes, size_t len, struct dht_carrier *out);
void dht_carrier_write(struct writer *w, const struct dht_carrier *carrier);

#endif
