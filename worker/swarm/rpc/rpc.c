/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "rpc_state.h"
#include "wire.h"

int rpc_new(struct rpc **rpc_out, const struct rpc_config *config, usec_t now_us)
{
        struct rpc *rpc = calloc(1, sizeof(*rpc));
        uint8_t key[16];

        if (!rpc)
                return -ENOMEM;
        rpc->random = config->random;
        rpc->server_socket = config->server_socket;
        rpc->client_socket = config->client_socket;
        rpc->firewalled = config->firewalled;
        list_init(&rpc->all);
        list_init(&rpc->waiting);
        list_init(&rpc->news);
        random_fill(&rpc->random, key, sizeof(key));
        map_init(&rpc->by_tid, key);
        rpc_window_init(&rpc->window, now_us);
        rpc_tokens_init(&rpc->tokens, &rpc->random, now_us);
        rpc_limit_init(&rpc->limit, &rpc->random);
        rpc_output_init(&rpc->output);
        *rpc_out = rpc;
        return 0;
}

void rpc_free(struct rpc *rpc)
{
        if (!rpc)
                return;
        while (!list_empty(&rpc->all))
                rpc_request_free(rpc, list_entry(list_first(&rpc->all), struct rpc_request, all));
        free(rpc->told);
        rpc_output_fini(&rpc->output);
        rpc_limit_fini(&rpc->limit);
        rpc_tokens_fini(&rpc->tokens);
        map_fini(&rpc->by_tid);
        free(rpc);
}

void rpc_set_id(struct rpc *rpc, const uint8_t *id)
{
        rpc->has_id = id;
        if (id)
                memcpy(rpc->id, id, RPC_ID_BYTES);
}

void rpc_set_firewalled(struct rpc *rpc, bool firewalled)
{
        rpc->firewalled = firewalled;
}

uint32_t rpc_socket(const struct rpc *rpc)
{
        return rpc->firewalled ? rpc->client_socket : rpc->server_socket;
}

const uint8_t *rpc_id_for(const struct rpc *rpc, uint32_t socket)
{
        return rpc->has_id && socket == rpc->server_socket ? rpc->id : NULL;
}

/* --- In --- */

/* An id that doesn't follow from the address its sender has is none. */
static const uint8_t *verified(const uint8_t *id, const struct addr *from)
{
        uint8_t expected[RPC_ID_BYTES];

        if (!id)
                return NULL;
        rpc_node_id(from, expected);
        return memcmp(id, expected, RPC_ID_BYTES) == 0 ? id : NULL;
}

static enum rpc_verdict receive_request(struct rpc *rpc, struct rpc_event *event, usec_t now_us)
{
        const uint8_t *token = event->message.token;

        if (!rpc_limit_request(&rpc->limit, &event->from, now_us))
                return RPC_LIMITED;
        event->kind = RPC_REQUESTED;
        event->token_valid = token && rpc_token_valid(&rpc->tokens, &event->from, token, now_us);
        if (event->token_valid)
                rpc_limit_reachable(&rpc->limit, &event->from, now_us);
        return RPC_OK;
}

/* The answer must come from whom was asked, by whatever socket: the one to a PING_NAT comes by the other. */
static enum rpc_verdict receive_response(struct rpc *rpc, struct rpc_event *event, usec_t now_us)
{
        struct rpc_request *request = rpc_request_find(rpc, event->message.tid, &event->from);

        if (!request)
                return RPC_UNASKED;
        event->kind = RPC_RESPONSE;
        event->request = request;
        event->request_kind = request->kind;
        event->context = request->context;
        event->sends = request->sends;
        event->message.closer_count = MIN(event->message.closer_count, RPC_CLOSER_MAX);
        rpc->stats.responses++;
        rpc_limit_reachable(&rpc->limit, &event->from, now_us);
        rpc_request_answered(rpc, request, now_us);
        return RPC_OK;
}

static enum rpc_verdict receive(struct rpc *rpc, uint32_t socket, const struct addr *from, const void *bytes, size_t len,
                                usec_t now_us, struct rpc_event *out)
{
        struct rpc_event event = { .socket = socket, .from = *from };
        enum rpc_verdict verdict;

        if (from->port == 0 || len > RPC_DATAGRAM_MAX || !rpc_message_read(bytes, len, &event.message))
                return RPC_MALFORMED;
        verdict = event.message.type == RPC_TYPE_REQUEST ? receive_request(rpc, &event, now_us)
                                                         : receive_response(rpc, &event, now_us);
        if (verdict != RPC_OK)
                return verdict;
        event.message.id = verified(event.message.id, from);
        *out = event;
        return RPC_OK;
}

enum rpc_verdict rpc_receive(struct rpc *rpc, uint32_t socket, const struct addr *from, const void *bytes, size_t len,
                             usec_t now_us, struct rpc_event *out)
{
        enum rpc_verdict verdict = receive(rpc, socket, from, bytes, len, now_us, out);

        rpc->stats.verdicts[verdict]++;
        return verdict;
}

bool rpc_allow(struct rpc *rpc, const struct addr *from, enum rpc_cost cost, usec_t now_us)
{
        return rpc_limit_cost(&rpc->limit, from, cost, now_us);
}

/* --- Out --- */

/* Bytes of the datagram @m was read from, but for what follows its last field. */
static size_t request_bytes(const struct rpc_message *m)
{
        return RPC_HEADER_BYTES + (m->id ? RPC_ID_BYTES : 0) + (m->token ? RPC_TOKEN_BYTES : 0) + wire_uint_bytes(m->command) +
               (m->target ? RPC_TARGET_BYTES : 0) + (m->value ? wire_uint_bytes(m->value_len) + m->value_len : 0);
}

static void enqueue(struct rpc *rpc, uint32_t socket, const struct addr *to, const void *bytes, size_t len, uint64_t *counter)
{
        bool queued = len && rpc_output_copy(&rpc->output, socket, to, bytes, len);

        ++*(queued ? counter : &rpc->stats.unsent);
}

/* How many of the nearest nodes are named to a possible victim of a forged source. Who showed a token that is none of ours knows
 * whom to ask, and comes back with the one it gets. */
static size_t closer_bound(struct rpc *rpc, const struct addr *to, const struct rpc_reply *reply, usec_t now_us)
{
        if (reply->closer_count <= RPC_CLOSER_SHORT && reply->error != RPC_ERROR_INVALID_TOKEN)
                return RPC_CLOSER_SHORT;
        if (reply->error == RPC_ERROR_INVALID_TOKEN)
                return rpc_limit_is_reachable(&rpc->limit, to, now_us) ? RPC_CLOSER_MAX : 0;
        return rpc_limit_full(&rpc->limit, to, now_us) ? RPC_CLOSER_MAX : RPC_CLOSER_SHORT;
}

/* Writes @message with as many of the nearest nodes, at most @bound, as fit beside the rest of it. */
static size_t write_with_closer(struct rpc_message *message, const struct rpc_reply *reply, size_t bound,
                                uint8_t out[RPC_DATAGRAM_MAX])
{
        uint8_t closer[RPC_CLOSER_MAX * RPC_ADDR_BYTES];
        struct writer w = writer_over(closer, sizeof(closer));
        size_t len = rpc_message_write(message, out, RPC_DATAGRAM_MAX);
        size_t room = len && len < RPC_REPLY_MAX ? (RPC_REPLY_MAX - len - 1) / RPC_ADDR_BYTES : 0;
        struct rpc_message whole = *message;

        whole.closer = closer;
        whole.closer_count = MIN(MIN(reply->closer_count, bound), room);
        for (size_t i = 0; i < whole.closer_count; i++)
                wire_write_addr(&w, &reply->closer[i]);
        return whole.closer_count ? rpc_message_write(&whole, out, RPC_DATAGRAM_MAX) : len;
}

/* More than @large_bytes go to such a victim only now and then; JavaScript nodes read an answer without its value as "no record
 * here" and go on with the token and the nodes in it. */
static void answer(struct rpc *rpc, uint32_t socket, const struct addr *to, uint16_t tid, const struct rpc_reply *reply,
                   size_t large_bytes, usec_t now_us)
{
        uint8_t token[RPC_TOKEN_BYTES], bytes[RPC_DATAGRAM_MAX];
        struct rpc_message message = {
                .type = RPC_TYPE_RESPONSE, .tid = tid, .to = *to, .id = rpc_id_for(rpc, socket),
                .token = reply->token ? token : NULL, .error = reply->error, .value = reply->value, .value_len = reply->value_len,
        };
        size_t bound = closer_bound(rpc, to, reply, now_us), len;

        if (reply->token)
                rpc_token_issue(&rpc->tokens, to, now_us, token);
        len = write_with_closer(&message, reply, bound, bytes);
        if (len > large_bytes && !rpc_limit_large(&rpc->limit, to, len, now_us)) {
                message.value = NULL;
                len = write_with_closer(&message, reply, bound, bytes);
        }
        if (rpc_limit_reply(&rpc->limit, to, len, now_us))
                enqueue(rpc, socket, to, bytes, len, &rpc->stats.replies);
        else
                rpc->stats.unsent++;
}

void rpc_reply(struct rpc *rpc, const struct rpc_event *request, const struct rpc_reply *reply, usec_t now_us)
{
        size_t large_bytes = MAX(RPC_LARGE_BYTES, 2 * request_bytes(&request->message));

        answer(rpc, request->socket, &request->from, request->message.tid, reply, large_bytes, now_us);
}

void rpc_reply_to(struct rpc *rpc, uint32_t socket, const struct addr *to, uint16_t tid, const struct rpc_reply *reply,
                  usec_t now_us)
{
        answer(rpc, socket, to, tid, reply, RPC_DATAGRAM_MAX, now_us);
}

void rpc_relay(struct rpc *rpc, uint32_t socket, const struct addr *to, uint16_t tid, uint64_t command,
               const uint8_t *target, const void *value, size_t len)
{
        struct rpc_message message = {
                .type = RPC_TYPE_REQUEST, .tid = tid, .to = *to, .id = rpc_id_for(rpc, socket), .command = command,
                .target = target, .value = value, .value_len = len,
        };
        uint8_t bytes[RPC_DATAGRAM_MAX];

        enqueue(rpc, socket, to, bytes, rpc_message_write(&message, bytes, sizeof(bytes)), &rpc->stats.relays);
}

bool rpc_transmit(struct rpc *rpc, struct rpc_send *out)
{
        const struct rpc_datagram *next = rpc_output_next(&rpc->output);

        if (!next)
                return false;
        *out = (struct rpc_send){ .socket = next->socket, .to = next->to, .bytes = next->bytes, .len = next->len };
        return true;
}

void rpc_stats(const struct rpc *rpc, struct rpc_stats *out)
{
        *out = rpc->stats;
}
