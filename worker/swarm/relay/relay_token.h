/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens that show a relay that whoever chose them belongs to those it serves: 16 random bytes and their BLAKE2b, keyed. To all
 * others, the original's peers and relays included, they are 32 bytes like any others. */
#ifndef HG_RELAY_TOKEN_H
#define HG_RELAY_TOKEN_H

#include "random.h"
#include "relay_frame.h"

enum { RELAY_PROOF_BYTES = 32, RELAY_PROOFS_MAX = 4 };

/* A token to meet by at the relay with @relay_key. @proof: RELAY_PROOF_BYTES, or NULL: that relay asks for none. */
void relay_token_make(uint8_t out[RELAY_TOKEN_BYTES], const uint8_t *proof, const uint8_t relay_key[RELAY_KEY_BYTES],
                      const struct random *random);

/* Whether it was made so with that proof, which it says nothing about. Compares in constant time. */
bool relay_token_check(const uint8_t token[RELAY_TOKEN_BYTES], const uint8_t proof[RELAY_PROOF_BYTES],
                       const uint8_t relay_key[RELAY_KEY_BYTES]);

#endif
