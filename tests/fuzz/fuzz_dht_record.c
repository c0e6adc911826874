/* SPDX-License-Identifier: BSD-3-Clause */
/* The values of DHT messages: whatever is taken can be written again and reads back the same. The first byte says which one. */
#include <stdlib.h>
#include <string.h>

#include "dht_carrier.h"
#include "dht_mutable.h"
#include "dht_punch.h"
#include "dht_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OUT_MAX = 65536 };

static uint8_t out[OUT_MAX];

static void must(bool condition)
{
        if (!condition)
                abort();
}

static bool same_record(const struct dht_record *a, const struct dht_record *b)
{
        if (memcmp(a->public_key, b->public_key, 32) != 0 || a->relay_count != b->relay_count)
                return false;
        for (size_t i = 0; i < a->relay_count; i++) {
                struct addr x = dht_record_relay(a, i), y = dht_record_relay(b, i);

                if (!addr_equal(&x, &y))
                        return false;
        }
        return true;
}

static void record(const uint8_t *data, size_t len)
{
        struct writer w = writer_over(out, sizeof(out));
        struct dht_record first, second;

        if (!dht_record_decode(data, len, &first))
                return;
        dht_record_write(&w, &first);
        must(!w.failed && writer_len(&w) <= DHT_RECORD_MAX);
        must(dht_record_decode(out, writer_len(&w), &second) && same_record(&first, &second));
}

static void lookup(const uint8_t *data, size_t len)
{
        static struct dht_lookup first, second;
        struct writer w = writer_over(out, sizeof(out));

        if (!dht_lookup_decode(data, len, &first))
                return;
        must(first.count <= DHT_RECORDS_PER_LOOKUP);
        dht_lookup_write(&w, &first);
        must(!w.failed && dht_lookup_decode(out, writer_len(&w), &second));
        must(first.count == second.count && first.bump == second.bump);
        for (size_t i = 0; i < first.count; i++)
                must(same_record(&first.records[i], &second.records[i]));
}

static void announce(const uint8_t *data, size_t len)
{
        static const uint8_t zeros[32];
        struct dht_scope scope = { zeros, zeros, zeros };
        struct writer w = writer_over(out, sizeof(out));
        struct dht_announce first, second;

        if (!dht_announce_decode(data, len, &first))
                return;
        dht_announce_write(&w, &first);
        must(!w.failed && writer_len(&w) <= DHT_ANNOUNCE_MAX);
        must(dht_announce_decode(out, writer_len(&w), &second));
        must(first.has_record == second.has_record && first.bump == second.bump);
        must(!first.has_record || same_record(&first.record, &second.record));
        must(!first.refresh == !second.refresh && !first.signature == !second.signature);
        dht_claim_verify(DHT_CLAIM_ANNOUNCE, &scope, &first);
}

static void carrier(const uint8_t *data, size_t len)
{
        struct writer w = writer_over(out, sizeof(out));
        struct dht_carrier first, second;

        if (!dht_carrier_decode(data, len, &first))
                return;
        dht_carrier_write(&w, &first);
        must(!w.failed && dht_carrier_decode(out, writer_len(&w), &second));
        must(first.mode == second.mode && first.noise_len == second.noise_len && first.has_peer == second.has_peer &&
             first.has_relay == second.has_relay && addr_equal(&first.peer, &second.peer) &&
             addr_equal(&first.relay, &second.relay));
        must(!first.noise_len || memcmp(first.noise, second.noise, first.noise_len) == 0);
}

static void punch(const uint8_t *data, size_t len)
{
        struct writer w = writer_over(out, sizeof(out));
        struct dht_punch first, second;

        if (!dht_punch_decode(data, len, &first))
                return;
        dht_punch_write(&w, &first);
        must(!w.failed && dht_punch_decode(out, writer_len(&w), &second));
        must(first.mode == second.mode && first.id == second.id && first.payload_len == second.payload_len &&
             first.has_peer == second.has_peer && addr_equal(&first.peer, &second.peer));
        must(!first.payload_len || memcmp(first.payload, second.payload, first.payload_len) == 0);
}

static bool same_mutable(const struct dht_mutable *a, const struct dht_mutable *b)
{
        return a->seq == b->seq && a->value_len == b->value_len && memcmp(a->value, b->value, a->value_len) == 0 &&
               memcmp(a->signature, b->signature, DHT_SIGNATURE_BYTES) == 0;
}

static void mutable_put(const uint8_t *data, size_t len)
{
        struct writer w = writer_over(out, sizeof(out));
        struct dht_mutable first, second;

        if (!dht_mutable_put_decode(data, len, &first))
                return;
        dht_mutable_put_write(&w, &first);
        must(!w.failed && writer_len(&w) <= len);
        must(dht_mutable_put_decode(out, writer_len(&w), &second) && same_mutable(&first, &second));
        must(dht_mutable_verify(&first) == dht_mutable_verify(&second));
}

static void mutable_get(const uint8_t *data, size_t len)
{
        struct writer w = writer_over(out, sizeof(out));
        struct dht_mutable first, second;

        if (!dht_mutable_decode(data, len, &first))
                return;
        dht_mutable_write(&w, &first);
        must(!w.failed && writer_len(&w) <= len);
        must(dht_mutable_decode(out, writer_len(&w), &second) && same_mutable(&first, &second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static void (*const kinds[])(const uint8_t *data, size_t len) = {
                record, lookup, announce, carrier, punch, mutable_put, mutable_get,
        };

        if (len > 0)
                kinds[data[0] % 7](data + 1, len - 1);
        return 0;
}
