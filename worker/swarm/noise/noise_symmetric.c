/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise_symmetric.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { HMAC_BLOCK_BYTES = 128 };

static void hash_padded_key(crypto_generichash_state *state, const uint8_t key[HMAC_BLOCK_BYTES], uint8_t pad)
{
        uint8_t block[HMAC_BLOCK_BYTES];

        for (size_t i = 0; i < sizeof(block); i++)
                block[i] = key[i] ^ pad;
        crypto_generichash_init(state, NULL, 0, NOISE_HASH_BYTES);
        crypto_generichash_update(state, block, sizeof(block));
        sodium_memzero(block, sizeof(block));
}

void noise_hmac(uint8_t out[NOISE_HASH_BYTES], const void *key, size_t key_len, const void *bytes, size_t len)
{
        uint8_t padded[HMAC_BLOCK_BYTES] = { 0 }, inner[NOISE_HASH_BYTES];
        crypto_generichash_state state;

        if (key_len > sizeof(padded))
                crypto_generichash(padded, NOISE_HASH_BYTES, key, key_len, NULL, 0);
        else if (key_len)
                memcpy(padded, key, key_len);

        hash_padded_key(&state, padded, 0x36);
        crypto_generichash_update(&state, bytes, len);
        crypto_generichash_final(&state, inner, sizeof(inner));

        hash_padded_key(&state, padded, 0x5c);
        crypto_generichash_update(&state, inner, sizeof(inner));
        crypto_generichash_final(&state, out, NOISE_HASH_BYTES);

        sodium_memzero(padded, sizeof(padded));
        sodium_memzero(inner, sizeof(inner));
        sodium_memzero(&state, sizeof(state));
}

void noise_hkdf(uint8_t out1[NOISE_HASH_BYTES], uint8_t out2[NOISE_HASH_BYTES], const uint8_t ck[NOISE_HASH_BYTES], const void *ikm,
                size_t len)
{
        uint8_t prk[NOISE_HASH_BYTES], second[NOISE_HASH_BYTES + 1];

        noise_hmac(prk, ck, NOISE_HASH_BYTES, ikm, len);
        noise_hmac(out1, prk, sizeof(prk), (const uint8_t[]){ 1 }, 1);
        memcpy(second, out1, NOISE_HASH_BYTES);
        second[NOISE_HASH_BYTES] = 2;
        noise_hmac(out2, prk, sizeof(prk), second, sizeof(second));
        sodium_memzero(prk, sizeof(prk));
        sodium_memzero(second, sizeof(second));
}

/* noise-curve-ed: as crypto_sign_ed25519_sk_to_curve25519(), RFC 8032 5.1.5 */
void noise_scalar(uint8_t scalar_out[NOISE_DH_BYTES], const uint8_t seed[NOISE_DH_BYTES])
{
        uint8_t hash[crypto_hash_sha512_BYTES];

        crypto_hash_sha512(hash, seed, NOISE_DH_BYTES);
        hash[0] &= 0xf8;
        hash[31] = (hash[31] & 0x7f) | 0x40;
        memcpy(scalar_out, hash, NOISE_DH_BYTES);
        sodium_memzero(hash, sizeof(hash));
}

bool noise_dh(uint8_t out[NOISE_DH_BYTES], const uint8_t scalar[NOISE_DH_BYTES], const uint8_t point[NOISE_DH_BYTES])
{
        return crypto_scalarmult_ed25519_noclamp(out, scalar, point) == 0;
}

void noise_symmetric_init(struct noise_symmetric *symmetric, const char *name)
{
        size_t len = strlen(name);

        assert(len <= NOISE_HASH_BYTES);
        *symmetric = (struct noise_symmetric){ 0 };
        memcpy(symmetric->h, name, len);
        memcpy(symmetric->ck, symmetric->h, sizeof(symmetric->ck));
}

void noise_mix_hash(struct noise_symmetric *symmetric, const void *bytes, size_t len)
{
        crypto_generichash_state state;

        crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
        crypto_generichash_update(&state, symmetric->h, sizeof(symmetric->h));
        crypto_generichash_update(&state, bytes, len);
        crypto_generichash_final(&state, symmetric->h, sizeof(symmetric->h));
}

void noise_mix_key(struct noise_symmetric *symmetric, const void *ikm, size_t len)
{
        uint8_t temporary[NOISE_HASH_BYTES];

        noise_hkdf(symmetric->ck, temporary, symmetric->ck, ikm, len);
        memcpy(symmetric->k, temporary, sizeof(symmetric->k));
        symmetric->n = 0;
        sodium_memzero(temporary, sizeof(temporary));
}

/* Four zero bytes, then the counter, little-endian. */
static void make_nonce(uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES], uint32_t n)
{
        memset(nonce, 0, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);
        for (size_t i = 0; i < sizeof(n); i++)
                nonce[4 + i] = (uint8_t)(n >> (8 * i));
}

void noise_encrypt(struct noise_symmetric *symmetric, uint8_t *out, const void *plain, size_t len)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

        make_nonce(nonce, symmetric->n);
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, symmetric->h, sizeof(symmetric->h), NULL, nonce,
                                                  symmetric->k);
        symmetric->n++;
        noise_mix_hash(symmetric, out, len + NOISE_MAC_BYTES);
}

bool noise_decrypt(struct noise_symmetric *symmetric, uint8_t *out, const uint8_t *bytes, size_t len)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
        const uint8_t *mac;

        if (len < NOISE_MAC_BYTES)
                return false;
        mac = bytes + len - NOISE_MAC_BYTES;
        make_nonce(nonce, symmetric->n);
        /* Verified before anything is written: on failure the second call would clear @out. */
        if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(NULL, NULL, bytes, len - NOISE_MAC_BYTES, mac, symmetric->h,
                                                               sizeof(symmetric->h), nonce, symmetric->k) != 0 ||
            crypto_aead_chacha20poly1305_ietf_decrypt_detached(out, NULL, bytes, len - NOISE_MAC_BYTES, mac, symmetric->h,
                                                               sizeof(symmetric->h), nonce, symmetric->k) != 0)
                return false;
        symmetric->n++;
        noise_mix_hash(symmetric, bytes, len);
        return true;
}
