/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise_payload.h"

#include <stdio.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

enum { BYTES_MAX = 2048 };

static struct addr addr_of(json_t *from)
{
        struct addr addr = { .port = (uint16_t)vector_number(from, "port") };
        const char *host = vector_text(from, "host");

        check_equal(sscanf(host, "%hhu.%hhu.%hhu.%hhu", &addr.ip[0], &addr.ip[1], &addr.ip[2], &addr.ip[3]), 4);
        return addr;
}

/* As JavaScript prints it: eight groups, none left out. */
static struct noise_addr6 addr6_of(json_t *from)
{
        struct noise_addr6 addr = { .port = (uint16_t)vector_number(from, "port") };
        const char *host = vector_text(from, "host");
        unsigned group[8];

        check_equal(sscanf(host, "%x:%x:%x:%x:%x:%x:%x:%x", &group[0], &group[1], &group[2], &group[3], &group[4], &group[5],
                           &group[6], &group[7]), 8);
        for (size_t i = 0; i < 8; i++) {
                addr.ip[2 * i] = (uint8_t)(group[i] >> 8);
                addr.ip[2 * i + 1] = (uint8_t)group[i];
        }
        return addr;
}

static json_t *part(json_t *from, const char *name)
{
        json_t *value = json_object_get(from, name);

        return json_is_null(value) ? NULL : value;
}

static size_t addrs_of(json_t *list, struct addr *out)
{
        for (size_t i = 0; i < json_array_size(list); i++)
                out[i] = addr_of(json_array_get(list, i));
        return json_array_size(list);
}

static uint64_t version_of(json_t *from)
{
        return json_object_get(from, "version") ? (uint64_t)vector_number(from, "version") : NOISE_PAYLOAD_VERSION;
}

static void udx_of(json_t *udx, struct noise_payload *payload)
{
        payload->has_udx = true;
        payload->udx_version = version_of(udx);
        payload->udx_reusable_socket = vector_true(udx, "reusableSocket");
        payload->udx_id = (uint32_t)vector_number(udx, "id");
        payload->udx_seq = (uint64_t)vector_number(udx, "seq");
}

/* A payload as the vectors spell it. Cleared whole, so that two of them compare as bytes. */
static void payload_of(json_t *from, struct noise_payload *payload)
{
        json_t *holepunch = part(from, "holepunch"), *relay_through = part(from, "relayThrough"), *item;
        size_t index;

        memset(payload, 0, sizeof(*payload));
        payload->version = version_of(from);
        payload->error = (uint64_t)vector_number(from, "error");
        payload->firewall = (uint64_t)vector_number(from, "firewall");
        payload->has_holepunch = holepunch;
        payload->holepunch_id = holepunch ? (uint64_t)vector_number(holepunch, "id") : 0;
        json_array_foreach(holepunch ? vector_at(holepunch, "relays") : NULL, index, item) {
                payload->relays[index].relay = addr_of(vector_at(item, "relayAddress"));
                payload->relays[index].peer = addr_of(vector_at(item, "peerAddress"));
                payload->relay_count = index + 1;
        }
        payload->address_count = addrs_of(part(from, "addresses4"), payload->addresses);
        json_array_foreach(part(from, "addresses6"), index, item) {
                payload->addresses6[index] = addr6_of(item);
                payload->address6_count = index + 1;
        }
        if (part(from, "udx"))
                udx_of(part(from, "udx"), payload);
        payload->has_secret_stream = part(from, "secretStream");
        payload->secret_stream_version = payload->has_secret_stream ? version_of(part(from, "secretStream")) : 0;
        payload->has_relay_through = relay_through;
        if (relay_through) {
                payload->relay_through_version = version_of(relay_through);
                vector_bytes(relay_through, "publicKey", payload->relay_through_key, sizeof(payload->relay_through_key));
                vector_bytes(relay_through, "token", payload->relay_through_token, sizeof(payload->relay_through_token));
        }
        payload->has_relay_addresses = part(from, "relayAddresses");
        payload->relay_address_count = addrs_of(part(from, "relayAddresses"), payload->relay_addresses);
}

static bool addrs_equal(const struct addr *a, size_t a_count, const struct addr *b, size_t b_count)
{
        for (size_t i = 0; i < a_count && i < b_count; i++)
                if (!addr_equal(&a[i], &b[i]))
                        return false;
        return a_count == b_count;
}

static void check_lists(const struct noise_payload *a, const struct noise_payload *b)
{
        check_equal(a->relay_count, b->relay_count);
        for (size_t i = 0; i < a->relay_count; i++)
                check(addr_equal(&a->relays[i].relay, &b->relays[i].relay) && addr_equal(&a->relays[i].peer, &b->relays[i].peer));
        check(addrs_equal(a->addresses, a->address_count, b->addresses, b->address_count));
        check_equal(a->address6_count, b->address6_count);
        for (size_t i = 0; i < a->address6_count; i++)
                check(memcmp(a->addresses6[i].ip, b->addresses6[i].ip, 16) == 0 && a->addresses6[i].port == b->addresses6[i].port);
        check(addrs_equal(a->relay_addresses, a->relay_address_count, b->relay_addresses, b->relay_address_count));
}

static void check_same(const struct noise_payload *a, const struct noise_payload *b)
{
        check(a->version == b->version && a->error == b->error && a->firewall == b->firewall);
        check(a->has_holepunch == b->has_holepunch && a->holepunch_id == b->holepunch_id);
        check(a->has_udx == b->has_udx && a->udx_version == b->udx_version && a->udx_reusable_socket == b->udx_reusable_socket);
        check(a->udx_id == b->udx_id && a->udx_seq == b->udx_seq);
        check(a->has_secret_stream == b->has_secret_stream && a->secret_stream_version == b->secret_stream_version);
        check(a->has_relay_through == b->has_relay_through && a->relay_through_version == b->relay_through_version);
        check(a->relay_through_flags == b->relay_through_flags);
        check_bytes(a->relay_through_key, b->relay_through_key, sizeof(a->relay_through_key));
        check_bytes(a->relay_through_token, b->relay_through_token, sizeof(a->relay_through_token));
        check(a->has_relay_addresses == b->has_relay_addresses);
        check_lists(a, b);
}

static size_t encode(const struct noise_payload *payload, uint8_t out[BYTES_MAX])
{
        struct writer w = writer_over(out, BYTES_MAX);

        noise_payload_write(&w, payload);
        check(!w.failed);
        return writer_len(&w);
}

static bool decode(const uint8_t *bytes, size_t len, struct noise_payload *out)
{
        struct reader r = reader_over(bytes, len);

        return noise_payload_read(&r, out);
}

TEST(payloads_are_written_and_read_as_the_reference_does)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("noise.json"), "payloads"), index, item) {
                struct noise_payload input, expected, read;
                uint8_t bytes[BYTES_MAX], encoded[BYTES_MAX];
                size_t len = vector_bytes(item, "encoded", bytes, sizeof(bytes));

                payload_of(vector_at(item, "input"), &input);
                payload_of(vector_at(item, "decoded"), &expected);
                check_equal(encode(&input, encoded), len);
                check_bytes(encoded, bytes, len);
                check(decode(bytes, len, &read));
                check_same(&read, &expected);
        }
        check(index == 6);
}

TEST(odd_payloads_are_read_and_refused_as_the_reference_does)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("noise.json"), "payloadDecoding"), index, item) {
                struct noise_payload read;
                uint8_t bytes[BYTES_MAX];
                bool ok = decode(bytes, vector_bytes(item, "bytes", bytes, sizeof(bytes)), &read);

                check_equal(ok, vector_true(item, "ok"));
                if (!ok)
                        continue;
                check(read.version == (uint64_t)vector_number(item, "version"));
                check(read.error == (uint64_t)vector_number(item, "error"));
                check_equal(read.has_udx, part(item, "udx") != NULL);
                if (read.has_udx) {
                        check(read.udx_version == (uint64_t)vector_number(item, "udx.version"));
                        check(read.udx_id == (uint32_t)vector_number(item, "udx.id"));
                        check(read.udx_seq == (uint64_t)vector_number(item, "udx.seq"));
                }
        }
        check(index == 9);
}

/* All of it, with every number as long as it gets. */
static void fill(struct noise_payload *payload)
{
        uint64_t state = 3;

        memset(payload, 0, sizeof(*payload));
        test_random_fill(&state, payload->relays, sizeof(payload->relays));
        test_random_fill(&state, payload->addresses, sizeof(payload->addresses));
        test_random_fill(&state, payload->addresses6, sizeof(payload->addresses6));
        test_random_fill(&state, payload->relay_addresses, sizeof(payload->relay_addresses));
        test_random_fill(&state, payload->relay_through_key, sizeof(payload->relay_through_key));
        test_random_fill(&state, payload->relay_through_token, sizeof(payload->relay_through_token));
        payload->version = payload->udx_version = payload->secret_stream_version = payload->relay_through_version = 1;
        payload->error = payload->firewall = payload->holepunch_id = payload->udx_seq = (UINT64_C(1) << 53) - 1;
        payload->udx_id = UINT32_MAX;
        payload->udx_reusable_socket = true;
        payload->has_holepunch = payload->has_udx = payload->has_secret_stream = true;
        payload->has_relay_through = payload->has_relay_addresses = true;
        payload->relay_count = payload->relay_address_count = NOISE_RELAYS_MAX;
        payload->address_count = NOISE_ADDRESSES_MAX;
        payload->address6_count = NOISE_ADDRESSES6_MAX;
}

TEST(the_fullest_payload_fits_and_comes_back)
{
        struct noise_payload full, read;
        uint8_t bytes[BYTES_MAX];
        size_t len;

        fill(&full);
        len = encode(&full, bytes);
        check(len <= NOISE_PAYLOAD_MAX);
        check(decode(bytes, len, &read));
        check_same(&read, &full);
}

TEST(a_payload_cut_anywhere_is_refused_and_leaves_nothing)
{
        struct noise_payload full, read, untouched;
        uint8_t bytes[BYTES_MAX];
        size_t len;

        fill(&full);
        len = encode(&full, bytes);
        memset(&untouched, 0xa5, sizeof(untouched));
        memcpy(&read, &untouched, sizeof(read));
        for (size_t cut = 0; cut < len; cut++)
                check(!decode(bytes, cut, &read));
        check_bytes(&read, &untouched, sizeof(read));
}

TEST(a_payload_that_does_not_fit_fails_the_writer)
{
        struct noise_payload full;
        uint8_t bytes[BYTES_MAX];
        size_t len;

        fill(&full);
        len = encode(&full, bytes);
        for (size_t room = 0; room < len; room++) {
                struct writer w = writer_over(bytes, room);

                noise_payload_write(&w, &full);
                check(w.failed);
        }
}

/* Version, flags, error, firewall, then a list of @count addresses and the udx part after it. */
static size_t long_list(uint8_t *bytes, uint8_t flag, uint8_t count, size_t element_bytes, uint8_t *id)
{
        struct writer w = writer_over(bytes, BYTES_MAX);
        uint8_t head[] = { 1, flag, 0, 0 };

        write_bytes(&w, head, sizeof(head));
        if (id)
                write_u8(&w, *id);
        write_u8(&w, count);
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < element_bytes; k++)
                        write_u8(&w, (uint8_t)i);
        return writer_len(&w);
}

TEST(of_longer_lists_the_first_are_kept)
{
        static uint8_t udx[] = { 1, 0, 77, 0 };
        uint8_t bytes[BYTES_MAX], id = 5;
        struct noise_payload read;
        size_t len;

        len = long_list(bytes, 0x02 | 0x08, 100, 6, NULL);
        memcpy(bytes + len, udx, sizeof(udx));
        check(decode(bytes, len + sizeof(udx), &read));
        check_equal(read.address_count, NOISE_ADDRESSES_MAX);
        check_equal(read.addresses[NOISE_ADDRESSES_MAX - 1].ip[3], NOISE_ADDRESSES_MAX - 1);
        check(read.has_udx && read.udx_id == 77);

        len = long_list(bytes, 0x04 | 0x08, 50, 18, NULL);
        memcpy(bytes + len, udx, sizeof(udx));
        check(decode(bytes, len + sizeof(udx), &read));
        check_equal(read.address6_count, NOISE_ADDRESSES6_MAX);
        check_equal(read.udx_id, 77);

        len = long_list(bytes, 0x01 | 0x08, 50, 12, &id);
        memcpy(bytes + len, udx, sizeof(udx));
        check(decode(bytes, len + sizeof(udx), &read));
        check(read.has_holepunch && read.holepunch_id == 5 && read.relay_count == NOISE_RELAYS_MAX && read.udx_id == 77);

        len = long_list(bytes, 0x40, 50, 6, NULL);
        check(decode(bytes, len, &read));
        check_equal(read.relay_address_count, NOISE_RELAYS_MAX);
        check(!decode(bytes, len - 1, &read));
}

TEST(a_stream_id_that_no_packet_can_carry_is_refused)
{
        static const uint8_t largest[] = { 1, 8, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0 };
        static const uint8_t beyond[] = { 1, 8, 0, 0, 1, 1, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
        struct noise_payload read;

        check(decode(largest, sizeof(largest), &read) && read.udx_id == UINT32_MAX && read.udx_reusable_socket);
        check(!decode(beyond, sizeof(beyond), &read));
}
