/* SPDX-License-Identifier: BSD-3-Clause */
#include "cipher.h"

#include <string.h>

#include "cleanup.h"
#include "test.h"

enum {
        SMALL = 4200,                   /* every length up to here */
        LARGEST = 1024 * 1024,
        ADDED = crypto_secretstream_xchacha20poly1305_ABYTES,
};

typedef crypto_secretstream_xchacha20poly1305_state stream_state;

static const size_t large[] = { 8191, 16383, 16384, 16385, 32768 + 7, 63340, 65536, 3 * 16384, 262144 + 511, LARGEST };

/* One engine, and one stream as it sees it and as libsodium does. */
struct both {
        struct cipher *cipher;
        stream_state ours, theirs;
};

static uint8_t plain[LARGEST], sealed[LARGEST + ADDED], expected[LARGEST + ADDED];

static void begin(struct both *b)
{
        uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES], header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];
        uint64_t seed = 1;

        check(sodium_init() >= 0);
        b->cipher = cipher_new();
        check_equal(b->cipher != NULL, CIPHER_IS_OPENSSL);
        test_random_fill(&seed, key, sizeof(key));
        test_random_fill(&seed, header, sizeof(header));
        test_random_fill(&seed, plain, sizeof(plain));
        check(crypto_secretstream_xchacha20poly1305_init_pull(&b->ours, header, key) == 0);
        b->theirs = b->ours;
}

static void check_same_state(const struct both *b)
{
        check_bytes(&b->ours, &b->theirs, sizeof(b->ours));
}

static void push_theirs(struct both *b, uint8_t *out, size_t len, uint8_t tag)
{
        check(crypto_secretstream_xchacha20poly1305_push(&b->theirs, out, NULL, plain, len, NULL, 0, tag) == 0);
}

/* We seal as libsodium does, wherever the message lies. */
static void seal_like_libsodium(struct both *b, size_t len)
{
        stream_state before = b->ours;

        push_theirs(b, expected, len, 0);
        memset(sealed, 0xee, len + ADDED);
        cipher_push(b->cipher, &b->ours, sealed, plain, len);
        check_bytes(sealed, expected, len + ADDED);
        check_same_state(b);

        b->ours = before;
        memcpy(sealed + 1, plain, len);
        cipher_push(b->cipher, &b->ours, sealed, sealed + 1, len);
        check_bytes(sealed, expected, len + ADDED);
        check_same_state(b);
}

/* We open what libsodium sealed. */
static void open_libsodium_s(struct both *b, size_t len, uint8_t tag)
{
        push_theirs(b, sealed, len, tag);
        check(cipher_pull(b->cipher, &b->ours, sealed, len + ADDED));
        check_bytes(sealed + 1, plain, len);
        check_same_state(b);
}

TEST(any_length_is_sealed_as_libsodium_does)
{
        struct both b;

        begin(&b);
        for (size_t len = 0; len <= SMALL; len++)
                seal_like_libsodium(&b, len);
        for (size_t i = 0; i < ARRAY_LEN(large); i++)
                seal_like_libsodium(&b, large[i]);
        cipher_free(b.cipher);
}

TEST(any_length_sealed_by_libsodium_is_opened)
{
        struct both b;

        begin(&b);
        for (size_t len = 0; len <= SMALL; len++)
                open_libsodium_s(&b, len, 0);
        for (size_t i = 0; i < ARRAY_LEN(large); i++)
                open_libsodium_s(&b, large[i], 0);
        cipher_free(b.cipher);
}

TEST(any_tag_is_opened_and_another_key_follows_where_it_says_so)
{
        static const size_t lens[] = { 0, 100, 511, 512, 513, 1000, 20000 };
        struct both b;

        begin(&b);
        for (unsigned tag = 0; tag < 256; tag++)
                for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                        uint8_t key[sizeof(b.ours.k)];

                        memcpy(key, b.ours.k, sizeof(key));
                        open_libsodium_s(&b, lens[i], (uint8_t)tag);
                        check_equal(memcmp(key, b.ours.k, sizeof(key)) != 0,
                                    (tag & crypto_secretstream_xchacha20poly1305_TAG_REKEY) != 0);
                }
        cipher_free(b.cipher);
}

static void set_counter(struct both *b, uint32_t counter)
{
        for (size_t i = 0; i < sizeof(counter); i++)
                b->ours.nonce[i] = (uint8_t)(counter >> 8 * i);
        b->theirs = b->ours;
}

TEST(a_counter_that_wraps_brings_another_key)
{
        static const size_t lens[] = { 100, 2000 };
        struct both b;

        begin(&b);
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                uint8_t key[sizeof(b.ours.k)];

                memcpy(key, b.ours.k, sizeof(key));
                set_counter(&b, UINT32_MAX - 1);
                seal_like_libsodium(&b, lens[i]);
                check(memcmp(key, b.ours.k, sizeof(key)) == 0);
                seal_like_libsodium(&b, lens[i]);
                check(memcmp(key, b.ours.k, sizeof(key)) != 0);
                seal_like_libsodium(&b, lens[i]);
                set_counter(&b, UINT32_MAX - 1);
                for (int message = 0; message < 3; message++)
                        open_libsodium_s(&b, lens[i], 0);
        }
        cipher_free(b.cipher);
}

/* Anything else than what was sealed: refused, and neither the stream nor the bytes have changed. */
static void refuse(struct both *b, size_t len)
{
        stream_state before = b->ours;

        memcpy(expected, sealed, len);
        check(!cipher_pull(b->cipher, &b->ours, sealed, len));
        check_bytes(&b->ours, &before, sizeof(before));
        check_bytes(sealed, expected, len);
}

TEST(what_was_changed_is_refused_and_changes_nothing)
{
        static const size_t lens[] = { 0, 500, 512, 700, 3001 };
        struct both b;

        begin(&b);
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                size_t len = lens[i] + ADDED;
                stream_state before = b.theirs;

                push_theirs(&b, sealed, lens[i], 0);
                for (size_t bit = 0; bit < 8 * len; bit++) {
                        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
                        refuse(&b, len);
                        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
                }
                if (lens[i])
                        refuse(&b, len - 1);
                sealed[len] = 0;
                refuse(&b, len + 1);
                b.theirs = before;
                open_libsodium_s(&b, lens[i], 0);
                push_theirs(&b, sealed, lens[i], 0);
                open_libsodium_s(&(struct both){ b.cipher, b.theirs, b.theirs }, lens[i], 0);
                refuse(&b, lens[i] + ADDED);    /* one was left out: this is the message after the next */
                b.theirs = b.ours;
        }
        cipher_free(b.cipher);
}

TEST(streams_take_turns_at_one_engine)
{
        struct both b, other;

        begin(&b);
        other = b;
        for (uint32_t i = 0; i < 200; i++) {
                seal_like_libsodium(&b, i * 20);
                open_libsodium_s(&other, 4000 - i * 20, 0);
                if (i % 3 == 0)
                        cipher_forget(b.cipher);
        }
        cipher_free(b.cipher);
}

TEST(without_an_engine_all_is_libsodium_s)
{
        struct both b;

        begin(&b);
        cipher_free(b.cipher);
        b.cipher = NULL;
        for (size_t len = 0; len <= SMALL; len += 100) {
                seal_like_libsodium(&b, len);
                open_libsodium_s(&b, len, 0);
        }
        cipher_forget(NULL);
        cipher_free(NULL);
}
