/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet codec against every packet captured from udx-native 1.21.3 (tests/vectors/udx.json), and against what no peer
 * sends. */
#include "udx_packet.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "test.h"

static json_t *load_vectors(void)
{
        char path[4096];
        json_error_t error;
        json_t *root;

        snprintf(path, sizeof(path), "%s/udx.json", getenv("VECTORS"));
        root = json_load_file(path, 0, &error);
        if (!root)
                test_fail(__FILE__, __LINE__, "%s: %s", path, error.text);
        return root;
}

static long long number(const json_t *object, const char *key)
{
        return json_integer_value(json_object_get(object, key));
}

static uint8_t type_named(const char *flags)
{
        static const struct { const char *name; uint8_t type; } rows[] = {
                { "ACK", 0 }, { "DATA", UDX_DATA }, { "END", UDX_END }, { "DATA|END", UDX_DATA | UDX_END }, { "SACK", UDX_SACK },
                { "MESSAGE", UDX_MESSAGE }, { "DESTROY", UDX_DESTROY }, { "HEARTBEAT", UDX_HEARTBEAT },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                if (strcmp(rows[i].name, flags) == 0)
                        return rows[i].type;
        test_fail(__FILE__, __LINE__, "unknown flags %s", flags);
}

static void check_sacks(const json_t *row, const struct udx_packet *packet)
{
        json_t *sacks = json_object_get(row, "sacks"), *block;
        size_t i;

        check_equal(packet->sack_count, json_array_size(sacks));
        json_array_foreach(sacks, i, block) {
                struct udx_sack sack = udx_packet_sack(packet, (unsigned)i);

                check_equal(sack.start, json_integer_value(json_array_get(block, 0)));
                check_equal(sack.end, json_integer_value(json_array_get(block, 1)));
        }
}

/* What we would write for the same fields is what was captured, up to the payload. */
static void check_encoding(const uint8_t *bytes, const struct udx_packet *packet)
{
        uint8_t out[UDX_HEADER_BYTES + UDX_SACK_MAX * UDX_SACK_BYTES];
        struct writer w = writer_over(out, sizeof(out));

        udx_header_write(&w, packet);
        for (unsigned i = 0; i < packet->sack_count; i++) {
                struct udx_sack sack = udx_packet_sack(packet, i);

                udx_sack_write(&w, &sack);
        }
        check(!w.failed);
        check_bytes(out, bytes, writer_len(&w));
}

/* Long packets were recorded by their beginning only. */
static void check_captured(const json_t *row)
{
        uint8_t bytes[UDX_DATAGRAM_MAX] = { 0 };
        size_t len = (size_t)number(row, "udpLength");
        struct udx_packet packet;
        uint32_t id;

        check(test_unhex(json_string_value(json_object_get(row, "bytes")), bytes, sizeof(bytes)) <= len);
        check_equal(udx_packet_read(bytes, len, &packet), UDX_OK);
        check(udx_packet_peek_id(bytes, len, &id));
        check_equal(packet.type, type_named(json_string_value(json_object_get(row, "flags"))));
        check_equal(packet.stream_id, number(row, "id"));
        check_equal(id, number(row, "id"));
        check_equal(packet.window_bytes, number(row, "rwnd"));
        check_equal(packet.seq, number(row, "seq"));
        check_equal(packet.ack, number(row, "ack"));
        check_equal(packet.data_offset, number(row, "dataOffset"));
        check_equal(packet.payload_len, packet.type & UDX_SACK ? 0 : number(row, "payloadLength"));
        check_sacks(row, &packet);
        check_encoding(bytes, &packet);
}

TEST(udx_packet_reads_and_writes_every_captured_packet)
{
        static const char *const legs[] = { "packets", "legA", "legB" };
        json_t *root = load_vectors(), *scenario, *row;
        size_t at, i, count = 0;

        json_array_foreach(json_object_get(root, "scenarios"), at, scenario) {
                for (size_t leg = 0; leg < ARRAY_LEN(legs); leg++) {
                        json_array_foreach(json_object_get(scenario, legs[leg]), i, row) {
                                check_captured(row);
                                count++;
                        }
                }
        }
        check_equal(count, 563);
        json_decref(root);
}

static const uint8_t data_with_sacks[] = {
        0xff, 1, UDX_DATA | UDX_SACK, 16, 7, 0, 0, 0, 0, 0, 64, 0, 5, 0, 0, 0, 2, 0, 0, 0,
        4, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 'h', 'e', 'y'
};

TEST(udx_packet_carries_sacks_and_payload_at_once)
{
        struct udx_packet packet;

        check_equal(udx_packet_read(data_with_sacks, sizeof(data_with_sacks), &packet), UDX_OK);
        check_equal(packet.sack_count, 2);
        check_equal(udx_packet_sack(&packet, 1).start, 9);
        check_equal(udx_packet_sack(&packet, 1).end, 10);
        check_equal(packet.payload_len, 3);
        check_bytes(packet.payload, "hey", 3);
}

TEST(udx_packet_refuses_what_is_too_short_or_foreign)
{
        struct udx_packet packet;
        uint8_t bytes[sizeof(data_with_sacks)];
        uint32_t id;

        memcpy(bytes, data_with_sacks, sizeof(bytes));
        for (size_t len = 0; len < UDX_HEADER_BYTES; len++) {
                check_equal(udx_packet_read(bytes, len, &packet), UDX_NOT_OURS);
                check(!udx_packet_peek_id(bytes, len, &id));
        }
        for (size_t len = UDX_HEADER_BYTES; len < UDX_HEADER_BYTES + 16; len++)
                check_equal(udx_packet_read(bytes, len, &packet), UDX_MALFORMED);
        check_equal(udx_packet_read(bytes, UDX_HEADER_BYTES + 16, &packet), UDX_OK);
        check_equal(packet.payload_len, 0);
        bytes[1] = 2;
        check_equal(udx_packet_read(bytes, sizeof(bytes), &packet), UDX_NOT_OURS);
        bytes[1] = UDX_VERSION;
        bytes[0] = 0x03;
        check_equal(udx_packet_read(bytes, sizeof(bytes), &packet), UDX_NOT_OURS);
        check(!udx_packet_peek_id(bytes, sizeof(bytes), &id));
}

TEST(udx_packet_reads_fifty_sacks_and_no_more)
{
        uint8_t bytes[UDX_HEADER_BYTES + 120 * UDX_SACK_BYTES + 3] = { UDX_MAGIC, UDX_VERSION, UDX_SACK };
        struct udx_packet packet;

        check_equal(udx_packet_read(bytes, sizeof(bytes), &packet), UDX_OK);
        check_equal(packet.sack_count, UDX_SACK_MAX);
        check_equal(packet.payload_len, 0);
        check_equal(udx_packet_read(bytes, UDX_HEADER_BYTES + 23, &packet), UDX_OK);
        check_equal(packet.sack_count, 2);      /* whole blocks only */
}

TEST(udx_packet_orders_numbers_across_the_wrap)
{
        check(udx_seq_diff(0, 0xffffffff) == 1);
        check(udx_seq_diff(0xfffffff0, 16) == -32);
        check(udx_seq_diff(5, 5) == 0);
}
