/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole rpc against the reference: its replies to recorded requests, byte for byte, and every datagram of a recorded session. */
#include "rpc.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "vectors.h"

enum { SERVER = 1, CLIENT = 2 };

static void rpc_freep(struct rpc **rpc)
{
        rpc_free(*rpc);
}

/* The secrets of the vectors where secrets are asked for. */
static void fill(void *context, void *out, size_t len)
{
        json_t *start = vector_at(vectors("dht.json"), "token.steps.0");

        memset(out, 0, len);
        if (len != 64)
                return;
        vector_bytes(start, "secret0", out, 32);
        vector_bytes(start, "secret1", (uint8_t *)out + 32, 32);
}

static struct rpc *make(bool persistent)
{
        struct rpc_config config = { .random = { fill, NULL }, .server_socket = SERVER, .client_socket = CLIENT };
        uint8_t id[RPC_ID_BYTES];
        struct rpc *rpc;

        check_equal(rpc_new(&rpc, &config, SECONDS(1)), 0);
        check_equal(vector_bytes(vectors("dht.json"), "context.self.id", id, sizeof(id)), sizeof(id));
        rpc_set_id(rpc, persistent ? id : NULL);
        return rpc;
}

static struct addr addr_of(json_t *at)
{
        struct addr addr = { .port = (uint16_t)vector_number(at, "port") };
        unsigned ip[4];

        check_equal(sscanf(vector_text(at, "host"), "%u.%u.%u.%u", &ip[0], &ip[1], &ip[2], &ip[3]), 4);
        for (int i = 0; i < 4; i++)
                addr.ip[i] = (uint8_t)ip[i];
        return addr;
}

static void check_reply(json_t *item)
{
        cleanup_with(rpc_freep) struct rpc *rpc = make(!vector_true(item, "in.ephemeral"));
        uint32_t socket = strcmp(vector_text(item, "in.requestArrivedOn"), "server") == 0 ? SERVER : CLIENT;
        struct addr from = addr_of(vector_at(item, "in.from")), to = addr_of(vector_at(item, "sentTo")), closer[64];
        uint8_t request[RPC_DATAGRAM_MAX], value[RPC_DATAGRAM_MAX], expected[RPC_DATAGRAM_MAX];
        size_t len = vector_bytes(item, "in.request", request, sizeof(request)), count = 0, index;
        struct rpc_reply reply = {
                .error = (uint64_t)vector_number(item, "in.error"), .token = vector_true(item, "in.withToken"), .closer = closer,
        };
        struct rpc_event event;
        struct rpc_send send;
        json_t *node;

        json_array_foreach(vector_at(item, "in.tableOrder"), index, node)
                closer[count++] = addr_of(node);
        reply.closer_count = count;
        if (!json_is_null(vector_at(item, "in.value"))) {
                reply.value = value;
                reply.value_len = vector_bytes(item, "in.value", value, sizeof(value));
        }
        check_equal(rpc_receive(rpc, socket, &from, request, len, SECONDS(1), &event), RPC_OK);
        check(!event.token_valid);              /* none in them is ours */
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        check(rpc_transmit(rpc, &send));
        check_equal(send.socket, socket);
        check(addr_equal(&send.to, &to));
        check_equal(send.len, vector_bytes(item, "hex", expected, sizeof(expected)));
        check_bytes(send.bytes, expected, send.len);
}

TEST(rpc_replies_are_those_of_the_reference)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht.json"), "responses"), index, item)
                check_reply(item);
        check_equal(index, 16);
}

/* Ids of persistent nodes follow from where they speak from; nobody here waits for an answer. */
TEST(rpc_takes_every_request_of_a_session_and_no_answer_to_anybody_else)
{
        cleanup_with(rpc_freep) struct rpc *rpc = make(true);
        size_t index, requests = 0, responses = 0, ids = 0;
        json_t *item;

        json_array_foreach(vector_at(vectors("dht-session.json"), "packets"), index, item) {
                uint8_t bytes[RPC_DATAGRAM_MAX];
                size_t len = vector_bytes(item, "hex", bytes, sizeof(bytes));
                struct addr from = addr_of(vector_at(item, "remote"));
                struct rpc_event event;
                enum rpc_verdict verdict;

                if (strcmp(vector_text(item, "dir"), "rx") != 0)
                        continue;
                verdict = rpc_receive(rpc, SERVER, &from, bytes, len, SECONDS(1), &event);
                if (len < RPC_HEADER_BYTES || bytes[0] == 0xff) {
                        check_equal(verdict, RPC_MALFORMED);
                } else if (bytes[0] == 0x13) {
                        check_equal(verdict, RPC_UNASKED);
                        responses++;
                } else {
                        check_equal(verdict, RPC_OK);
                        check_equal(event.message.id != NULL, bytes[1] & 1);
                        ids += event.message.id != NULL;
                        requests++;
                }
        }
        check(requests > 200 && responses > 200 && ids > 10);
}
