/* SPDX-License-Identifier: BSD-3-Clause */
/* The value of PEER_HOLEPUNCH, request and reply: a sealed payload and whom it concerns. hyperdht lib/messages.js holepunch. */
#ifndef HG_DHT_PUNCH_H
#define HG_DHT_PUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bytes.h"

enum { DHT_PUNCH_OVERHEAD = 1 + 1 + 9 + 3 + 6 };

struct dht_punch {
        uint64_t mode;                  /* enum dht_mode, or what a stranger made up */
        uint64_t id;                    /* which of the server's punches; 0 on the way back */
        const uint8_t *payload;         /* leads into the bytes that were read */
        size_t payload_len;
        bool has_peer;
        struct addr peer;               /* peerAddress */
};

bool dht_punch_decode(const void *bytes, size_t len, struct dht_punch *out);
void dht_punch_write(struct writer *w, const struct dht_punch *punch);

#endif
