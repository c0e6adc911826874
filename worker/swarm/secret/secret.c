/* SPDX-License-Identifier: BSD-3-Clause */
#include "secret.h"

#include <assert.h>
#include <string.h>

#include "bytes.h"
#include "secret_derive.h"

enum {
        LENGTH_BYTES = 3,
        TAG_BYTES = 1,
        STREAM_HEADER_BYTES = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
        ADDED_BYTES = crypto_secretstream_xchacha20poly1305_ABYTES,     /* what the length counts besides the message */
};

_Static_assert(SECRET_SEAL_BYTES == LENGTH_BYTES + ADDED_BYTES, "secretstream has another size");
_Static_assert(SECRET_SEAL_HEAD_BYTES == LENGTH_BYTES + TAG_BYTES, "");
_Static_assert(SECRET_HEADER_BYTES == LENGTH_BYTES + SECRET_ID_BYTES + STREAM_HEADER_BYTES, "");

static enum secret_role other(enum secret_role role)
{
        return role == SECRET_INITIATOR ? SECRET_RESPONDER : SECRET_INITIATOR;
}

/* The pull state of a key and a header is the push state, too: init_push() only draws the header by itself. */
static void begin_stream(crypto_secretstream_xchacha20poly1305_state *state, const uint8_t header[STREAM_HEADER_BYTES],
                         const uint8_t key[SECRET_KEY_BYTES])
{
        crypto_secretstream_xchacha20poly1305_init_pull(state, header, key);
}

static void write_header(struct secret *secret, const struct secret_config *config, const struct random *random,
                         uint8_t out[SECRET_HEADER_BYTES])
{
        struct writer w = writer_over(out, LENGTH_BYTES);
        uint8_t *id = out + LENGTH_BYTES, *header = id + SECRET_ID_BYTES;

        write_u24le(&w, SECRET_ID_BYTES + STREAM_HEADER_BYTES);
        secret_derive_id(id, config->role, config->hash);
        random_fill(random, header, STREAM_HEADER_BYTES);
        begin_stream(&secret->push, header, config->tx);
}

void secret_init(struct secret *secret, const struct secret_config *config, const struct random *random,
                 uint8_t header_out[SECRET_HEADER_BYTES])
{
        *secret = (struct secret){ .cipher = config->cipher, .open_max = config->open_max ? config->open_max : SECRET_OPEN_MAX };
        memcpy(secret->rx, config->rx, sizeof(secret->rx));
        secret_derive_id(secret->remote_id, other(config->role), config->hash);
        write_header(secret, config, random, header_out);
        secret_derive_unordered_key(secret->unordered.tx, config->role, config->hash);
        secret_derive_unordered_key(secret->unordered.rx, other(config->role), config->hash);
        random_fill(random, &secret->unordered.counter, sizeof(secret->unordered.counter));
}

void secret_fini(struct secret *secret)
{
        cipher_forget(secret->cipher);
        sodium_memzero(secret, sizeof(*secret));
}

void secret_seal(struct secret *secret, uint8_t *frame_out, const void *plain, size_t len)
{
        struct writer w = writer_over(frame_out, LENGTH_BYTES);

        assert(len <= SECRET_MESSAGE_MAX);
        write_u24le(&w, (uint32_t)(len + ADDED_BYTES));
        cipher_push(secret->cipher, &secret->push, frame_out + LENGTH_BYTES, plain, len);
}

/* As soon as the length is here: nobody waits for the rest of what will be refused. */
static enum secret_verdict check_length(const struct secret *secret, size_t len)
{
        if (!secret->open)
                return len == SECRET_ID_BYTES + STREAM_HEADER_BYTES ? SECRET_MESSAGE : SECRET_BAD_HEADER;
        if (len < ADDED_BYTES)
                return SECRET_SHORT;
        return len - ADDED_BYTES > secret->open_max ? SECRET_OVERSIZE : SECRET_MESSAGE;
}

size_t secret_frame_bytes(const uint8_t *bytes, size_t len)
{
        struct reader r = reader_over(bytes, len);
        size_t frame = read_u24le(&r);

        return r.failed ? 0 : LENGTH_BYTES + frame;
}

static enum secret_verdict open_header(struct secret *secret, const uint8_t *frame)
{
        if (sodium_memcmp(frame, secret->remote_id, SECRET_ID_BYTES) != 0)
                return SECRET_BAD_HEADER;
        begin_stream(&secret->pull, frame + SECRET_ID_BYTES, secret->rx);
        sodium_memzero(secret->rx, sizeof(secret->rx));
        secret->open = true;
        return SECRET_MESSAGE;
}

/* What a frame holds: nothing, if it is the header or a keep-alive. */
struct opened {
        uint8_t *plain;
        size_t len;
};

/* One frame from the head of @bytes; *taken grows by its size. */
static enum secret_verdict next_frame(struct secret *secret, uint8_t *bytes, size_t len, size_t *taken, struct opened *opened)
{
        struct reader r = reader_over(bytes, len);
        size_t frame_len = read_u24le(&r);
        enum secret_verdict verdict = r.failed ? SECRET_MORE : check_length(secret, frame_len);
        uint8_t *frame;

        if (verdict != SECRET_MESSAGE)
                return verdict;
        if (frame_len > reader_left(&r))
                return SECRET_MORE;
        frame = bytes + LENGTH_BYTES;
        *taken += LENGTH_BYTES + frame_len;
        if (!secret->open)
                return open_header(secret, frame);
        *opened = (struct opened){ frame + TAG_BYTES, frame_len - ADDED_BYTES };
        /* Its tag is not looked at: re-keying is the cipher's business, should a peer ask for it, and an end is none (transport.md 2.3). */
        return cipher_pull(secret->cipher, &secret->pull, frame, frame_len) ? SECRET_MESSAGE : SECRET_FORGED;
}

enum secret_verdict secret_open(struct secret *secret, uint8_t *bytes, size_t len, size_t *taken_out, const uint8_t **plain_out,
                                size_t *plain_len_out)
{
        enum secret_verdict verdict = secret->failed;
        struct opened opened = { NULL, 0 };
        size_t taken = 0;

        while (verdict == SECRET_MESSAGE && opened.len == 0)
                verdict = next_frame(secret, taken ? bytes + taken : bytes, len - taken, &taken, &opened);        /* none: NULL */
        *taken_out = taken;
        if (verdict == SECRET_MESSAGE) {
                *plain_out = opened.plain;
                *plain_len_out = opened.len;
        } else if (verdict != SECRET_MORE) {
                secret->failed = verdict;
        }
        return verdict;
}

bool secret_is_open(const struct secret *secret)
{
        return secret->open;
}
