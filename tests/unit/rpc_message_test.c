/* SPDX-License-Identifier: BSD-3-Clause */
/* The message codec against every datagram of the JavaScript nodes that was recorded, and against what is no message. */
#include "rpc_message.h"

#include <stdio.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

static bool is_null(json_t *from, const char *path)
{
        return json_is_null(vector_at(from, path));
}

static struct addr addr_of(json_t *at)
{
        unsigned ip[4];
        struct addr addr = { .port = (uint16_t)vector_number(at, "port") };

        check_equal(sscanf(vector_text(at, "host"), "%u.%u.%u.%u", &ip[0], &ip[1], &ip[2], &ip[3]), 4);
        for (int i = 0; i < 4; i++)
                addr.ip[i] = (uint8_t)ip[i];
        return addr;
}

/* Optional bytes of the vector at @path, held against what was read. */
static void check_field(json_t *from, const char *path, const uint8_t *actual, size_t len)
{
        uint8_t expected[RPC_DATAGRAM_MAX];

        if (is_null(from, path)) {
                check(!actual);
                return;
        }
        check(actual);
        check_equal(vector_bytes(from, path, expected, sizeof(expected)), len);
        check_bytes(actual, expected, len);
}

/* Whatever was read is written again as it was. */
static void check_written_alike(const struct rpc_message *message, const uint8_t *bytes, size_t len)
{
        uint8_t out[RPC_DATAGRAM_MAX];

        check_equal(rpc_message_write(message, out, sizeof(out)), len);
        check_bytes(out, bytes, len);
        for (size_t max = 0; max < len; max++)
                check_equal(rpc_message_write(message, out, max), 0);
}

TEST(rpc_message_reads_and_writes_the_requests_of_the_reference)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht.json"), "requests"), index, item) {
                uint8_t bytes[RPC_DATAGRAM_MAX];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                struct rpc_message message;
                struct addr to = addr_of(vector_at(item, "in.to"));

                check(rpc_message_read(bytes, len, &message));
                check_equal(message.type, RPC_TYPE_REQUEST);
                check_equal(message.tid, vector_number(item, "in.tid"));
                check_equal(message.internal, vector_true(item, "in.internal"));
                check_equal(message.command, vector_number(item, "in.command"));
                check(addr_equal(&message.to, &to));
                check_field(item, "in.id", message.id, RPC_ID_BYTES);
                check_field(item, "in.token", message.token, RPC_TOKEN_BYTES);
                check_field(item, "in.target", message.target, RPC_TARGET_BYTES);
                check_field(item, "in.value", message.value, message.value_len);
                check_written_alike(&message, bytes, len);
        }
        check_equal(index, 21);
}

TEST(rpc_message_reads_and_writes_the_responses_of_the_reference)
{
        size_t index, at;
        json_t *item, *node;

        json_array_foreach(vector_at(vectors("dht.json"), "responses"), index, item) {
                uint8_t bytes[RPC_DATAGRAM_MAX], request[RPC_DATAGRAM_MAX];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes)), request_len;
                struct rpc_message message, asked;
                struct addr to = addr_of(vector_at(item, "sentTo"));

                check(rpc_message_read(bytes, len, &message));
                request_len = vector_bytes(item, "in.request", request, sizeof(request));
                check(rpc_message_read(request, request_len, &asked));
                check_equal(message.type, RPC_TYPE_RESPONSE);
                check_equal(message.tid, asked.tid);
                check_equal(message.error, vector_number(item, "in.error"));
                check(addr_equal(&message.to, &to));
                check_equal(message.token != NULL, vector_true(item, "in.withToken"));
                check_field(item, "in.value", message.value, message.value_len);
                check_equal(message.closer_count, json_array_size(vector_at(item, "in.tableOrder")));
                json_array_foreach(vector_at(item, "in.tableOrder"), at, node) {
                        struct addr expected = addr_of(node), actual = rpc_message_closer(&message, at);

                        check(addr_equal(&actual, &expected));
                }
                check_written_alike(&message, bytes, len);
        }
        check_equal(index, 16);
}

TEST(rpc_message_reads_and_writes_a_whole_session)
{
        size_t index, count = 0;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht-session.json"), "packets"), index, item) {
                uint8_t bytes[RPC_DATAGRAM_MAX];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                struct rpc_message message;

                if (!rpc_message_read(bytes, len, &message)) {
                        check(len == 1 || bytes[0] == 0xff);    /* a punch probe, or a UDX packet that came late */
                        continue;
                }
                check_written_alike(&message, bytes, len);
                count++;
        }
        check(count > 1000);
}

TEST(rpc_message_reads_what_live_nodes_were_attacked_with)
{
        size_t index, at;
        json_t *item, *reply;

        json_array_foreach(vector_at(vectors("dht-hostile.json"), "cases"), index, item) {
                uint8_t bytes[8192];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                struct rpc_message message;
                uint8_t out[8192];

                check(rpc_message_read(bytes, len, &message));
                check_equal(rpc_message_write(&message, out, sizeof(out)), len);
                check_bytes(out, bytes, len);
                json_array_foreach(vector_at(item, "replies"), at, reply) {
                        len = vector_bytes(reply, "hex", bytes, sizeof(bytes));
                        check(rpc_message_read(bytes, len, &message));
                        check_equal(rpc_message_write(&message, out, sizeof(out)), len);
                        check_bytes(out, bytes, len);
                }
        }
        check_equal(index, 81);
}

TEST(rpc_message_drops_and_takes_malformed_ones_as_the_reference_does)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht.json"), "malformed"), index, item) {
                uint8_t bytes[RPC_DATAGRAM_MAX];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                bool dropped = strcmp(vector_text(item, "outcome"), "dropped") == 0;
                struct rpc_message message;

                if (vector_number(item, "fromPort") == 0)       /* seen by who knows the source */
                        continue;
                check_equal(rpc_message_read(bytes, len, &message), !dropped);
                if (dropped || is_null(item, "parsed"))
                        continue;
                check_equal(message.tid, vector_number(item, "parsed.tid"));
                check_equal(message.command, vector_number(item, "parsed.command"));
                check_equal(message.internal, vector_true(item, "parsed.internal"));
                check_field(item, "parsed.target", message.target, RPC_TARGET_BYTES);
                check_field(item, "parsed.value", message.value, message.value_len);
                check_field(item, "parsed.token", message.token, RPC_TOKEN_BYTES);
        }
        check_equal(index, 21);
}

TEST(rpc_message_is_refused_wherever_it_is_cut)
{
        static const char *const lists[] = { "requests", "responses" };
        size_t index;
        json_t *item;

        for (size_t list = 0; list < 2; list++) {
                json_array_foreach(vector_at(vectors("dht.json"), lists[list]), index, item) {
                        uint8_t bytes[RPC_DATAGRAM_MAX];
                        size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                        struct rpc_message message;

                        for (size_t cut = 0; cut < len; cut++)
                                check(!rpc_message_read(bytes, cut, &message));
                }
        }
}

TEST(rpc_message_counts_of_closer_nodes_are_held_against_what_is_there)
{
        uint8_t bytes[RPC_HEADER_BYTES + 5 + 2 * RPC_ADDR_BYTES] = {
                0x13, 0x04, 1, 0, 127, 0, 0, 1, 0x22, 0x4e, 0xfe, 0, 0, 0x10, 0,
        };
        struct rpc_message message;

        check(!rpc_message_read(bytes, sizeof(bytes), &message));      /* 2^20 nodes */
        memcpy(bytes + RPC_HEADER_BYTES, "\xfe\3\0\0", 4);
        check(!rpc_message_read(bytes, sizeof(bytes), &message));
        memcpy(bytes + RPC_HEADER_BYTES, "\xfe\2\0\0", 4);
        check(rpc_message_read(bytes, sizeof(bytes), &message));
        check_equal(message.closer_count, 2);
}

TEST(rpc_message_tells_an_empty_value_from_none)
{
        struct rpc_message message = { .type = RPC_TYPE_RESPONSE, .value = (const uint8_t *)"" }, back;
        uint8_t bytes[64];

        check_equal(rpc_message_write(&message, bytes, sizeof(bytes)), RPC_HEADER_BYTES + 1);
        check(rpc_message_read(bytes, RPC_HEADER_BYTES + 1, &back));
        check(back.value && back.value_len == 0);
        message.value = NULL;
        check_equal(rpc_message_write(&message, bytes, sizeof(bytes)), RPC_HEADER_BYTES);
        check(rpc_message_read(bytes, RPC_HEADER_BYTES, &back));
        check(!back.value);
}

TEST(rpc_node_ids_are_those_of_the_reference)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht.json"), "nodeId"), index, item) {
                uint8_t expected[RPC_ID_BYTES], actual[RPC_ID_BYTES];
                struct addr addr = addr_of(item);

                check_equal(vector_bytes(item, "id", expected, sizeof(expected)), RPC_ID_BYTES);
                rpc_node_id(&addr, actual);
                check_bytes(actual, expected, RPC_ID_BYTES);
        }
        check_equal(index, 7);
}
