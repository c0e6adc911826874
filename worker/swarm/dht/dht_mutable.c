/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_mutable.h"

#include <sodium.h>

enum { KEY_BYTES = 32, HASH_BYTES = 32 };

/* hash(hash("hyperswarm/dht"), MUTABLE_PUT): hyperdht lib/constants.js NS. */
static const uint8_t namespace[HASH_BYTES] = {
        0x66, 0x8e, 0x82, 0x3e, 0xdd, 0x5c, 0xe7, 0xf5, 0x33, 0x8d, 0x68, 0xbf, 0x11, 0x61, 0xf4, 0xa3,
        0xc2, 0x8c, 0xe4, 0x37, 0xee, 0x2a, 0xb4, 0x9e, 0xfd, 0x30, 0xd9, 0x93, 0x66, 0x03, 0x9b, 0x1e,
};

static struct dht_mutable read_signed(struct reader *r, const uint8_t *public_key)
{
        struct dht_mutable mutable = { .public_key = public_key, .seq = wire_read_uint(r) };

        mutable.value = wire_read_buffer(r, &mutable.value_len);
        mutable.signature = read_bytes(r, DHT_SIGNATURE_BYTES);
        return mutable;
}

bool dht_mutable_put_decode(const void *bytes, size_t len, struct dht_mutable *out)
{
        struct reader r = reader_over(bytes, len);
        const uint8_t *public_key = read_bytes(&r, KEY_BYTES);
        struct dht_mutable mutable = read_signed(&r, public_key);

        if (!r.failed)
                *out = mutable;
        return !r.failed;
}

bool dht_mutable_decode(const void *bytes, size_t len, struct dht_mutable *out)
{
        struct reader r = reader_over(bytes, len);
        struct dht_mutable mutable = read_signed(&r, NULL);

        if (!r.failed)
                *out = mutable;
        return !r.failed;
}

void dht_mutable_write(struct writer *w, const struct dht_mutable *mutable)
{
        wire_write_uint(w, mutable->seq);
        wire_write_buffer(w, mutable->value, mutable->value_len);
        write_bytes(w, mutable->signature, DHT_SIGNATURE_BYTES);
}

void dht_mutable_put_write(struct writer *w, const struct dht_mutable *mutable)
{
        write_bytes(w, mutable->public_key, KEY_BYTES);
        dht_mutable_write(w, mutable);
}

/* namespace, hash(seq, value): both as we write them, not as they came, so that a longer spelling is no other value. */
static void signable(const struct dht_mutable *mutable, uint8_t out[2 * HASH_BYTES])
{
        uint8_t head[18];
        struct writer w = writer_over(head, sizeof(head));
        crypto_generichash_state state;

        wire_write_uint(&w, mutable->seq);
        wire_write_uint(&w, mutable->value_len);
        memcpy(out, namespace, HASH_BYTES);
        crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
        crypto_generichash_update(&state, head, writer_len(&w));
        crypto_generichash_update(&state, mutable->value, mutable->value_len);
        crypto_generichash_final(&state, out + HASH_BYTES, HASH_BYTES);
}

void dht_mutable_sign(const struct dht_mutable *mutable, const uint8_t *secret_key, uint8_t signature_out[DHT_SIGNATURE_BYTES])
{
        uint8_t bytes[2 * HASH_BYTES];

        signable(mutable, bytes);
        crypto_sign_detached(signature_out, NULL, bytes, sizeof(bytes), secret_key);
}

bool dht_mutable_verify(const struct dht_mutable *mutable)
{
        uint8_t bytes[2 * HASH_BYTES];

        signable(mutable, bytes);
        return crypto_sign_verify_detached(mutable->signature, bytes, sizeof(bytes), mutable->public_key) == 0;
}
