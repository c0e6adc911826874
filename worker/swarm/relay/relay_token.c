/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay_token.h"

#include <sodium.h>

enum {
        NONCE_BYTES = 16,
        MAC_BYTES = RELAY_TOKEN_BYTES - NONCE_BYTES,    /* nobody guesses 128 bits */
};

/* For this relay alone: another one of the same router, which has seen the token, can't use it here. */
static void mac(uint8_t out[MAC_BYTES], const uint8_t nonce[NONCE_BYTES], const uint8_t proof[RELAY_PROOF_BYTES],
                const uint8_t relay_key[RELAY_KEY_BYTES])
{
        crypto_generichash_state state;

        crypto_generichash_init(&state, proof, RELAY_PROOF_BYTES, MAC_BYTES);
        crypto_generichash_update(&state, nonce, NONCE_BYTES);
        crypto_generichash_update(&state, relay_key, RELAY_KEY_BYTES);
        crypto_generichash_final(&state, out, MAC_BYTES);
        sodium_memzero(&state, sizeof(state));
}

void relay_token_make(uint8_t out[RELAY_TOKEN_BYTES], const uint8_t *proof, const uint8_t relay_key[RELAY_KEY_BYTES],
                      const struct random *random)
{
        random_fill(random, out, RELAY_TOKEN_BYTES);
        if (proof)
                mac(out + NONCE_BYTES, out, proof, relay_key);
}

bool relay_token_check(const uint8_t token[RELAY_TOKEN_BYTES], const uint8_t proof[RELAY_PROOF_BYTES],
                       const uint8_t relay_key[RELAY_KEY_BYTES])
{
        uint8_t expected[MAC_BYTES];

        mac(expected, token, proof, relay_key);
        return sodium_memcmp(expected, token + NONCE_BYTES, MAC_BYTES) == 0;
}
