/* SPDX-License-Identifier: BSD-3-Clause */
/* Unordered messages: counter u64, then a secretbox whose nonce is the counter (transport.md 2.5). */
#include <string.h>

#include "bytes.h"
#include "secret.h"

enum {
        COUNTER_BYTES = 8,
        WORD_BITS = 64,
        WORDS = SECRET_REPLAY_BITS / WORD_BITS,
        WINDOW = SECRET_REPLAY_BITS - WORD_BITS,        /* the word of the newest one is only partly behind it (RFC 6479) */
};

_Static_assert(SECRET_UNORDERED_BYTES == COUNTER_BYTES + crypto_secretbox_MACBYTES, "secretbox has another size");

static void make_nonce(uint8_t nonce[crypto_secretbox_NONCEBYTES], uint64_t counter)
{
        struct writer w = writer_over(nonce, COUNTER_BYTES);

        memset(nonce, 0, crypto_secretbox_NONCEBYTES);
        write_u64le(&w, counter);
}

/* Counters start anywhere and wrap, hence the serial arithmetic. */
static bool was_seen(const struct secret_unordered *u, uint64_t counter)
{
        if (!u->any_seen || (int64_t)(counter - u->newest) > 0)
                return false;
        if (u->newest - counter >= WINDOW)
                return true;
        return u->seen[counter / WORD_BITS % WORDS] >> counter % WORD_BITS & 1;
}

/* The words of the ring that lie between the newest counter so far and @counter are of an earlier round: they become empty. */
static void advance(struct secret_unordered *u, uint64_t counter)
{
        uint64_t from = u->newest / WORD_BITS, words = (counter / WORD_BITS - from) % (UINT64_MAX / WORD_BITS + 1);

        if (words >= WORDS)
                memset(u->seen, 0, sizeof(u->seen));
        else
                for (uint64_t i = 1; i <= words; i++)
                        u->seen[(from + i) % WORDS] = 0;
        u->newest = counter;
}

static void mark_seen(struct secret_unordered *u, uint64_t counter)
{
        if (!u->any_seen)
                u->newest = counter;
        else if ((int64_t)(counter - u->newest) > 0)
                advance(u, counter);
        u->any_seen = true;
        u->seen[counter / WORD_BITS % WORDS] |= UINT64_C(1) << counter % WORD_BITS;
}

/* The original ends the connection when the counter is through all 2^64 values; nobody lives to see it. */
void secret_seal_unordered(struct secret *secret, uint8_t *out, const void *plain, size_t len)
{
        struct secret_unordered *u = &secret->unordered;
        struct writer w = writer_over(out, COUNTER_BYTES);
        uint8_t nonce[crypto_secretbox_NONCEBYTES];

        u->counter++;
        write_u64le(&w, u->counter);
        make_nonce(nonce, u->counter);
        crypto_secretbox_easy(out + COUNTER_BYTES, plain, len, nonce, u->tx);
}

enum secret_verdict secret_open_unordered(struct secret *secret, uint8_t *plain_out, const uint8_t *bytes, size_t len)
{
        struct secret_unordered *u = &secret->unordered;
        struct reader r = reader_over(bytes, len);
        uint64_t counter = read_u64le(&r);
        uint8_t nonce[crypto_secretbox_NONCEBYTES];

        if (len < SECRET_UNORDERED_BYTES)
                return SECRET_SHORT;
        if (was_seen(u, counter))       /* before the work of opening it: a replay costs its sender more than us */
                return SECRET_REPLAYED;
        make_nonce(nonce, counter);
        if (crypto_secretbox_open_easy(plain_out, r.at, reader_left(&r), nonce, u->rx) != 0)
                return SECRET_FORGED;
        mark_seen(u, counter);
        return SECRET_MESSAGE;
}
