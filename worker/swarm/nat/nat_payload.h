/* SPDX-License-Identifier: BSD-3-Clause */
/* What two peers tell each other through relays while they punch, sealed so that no relay reads it (connect.md 2.4; hyperdht
 * lib/secure-payload.js, lib/messages.js holepunchPayload). */
#ifndef HG_NAT_PAYLOAD_H
#define HG_NAT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bytes.h"
#include "random.h"

enum {
        NAT_SECRET_BYTES = 32,
        NAT_TOKEN_BYTES = 32,
        NAT_HASH_BYTES = 64,            /* of a handshake: what both have from Noise */
        NAT_ADDRESSES_MAX = 4,          /* of one side; further ones are not looked at */
        NAT_PAYLOAD_MAX = 3 * 9 + 1 + 1 + 6 * NAT_ADDRESSES_MAX + 6 + 2 * NAT_TOKEN_BYTES,
        NAT_SEAL_BYTES = 24 + 16,       /* nonce and MAC, in front */
        NAT_SEALED_MAX = NAT_PAYLOAD_MAX + NAT_SEAL_BYTES,
        NAT_OPEN_MAX = 512,             /* longer ones are dropped unread */
};

/* How the NAT in front of a socket treats it: hyperdht lib/constants.js FIREWALL. */
enum nat_class {
        NAT_UNKNOWN = 0,
        NAT_OPEN = 1,
        NAT_CONSISTENT = 2,             /* one address for all remotes */
        NAT_RANDOM = 3,                 /* another port for each */
};

/* hyperdht lib/constants.js ERROR. Others may come; all but none mean no. */
enum nat_error {
        NAT_ERROR_NONE = 0,
        NAT_ERROR_ABORTED = 1,
        NAT_ERROR_VERSION_MISMATCH = 2,
        NAT_ERROR_TRY_LATER = 3,
};

/* Numbers are as the stranger wrote them. Fields without their has_ are zero. */
struct nat_payload {
        bool connected, punching;
        uint64_t error, firewall, round;
        bool has_addresses;
        struct addr addresses[NAT_ADDRESSES_MAX];       /* of the author, as others see it; port 0: a random one */
        size_t address_count;
        bool has_remote, has_token, has_remote_token;
        struct addr remote;             /* where the author has just opened its NAT for an answer */
        uint8_t token[NAT_TOKEN_BYTES];         /* to be sent back, by who gets packets to that host */
        uint8_t remote_token[NAT_TOKEN_BYTES];  /* sent back */
};

/* False: cut short. Unknown flags and what follows are ignored. */
bool nat_payload_read(struct reader *r, struct nat_payload *payload_out);
void nat_payload_write(struct writer *w, const struct nat_payload *payload);

/* The key both derive from the handshake they share. */
void nat_secret(const uint8_t hash[NAT_HASH_BYTES], uint8_t secret_out[NAT_SECRET_BYTES]);

/* Returns the length. */
size_t nat_seal(const uint8_t secret[NAT_SECRET_BYTES], const struct random *random, const struct nat_payload *payload,
                uint8_t out[NAT_SEALED_MAX]);

/* False: forged, cut short, or too long to be one. */
bool nat_open(const uint8_t secret[NAT_SECRET_BYTES], const uint8_t *sealed, size_t len, struct nat_payload *payload_out);

/* What proves to the holder of @local_secret that packets to @addr's host arrive where it came back from. */
void nat_token(const uint8_t local_secret[NAT_SECRET_BYTES], const struct addr *addr, uint8_t token_out[NAT_TOKEN_BYTES]);

#endif
