/* SPDX-License-Identifier: BSD-3-Clause */
/* What seals and opens the messages of a secret stream: crypto_secretstream_xchacha20poly1305 of libsodium, whose wire format and
 * state these are (transport.md 2.3). Where the build has OpenSSL, its ChaCha20 and Poly1305 do the work on long messages, which for
 * them is two to three times as fast; what comes out is the same to the last bit, and both may take turns on one stream.
 *
 * An engine serves any number of streams, one call at a time. It must be made before a process gives up its rights, and needs
 * nothing but memory from then on. */
#ifndef HG_CIPHER_H
#define HG_CIPHER_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cipher;

/* NULL: there is nothing faster than libsodium here, which is what NULL stands for in all that follows. Reads no file and no
 * configuration. */
struct cipher *cipher_new(void);
void cipher_free(struct cipher *cipher);

/* Wipes what is left of the key that was used last: for the end of a stream. */
void cipher_forget(struct cipher *cipher);

/* The message of @len bytes at @plain, with TAG_MESSAGE, to @len + 17 bytes at @out. @plain may be @out + 1. */
void cipher_push(struct cipher *cipher, crypto_secretstream_xchacha20poly1305_state *state, uint8_t *out,
                        const uint8_t *plain, size_t len);

/* Opens the @len (17 or more) bytes at @sealed in place: the message lies at @sealed + 1 then. Its tag is obeyed where it asks for
 * another key, and else ignored. False: it is not what was pushed; neither @state nor @sealed has changed. */
bool cipher_pull(struct cipher *cipher, crypto_secretstream_xchacha20poly1305_state *state, uint8_t *sealed, size_t len)
        __attribute__((warn_unused_result));

#endif
