/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vectors.h"
#include "wire.h"

static json_t *compact(const char *path)
{
        return vector_at(vector_at(vectors("dht.json"), "compact"), path);
}

TEST(uints_are_written_as_the_reference_does)
{
        size_t index;
        json_t *item;

        json_array_foreach(compact("uint"), index, item) {
                uint8_t expected[16], actual[16];
                size_t len = vector_bytes(item, "hex", expected, sizeof(expected));
                uint64_t value = strtoull(vector_text(item, "value"), NULL, 10);
                struct writer w = writer_over(actual, sizeof(actual));
                struct reader r = reader_over(expected, len);

                wire_write_uint(&w, value);
                check(!w.failed);
                check_equal(writer_len(&w), len);
                check_equal(wire_uint_bytes(value), len);
                check_bytes(actual, expected, len);
                check(wire_read_uint(&r) == value && !r.failed && reader_left(&r) == 0);
        }
}

TEST(uints_are_read_and_refused_as_the_reference_does)
{
        size_t index;
        json_t *item;

        json_array_foreach(compact("uintDecode"), index, item) {
                uint8_t bytes[32];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                struct reader r = reader_over(bytes, len);
                uint64_t value = wire_read_uint(&r);

                check_equal(!r.failed, vector_true(item, "ok"));
                if (r.failed)
                        continue;
                check(value == strtoull(vector_text(item, "value"), NULL, 10));
                check_equal(len - reader_left(&r), vector_number(item, "consumed"));
        }
}

TEST(what_no_javascript_number_holds_is_not_written)
{
        uint8_t bytes[16];
        struct writer w = writer_over(bytes, sizeof(bytes));

        wire_write_uint(&w, WIRE_UINT_MAX);
        check(!w.failed);
        w = writer_over(bytes, sizeof(bytes));
        wire_write_uint(&w, WIRE_UINT_MAX + 1);
        check(w.failed);
}

TEST(buffers_are_the_references)
{
        size_t index;
        json_t *item;

        json_array_foreach(compact("buffer"), index, item) {
                static uint8_t payload[1 << 17], expected[1 << 17], actual[1 << 17];
                size_t payload_len = vector_bytes(item, "payload", payload, sizeof(payload)), got_len;
                size_t len = vector_bytes(item, "hex", expected, sizeof(expected));
                struct writer w = writer_over(actual, sizeof(actual));
                struct reader r = reader_over(expected, len);
                const uint8_t *got;

                wire_write_buffer(&w, payload, payload_len);
                check(!w.failed && writer_len(&w) == len);
                check_bytes(actual, expected, len);
                got = wire_read_buffer(&r, &got_len);
                check(got && got_len == payload_len && reader_left(&r) == 0);
                check_bytes(got, payload, payload_len);
        }
        json_array_foreach(compact("bufferDecode"), index, item) {
                uint8_t bytes[64];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes)), got_len;
                struct reader r = reader_over(bytes, len);
                const uint8_t *got = wire_read_buffer(&r, &got_len);

                check_equal(!r.failed, vector_true(item, "ok"));
                check_equal(got != NULL, !r.failed);
        }
}

TEST(addresses_are_the_references)
{
        size_t index;
        json_t *item;

        json_array_foreach(compact("ipv4Address"), index, item) {
                uint8_t expected[WIRE_ADDR_BYTES], actual[WIRE_ADDR_BYTES];
                struct reader r = reader_over(expected, vector_bytes(item, "hex", expected, sizeof(expected)));
                struct addr addr = wire_read_addr(&r);
                struct writer w = writer_over(actual, sizeof(actual));
                char text[ADDR_HOST_TEXT_MAX];

                addr_host_text(&addr, text);
                check(!r.failed && strcmp(text, vector_text(item, "host")) == 0);
                check_equal(addr.port, vector_number(item, "port"));
                wire_write_addr(&w, &addr);
                check(!w.failed);
                check_bytes(actual, expected, sizeof(expected));
        }
}

TEST(a_count_is_held_against_what_is_left)
{
        uint8_t bytes[] = { 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
        uint8_t huge[] = { 0xfe, 0, 0, 16, 0 };
        struct reader r = reader_over(bytes, sizeof(bytes));

        check_equal(wire_read_count(&r, WIRE_ADDR_BYTES), 3);
        check(!r.failed);
        r = reader_over(bytes, sizeof(bytes) - 1);
        check_equal(wire_read_count(&r, WIRE_ADDR_BYTES), 0);
        check(r.failed);
        r = reader_over(huge, sizeof(huge));
        check_equal(wire_read_count(&r, 1), 0);
        check(r.failed);
}
