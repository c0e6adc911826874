/* SPDX-License-Identifier: BSD-3-Clause */
/* A recorded session of JavaScript nodes (tests/vectors/dht-session.json): each persistent node's place is taken by one of ours,
 * which gets the very requests at the same times and must answer as that node did. Its tokens are its own, so puts get one that it
 * gave out; what was signed for a recorded token is judged by the record. */
#include "dht.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dht_record.h"
#include "test.h"
#include "vectors.h"

enum { SERVER = 1, CLIENT = 2, COMMAND_LOOKUP = 3, COMMAND_ANNOUNCE, COMMAND_UNANNOUNCE };

struct seat {
        const char *name;               /* whose place */
        struct addr addr;
        struct dht *dht;
        struct now now;
        uint64_t seed;
        uint8_t bytes[RPC_DATAGRAM_MAX];
        struct rpc_message answer;      /* to the last request: points into @bytes */
        bool answered;
};

static struct addr loopback(long long port)
{
        return (struct addr){ { 127, 0, 0, 1 }, (uint16_t)port };
}

static void seat_fini(struct seat *seat)
{
        dht_free(seat->dht);
}

static void seat_init(struct seat *seat, const char *name)
{
        struct dht_config config = { .server_socket = SERVER, .client_socket = CLIENT, .persistent = true };
        char path[64];

        snprintf(path, sizeof(path), "nodes.%s.serverPort", name);
        *seat = (struct seat){ .name = name, .addr = loopback(vector_number(vectors("dht-session.json"), path)), .seed = 1 };
        seat->now = (struct now){ SECONDS(100), SECONDS(100), SECONDS(1700000000) };
        config.random = (struct random){ test_random_fill, &seat->seed };
        config.server_port = seat->addr.port;
        config.public_addr = seat->addr;
        check_equal(dht_new(&seat->dht, &config, &seat->now), 0);
}

/* Whoever it pings is there, and has an id. */
static void pong(struct seat *seat, const struct rpc_send *ping, const struct rpc_message *message)
{
        uint8_t id[RPC_ID_BYTES], bytes[RPC_DATAGRAM_MAX];
        struct rpc_message answer = { .type = RPC_TYPE_RESPONSE, .tid = message->tid, .id = id, .to = seat->addr };
        struct addr from = ping->to;
        uint32_t socket = ping->socket;

        rpc_node_id(&from, id);
        dht_receive(seat->dht, socket, &from, bytes, rpc_message_write(&answer, bytes, sizeof(bytes)), &seat->now);
}

static void settle(struct seat *seat, uint16_t tid)
{
        struct dht_event event;
        struct rpc_send send;

        dht_advance(seat->dht, &seat->now);
        while (dht_event(seat->dht, &event))
                ;
        while (dht_transmit(seat->dht, &send)) {
                struct rpc_message message;

                check(rpc_message_read(send.bytes, send.len, &message));
                if (message.type == RPC_TYPE_REQUEST && message.internal && message.command == RPC_PING) {
                        pong(seat, &send, &message);
                } else if (message.type == RPC_TYPE_RESPONSE && message.tid == tid) {
                        memcpy(seat->bytes, send.bytes, send.len);
                        check(rpc_message_read(seat->bytes, send.len, &seat->answer));
                        seat->answered = true;
                }
        }
}

static void ask(struct seat *seat, const struct addr *from, const struct rpc_message *message)
{
        uint8_t bytes[RPC_DATAGRAM_MAX];

        seat->answered = false;
        dht_receive(seat->dht, SERVER, from, bytes, rpc_message_write(message, bytes, sizeof(bytes)), &seat->now);
        settle(seat, message->tid);
}

static void fetch_token(struct seat *seat, const struct addr *from, uint8_t token_out[RPC_TOKEN_BYTES])
{
        static const uint8_t nothing[32] = { 0xee };

        ask(seat, from, &(struct rpc_message){ .tid = 1, .to = seat->addr, .command = COMMAND_LOOKUP, .target = nothing });
        check(seat->answered && seat->answer.token);
        memcpy(token_out, seat->answer.token, RPC_TOKEN_BYTES);
}

/* What the node whose place it is answered to the request at @index; false: nothing. */
static bool recorded_answer(json_t *packets, size_t index, const struct rpc_message *request, uint8_t bytes[RPC_DATAGRAM_MAX],
                            struct rpc_message *out)
{
        const char *name = vector_text(json_array_get(packets, index), "node");

        for (size_t i = index + 1; i < json_array_size(packets) && i < index + 200; i++) {
                json_t *row = json_array_get(packets, i);

                if (strcmp(vector_text(row, "dir"), "tx") != 0 || strcmp(vector_text(row, "node"), name) != 0)
                        continue;
                if (rpc_message_read(bytes, vector_bytes(row, "hex", bytes, RPC_DATAGRAM_MAX), out) &&
                    out->type == RPC_TYPE_RESPONSE && out->tid == request->tid)
                        return true;
        }
        return false;
}

/* A claim was signed for the recorded token: it was taken there if its signature is good here. */
static void check_claim(const struct seat *seat, const struct rpc_message *request, const struct rpc_message *expected)
{
        enum dht_claim claim = request->command == COMMAND_ANNOUNCE ? DHT_CLAIM_ANNOUNCE : DHT_CLAIM_UNANNOUNCE;
        struct dht_announce announce;
        uint8_t id[RPC_ID_BYTES];

        rpc_node_id(&seat->addr, id);
        check(dht_announce_decode(request->value, request->value_len, &announce));
        check_equal(expected->error, RPC_ERROR_NONE);
        check(dht_claim_verify(claim, &(struct dht_scope){ request->target, id, request->token }, &announce));
}

static void check_answer(const struct seat *seat, const struct rpc_message *request, const struct rpc_message *expected)
{
        const struct rpc_message *answer = &seat->answer;
        bool holds_claims = !request->internal && (request->command == 2 || request->command == COMMAND_LOOKUP);

        check(seat->answered && answer->id && expected->id);
        check_bytes(answer->id, expected->id, RPC_ID_BYTES);
        check_equal(answer->error, expected->error);
        check_equal(answer->token != NULL, expected->token != NULL);
        check(!answer->closer_count || expected->closer_count);
        if (holds_claims)
                return;                 /* whose tokens were the other node's */
        check_equal(answer->value != NULL, expected->value != NULL);
        check_equal(answer->value_len, expected->value_len);
        if (answer->value_len)
                check_bytes(answer->value, expected->value, answer->value_len);
}

/* Handshakes go where claims say; DELAYED_PING answers later. */
static bool is_asked_elsewhere(const struct rpc_message *request)
{
        return request->internal ? request->command == RPC_DELAYED_PING : request->command <= 1;
}

/* True: it was one to compare. */
static bool replay(struct seat *seat, json_t *packets, size_t index)
{
        json_t *row = json_array_get(packets, index);
        struct addr from = loopback(vector_number(row, "remote.port"));
        uint8_t bytes[RPC_DATAGRAM_MAX], expected_bytes[RPC_DATAGRAM_MAX], token[RPC_TOKEN_BYTES];
        struct rpc_message request, expected;

        if (!rpc_message_read(bytes, vector_bytes(row, "hex", bytes, sizeof(bytes)), &request) ||
            request.type != RPC_TYPE_REQUEST || is_asked_elsewhere(&request) ||
            !recorded_answer(packets, index, &request, expected_bytes, &expected) || !expected.id)
                return false;           /* not yet persistent then */
        if (expected.error != RPC_ERROR_INVALID_TOKEN && !request.internal &&
            (request.command == COMMAND_ANNOUNCE || request.command == COMMAND_UNANNOUNCE)) {
                check_claim(seat, &request, &expected);
                return true;
        }
        if (request.token && expected.error != RPC_ERROR_INVALID_TOKEN) {
                fetch_token(seat, &from, token);
                request.token = token;
        }
        ask(seat, &from, &request);
        check_answer(seat, &request, &expected);
        return true;
}

TEST(dht_answers_a_recorded_session_as_the_reference_did)
{
        static const char *const names[] = { "node1", "node2", "node3", "node4" };
        json_t *packets = vector_at(vectors("dht-session.json"), "packets");
        unsigned compared = 0;

        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
                cleanup_with(seat_fini) struct seat seat;
                usec_t start_us = SECONDS(100);

                seat_init(&seat, names[n]);
                for (size_t i = 0; i < json_array_size(packets); i++) {
                        json_t *row = json_array_get(packets, i);

                        if (strcmp(vector_text(row, "node"), names[n]) != 0 || strcmp(vector_text(row, "dir"), "rx") != 0 ||
                            strcmp(vector_text(row, "socket"), "server") != 0)
                                continue;
                        seat.now.mono_us = start_us + (usec_t)(json_number_value(json_object_get(row, "t")) * 1000);
                        seat.now.boot_us = seat.now.mono_us;
                        settle(&seat, 0);
                        compared += replay(&seat, packets, i);
                }
        }
        check(compared > 150);
}
