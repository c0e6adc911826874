/* SPDX-License-Identifier: BSD-3-Clause */
/* Every sealed payload and token of tests/vectors/holepunch.json, made and read. */
#include "nat_payload.h"

#include <stdio.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

enum { EVENTS_MAX = 64 };

static json_t *events[EVENTS_MAX];

static size_t events_of(const char *kind)
{
        json_t *scenarios = vector_at(vectors("holepunch.json"), "scenarios"), *scenario, *event;
        size_t i, k, count = 0;

        json_array_foreach(scenarios, i, scenario)
                json_array_foreach(vector_at(scenario, "events"), k, event)
                        if (strcmp(vector_text(event, "kind"), kind) == 0 && count < EVENTS_MAX)
                                events[count++] = event;
        return count;
}

static struct addr addr_of(json_t *from)
{
        struct addr addr = { .port = (uint16_t)vector_number(from, "port") };

        check_equal(sscanf(vector_text(from, "host"), "%hhu.%hhu.%hhu.%hhu", &addr.ip[0], &addr.ip[1], &addr.ip[2], &addr.ip[3]), 4);
        return addr;
}

static json_t *part(json_t *from, const char *name)
{
        json_t *value = json_object_get(from, name);

        return json_is_null(value) ? NULL : value;
}

static struct nat_payload payload_of(json_t *from)
{
        struct nat_payload payload = {
                .connected = vector_true(from, "connected"),
                .punching = vector_true(from, "punching"),
                .error = (uint64_t)vector_number(from, "error"),
                .firewall = (uint64_t)vector_number(from, "firewall"),
                .round = (uint64_t)vector_number(from, "round"),
                .has_addresses = part(from, "addresses"),
                .has_remote = part(from, "remoteAddress"),
                .has_token = part(from, "token"),
                .has_remote_token = part(from, "remoteToken"),
        };
        json_t *addresses = part(from, "addresses");

        for (size_t i = 0; i < json_array_size(addresses); i++)
                payload.addresses[payload.address_count++] = addr_of(json_array_get(addresses, i));
        if (payload.has_remote)
                payload.remote = addr_of(part(from, "remoteAddress"));
        if (payload.has_token)
                check_equal(vector_bytes(from, "token", payload.token, NAT_TOKEN_BYTES), NAT_TOKEN_BYTES);
        if (payload.has_remote_token)
                check_equal(vector_bytes(from, "remoteToken", payload.remote_token, NAT_TOKEN_BYTES), NAT_TOKEN_BYTES);
        return payload;
}

TEST(nat_payload_reads_and_writes_the_reference)
{
        size_t count = events_of("holepunch-encrypt");

        check(count >= 10);
        for (size_t i = 0; i < count; i++) {
                struct nat_payload expected = payload_of(vector_at(events[i], "payload")), payload;
                uint8_t plain[256], written[NAT_PAYLOAD_MAX];
                size_t len = vector_bytes(events[i], "plain_hex", plain, sizeof(plain));
                struct writer w = writer_over(written, sizeof(written));
                struct reader r = reader_over(plain, len);

                nat_payload_write(&w, &expected);
                check_equal(writer_len(&w), len);
                check_bytes(written, plain, len);
                check(nat_payload_read(&r, &payload));
                w = writer_over(written, sizeof(written));
                nat_payload_write(&w, &payload);
                check_bytes(written, plain, len);
                check_equal(reader_left(&r), 0);
                for (size_t cut = 0; cut < len; cut++) {
                        r = reader_over(plain, cut);
                        check(!nat_payload_read(&r, &payload));
                }
        }
}

static void fill_nonce(void *context, void *out, size_t len)
{
        memcpy(out, context, len);
}

/* Who holds the payload object does not say which handshake it is of: the secret is the one that opens it. */
static bool find_secret(const uint8_t *sealed, size_t len, uint8_t secret_out[NAT_SECRET_BYTES])
{
        json_t *scenarios = vector_at(vectors("holepunch.json"), "scenarios"), *scenario, *event;
        struct nat_payload payload;
        size_t i, k;

        json_array_foreach(scenarios, i, scenario) {
                json_array_foreach(vector_at(scenario, "events"), k, event) {
                        uint8_t hash[NAT_HASH_BYTES], expected[NAT_SECRET_BYTES];

                        if (strcmp(vector_text(event, "kind"), "noise-final") != 0)
                                continue;
                        check_equal(vector_bytes(event, "handshake_hash_hex", hash, sizeof(hash)), NAT_HASH_BYTES);
                        vector_bytes(event, "holepunch_secret_hex", expected, sizeof(expected));
                        nat_secret(hash, secret_out);
                        check_bytes(secret_out, expected, NAT_SECRET_BYTES);
                        if (nat_open(secret_out, sealed, len, &payload))
                                return true;
                }
        }
        return false;
}

TEST(nat_payload_seals_and_opens_the_reference)
{
        size_t count = events_of("holepunch-encrypt");

        for (size_t i = 0; i < count; i++) {
                struct nat_payload payload;
                uint8_t sealed[512], nonce[24], secret[NAT_SECRET_BYTES], made[NAT_SEALED_MAX];
                size_t len = vector_bytes(events[i], "sealed_hex", sealed, sizeof(sealed));
                struct random random = { .fill = fill_nonce, .context = nonce };

                vector_bytes(events[i], "nonce_hex", nonce, sizeof(nonce));
                check(find_secret(sealed, len, secret));
                check(nat_open(secret, sealed, len, &payload));
                check_equal(nat_seal(secret, &random, &payload, made), len);
                check_bytes(made, sealed, len);
                for (size_t at = 0; at < len; at++) {
                        sealed[at] ^= 1;
                        check(!nat_open(secret, sealed, len, &payload));
                        check(!nat_open(secret, sealed, at, &payload));
                        sealed[at] ^= 1;
                }
        }
}

TEST(nat_payload_makes_the_tokens_of_the_reference)
{
        size_t count = events_of("holepunch-token");

        check(count >= 2);
        for (size_t i = 0; i < count; i++) {
                struct addr addr = { .port = 1 };
                uint8_t secret[NAT_SECRET_BYTES], expected[NAT_TOKEN_BYTES], token[NAT_TOKEN_BYTES];

                sscanf(vector_text(events[i], "host"), "%hhu.%hhu.%hhu.%hhu", &addr.ip[0], &addr.ip[1], &addr.ip[2], &addr.ip[3]);
                vector_bytes(events[i], "local_secret_hex", secret, sizeof(secret));
                vector_bytes(events[i], "token_hex", expected, sizeof(expected));
                nat_token(secret, &addr, token);
                check_bytes(token, expected, sizeof(token));
        }
}

TEST(nat_payload_keeps_the_first_addresses_of_a_long_list)
{
        uint8_t bytes[4 + 1 + 20 * 6] = { 4, 0, 2, 7, 20 };
        struct reader r = reader_over(bytes, sizeof(bytes) - 1);
        struct nat_payload payload;

        for (uint8_t i = 0; i < 20; i++)
                bytes[5 + 6 * i] = i + 1;
        check(!nat_payload_read(&r, &payload));
        r = reader_over(bytes, sizeof(bytes));
        check(nat_payload_read(&r, &payload));
        check_equal(payload.address_count, NAT_ADDRESSES_MAX);
        check_equal(payload.addresses[NAT_ADDRESSES_MAX - 1].ip[0], NAT_ADDRESSES_MAX);
}
