/* SPDX-License-Identifier: BSD-3-Clause */
/* What OpenSSL keeps of keys: all memory it gets here is an arena that never forgets what was written and not wiped. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cipher.h"
#include "test.h"

enum { ARENA = 8 << 20, ALIGN = 64 };

static _Alignas(ALIGN) uint8_t arena[ARENA];
static size_t arena_used;

/* The size of each piece stands in front of it. */
static void *arena_malloc(size_t len, const char *file, int line)
{
        size_t size = (len + 2 * ALIGN - 1) / ALIGN * ALIGN;
        uint8_t *piece = arena + arena_used;

        if (size > ARENA - arena_used)
                abort();
        arena_used += size;
        memcpy(piece, &len, sizeof(len));
        return piece + ALIGN;
}

static void arena_free(void *piece, const char *file, int line)
{
}

static void *arena_realloc(void *old, size_t len, const char *file, int line)
{
        void *piece = arena_malloc(len, file, line);
        size_t old_len = 0;

        if (old)
                memcpy(&old_len, (uint8_t *)old - ALIGN, sizeof(old_len));
        if (old_len)
                memcpy(piece, old, old_len < len ? old_len : len);
        return piece;
}

static bool arena_has(const uint8_t *bytes, size_t len)
{
        return memmem(arena, arena_used, bytes, len) != NULL;
}

/* So no message can fail for want of memory. */
static void check_needs_no_memory(struct cipher *cipher)
{
        crypto_secretstream_xchacha20poly1305_state ours = { .k = { 9 } }, theirs = ours;
        uint8_t plain[1000] = { 0 }, sealed[1000 + crypto_secretstream_xchacha20poly1305_ABYTES];
        size_t used = arena_used;

        for (int i = 0; i < 3; i++) {
                cipher_push(cipher, &ours, sealed, plain, sizeof(plain));
                check(cipher_pull(cipher, &theirs, sealed, sizeof(sealed)));
        }
        sealed[5] ^= 1;
        check(!cipher_pull(cipher, &theirs, sealed, sizeof(sealed)));
        check_equal(arena_used, used);
}

TEST(of_a_key_nothing_is_left_when_its_stream_or_the_engine_ends)
{
        crypto_secretstream_xchacha20poly1305_state state = { .k = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
        uint8_t mac_key[64] = { 0 }, plain[1000] = { 0 }, sealed[1000 + crypto_secretstream_xchacha20poly1305_ABYTES];
        struct cipher *cipher;

        check(sodium_init() >= 0);
        check(CRYPTO_set_mem_functions(arena_malloc, arena_realloc, arena_free) == 1);
        cipher = cipher_new();
        check(cipher && arena_used > 0);

        crypto_stream_chacha20_ietf(mac_key, sizeof(mac_key), state.nonce, state.k);
        cipher_push(cipher, &state, sealed, plain, sizeof(plain));
        check(arena_has(state.k, 16));          /* or this test would see nothing */
        check(!arena_has(mac_key + 16, 16));    /* wiped with each message */
        cipher_forget(cipher);
        check(!arena_has(state.k, 16));

        check_needs_no_memory(cipher);
        cipher_push(cipher, &state, sealed, plain, sizeof(plain));
        check(arena_has(state.k, 16));
        cipher_free(cipher);
        check(!arena_has(state.k, 16));
}
