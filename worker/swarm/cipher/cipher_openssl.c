/* SPDX-License-Identifier: BSD-3-Clause */
/* secretstream on OpenSSL's ChaCha20 and Poly1305. A message is ChaCha20 under the state's key and nonce: block 0 keys Poly1305,
 * block 1 hides the tag byte, the message starts with block 2; the MAC is over block 1, the message, padding and lengths (libsodium
 * crypto_secretstream_xchacha20poly1305.c). */
#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum {
        SHORT_BYTES = 512,              /* below it OpenSSL's calls cost more than its code saves */
        WIDE_BYTES = 128,               /* that Poly1305's fastest code takes at a time */
        BLOCK_BYTES = 64,
        MAC_BYTES = 16,
        SEALED_MIN = 1 + MAC_BYTES,
        COUNTER_BYTES = 4,
};

typedef crypto_secretstream_xchacha20poly1305_state stream_state;

_Static_assert(SEALED_MIN == crypto_secretstream_xchacha20poly1305_ABYTES, "");
_Static_assert(sizeof(((stream_state *)0)->k) == 32 && sizeof(((stream_state *)0)->nonce) == 12,
               "libsodium's state: a key, and a nonce of a counter and eight bytes");

struct cipher {
        OSSL_LIB_CTX *library;          /* of our own: no configuration file is read, and nobody's settings apply */
        EVP_CIPHER_CTX *chacha;
        EVP_MAC_CTX *poly;
};

/* The first two blocks of a message's key stream. */
struct head {
        uint8_t mac_key[BLOCK_BYTES];
        uint8_t tag[BLOCK_BYTES];       /* whose first byte is the sealed tag */
};

_Static_assert(sizeof(struct head) == 2 * BLOCK_BYTES, "");

/* None of these calls can fail once it has worked: what they need is there. If one did, a message would go out in clear. */
static void must(int ok)
{
        if (ok != 1)
                abort();
}

static void crypt(struct cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
        int done;

        must(EVP_EncryptUpdate(cipher->chacha, out, &done, in, (int)len));
}

/* Sets the key and the nonce up for one message, and makes its head; @tag is what block 1 hides. */
static void begin(struct cipher *cipher, const stream_state *state, uint8_t tag, struct head *head)
{
        uint8_t counter_and_nonce[16] = { 0 };

        memcpy(counter_and_nonce + 4, state->nonce, sizeof(state->nonce));
        must(EVP_EncryptInit_ex2(cipher->chacha, NULL, state->k, counter_and_nonce, NULL));
        memset(head, 0, sizeof(*head));
        head->tag[0] = tag;
        crypt(cipher, head->mac_key, head->mac_key, sizeof(*head));
}

static void mac_begin(struct cipher *cipher, const struct head *head, uint8_t sealed_tag)
{
        uint8_t block[BLOCK_BYTES];

        memcpy(block, head->tag, sizeof(block));
        block[0] = sealed_tag;
        must(EVP_MAC_init(cipher->poly, head->mac_key, 32, NULL));
        must(EVP_MAC_update(cipher->poly, block, sizeof(block)));
}

/* A call whose length is no multiple of WIDE_BYTES would be left to slower code as a whole. */
static void mac_add(struct cipher *cipher, const uint8_t *bytes, size_t len)
{
        size_t rest = len % WIDE_BYTES;

        must(EVP_MAC_update(cipher->poly, bytes, len - rest));
        must(EVP_MAC_update(cipher->poly, bytes + len - rest, rest));
}

static void mac_end(struct cipher *cipher, size_t len, uint8_t mac[MAC_BYTES])
{
        uint8_t tail[15 + 16] = { 0 };
        size_t padding = len % 16;      /* libsodium: as many as are there, not as many as are missing */
        struct writer w = writer_over(tail + padding, 16);
        size_t mac_len;

        write_u64le(&w, 0);             /* nothing is authenticated beside it */
        write_u64le(&w, BLOCK_BYTES + len);
        must(EVP_MAC_update(cipher->poly, tail, padding + 16));
        must(EVP_MAC_final(cipher->poly, mac, &mac_len, MAC_BYTES));
}

/* What follows a message: its MAC becomes part of the nonce, and a counter that wraps or a tag that asks for it brings another key. */
static void step(stream_state *state, const uint8_t mac[MAC_BYTES], uint8_t tag)
{
        for (size_t i = 0; i < sizeof(state->nonce) - COUNTER_BYTES; i++)
                state->nonce[COUNTER_BYTES + i] ^= mac[i];
        sodium_increment(state->nonce, COUNTER_BYTES);
        if ((tag & crypto_secretstream_xchacha20poly1305_TAG_REKEY) || sodium_is_zero(state->nonce, COUNTER_BYTES))
                crypto_secretstream_xchacha20poly1305_rekey(state);
}

static void push(struct cipher *cipher, stream_state *state, uint8_t *out, const uint8_t *plain, size_t len)
{
        const uint8_t tag = crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
        uint8_t *sealed = out + 1;
        struct head head;

        begin(cipher, state, tag, &head);
        out[0] = head.tag[0];
        mac_begin(cipher, &head, out[0]);
        crypt(cipher, sealed, plain, len);
        mac_add(cipher, sealed, len);
        mac_end(cipher, len, sealed + len);
        step(state, sealed + len, tag);
        sodium_memzero(&head, sizeof(head));
}

static bool pull(struct cipher *cipher, stream_state *state, uint8_t *sealed, size_t len)
{
        size_t plain_len = len - SEALED_MIN;
        uint8_t mac[MAC_BYTES], *message = sealed + 1, *sent_mac = message + plain_len;
        struct head head;
        uint8_t tag;
        bool good;

        begin(cipher, state, sealed[0], &head);
        tag = head.tag[0];
        mac_begin(cipher, &head, sealed[0]);
        mac_add(cipher, message, plain_len);
        mac_end(cipher, plain_len, mac);
        good = sodium_memcmp(mac, sent_mac, MAC_BYTES) == 0;
        if (good) {
                crypt(cipher, message, message, plain_len);
                step(state, sent_mac, tag);
        }
        sodium_memzero(&head, sizeof(head));
        return good;
}

void cipher_push(struct cipher *cipher, stream_state *state, uint8_t *out, const uint8_t *plain, size_t len)
{
        if (cipher && len >= SHORT_BYTES)
                push(cipher, state, out, plain, len);
        else
                crypto_secretstream_xchacha20poly1305_push(state, out, NULL, plain, len, NULL, 0,
                                                           crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

bool cipher_pull(struct cipher *cipher, stream_state *state, uint8_t *sealed, size_t len)
{
        if (cipher && len >= SHORT_BYTES + SEALED_MIN)
                return pull(cipher, state, sealed, len);
        return crypto_secretstream_xchacha20poly1305_pull(state, sealed + 1, NULL, NULL, sealed, len, NULL, 0) == 0;
}

void cipher_forget(struct cipher *cipher)
{
        static const stream_state nothing;
        struct head head;

        if (!cipher)
                return;
        begin(cipher, &nothing, 0, &head);
        crypt(cipher, head.tag, head.tag, 1);   /* it keeps what is left of a block, too */
}

/* Whether this libcrypto and this libsodium mean the same by a message, in both directions. */
static bool agrees(struct cipher *cipher)
{
        enum { LEN = 100 };             /* not a multiple of 16 */
        static const uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES] = { 1 };
        static const uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES] = { 2 };
        uint8_t plain[LEN] = { 3 }, sealed[LEN + SEALED_MIN], expected[LEN + SEALED_MIN];
        stream_state ours, theirs;

        crypto_secretstream_xchacha20poly1305_init_pull(&ours, header, key);
        theirs = ours;
        crypto_secretstream_xchacha20poly1305_push(&theirs, expected, NULL, plain, LEN, NULL, 0, 0);
        push(cipher, &ours, sealed, plain, LEN);
        return memcmp(sealed, expected, sizeof(sealed)) == 0 && memcmp(&ours, &theirs, sizeof(ours)) == 0;
}

static bool set_up(struct cipher *cipher)
{
        EVP_CIPHER *chacha = EVP_CIPHER_fetch(cipher->library, "ChaCha20", NULL);
        EVP_MAC *poly = EVP_MAC_fetch(cipher->library, "POLY1305", NULL);
        uint8_t zeros[32] = { 0 };

        cipher->chacha = chacha ? EVP_CIPHER_CTX_new() : NULL;
        cipher->poly = poly ? EVP_MAC_CTX_new(poly) : NULL;
        EVP_MAC_free(poly);
        if (!cipher->chacha || !cipher->poly || EVP_EncryptInit_ex2(cipher->chacha, chacha, zeros, zeros, NULL) != 1) {
                EVP_CIPHER_free(chacha);
                return false;
        }
        EVP_CIPHER_free(chacha);
        return agrees(cipher);
}

struct cipher *cipher_new(void)
{
        struct cipher *cipher;

        if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
                return NULL;
        cipher = calloc(1, sizeof(*cipher));
        if (!cipher)
                return NULL;
        cipher->library = OSSL_LIB_CTX_new();
        if (cipher->library && set_up(cipher))
                return cipher;
        cipher_free(cipher);
        return NULL;
}

void cipher_free(struct cipher *cipher)
{
        if (!cipher)
                return;
        EVP_MAC_CTX_free(cipher->poly);
        EVP_CIPHER_CTX_free(cipher->chacha);
        OSSL_LIB_CTX_free(cipher->library);
        free(cipher);
}
