/* SPDX-License-Identifier: BSD-3-Clause */
/* What a Noise handshake keeps while it runs: the hash of all that was said, the chaining key, the cipher (Noise specification 5.2,
 * with BLAKE2b-512 and ChaCha20-Poly1305; transport.md 1.3, 1.4). */
#ifndef HG_NOISE_SYMMETRIC_H
#define HG_NOISE_SYMMETRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        NOISE_HASH_BYTES = 64,
        NOISE_CIPHER_KEY_BYTES = 32,
        NOISE_MAC_BYTES = 16,
        NOISE_DH_BYTES = 32,
};

struct noise_symmetric {
        uint8_t h[NOISE_HASH_BYTES], ck[NOISE_HASH_BYTES];
        uint8_t k[NOISE_CIPHER_KEY_BYTES];      /* none before the first noise_mix_key() */
        uint32_t n;
};

/* HMAC (RFC 2104) over BLAKE2b-512, whose block has 128 bytes. */
void noise_hmac(uint8_t out[NOISE_HASH_BYTES], const void *key, size_t key_len, const void *bytes, size_t len);

/* Two outputs from a chaining key and @ikm. @out1 may be @ck. */
void noise_hkdf(uint8_t out1[NOISE_HASH_BYTES], uint8_t out2[NOISE_HASH_BYTES], const uint8_t ck[NOISE_HASH_BYTES], const void *ikm,
                size_t len);

/* The scalar of an Ed25519 secret key: half of its seed's hash, clamped. */
void noise_scalar(uint8_t scalar_out[NOISE_DH_BYTES], const uint8_t seed[NOISE_DH_BYTES]);

/* @scalar times @point; false: @point is not canonical, not on the curve or not in the prime-order subgroup. */
bool noise_dh(uint8_t out[NOISE_DH_BYTES], const uint8_t scalar[NOISE_DH_BYTES], const uint8_t point[NOISE_DH_BYTES]);

/* @name: the protocol's, at most NOISE_HASH_BYTES long. */
void noise_symmetric_init(struct noise_symmetric *symmetric, const char *name);

void noise_mix_hash(struct noise_symmetric *symmetric, const void *bytes, size_t len);
void noise_mix_key(struct noise_symmetric *symmetric, const void *ikm, size_t len);

/* @len bytes to @len + NOISE_MAC_BYTES, bound to all that was said before; a key must have been mixed in. */
void noise_encrypt(struct noise_symmetric *symmetric, uint8_t *out, const void *plain, size_t len);

/* @len bytes (MAC included) to @len - NOISE_MAC_BYTES. False: forged or too short; nothing has changed and nothing was written. */
bool noise_decrypt(struct noise_symmetric *symmetric, uint8_t *out, const uint8_t *bytes, size_t len);

#endif
