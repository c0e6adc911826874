/* SPDX-License-Identifier: BSD-3-Clause */
/* Both handshake messages: raw, as strangers send them; changed on the way; and well made by an initiator of its own mind, whose
 * ephemeral key, static key and payload are the input. Nothing but what was really sealed is ever accepted. */
#include <assert.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "noise.h"

enum { PAYLOAD_MAX = 512, MESSAGE_MAX = PAYLOAD_MAX + NOISE_FIRST_BYTES };

struct key_pair {
        uint8_t public_key[NOISE_KEY_BYTES], secret_key[NOISE_SECRET_KEY_BYTES];
};

static const char payload[] = "payload";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void fill(void *context, void *out, size_t len)
{
        memset(out, *(const uint8_t *)context, len);
}

static struct key_pair key_pair(uint8_t from)
{
        uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
        struct key_pair pair;

        memset(seed, from, sizeof(seed));
        crypto_sign_ed25519_seed_keypair(pair.public_key, pair.secret_key, seed);
        return pair;
}

static void begin(struct noise *noise, const struct key_pair *pair)
{
        noise_init(noise, pair->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
}

/* One handshake up to its last message, made once: what an input does to a copy of it is all that costs. */
struct handshake {
        struct key_pair responder;
        struct noise initiator;         /* waits for message 2 */
        uint8_t first[MESSAGE_MAX], second[MESSAGE_MAX];
        size_t first_len, second_len;
};

static void make_handshake(struct handshake *h)
{
        uint8_t seed = 3, read[PAYLOAD_MAX];
        struct random random = { fill, &seed };
        struct key_pair initiator = key_pair(1);
        struct noise_session session;
        struct noise responder;

        h->responder = key_pair(2);
        begin(&h->initiator, &initiator);
        begin(&responder, &h->responder);
        h->first_len = sizeof(payload) + NOISE_FIRST_BYTES;
        h->second_len = sizeof(payload) + NOISE_SECOND_BYTES;
        if (noise_initiate(&h->initiator, h->responder.public_key, &random, payload, sizeof(payload), h->first) != NOISE_FINE ||
            noise_accept(&responder, h->first, h->first_len, read) != NOISE_FINE ||
            memcmp(noise_remote_key(&responder), initiator.public_key, NOISE_KEY_BYTES) != 0 ||
            noise_respond(&responder, &random, payload, sizeof(payload), h->second, &session) != NOISE_FINE)
                abort();
}

/* In memory of exactly their size. */
static enum noise_verdict accept_exactly(const struct key_pair *pair, const uint8_t *message, size_t len)
{
        uint8_t *copy = malloc(len), *read = malloc(len > NOISE_FIRST_BYTES ? len - NOISE_FIRST_BYTES : 1);
        enum noise_verdict verdict;
        struct noise responder;

        assert(read && (copy || !len));
        if (len)
                memcpy(copy, message, len);
        begin(&responder, pair);
        verdict = noise_accept(&responder, copy, len, read);
        noise_fini(&responder);
        free(copy);
        free(read);
        return verdict;
}

static enum noise_verdict finish_exactly(struct noise *initiator, const uint8_t *message, size_t len)
{
        uint8_t *copy = malloc(len), *read = malloc(len > NOISE_SECOND_BYTES ? len - NOISE_SECOND_BYTES : 1);
        struct noise_session session;
        enum noise_verdict verdict;

        assert(read && (copy || !len));
        if (len)
                memcpy(copy, message, len);
        verdict = noise_finish(initiator, copy, len, read, &session);
        free(copy);
        free(read);
        return verdict;
}

/* @good with what the input says changed from where it says, maybe cut short. */
static size_t change(struct reader *r, uint8_t message[MESSAGE_MAX], const uint8_t *good, size_t len)
{
        size_t at = read_u8(r) % len, cut = read_u8(r), count = MIN(reader_left(r), len - at);

        memcpy(message, good, len);
        for (size_t i = 0; i < count; i++)
                message[at + i] ^= read_u8(r);
        return cut % 4 ? len : len - MIN(len, cut / 4);
}

static void try_changed_first(struct reader *r, const struct handshake *h)
{
        uint8_t message[MESSAGE_MAX];
        size_t len = change(r, message, h->first, h->first_len);
        bool same = len == h->first_len && memcmp(message, h->first, len) == 0;

        assert((accept_exactly(&h->responder, message, len) == NOISE_FINE) == same);
}

static void try_changed_second(struct reader *r, const struct handshake *h)
{
        uint8_t message[MESSAGE_MAX];
        size_t len = change(r, message, h->second, h->second_len);
        bool same = len == h->second_len && memcmp(message, h->second, len) == 0;
        struct noise initiator = h->initiator;

        assert((finish_exactly(&initiator, message, len) == NOISE_FINE) == same);
        assert(same || memcmp(&initiator, &h->initiator, sizeof(initiator)) == 0);
}

static bool mix_dh(struct noise_symmetric *symmetric, const uint8_t *scalar, const uint8_t *point)
{
        uint8_t shared[NOISE_DH_BYTES];

        if (!noise_dh(shared, scalar, point))
                return false;
        noise_mix_key(symmetric, shared, sizeof(shared));
        return true;
}

/* Sealed as it must be, but the static key in it may be another than the one it proves to own. */
static void try_forged(struct reader *r, const struct key_pair *pair)
{
        uint8_t message[MESSAGE_MAX], static_key[NOISE_KEY_BYTES], scalar[NOISE_KEY_BYTES], plain[PAYLOAD_MAX];
        struct key_pair ephemeral = key_pair(read_u8(r)), own = key_pair(5);
        struct noise_symmetric symmetric;
        size_t len = read_u8(r);
        bool is_own;

        len = MIN(len, reader_left(r));
        read_copy(r, plain, len);
        memcpy(static_key, own.public_key, sizeof(static_key));
        for (size_t i = 0; i < sizeof(static_key) && reader_left(r); i++)
                static_key[i] ^= read_u8(r);
        is_own = memcmp(static_key, own.public_key, sizeof(static_key)) == 0;

        noise_symmetric_init(&symmetric, "Noise_IK_Ed25519_ChaChaPoly_BLAKE2b");
        noise_mix_hash(&symmetric, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        noise_mix_hash(&symmetric, pair->public_key, NOISE_KEY_BYTES);
        memcpy(message, ephemeral.public_key, NOISE_KEY_BYTES);
        noise_mix_hash(&symmetric, message, NOISE_KEY_BYTES);
        noise_scalar(scalar, ephemeral.secret_key);
        if (!mix_dh(&symmetric, scalar, pair->public_key))
                abort();
        noise_encrypt(&symmetric, message + 32, static_key, sizeof(static_key));
        noise_scalar(scalar, own.secret_key);
        if (!mix_dh(&symmetric, scalar, pair->public_key))
                abort();
        noise_encrypt(&symmetric, message + 80, plain, len);
        assert((accept_exactly(pair, message, len + NOISE_FIRST_BYTES) == NOISE_FINE) == is_own);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        static struct handshake handshake;
        struct reader r = reader_over(bytes, len);
        struct noise initiator;

        if (!handshake.first_len)
                make_handshake(&handshake);
        initiator = handshake.initiator;
        switch (read_u8(&r) % 5) {
        case 0:
                (void)accept_exactly(&handshake.responder, r.at, reader_left(&r));
                break;
        case 1:
                (void)finish_exactly(&initiator, r.at, reader_left(&r));
                break;
        case 2:
                try_changed_first(&r, &handshake);
                break;
        case 3:
                try_changed_second(&r, &handshake);
                break;
        default:
                try_forged(&r, &handshake.responder);
        }
        return 0;
}
