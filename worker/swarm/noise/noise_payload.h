/* SPDX-License-Identifier: BSD-3-Clause */
/* What rides inside both handshake messages of HyperDHT: how to reach each other (hyperdht lib/messages.js noisePayload,
 * transport.md 1.6). */
#ifndef HG_NOISE_PAYLOAD_H
#define HG_NOISE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bytes.h"

enum {
        NOISE_PAYLOAD_VERSION = 1,
        NOISE_PAYLOAD_MAX = 512,        /* bytes of the fullest payload we can write */
        NOISE_ADDRESSES_MAX = 16,
        NOISE_ADDRESSES6_MAX = 8,
        NOISE_RELAYS_MAX = 8,
        NOISE_TOKEN_BYTES = 32,
};

/* Others may come; all but none mean no. */
enum noise_error {
        NOISE_ERROR_NONE = 0,
        NOISE_ERROR_ABORTED = 1,
        NOISE_ERROR_VERSION_MISMATCH = 2,
        NOISE_ERROR_TRY_LATER = 3,
};

enum noise_firewall {
        NOISE_FIREWALL_UNKNOWN = 0,
        NOISE_FIREWALL_OPEN = 1,
        NOISE_FIREWALL_CONSISTENT = 2,
        NOISE_FIREWALL_RANDOM = 3,
};

struct noise_addr6 {
        uint8_t ip[16];         /* in reading order */
        uint16_t port;
};

struct noise_relay {
        struct addr relay;      /* a node that forwards to the author */
        struct addr peer;       /* the author, as that node sees it */
};

/* Fields without their has_ are zero. The inner versions are what came: nobody checks them, and 1 is what we write. */
struct noise_payload {
        uint64_t version;       /* not NOISE_PAYLOAD_VERSION: the rest could not be read, it is all zero */
        uint64_t error;         /* enum noise_error, or one from the future */
        uint64_t firewall;      /* enum noise_firewall, likewise */

        bool has_holepunch;
        uint64_t holepunch_id;
        struct noise_relay relays[NOISE_RELAYS_MAX];
        size_t relay_count;

        struct addr addresses[NOISE_ADDRESSES_MAX];
        size_t address_count;
        struct noise_addr6 addresses6[NOISE_ADDRESSES6_MAX];
        size_t address6_count;

        bool has_udx, udx_reusable_socket;
        uint64_t udx_version;
        uint32_t udx_id;        /* the stream id the author wants to see in packets to it */
        uint64_t udx_seq;       /* 0; nobody applies it */

        bool has_secret_stream;
        uint64_t secret_stream_version;

        bool has_relay_through;
        uint64_t relay_through_version, relay_through_flags;
        uint8_t relay_through_key[32], relay_through_token[NOISE_TOKEN_BYTES];

        bool has_relay_addresses;       /* there, maybe with none in it */
        struct addr relay_addresses[NOISE_RELAYS_MAX];
        size_t relay_address_count;
};

/* False: cut short, or a stream id no UDX header can hold. Of longer lists the first are kept; unknown flags and what follows are
 * ignored. Addresses are as the stranger wrote them: see addr_is_unusable(). */
bool noise_payload_read(struct reader *r, struct noise_payload *payload_out);

/* The payload as version 1, whatever @payload says. Fits in NOISE_PAYLOAD_MAX bytes. */
void noise_payload_write(struct writer *w, const struct noise_payload *payload);

#endif
