/* SPDX-License-Identifier: BSD-3-Clause */
/* Records, announcements, their signatures and handshake values, on the reference's bytes (tests/vectors/dht.json). */
#include "dht_record.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dht.h"
#include "dht_carrier.h"
#include "dht_mutable.h"
#include "dht_punch.h"
#include "test.h"
#include "vectors.h"

static struct addr addr_at(json_t *from, const char *path)
{
        json_t *row = vector_at(from, path);
        struct addr addr = { .port = (uint16_t)vector_number(row, "port") };
        unsigned ip[4];

        check_equal(sscanf(vector_text(row, "host"), "%u.%u.%u.%u", &ip[0], &ip[1], &ip[2], &ip[3]), 4);
        for (unsigned i = 0; i < 4; i++)
                addr.ip[i] = (uint8_t)ip[i];
        return addr;
}

static void check_record(const struct dht_record *record, json_t *row)
{
        json_t *relays = vector_at(row, "relayAddresses");
        uint8_t key[32];

        vector_bytes(row, "publicKey", key, sizeof(key));
        check_bytes(record->public_key, key, sizeof(key));
        check_equal(record->relay_count, json_array_size(relays));
        for (size_t i = 0; i < record->relay_count; i++) {
                char path[24];
                struct addr expected, relay = dht_record_relay(record, i);

                snprintf(path, sizeof(path), "%zu", i);
                expected = addr_at(relays, path);
                check(addr_equal(&relay, &expected));
        }
}

TEST(dht_record_reads_and_writes_the_references)
{
        json_t *rows = vector_at(vectors("dht.json"), "values.peer"), *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                uint8_t bytes[1024], out[1024];
                size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));
                struct writer w = writer_over(out, sizeof(out));
                struct dht_record record;

                check(dht_record_decode(bytes, len, &record));
                check_record(&record, vector_at(row, "fields"));
                dht_record_write(&w, &record);
                check_equal(writer_len(&w), len);
                check_bytes(out, bytes, len);
                for (size_t cut = 0; cut < len; cut++)
                        check(!dht_record_decode(bytes, cut, &record));
        }
}

TEST(dht_record_of_too_many_relays_is_refused)
{
        uint8_t bytes[32 + 1 + 40 * WIRE_ADDR_BYTES] = { 0 };
        struct dht_record record;

        bytes[32] = DHT_RECORD_RELAYS_MAX;
        check(dht_record_decode(bytes, sizeof(bytes), &record));
        bytes[32] = DHT_RECORD_RELAYS_MAX + 1;
        check(!dht_record_decode(bytes, sizeof(bytes), &record));
        check(!dht_record_decode((uint8_t[38]){ [32] = 0xfe, 0xff, 0xff, 0xff, 0x7f }, 38, &record));
}

static void check_lookup(json_t *row)
{
        uint8_t bytes[2048], out[2048];
        size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes)), i;
        struct writer w = writer_over(out, sizeof(out));
        json_t *peers = vector_at(row, "peers"), *peer;
        struct dht_lookup lookup;

        check(dht_lookup_decode(bytes, len, &lookup));
        check_equal(lookup.count, json_array_size(peers));
        json_array_foreach(peers, i, peer)
                check_record(&lookup.records[i], peer);
        check_equal(lookup.bump, json_integer_value(json_object_get(row, "bump")));
        dht_lookup_write(&w, &lookup);
        check_bytes(out, bytes, len);           /* the old form ends before the bump */
}

TEST(dht_lookup_reads_and_writes_the_references)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "values.lookupReply"), i, row)
                check_lookup(row);
}

TEST(dht_lookup_looks_at_twenty_records_only)
{
        uint8_t bytes[1 + 30 * 33 + 1] = { 30 };
        struct dht_lookup lookup;

        bytes[sizeof(bytes) - 1] = 7;
        check(dht_lookup_decode(bytes, sizeof(bytes), &lookup));
        check_equal(lookup.count, DHT_RECORDS_PER_LOOKUP);
        check_equal(lookup.bump, 7);
        check(!dht_lookup_decode((uint8_t[]){ 0xfe, 0, 0, 0x10, 0 }, 5, &lookup));
}

TEST(dht_announce_reads_and_writes_the_references)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "values.announce"), i, row) {
                uint8_t bytes[1024], out[1024];
                size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));
                json_t *fields = vector_at(row, "fields");
                struct writer w = writer_over(out, sizeof(out));
                struct dht_announce announce;

                check(dht_announce_decode(bytes, len, &announce));
                check_equal(announce.has_record, !json_is_null(json_object_get(fields, "peer")));
                check_equal(announce.signature != NULL, !json_is_null(json_object_get(fields, "signature")));
                check_equal(announce.refresh != NULL, !json_is_null(json_object_get(fields, "refresh")));
                check_equal(announce.bump, vector_number(fields, "bump"));
                dht_announce_write(&w, &announce);
                check_equal(writer_len(&w), len);
                check_bytes(out, bytes, len);
        }
}

/* Ours is the reference's, byte for byte, and each is refused anywhere but where it was made for. */
static void check_signature(json_t *row)
{
        enum dht_claim claim = strcmp(vector_text(row, "command"), "ANNOUNCE") == 0 ? DHT_CLAIM_ANNOUNCE : DHT_CLAIM_UNANNOUNCE;
        uint8_t value[1024], seed[32], secret_key[64], public_key[32], target[32], token[32], id[32], expected[64], signature[64];
        size_t len = vector_bytes(row, "value", value, sizeof(value));
        struct dht_scope scope = { target, id, token };
        struct dht_announce announce;

        vector_bytes(row, "seed", seed, sizeof(seed));
        vector_bytes(row, "target", target, sizeof(target));
        vector_bytes(row, "token", token, sizeof(token));
        vector_bytes(row, "nodeId", id, sizeof(id));
        vector_bytes(row, "signature", expected, sizeof(expected));
        crypto_sign_seed_keypair(public_key, secret_key, seed);
        check(dht_announce_decode(value, len, &announce));
        dht_claim_sign(claim, &scope, &announce, secret_key, signature);
        check_bytes(signature, expected, sizeof(expected));
        check(dht_claim_verify(claim, &scope, &announce));
        check(!dht_claim_verify(!claim, &scope, &announce));
        for (unsigned i = 0; i < 3; i++) {
                uint8_t *field = (uint8_t *[]){ target, token, id }[i];

                field[31] ^= 1;
                check(!dht_claim_verify(claim, &scope, &announce));
                field[31] ^= 1;
        }
        announce.bump++;                        /* not signed */
        check(dht_claim_verify(claim, &scope, &announce));
        announce.signature = NULL;
        check(!dht_claim_verify(claim, &scope, &announce));
}

TEST(dht_claim_signs_like_the_reference)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "announceSignatures"), i, row)
                check_signature(row);
}

TEST(dht_target_is_the_hash_of_a_key)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "keyPairs"), i, row) {
                uint8_t key[32], expected[32], target[32];

                vector_bytes(row, "publicKey", key, sizeof(key));
                vector_bytes(row, "target", expected, sizeof(expected));
                dht_target(key, target);
                check_bytes(target, expected, sizeof(expected));
        }
}

static void check_carrier(json_t *row)
{
        json_t *fields = vector_at(row, "fields");
        uint8_t bytes[256], out[256], noise[64];
        size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));
        struct writer w = writer_over(out, sizeof(out));
        struct dht_carrier carrier;
        struct addr addr;

        check(dht_carrier_decode(bytes, len, &carrier));
        check_equal(carrier.mode, vector_number(fields, "mode"));
        check_equal(carrier.noise_len, vector_bytes(fields, "noise", noise, sizeof(noise)));
        check_bytes(carrier.noise, noise, carrier.noise_len);
        check_equal(carrier.has_peer, !json_is_null(json_object_get(fields, "peerAddress")));
        check_equal(carrier.has_relay, !json_is_null(json_object_get(fields, "relayAddress")));
        if (carrier.has_peer) {
                addr = addr_at(fields, "peerAddress");
                check(addr_equal(&carrier.peer, &addr));
        }
        if (carrier.has_relay) {
                addr = addr_at(fields, "relayAddress");
                check(addr_equal(&carrier.relay, &addr));
        }
        dht_carrier_write(&w, &carrier);
        check_equal(writer_len(&w), len);
        check_bytes(out, bytes, len);
        for (size_t cut = 0; cut < len; cut++)
                check(!dht_carrier_decode(bytes, cut, &carrier));
}

TEST(dht_carrier_reads_and_writes_the_references)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "values.handshake"), i, row)
                check_carrier(row);
}

TEST(dht_punch_reads_and_writes_the_references)
{
        json_t *row;
        size_t i;

        json_array_foreach(vector_at(vectors("dht.json"), "values.holepunch"), i, row) {
                json_t *fields = vector_at(row, "fields");
                uint8_t bytes[512], out[512], payload[512];
                size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));
                struct writer w = writer_over(out, sizeof(out));
                struct dht_punch punch;

                check(dht_punch_decode(bytes, len, &punch));
                check_equal(punch.mode, vector_number(fields, "mode"));
                check_equal(punch.id, vector_number(fields, "id"));
                check_equal(punch.payload_len, vector_bytes(fields, "payload", payload, sizeof(payload)));
                check_bytes(punch.payload, payload, punch.payload_len);
                check_equal(punch.has_peer, !json_is_null(json_object_get(fields, "peerAddress")));
                dht_punch_write(&w, &punch);
                check_equal(writer_len(&w), len);
                check_bytes(out, bytes, len);
                for (size_t cut = 0; cut < len; cut++)
                        check(!dht_punch_decode(bytes, cut, &punch));
        }
}

TEST(dht_mutable_reads_writes_and_signs_the_references)
{
        json_t *rows = vector_at(vectors("dht.json"), "mutable"), *row;
        size_t i;

        check(json_array_size(rows) > 0);
        json_array_foreach(rows, i, row) {
                uint8_t put[4096], get[4096], out[4096], seed[32], public_key[32], secret_key[64], signature[64], expected[4096];
                size_t put_len = vector_bytes(row, "putRequest", put, sizeof(put));
                size_t get_len = vector_bytes(row, "getResponse", get, sizeof(get));
                struct writer w = writer_over(out, sizeof(out));
                struct dht_mutable mutable, got;

                vector_bytes(row, "seed", seed, sizeof(seed));
                crypto_sign_seed_keypair(public_key, secret_key, seed);
                check(dht_mutable_put_decode(put, put_len, &mutable));
                check_bytes(mutable.public_key, public_key, sizeof(public_key));
                check_equal(mutable.seq, vector_number(row, "seq"));
                check_equal(mutable.value_len, vector_bytes(row, "value", expected, sizeof(expected)));
                check_bytes(mutable.value, expected, mutable.value_len);
                check(dht_mutable_verify(&mutable));
                dht_mutable_sign(&mutable, secret_key, signature);
                check_bytes(signature, mutable.signature, sizeof(signature));
                dht_mutable_put_write(&w, &mutable);
                check_equal(writer_len(&w), put_len);
                check_bytes(out, put, put_len);
                w = writer_over(out, sizeof(out));
                dht_mutable_write(&w, &mutable);
                check_equal(writer_len(&w), get_len);
                check_bytes(out, get, get_len);
                check(dht_mutable_decode(get, get_len, &got) && got.seq == mutable.seq && got.value_len == mutable.value_len);
                for (size_t cut = 0; cut < put_len; cut++)
                        check(!dht_mutable_put_decode(put, cut, &got));
                for (size_t cut = 0; cut < get_len; cut++)
                        check(!dht_mutable_decode(get, cut, &got));
                mutable.seq++;
                check(!dht_mutable_verify(&mutable));
        }
}
