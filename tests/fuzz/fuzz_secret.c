/* SPDX-License-Identifier: BSD-3-Clause */
/* One end of a secret stream, whose peer is honest until the input lets somebody change, repeat, drop or invent bytes. What is
 * opened is what was sealed, in its order, each once; after the first bad frame there is nothing more. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "secret.h"
#include "steps.h"

enum { BUFFER_MAX = 32 * 1024, PLAIN_MAX = 2048, UNORDERED_MAX = 256 };

struct bench {
        struct secret peer, own;
        uint8_t buffer[BUFFER_MAX];     /* received, not yet taken */
        size_t filled;
        uint8_t sealed[BUFFER_MAX];     /* plaintext sealed and not yet opened */
        size_t sealed_len;
        bool touched;                   /* somebody was at the stream */
        struct {
                uint8_t bytes[SECRET_UNORDERED_BYTES + 1];
                bool delivered;
        } unordered[UNORDERED_MAX];
        size_t unordered_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void zero_fill(void *context, void *out, size_t len)
{
        memset(out, 0, len);
}

static void receive(struct bench *b, const uint8_t *bytes, size_t len)
{
        if (!len || len > sizeof(b->buffer) - b->filled)
                return;
        memcpy(b->buffer + b->filled, bytes, len);
        b->filled += len;
}

static void begin(struct bench *b, uint8_t flags)
{
        static const uint8_t key[SECRET_KEY_BYTES] = { 1 }, hash[SECRET_HASH_BYTES] = { 2 };
        struct random random = { zero_fill, NULL };
        struct secret_config peer = { SECRET_INITIATOR, key, hash, hash, 0 }, own = { SECRET_RESPONDER, hash, key, hash, 0 };
        uint8_t header[SECRET_HEADER_BYTES], ignored[SECRET_HEADER_BYTES];

        own.open_max = flags & 2 ? 1000 : 0;
        secret_init(&b->peer, &peer, &random, header);
        secret_init(&b->own, &own, &random, ignored);
        if (flags & 1)
                receive(b, header, sizeof(header));
        else
                b->touched = true;
}

/* A length the input chooses, of what is left of it. */
static size_t read_len(struct reader *r, size_t unit)
{
        size_t len = read_u8(r) * unit;

        return MIN(len, reader_left(r));
}

static void send_frame(struct bench *b, struct reader *r)
{
        uint8_t frame[PLAIN_MAX + SECRET_SEAL_BYTES];
        size_t len = read_len(r, 8);

        if (len + SECRET_SEAL_BYTES > sizeof(b->buffer) - b->filled || len > sizeof(b->sealed) - b->sealed_len)
                return;
        if (len)
                memcpy(b->sealed + b->sealed_len, r->at, len);
        b->sealed_len += len;
        secret_seal(&b->peer, frame, read_bytes(r, len), len);
        receive(b, frame, len + SECRET_SEAL_BYTES);
}

/* As much as the input says, in memory of exactly that size. */
static void open_some(struct bench *b, size_t len)
{
        uint8_t *span = malloc(len);
        enum secret_verdict verdict;
        const uint8_t *plain;
        size_t at = 0, taken, plain_len;

        if (len)
                memcpy(span, b->buffer, len);
        while ((verdict = secret_open(&b->own, span + at, len - at, &taken, &plain, &plain_len)) == SECRET_MESSAGE) {
                assert(taken && taken <= len - at && plain_len);
                assert(plain >= span + at && plain + plain_len <= span + at + taken);
                assert(plain_len <= b->sealed_len && memcmp(plain, b->sealed, plain_len) == 0);
                memmove(b->sealed, b->sealed + plain_len, b->sealed_len - plain_len);
                b->sealed_len -= plain_len;
                at += taken;
        }
        at += taken;
        assert(at <= len && verdict < SECRET_REPLAYED);
        memmove(b->buffer, b->buffer + at, b->filled - at);
        b->filled -= at;
        if (verdict != SECRET_MORE && !b->touched)
                assert(verdict == SECRET_OVERSIZE);
        if (verdict != SECRET_MORE)
                assert(secret_open(&b->own, span, 0, &taken, &plain, &plain_len) == verdict && taken == 0);
        free(span);
}

static void open_part(struct bench *b, struct reader *r)
{
        size_t len = read_u16le(r);

        open_some(b, MIN(len, b->filled));
}

static void tamper(struct bench *b, struct reader *r)
{
        size_t at = read_u16le(r);

        if (b->filled) {
                b->buffer[at % b->filled] ^= read_u8(r) | 1;
                b->touched = true;
        }
}

static void send_unordered(struct bench *b, struct reader *r)
{
        uint8_t byte = read_u8(r);

        if (b->unordered_count == UNORDERED_MAX)
                return;
        b->peer.unordered.counter += read_u16le(r) % 2000;      /* those between were lost */
        secret_seal_unordered(&b->peer, b->unordered[b->unordered_count++].bytes, &byte, 1);
}

static void open_unordered(struct bench *b, uint8_t which)
{
        uint8_t plain;

        if (which >= b->unordered_count)
                return;
        if (secret_open_unordered(&b->own, &plain, b->unordered[which].bytes, SECRET_UNORDERED_BYTES + 1) == SECRET_MESSAGE) {
                assert(!b->unordered[which].delivered);
                b->unordered[which].delivered = true;
        }
}

static void open_invented(struct bench *b, struct reader *r)
{
        size_t len = read_len(r, 1);
        uint8_t *bytes = malloc(len), plain[UINT8_MAX];

        if (len)
                memcpy(bytes, r->at, len);
        read_bytes(r, len);
        assert(secret_open_unordered(&b->own, plain, bytes, len) != SECRET_MESSAGE);
        free(bytes);
}

static void invent(struct bench *b, struct reader *r)
{
        size_t len = read_len(r, 1);

        b->touched = true;
        receive(b, read_bytes(r, len), len);
}

static void step(struct bench *b, struct reader *r)
{
        switch (read_u8(r) % 8) {
        case 0:
                send_frame(b, r);
                break;
        case 1:
                open_some(b, b->filled);
                break;
        case 2:
                open_part(b, r);
                break;
        case 3:
                tamper(b, r);
                break;
        case 4:
                invent(b, r);
                break;
        case 5:
                send_unordered(b, r);
                break;
        case 6:
                open_unordered(b, read_u8(r));
                break;
        default:
                open_invented(b, r);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        struct reader r = steps_begin(bytes, len);
        struct bench *b = calloc(1, sizeof(*b));

        begin(b, read_u8(&r));
        while (steps_next(&r))
                step(b, &r);
        open_some(b, b->filled);
        if (!b->touched && b->own.failed == SECRET_MESSAGE)
                assert(b->sealed_len == 0 && b->filled == 0);
        secret_fini(&b->peer);
        secret_fini(&b->own);
        free(b);
        return 0;
}
