/* SPDX-License-Identifier: BSD-3-Clause */
/* hello: proof of the router's secret, bound to both static keys of the connection and a time (hypergate.md 3). */
#ifndef HG_TUNNEL_HELLO_H
#define HG_TUNNEL_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "tunnel.h"

enum {
        TUNNEL_HELLO_TIME_BYTES = 9,    /* 0x15, milliseconds since the epoch as int64 */
        TUNNEL_HELLO_MAC_BYTES = 64,
        TUNNEL_HELLO_BYTES = TUNNEL_HELLO_TIME_BYTES + TUNNEL_HELLO_MAC_BYTES,
        TUNNEL_HELLO_FRAME_BYTES = 6 + TUNNEL_HELLO_BYTES,      /* all a peer may send before it has proved itself */
};

struct tunnel_hello_keys {
        const uint8_t *sender, *receiver, *router;      /* public keys, TUNNEL_KEY_BYTES */
        const uint8_t *auth;                            /* TUNNEL_AUTH_KEY_BYTES, derived once from the router's secret */
};

void tunnel_hello_make(uint8_t out[TUNNEL_HELLO_BYTES], const struct tunnel_hello_keys *keys, int64_t time_ms);

/* Whether @blob was made with these keys; *@time_ms_out is when, by the sender's clock. Compares in constant time. */
bool tunnel_hello_check(const uint8_t blob[TUNNEL_HELLO_BYTES], const struct tunnel_hello_keys *keys, int64_t *time_ms_out);

#endif
