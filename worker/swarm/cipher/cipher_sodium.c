/* SPDX-License-Identifier: BSD-3-Clause */
/* Without OpenSSL: all is libsodium's. */
#include "cipher.h"

struct cipher *cipher_new(void)
{
        return NULL;
}

void cipher_free(struct cipher *cipher)
{
}

void cipher_forget(struct cipher *cipher)
{
}

void cipher_push(struct cipher *cipher, crypto_secretstream_xchacha20poly1305_state *state, uint8_t *out,
                        const uint8_t *plain, size_t len)
{
        crypto_secretstream_xchacha20poly1305_push(state, out, NULL, plain, len, NULL, 0,
                                                   crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

bool cipher_pull(struct cipher *cipher, crypto_secretstream_xchacha20poly1305_state *state, uint8_t *sealed, size_t len)
{
        return crypto_secretstream_xchacha20poly1305_pull(state, sealed + 1, NULL, NULL, sealed, len, NULL, 0) == 0;
}
