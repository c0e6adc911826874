/* SPDX-License-Identifier: BSD-3-Clause */
/* Secret stream: messages sealed into frames on an ordered byte stream, and unordered ones beside it (npm @hyperswarm/secret-stream
 * 6.9; transport.md 2). Starts from the keys of a finished handshake.
 *
 * Sealing writes a frame straight to where it is sent from, opening decrypts it where it was received: no buffer here, no copy. The
 * owner looks after time: a keep-alive (a message of length 0) every five seconds without a write, a deadline for the peer's header
 * frame (secret_is_open()) and for the rest of an incomplete frame. Keys are wiped by secret_fini(). */
#ifndef HG_SECRET_H
#define HG_SECRET_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cipher.h"
#include "random.h"

enum {
        SECRET_KEY_BYTES = 32,
        SECRET_HASH_BYTES = 64,
        SECRET_ID_BYTES = 32,
        SECRET_HEADER_BYTES = 59,       /* the first frame: length 3, stream id 32, secretstream header 24 */
        SECRET_SEAL_BYTES = 20,         /* what a frame adds to its message: length 3, tag 1, MAC 16 */
        SECRET_SEAL_HEAD_BYTES = 4,     /* of these in front of it */
        SECRET_MESSAGE_MAX = 0xffffff - 17,     /* what a frame can hold */
        SECRET_OPEN_MAX = 1024 * 1024,  /* longest message taken, unless told otherwise */
        SECRET_UNORDERED_BYTES = 24,    /* what an unordered message grows by: counter 8, MAC 16 */
        SECRET_REPLAY_BITS = 1024,      /* unordered messages may be overtaken by this many, less 64 */
};

enum secret_role {
        SECRET_INITIATOR,
        SECRET_RESPONDER,
};

enum secret_verdict {
        SECRET_MESSAGE,         /* here is one */
        SECRET_MORE,            /* the next frame is not whole yet */
        SECRET_SHORT,           /* a length that can't be; as all below it ends the connection, but not for an unordered message */
        SECRET_OVERSIZE,        /* more than we take */
        SECRET_BAD_HEADER,      /* the first frame is no header, or not the peer's for this connection */
        SECRET_FORGED,          /* changed, repeated, missing or out of order; unordered: changed, or not for us */
        SECRET_REPLAYED,        /* unordered only: it was here before, or is too old to tell */
        SECRET_VERDICTS,
};

struct secret_config {
        enum secret_role role;
        const uint8_t *tx, *rx;         /* SECRET_KEY_BYTES each; copied */
        const uint8_t *hash;            /* handshake hash, SECRET_HASH_BYTES */
        size_t open_max;                /* longest message to take; 0: SECRET_OPEN_MAX */
        struct cipher *cipher;          /* borrowed; NULL: libsodium's */
};

/* The unordered half: a key and a counter each way, and which of the peer's counters were seen. */
struct secret_unordered {
        uint8_t tx[SECRET_KEY_BYTES], rx[SECRET_KEY_BYTES];
        uint64_t counter;               /* of the last one sealed */
        uint64_t newest;                /* highest of the peer's */
        uint64_t seen[SECRET_REPLAY_BITS / 64];
        bool any_seen;
};

/* One end of a connection. The fields are the module's own business. */
struct secret {
        struct cipher *cipher;
        crypto_secretstream_xchacha20poly1305_state push, pull;
        uint8_t rx[SECRET_KEY_BYTES];   /* until the peer's header frame is here */
        uint8_t remote_id[SECRET_ID_BYTES];
        size_t open_max;
        bool open;
        enum secret_verdict failed;     /* once and for good; SECRET_MESSAGE: not */
        struct secret_unordered unordered;
};

/* @header_out is what must be sent first, at once. @random makes the secretstream header and the first unordered counter. */
void secret_init(struct secret *secret, const struct secret_config *config, const struct random *random,
                 uint8_t header_out[SECRET_HEADER_BYTES]);
void secret_fini(struct secret *secret);

/* The frame of @len bytes at @plain (0: a keep-alive), @len + SECRET_SEAL_BYTES long. @plain may lie elsewhere or exactly at
 * @frame_out + SECRET_SEAL_HEAD_BYTES. Frames must be sent in the order they are sealed, none left out. */
void secret_seal(struct secret *secret, uint8_t *frame_out, const void *plain, size_t len);

/* Looks at the head of what was received and not yet taken, @len contiguous bytes. Returns
 *      SECRET_MESSAGE  *plain_out, *plain_len_out: the next message, never empty, decrypted in place; valid as long as @bytes
 *      SECRET_MORE     come back when there are more bytes than what is left after *taken_out
 *      another         destroy the connection; from now on always this
 * The first *taken_out bytes (the header frame, keep-alives, the frame of the message) must never be offered again: they are no
 * ciphertext any more. Consume them, or, while a message is not done with, start behind them. */
enum secret_verdict secret_open(struct secret *secret, uint8_t *bytes, size_t len, size_t *taken_out, const uint8_t **plain_out,
                                size_t *plain_len_out);

/* How long the frame is that begins at @bytes, with its length; 0: that is not here yet. As secret_open() sees it. */
size_t secret_frame_bytes(const uint8_t *bytes, size_t len);

/* The peer's header frame was here and good: its sender knows the handshake hash, or saw the frame on the wire and got ahead of the
 * peer. Only a message proves the peer. */
bool secret_is_open(const struct secret *secret);

/* @len bytes at @plain to @len + SECRET_UNORDERED_BYTES at @out, which must not overlap. May be lost, may come in any order. */
void secret_seal_unordered(struct secret *secret, uint8_t *out, const void *plain, size_t len);

/* Opens one, into @plain_out (@len - SECRET_UNORDERED_BYTES, which may be 0; may be @bytes itself). SECRET_MESSAGE, or one of
 * SECRET_SHORT, SECRET_FORGED, SECRET_REPLAYED: drop it, nothing has changed. Works before the peer's header frame is here. */
enum secret_verdict secret_open_unordered(struct secret *secret, uint8_t *plain_out, const uint8_t *bytes, size_t len);

#endif
