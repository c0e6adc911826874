/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_record.h"

#include <assert.h>
#include <sodium.h>

enum {
        KEY_BYTES = 32,
        HASH_BYTES = 32,

        FLAG_RECORD = 1,
        FLAG_REFRESH = 2,
        FLAG_SIGNATURE = 4,
        FLAG_BUMP = 8,
};

/* hash(hash("hyperswarm/dht"), command byte): hyperdht lib/constants.js NS. */
static const uint8_t namespaces[][HASH_BYTES] = {
        [DHT_CLAIM_ANNOUNCE] = { 0x36, 0x38, 0x6a, 0xdd, 0xdf, 0x9f, 0x6f, 0xd6, 0x0d, 0xb8, 0x3a, 0x6f, 0x42, 0xfc, 0x15, 0x9d,
                                 0x11, 0x46, 0xaa, 0x86, 0x44, 0x03, 0x76, 0x64, 0x23, 0x0a, 0xaa, 0x1f, 0x01, 0x79, 0xd4, 0x97 },
        [DHT_CLAIM_UNANNOUNCE] = { 0xde, 0xd2, 0x93, 0xcd, 0x93, 0xfb, 0x39, 0x5e, 0x75, 0x6e, 0xcf, 0x5f, 0xff, 0x42, 0x65, 0x29,
                                   0xe7, 0x2c, 0x36, 0xea, 0xcc, 0x22, 0xe5, 0xed, 0x94, 0x4d, 0x90, 0x99, 0xa2, 0x56, 0x1e, 0x32 },
};

void dht_record_read(struct reader *r, struct dht_record *out)
{
        out->public_key = read_bytes(r, KEY_BYTES);
        out->relay_count = wire_read_count(r, WIRE_ADDR_BYTES);
        out->relays = read_bytes(r, out->relay_count * WIRE_ADDR_BYTES);
        if (out->relay_count > DHT_RECORD_RELAYS_MAX)
                read_fail(r);
}

void dht_record_write(struct writer *w, const struct dht_record *record)
{
        write_bytes(w, record->public_key, KEY_BYTES);
        wire_write_uint(w, record->relay_count);
        write_bytes(w, record->relays, record->relay_count * WIRE_ADDR_BYTES);
}

struct addr dht_record_relay(const struct dht_record *record, size_t index)
{
        struct reader r = reader_over(record->relays + index * WIRE_ADDR_BYTES, WIRE_ADDR_BYTES);

        assert(index < record->relay_count);
        return wire_read_addr(&r);
}

bool dht_record_decode(const void *bytes, size_t len, struct dht_record *out)
{
        struct reader r = reader_over(bytes, len);
        struct dht_record record;

        dht_record_read(&r, &record);
        if (!r.failed)
                *out = record;
        return !r.failed;
}

bool dht_lookup_decode(const void *bytes, size_t len, struct dht_lookup *out)
{
        struct reader r = reader_over(bytes, len);
        size_t count = wire_read_count(&r, KEY_BYTES + 1);

        out->count = 0;
        for (size_t i = 0; i < count && !r.failed; i++) {
                struct dht_record record;

                dht_record_read(&r, &record);
                if (!r.failed && out->count < DHT_RECORDS_PER_LOOKUP)
                        out->records[out->count++] = record;
        }
        out->bump = !r.failed && reader_left(&r) ? wire_read_uint(&r) : 0;
        return !r.failed;
}

void dht_lookup_write(struct writer *w, const struct dht_lookup *lookup)
{
        wire_write_uint(w, lookup->count);
        for (size_t i = 0; i < lookup->count; i++)
                dht_record_write(w, &lookup->records[i]);
        wire_write_uint(w, lookup->bump);
}

bool dht_announce_decode(const void *bytes, size_t len, struct dht_announce *out)
{
        struct reader r = reader_over(bytes, len);
        uint64_t flags = wire_read_uint(&r);
        struct dht_announce announce = { .has_record = flags & FLAG_RECORD };

        if (announce.has_record)
                dht_record_read(&r, &announce.record);
        if (flags & FLAG_REFRESH)
                announce.refresh = read_bytes(&r, HASH_BYTES);
        if (flags & FLAG_SIGNATURE)
                announce.signature = read_bytes(&r, DHT_SIGNATURE_BYTES);
        if (flags & FLAG_BUMP)
                announce.bump = wire_read_uint(&r);
        if (!r.failed)
                *out = announce;
        return !r.failed;
}

void dht_announce_write(struct writer *w, const struct dht_announce *announce)
{
        wire_write_uint(w, (announce->has_record ? FLAG_RECORD : 0) | (announce->refresh ? FLAG_REFRESH : 0) |
                           (announce->signature ? FLAG_SIGNATURE : 0) | (announce->bump ? FLAG_BUMP : 0));
        if (announce->has_record)
                dht_record_write(w, &announce->record);
        if (announce->refresh)
                write_bytes(w, announce->refresh, HASH_BYTES);
        if (announce->signature)
                write_bytes(w, announce->signature, DHT_SIGNATURE_BYTES);
        if (announce->bump)
                wire_write_uint(w, announce->bump);
}

/* namespace, hash(target, node id, token, record, refresh): the record as we write it, not as it came, so that a longer
 * spelling of its count is no other claim (hyperdht lib/persistent.js annSignable()). */
static void signable(enum dht_claim claim, const struct dht_scope *scope, const struct dht_announce *announce,
                     uint8_t out[2 * HASH_BYTES])
{
        uint8_t bytes[3 * HASH_BYTES + DHT_RECORD_MAX + HASH_BYTES];
        struct writer w = writer_over(bytes, sizeof(bytes));

        write_bytes(&w, scope->target, HASH_BYTES);
        write_bytes(&w, scope->node_id, HASH_BYTES);
        write_bytes(&w, scope->token, HASH_BYTES);
        dht_record_write(&w, &announce->record);
        if (announce->refresh)
                write_bytes(&w, announce->refresh, HASH_BYTES);
        assert(!w.failed);
        memcpy(out, namespaces[claim], HASH_BYTES);
        crypto_generichash(out + HASH_BYTES, HASH_BYTES, bytes, writer_len(&w), NULL, 0);
}

void dht_claim_sign(enum dht_claim claim, const struct dht_scope *scope, const struct dht_announce *announce,
                    const uint8_t *secret_key, uint8_t signature_out[DHT_SIGNATURE_BYTES])
{
        uint8_t bytes[2 * HASH_BYTES];

        signable(claim, scope, announce, bytes);
        crypto_sign_detached(signature_out, NULL, bytes, sizeof(bytes), secret_key);
}

bool dht_claim_verify(enum dht_claim claim, const struct dht_scope *scope, const struct dht_announce *announce)
{
        uint8_t bytes[2 * HASH_BYTES];

        if (!announce->has_record || !announce->signature)
                return false;
        signable(claim, scope, announce, bytes);
        return crypto_sign_verify_detached(announce->signature, bytes, sizeof(bytes), announce->record.public_key) == 0;
}
