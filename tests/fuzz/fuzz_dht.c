/* SPDX-License-Identifier: BSD-3-Clause */
/* A node whose network and whose caller are the input: raw datagrams, answers that match what it asked, requests with tokens that
 * are good, time, queries, listeners, handshakes and their cancellation, in any order. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "dht.h"
#include "dht_mutable.h"
#include "dht_record.h"
#include "steps.h"
#include "wire.h"

enum { SERVER, CLIENT, HANDLES = 4, ASKED = 16, DRAIN_MAX = 100000 };

struct asked {
        struct addr to;
        uint32_t socket;
        uint16_t tid;
};

struct bench {
        struct dht *dht;
        struct now now;
        uint64_t random;
        struct asked asked[ASKED];      /* what it asked last */
        size_t asked_count;
        uint8_t token[RPC_TOKEN_BYTES]; /* the last one it gave out */
        struct dht_query *queries[HANDLES];
        struct dht_handshake *handshakes[HANDLES];
        struct dht_listener *listeners[HANDLES];
        struct dht_inbound inbound;
        bool has_inbound;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static volatile uint8_t sink;    /* every byte is read */

static void fill(void *context, void *out, size_t len)
{
        uint64_t *state = context;
        uint8_t *at = out;

        for (size_t i = 0; i < len; i++) {
                *state = *state * 6364136223846793005u + 1442695040888963407u;
                at[i] = (uint8_t)(*state >> 56);
        }
}

static struct addr addr_of(uint8_t number)
{
        if (number >= 0xf0)
                return (struct addr){ { 80, 1, number, 1 }, 4000 };
        return (struct addr){ { 127, 0, 0, 1 }, (uint16_t)(4000 + number % 64) };
}

static void key_of(uint8_t number, uint8_t secret_key[DHT_SECRET_KEY_BYTES])
{
        memset(secret_key, number % HANDLES + 1, DHT_SECRET_KEY_BYTES);
}

static void forget(struct bench *b, const struct dht_event *event)
{
        for (size_t i = 0; i < HANDLES; i++) {
                if (event->kind == DHT_QUERY_DONE && b->queries[i] == event->query)
                        b->queries[i] = NULL;
                if ((event->kind == DHT_HANDSHAKE_ANSWERED || event->kind == DHT_HANDSHAKE_FAILED) &&
                    b->handshakes[i] == event->handshake)
                        b->handshakes[i] = NULL;
                if (event->kind == DHT_UNLISTENED && b->listeners[i] == event->listener)
                        b->listeners[i] = NULL;
        }
}

static void drain_events(struct bench *b)
{
        uint8_t sum = 0;
        struct dht_event event;
        unsigned count = 0;

        while (dht_event(b->dht, &event)) {
                assert(++count < DRAIN_MAX);
                assert(event.closest_count <= DHT_K && event.relay_count <= DHT_PEER_RELAYS_MAX);
                for (size_t i = 0; i < event.noise_len; i++)
                        sum ^= event.noise[i];
                if (event.kind == DHT_HANDSHAKE) {
                        assert(event.noise_len > 0 && event.noise_len <= DHT_NOISE_MAX);
                        b->inbound = event.inbound;
                        b->has_inbound = true;
                }
                forget(b, &event);
        }
        sink = sum;
}

static void drain_datagrams(struct bench *b)
{
        struct rpc_send send;
        unsigned count = 0;

        while (dht_transmit(b->dht, &send)) {
                struct rpc_message message;

                assert(++count < DRAIN_MAX && send.len <= RPC_DATAGRAM_MAX && send.to.port);
                assert(rpc_message_read(send.bytes, send.len, &message));
                if (message.type == RPC_TYPE_REQUEST)
                        b->asked[b->asked_count++ % ASKED] = (struct asked){ send.to, send.socket, message.tid };
                else if (message.token)
                        memcpy(b->token, message.token, sizeof(b->token));
        }
}

static void settle(struct bench *b)
{
        dht_advance(b->dht, &b->now);
        drain_events(b);
        drain_datagrams(b);
        drain_events(b);
        assert(dht_deadline(b->dht) > b->now.mono_us);
}

static void receive(struct bench *b, uint32_t socket, const struct addr *from, const struct rpc_message *message)
{
        uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t len = rpc_message_write(message, bytes, sizeof(bytes));

        dht_receive(b->dht, socket, from, bytes, len, &b->now);
}

/* What both kinds of message may carry: @flags 1: id, 2: good token, 4: the rest of it as value. */
static void add_fields(struct bench *b, struct reader *r, uint8_t flags, const struct addr *from, uint8_t id[RPC_ID_BYTES],
                       struct rpc_message *message)
{
        rpc_node_id(from, id);
        message->id = flags & 1 ? id : NULL;
        message->token = flags & 2 ? b->token : NULL;
        message->value_len = flags & 4 ? read_u8(r) : 0;
        message->value_len = MIN(message->value_len, reader_left(r));
        message->value = flags & 4 ? read_bytes(r, message->value_len) : NULL;
}

static void receive_answer(struct bench *b, struct reader *r)
{
        uint8_t which = read_u8(r), flags = read_u8(r), closer[32 * RPC_ADDR_BYTES], id[RPC_ID_BYTES];
        const struct asked *asked = &b->asked[which % ASKED];
        struct rpc_message message = { .type = RPC_TYPE_RESPONSE, .tid = asked->tid, .to = addr_of(flags),
                                       .error = flags & 8 ? RPC_ERROR_INVALID_TOKEN : RPC_ERROR_NONE };
        struct writer w = writer_over(closer, sizeof(closer));

        if (b->asked_count <= which % ASKED)
                return;
        if (flags & 16) {
                message.closer = closer;
                message.closer_count = read_u8(r) % 32;
                for (size_t i = 0; i < message.closer_count; i++) {
                        struct addr addr = addr_of(read_u8(r));

                        write_bytes(&w, addr.ip, sizeof(addr.ip));
                        write_u16le(&w, addr.port);
                }
        }
        add_fields(b, r, flags, &asked->to, id, &message);
        receive(b, flags & 32 ? SERVER : asked->socket, &asked->to, &message);
}

static void receive_request(struct bench *b, struct reader *r)
{
        struct addr from = addr_of(read_u8(r));
        uint8_t flags = read_u8(r), id[RPC_ID_BYTES], target[DHT_TARGET_BYTES], secret_key[DHT_SECRET_KEY_BYTES];
        struct rpc_message message = { .tid = flags, .to = from, .internal = flags & 16, .command = read_u8(r) % 12 };

        key_of(flags, secret_key);
        dht_target(secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, target);
        message.target = flags & 8 ? target : NULL;
        add_fields(b, r, flags, &from, id, &message);
        receive(b, flags & 32 ? CLIENT : SERVER, &from, &message);
}

/* An announcement that is in order. */
static void receive_claim(struct bench *b, struct reader *r)
{
        struct addr from = addr_of(read_u8(r)), self = { { 127, 0, 0, 1 }, 5000 };
        uint8_t flags = read_u8(r), target[DHT_TARGET_BYTES], id[RPC_ID_BYTES], seed[32], public_key[32], secret_key[64];
        uint8_t signature[DHT_SIGNATURE_BYTES], value[DHT_ANNOUNCE_MAX];
        struct dht_scope scope = { target, id, b->token };
        struct dht_announce announce = { .has_record = true, .record = { .public_key = public_key }, .signature = signature,
                                         .bump = flags };
        enum dht_claim claim = flags & 1 ? DHT_CLAIM_UNANNOUNCE : DHT_CLAIM_ANNOUNCE;
        struct writer w = writer_over(value, sizeof(value));
        struct rpc_message message = { .to = self, .command = flags & 1 ? 5 : 4, .target = target, .token = b->token,
                                       .value = value };

        memset(seed, flags >> 2, sizeof(seed));
        crypto_sign_seed_keypair(public_key, secret_key, seed);
        rpc_node_id(&self, id);
        if (flags & 2)
                dht_target(public_key, target);
        else
                memset(target, flags & 3, sizeof(target));
        dht_claim_sign(claim, &scope, &announce, secret_key, signature);
        dht_announce_write(&w, &announce);
        message.value_len = writer_len(&w);
        receive(b, SERVER, &from, &message);
}

/* A value put in order, mutable or immutable; or a mutable one is asked for, of some version or a later one. */
static void receive_put(struct bench *b, struct reader *r)
{
        uint8_t who = read_u8(r);
        struct addr from = addr_of(who), self = { { 127, 0, 0, 1 }, 5000 };
        uint8_t flags = read_u8(r), seed[32], public_key[32], secret_key[64], target[DHT_TARGET_BYTES], signature[64], value[512];
        struct dht_mutable mutable = { public_key, read_u8(r), seed, flags % 32, signature };
        struct writer w = writer_over(value, sizeof(value));
        struct rpc_message message = { .to = self, .command = flags & 1 ? 6 : 8, .target = target, .token = b->token,
                                       .value = value };

        memset(seed, flags >> 2, sizeof(seed));
        crypto_sign_seed_keypair(public_key, secret_key, seed);
        dht_mutable_sign(&mutable, secret_key, signature);
        dht_mutable_put_write(&w, &mutable);
        message.value_len = writer_len(&w);
        if (flags & 1)
                dht_target(public_key, target);
        else
                crypto_generichash(target, sizeof(target), value, message.value_len, NULL, 0);
        if (flags & 1 && who & 64) {
                w = writer_over(value, sizeof(value));
                wire_write_uint(&w, mutable.seq);
                message.command = 7;
                message.value_len = writer_len(&w);
        }
        receive(b, SERVER, &from, &message);
}

static void start_query(struct bench *b, struct reader *r)
{
        uint8_t which = read_u8(r), secret_key[DHT_SECRET_KEY_BYTES], target[DHT_TARGET_BYTES];
        struct addr seeds[2] = { addr_of(which), addr_of((uint8_t)(which + 1)) };
        struct dht_query_spec spec = {
                .operation = (enum dht_operation)(which % 5), .target = target, .secret_key = secret_key, .relays = seeds,
                .relay_count = which % 3, .seeds = seeds, .seed_count = which % 3, .clear = which & 64,
        };
        struct dht_query **slot = &b->queries[which / 5 % HANDLES];

        key_of(which, secret_key);
        dht_target(secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, target);
        if (!*slot)
                *slot = dht_query(b->dht, &spec, &b->now);
}

static void start_handshake(struct bench *b, struct reader *r)
{
        uint8_t which = read_u8(r), secret_key[DHT_SECRET_KEY_BYTES], target[DHT_TARGET_BYTES];
        struct addr relay = addr_of(which);
        struct dht_handshake **slot = &b->handshakes[which % HANDLES];

        key_of(which, secret_key);
        dht_target(secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, target);
        if (!*slot)
                *slot = dht_handshake_send(b->dht, &relay, target, "noise", 1 + which % 5, NULL, &b->now);
}

static void start_listener(struct bench *b, struct reader *r)
{
        uint8_t which = read_u8(r), secret_key[DHT_SECRET_KEY_BYTES];
        struct dht_listener **slot = &b->listeners[which % HANDLES];

        key_of(which, secret_key);
        if (!*slot)
                *slot = dht_listen(b->dht, secret_key, NULL, &b->now);
}

static void stop(struct bench *b, struct reader *r)
{
        uint8_t which = read_u8(r), at = which / 8 % HANDLES;

        if (which % 8 == 0 && b->queries[at]) {
                dht_query_cancel(b->dht, b->queries[at], &b->now);
                b->queries[at] = NULL;
        } else if (which % 8 == 1 && b->handshakes[at]) {
                dht_handshake_cancel(b->dht, b->handshakes[at]);
                b->handshakes[at] = NULL;
        } else if (which % 8 == 2 && b->listeners[at]) {
                dht_unlisten(b->dht, b->listeners[at], true, &b->now);
                b->listeners[at] = NULL;
        } else if (which % 8 == 3 && b->listeners[at]) {
                dht_unlisten(b->dht, b->listeners[at], false, &b->now);
        }
}

static void step(struct bench *b, struct reader *r)
{
        static const usec_t waits[] = { 1, MSEC(1), MSEC(100), MSEC(500), SECONDS(1), SECONDS(5), SECONDS(20), MINUTES(10) };
        uint8_t op = read_u8(r), argument = read_u8(r);
        struct addr from = addr_of(argument);
        struct dht_relay relays[DHT_RELAYS_MAX];
        usec_t wait_us = waits[argument % ARRAY_LEN(waits)];
        size_t len;

        switch (op % 13) {
        case 0:
                len = read_u8(r);
                len = MIN(len, reader_left(r));
                dht_receive(b->dht, argument % 2, &from, read_bytes(r, len), len, &b->now);
                break;
        case 1:
        case 2:
                receive_answer(b, r);
                break;
        case 3:
                receive_request(b, r);
                break;
        case 4:
                b->now.mono_us += wait_us;
                b->now.boot_us += argument & 128 ? 2 * wait_us : wait_us;
                b->now.wall_us += wait_us;
                break;
        case 5:
                start_query(b, r);
                break;
        case 6:
                start_handshake(b, r);
                break;
        case 7:
                start_listener(b, r);
                break;
        case 8:
                stop(b, r);
                return;                 /* the end may lie undrained while more happens */
        case 9:
                if (b->has_inbound)
                        dht_handshake_reply(b->dht, &b->inbound, "reply", 5, &b->now);
                break;
        case 10:
                receive_claim(b, r);
                break;
        case 11:
                if (argument == 255)
                        dht_wake(b->dht, &b->now);
                if (argument == 254)
                        dht_set_known(b->dht, (struct addr[]){ addr_of(argument), addr_of(3), addr_of(4) }, op / 13 % 4, &b->now);
                for (size_t i = 0; i < HANDLES; i++)
                        if (b->listeners[i])
                                assert(dht_listener_relays(b->listeners[i], relays) <= DHT_RELAYS_MAX);
                break;
        case 12:
                receive_put(b, r);
                break;
        }
        if (argument % 3)
                settle(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        struct reader r = steps_begin(bytes, len);
        uint8_t flags = read_u8(&r);
        struct bench *b = calloc(1, sizeof(*b));
        struct dht_config config = { .server_socket = SERVER, .client_socket = CLIENT, .server_port = 5000, .persistent = flags & 1,
                                     .public_addr = { { 127, 0, 0, 1 }, 5000 } };
        struct addr bootstrap[2] = { addr_of(1), addr_of(2) };
        struct dht_stats stats;

        b->random = flags;
        b->now = (struct now){ SECONDS(1), SECONDS(1), SECONDS(1700000000) };
        config.random = (struct random){ fill, &b->random };
        if (dht_new(&b->dht, &config, &b->now) < 0 || dht_set_bootstrap(b->dht, bootstrap, flags & 2 ? 2 : 0, &b->now) < 0)
                abort();
        while (steps_next(&r))
                step(b, &r);
        settle(b);
        dht_stats(b->dht, &stats);
        assert(stats.listeners <= HANDLES && stats.queries <= 2 * HANDLES + 1);        /* callers', listeners', one refresh */
        dht_free(b->dht);
        free(b);
        return 0;
}
