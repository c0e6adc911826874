/* SPDX-License-Identifier: BSD-3-Clause */
/* A live rpc with requests out: the input is its peers and its caller. Each record is a verb, an argument and, for datagrams, a
 * length and bytes; "answer" makes the bytes an answer to one of the requests, so that a guessed tid is no obstacle. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "rpc.h"
#include "steps.h"

enum { SERVER = 1, CLIENT = 2, HELD = 64, STEPS_MAX = 4000 };

enum verb { RECEIVE, ANSWER, ASK, CANCEL, PASS_TIME, TRANSMIT, SETTINGS, RELAY, VERBS };

struct bench {
        struct rpc *rpc;
        usec_t now_us;
        struct rpc_request *requests[HELD];
        struct { struct addr to; uint16_t tid; } out[HELD];     /* what left last */
        unsigned sent;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void fill(void *context, void *out, size_t len)
{
        uint64_t *state = context;

        for (size_t i = 0; i < len; i++) {
                *state = *state * 6364136223846793005u + 1442695040888963407u;
                ((uint8_t *)out)[i] = (uint8_t)(*state >> 56);
        }
}

static struct addr remote_of(uint8_t argument)
{
        return (struct addr){ { argument & 0x80 ? 127 : 198, 51, argument >> 4 & 7, argument & 15 }, (uint16_t)(argument & 3) };
}

static void forget(struct bench *b, const struct rpc_request *request)
{
        for (unsigned i = 0; i < HELD; i++)
                if (b->requests[i] == request)
                        b->requests[i] = NULL;
}

static bool is_held(const struct bench *b, const struct rpc_request *request)
{
        bool held = false;

        for (unsigned i = 0; i < HELD; i++)
                held = held || b->requests[i] == request;
        return held;
}

static void reply(struct bench *b, const struct rpc_event *event, uint8_t argument)
{
        static const uint8_t value[RPC_DATAGRAM_MAX];
        struct addr closer[RPC_CLOSER_MAX] = { { { 0 }, 0 } };
        struct rpc_reply answer = {
                .error = argument & 3, .token = argument & 4,
                .closer = closer, .closer_count = (argument >> 3) % (RPC_CLOSER_MAX + 1),
                .value = argument & 0x80 ? value : NULL, .value_len = argument & 0x80 ? argument * 8u : 0,
        };

        must(!event->token_valid || event->message.token);
        if (rpc_allow(b->rpc, &event->from, (enum rpc_cost)(argument % RPC_COSTS), b->now_us))
                rpc_reply(b->rpc, event, &answer, b->now_us);
}

static void receive(struct bench *b, uint8_t argument, const struct addr *from, const uint8_t *bytes, size_t len)
{
        struct rpc_event event;

        if (rpc_receive(b->rpc, argument & 1 ? SERVER : CLIENT, from, bytes, len, b->now_us, &event) != RPC_OK)
                return;
        must(event.kind == RPC_REQUESTED || event.kind == RPC_RESPONSE);
        must(event.message.closer_count <= RPC_CLOSER_MAX || event.kind == RPC_REQUESTED);
        if (event.kind == RPC_REQUESTED) {
                reply(b, &event, argument);
                return;
        }
        must(is_held(b, event.request) && event.context == b && event.sends > 0);
        forget(b, event.request);
}

static void receive_answer(struct bench *b, uint8_t argument, const uint8_t *bytes, size_t len)
{
        uint8_t datagram[RPC_DATAGRAM_MAX] = { 0 };
        unsigned which = argument % HELD;
        size_t rest = MIN(len, sizeof(datagram) - 4);

        datagram[0] = 0x13;
        datagram[1] = rest ? bytes[0] : 0;
        datagram[2] = (uint8_t)b->out[which].tid;
        datagram[3] = (uint8_t)(b->out[which].tid >> 8);
        if (rest)
                memcpy(datagram + 4, bytes, rest);
        receive(b, argument, &b->out[which].to, datagram, 4 + rest);
}

static void ask(struct bench *b, uint8_t argument, const uint8_t *bytes, size_t len)
{
        struct rpc_request_spec spec = {
                .to = remote_of(argument), .command = argument, .internal = argument & 1,
                .target = len >= RPC_TARGET_BYTES ? bytes : NULL,
                .value = argument & 2 ? bytes : NULL, .value_len = argument & 2 ? len : 0, .retries = argument % 6,
                .urgent = argument & 8, .context = b,
        };
        unsigned slot = 0;

        while (slot < HELD && b->requests[slot])
                slot++;
        if (slot < HELD)
                b->requests[slot] = rpc_request(b->rpc, &spec, b->now_us);
}

static void transmit(struct bench *b, unsigned count)
{
        struct rpc_send send;
        struct rpc_message message;

        for (; count > 0 && rpc_transmit(b->rpc, &send); count--) {
                must(send.len <= RPC_DATAGRAM_MAX && rpc_message_read(send.bytes, send.len, &message));
                b->out[b->sent % HELD].to = send.to;
                b->out[b->sent++ % HELD].tid = message.tid;
        }
}

static void advance(struct bench *b, uint8_t argument)
{
        struct rpc_event event;
        usec_t deadline_us = rpc_deadline(b->rpc);

        b->now_us = argument & 1 && deadline_us != USEC_NEVER ? usec_max(deadline_us, b->now_us) : b->now_us + MSEC(argument * 20);
        rpc_advance(b->rpc, b->now_us);
        must(rpc_deadline(b->rpc) > b->now_us);
        while (rpc_event(b->rpc, &event)) {
                must(is_held(b, event.request) && event.context == b);
                if (event.kind == RPC_TIMED_OUT)
                        forget(b, event.request);
        }
}

static void cancel(struct bench *b, uint8_t argument)
{
        struct rpc_request *request = b->requests[argument % HELD];

        if (!request)
                return;
        forget(b, request);
        rpc_cancel(b->rpc, request);
}

static void settings(struct bench *b, uint8_t argument)
{
        static const uint8_t id[RPC_ID_BYTES] = { 1, 2, 3 };

        rpc_set_firewalled(b->rpc, argument & 1);
        rpc_set_id(b->rpc, argument & 2 ? id : NULL);
}

static void step(struct bench *b, enum verb verb, uint8_t argument, const uint8_t *bytes, size_t len)
{
        struct addr remote = remote_of(argument);

        switch (verb) {
        case RECEIVE:
                receive(b, argument, &remote, bytes, len);
                break;
        case ANSWER:
                receive_answer(b, argument, bytes, len);
                break;
        case ASK:
                ask(b, argument, bytes, len);
                break;
        case CANCEL:
                cancel(b, argument);
                break;
        case PASS_TIME:
                advance(b, argument);
                break;
        case TRANSMIT:
                transmit(b, argument);
                break;
        case SETTINGS:
                settings(b, argument);
                break;
        default:
                rpc_relay(b->rpc, SERVER, &remote, argument, 0, len >= RPC_TARGET_BYTES ? bytes : NULL, bytes, len);
        }
}

/* Nothing is lost: every request left has its end within the longest life of one. */
static void wind_down(struct bench *b)
{
        for (unsigned i = 0; i < 500; i++) {
                transmit(b, 10000);
                advance(b, rpc_deadline(b->rpc) == USEC_NEVER ? 0 : 1);
        }
        must(rpc_in_flight(b->rpc) == 0 && rpc_deadline(b->rpc) == USEC_NEVER);
        for (unsigned i = 0; i < HELD; i++)
                must(!b->requests[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        uint64_t seed = 1;
        struct rpc_config config = {
                .random = { fill, &seed }, .server_socket = SERVER, .client_socket = CLIENT, .firewalled = true,
        };
        struct reader r = steps_begin(bytes, len);
        struct bench b = { .now_us = SECONDS(1) };

        if (rpc_new(&b.rpc, &config, b.now_us) < 0)
                return 0;
        for (unsigned i = 0; i < STEPS_MAX && steps_next(&r); i++) {
                enum verb verb = (enum verb)(read_u8(&r) % VERBS);
                uint8_t argument = read_u8(&r);
                size_t count = verb == CANCEL || verb >= PASS_TIME ? 0 : read_u16le(&r);

                count = MIN(count, reader_left(&r));
                step(&b, verb, argument, read_bytes(&r, count), count);
        }
        if (len % 2)
                wind_down(&b);
        rpc_free(b.rpc);
        return 0;
}
