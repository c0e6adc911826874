/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "bytes.h"

static const char protocol_name[] = "Noise_IK_Ed25519_ChaChaPoly_BLAKE2b";

/* BLAKE2b-256 of BLAKE2b-256("hyperswarm/dht") and the byte 0 */
const uint8_t noise_hyperdht_prologue[NOISE_PROLOGUE_BYTES] = {
        0x14, 0xd6, 0xd4, 0xb4, 0x92, 0x14, 0xab, 0x10, 0x33, 0xed, 0x20, 0x49, 0x76, 0xca, 0xa2, 0x58,
        0xba, 0xe9, 0xe1, 0xe8, 0x54, 0x3b, 0x9a, 0xd1, 0xfd, 0x99, 0x6a, 0x91, 0x0b, 0x0c, 0x4e, 0x3a,
};

enum { SEALED_KEY_BYTES = NOISE_KEY_BYTES + NOISE_MAC_BYTES };

void noise_init(struct noise *noise, const uint8_t secret_key[NOISE_SECRET_KEY_BYTES], const void *prologue, size_t prologue_len)
{
        *noise = (struct noise){ .state = NOISE_NEW };
        noise_scalar(noise->scalar, secret_key);
        memcpy(noise->public_key, secret_key + crypto_sign_ed25519_SEEDBYTES, sizeof(noise->public_key));
        noise_symmetric_init(&noise->symmetric, protocol_name);
        noise_mix_hash(&noise->symmetric, prologue, prologue_len);
}

void noise_fini(struct noise *noise)
{
        sodium_memzero(noise, sizeof(*noise));
        noise->state = NOISE_SPENT;
}

static enum noise_verdict spend(struct noise *noise, enum noise_verdict verdict)
{
        noise_fini(noise);
        return verdict;
}

static enum noise_verdict mix_dh(struct noise_symmetric *symmetric, const uint8_t scalar[NOISE_KEY_BYTES],
                                 const uint8_t point[NOISE_KEY_BYTES])
{
        uint8_t shared[NOISE_DH_BYTES];

        if (!noise_dh(shared, scalar, point))
                return NOISE_BAD_POINT;
        noise_mix_key(symmetric, shared, sizeof(shared));
        sodium_memzero(shared, sizeof(shared));
        return NOISE_FINE;
}

/* A fresh key pair: its public key goes into the message and the hash, its scalar to @scalar_out. */
static void emit_ephemeral(struct noise_symmetric *symmetric, const struct random *random, uint8_t public_out[NOISE_KEY_BYTES],
                           uint8_t scalar_out[NOISE_KEY_BYTES])
{
        uint8_t seed[crypto_sign_ed25519_SEEDBYTES], secret_key[NOISE_SECRET_KEY_BYTES];

        random_fill(random, seed, sizeof(seed));
        crypto_sign_ed25519_seed_keypair(public_out, secret_key, seed);
        noise_scalar(scalar_out, seed);
        noise_mix_hash(symmetric, public_out, NOISE_KEY_BYTES);
        sodium_memzero(seed, sizeof(seed));
        sodium_memzero(secret_key, sizeof(secret_key));
}

/* k1 is the initiator's to send with. */
static void make_session(const struct noise *noise, uint8_t k1_out[NOISE_KEY_BYTES], uint8_t k2_out[NOISE_KEY_BYTES],
                         struct noise_session *session)
{
        uint8_t k1[NOISE_HASH_BYTES], k2[NOISE_HASH_BYTES];

        noise_hkdf(k1, k2, noise->symmetric.ck, NULL, 0);
        memcpy(k1_out, k1, NOISE_KEY_BYTES);
        memcpy(k2_out, k2, NOISE_KEY_BYTES);
        memcpy(session->hash, noise->symmetric.h, sizeof(session->hash));
        memcpy(session->remote_key, noise->remote_key, sizeof(session->remote_key));
        sodium_memzero(k1, sizeof(k1));
        sodium_memzero(k2, sizeof(k2));
}

enum noise_verdict noise_initiate(struct noise *noise, const uint8_t remote_key[NOISE_KEY_BYTES], const struct random *random,
                                  const void *payload, size_t len, uint8_t *message_out)
{
        struct noise_symmetric *symmetric = &noise->symmetric;
        uint8_t *sealed_key = message_out + NOISE_KEY_BYTES, *sealed_payload = sealed_key + SEALED_KEY_BYTES;

        assert(noise->state == NOISE_NEW);
        memcpy(noise->remote_key, remote_key, sizeof(noise->remote_key));
        noise_mix_hash(symmetric, remote_key, NOISE_KEY_BYTES);
        emit_ephemeral(symmetric, random, message_out, noise->ephemeral);
        if (mix_dh(symmetric, noise->ephemeral, remote_key) != NOISE_FINE)              /* es */
                return spend(noise, NOISE_BAD_POINT);
        noise_encrypt(symmetric, sealed_key, noise->public_key, NOISE_KEY_BYTES);
        if (mix_dh(symmetric, noise->scalar, remote_key) != NOISE_FINE)                 /* ss */
                return spend(noise, NOISE_BAD_POINT);
        noise_encrypt(symmetric, sealed_payload, payload, len);
        noise->state = NOISE_INITIATED;
        return NOISE_FINE;
}

static enum noise_verdict read_second(struct noise *noise, struct reader *r, uint8_t *payload_out)
{
        struct noise_symmetric *symmetric = &noise->symmetric;
        const uint8_t *ephemeral = read_bytes(r, NOISE_KEY_BYTES);
        size_t len = reader_left(r);

        noise_mix_hash(symmetric, ephemeral, NOISE_KEY_BYTES);
        if (mix_dh(symmetric, noise->ephemeral, ephemeral) != NOISE_FINE ||             /* ee */
            mix_dh(symmetric, noise->scalar, ephemeral) != NOISE_FINE)                  /* se */
                return NOISE_BAD_POINT;
        return noise_decrypt(symmetric, payload_out, read_bytes(r, len), len) ? NOISE_FINE : NOISE_FORGED;
}

enum noise_verdict noise_finish(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload_out,
                                struct noise_session *session_out)
{
        struct reader r = reader_over(message, len);
        struct noise attempt;
        enum noise_verdict verdict;

        assert(noise->state == NOISE_INITIATED);
        if (len < NOISE_SECOND_BYTES)
                return NOISE_SHORT;
        attempt = *noise;       /* @noise itself stays as it is until an answer is good */
        verdict = read_second(&attempt, &r, payload_out);
        if (verdict == NOISE_FINE) {
                make_session(&attempt, session_out->tx, session_out->rx, session_out);
                noise_fini(noise);
        }
        noise_fini(&attempt);
        return verdict;
}

static enum noise_verdict read_first(struct noise *noise, struct reader *r, uint8_t *payload_out)
{
        struct noise_symmetric *symmetric = &noise->symmetric;
        size_t len;

        read_copy(r, noise->remote_ephemeral, NOISE_KEY_BYTES);
        noise_mix_hash(symmetric, noise->remote_ephemeral, NOISE_KEY_BYTES);
        if (mix_dh(symmetric, noise->scalar, noise->remote_ephemeral) != NOISE_FINE)    /* es */
                return NOISE_BAD_POINT;
        if (!noise_decrypt(symmetric, noise->remote_key, read_bytes(r, SEALED_KEY_BYTES), SEALED_KEY_BYTES))
                return NOISE_FORGED;
        if (mix_dh(symmetric, noise->scalar, noise->remote_key) != NOISE_FINE)          /* ss */
                return NOISE_BAD_POINT;
        len = reader_left(r);
        return noise_decrypt(symmetric, payload_out, read_bytes(r, len), len) ? NOISE_FINE : NOISE_FORGED;
}

enum noise_verdict noise_accept(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload_out)
{
        struct reader r = reader_over(message, len);
        enum noise_verdict verdict;

        assert(noise->state == NOISE_NEW);
        if (len < NOISE_FIRST_BYTES)
                return spend(noise, NOISE_SHORT);
        noise_mix_hash(&noise->symmetric, noise->public_key, NOISE_KEY_BYTES);
        verdict = read_first(noise, &r, payload_out);
        if (verdict != NOISE_FINE)
                return spend(noise, verdict);
        noise->state = NOISE_ACCEPTED;
        return NOISE_FINE;
}

const uint8_t *noise_remote_key(const struct noise *noise)
{
        assert(noise->state == NOISE_ACCEPTED);
        return noise->remote_key;
}

enum noise_verdict noise_respond(struct noise *noise, const struct random *random, const void *payload, size_t len,
                                 uint8_t *message_out, struct noise_session *session_out)
{
        struct noise_symmetric *symmetric = &noise->symmetric;
        uint8_t *sealed_payload = message_out + NOISE_KEY_BYTES;

        assert(noise->state == NOISE_ACCEPTED);
        emit_ephemeral(symmetric, random, message_out, noise->ephemeral);
        if (mix_dh(symmetric, noise->ephemeral, noise->remote_ephemeral) != NOISE_FINE ||       /* ee */
            mix_dh(symmetric, noise->ephemeral, noise->remote_key) != NOISE_FINE)               /* se */
                return spend(noise, NOISE_BAD_POINT);
        noise_encrypt(symmetric, sealed_payload, payload, len);
        make_session(noise, session_out->rx, session_out->tx, session_out);
        return spend(noise, NOISE_FINE);
}
