/* SPDX-License-Identifier: BSD-3-Clause */
/* One node and strangers: what it answers to the datagrams that were sent to live JavaScript nodes, where it deliberately answers
 * otherwise (tests/vectors/dht-hostile.json), and what it does not let itself be used for. */
#include "dht.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dht_carrier.h"
#include "dht_mutable.h"
#include "dht_punch.h"
#include "dht_record.h"
#include "test.h"
#include "vectors.h"

enum {
        SERVER = 1, CLIENT = 2,         /* sockets */
        COMMAND_HANDSHAKE = 0, COMMAND_HOLEPUNCH, COMMAND_FIND_PEER, COMMAND_LOOKUP, COMMAND_ANNOUNCE, COMMAND_UNANNOUNCE,
        COMMAND_MUTABLE_PUT, COMMAND_MUTABLE_GET, COMMAND_IMMUTABLE_PUT, COMMAND_IMMUTABLE_GET,
        DATAGRAMS_MAX = 64,
};

struct datagram_out {
        uint32_t socket;
        struct addr to;
        uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t len;
        struct rpc_message message;
};

struct bench {
        struct dht *dht;
        struct now now;
        uint64_t seed;
        struct addr self;
        struct datagram_out out[DATAGRAMS_MAX];
        size_t count;                   /* sent since the last step */
        uint16_t tid;
};

static void bench_fini(struct bench *b)
{
        dht_free(b->dht);
}

static void bench_init(struct bench *b, const struct addr *self, bool persistent)
{
        struct dht_config config = { .server_socket = SERVER, .client_socket = CLIENT, .server_port = self->port,
                                     .persistent = persistent, .public_addr = *self };

        b->seed = 1;
        b->self = *self;
        b->now = (struct now){ SECONDS(100), SECONDS(100), SECONDS(1700000000) };
        config.random = (struct random){ test_random_fill, &b->seed };
        check_equal(dht_new(&b->dht, &config, &b->now), 0);
}

#define BENCH(name, self, persistent)                                   \
        cleanup_with(bench_fini) struct bench name = { .dht = NULL };   \
        bench_init(&name, self, persistent)

static const struct addr local = { { 127, 0, 0, 1 }, 53167 };
static const struct addr stranger = { { 127, 0, 0, 1 }, 58821 };
static const struct addr public_self = { { 80, 1, 1, 1 }, 49737 };
static const struct addr public_stranger = { { 80, 2, 2, 2 }, 50000 };

/* What it sends, now or later; PINGs to those who might enter its table aside. */
static void settle(struct bench *b, usec_t later_us)
{
        struct dht_event event;
        struct rpc_send send;

        b->now.mono_us += later_us;
        b->now.boot_us += later_us;
        b->now.wall_us += later_us;
        dht_advance(b->dht, &b->now);
        while (dht_event(b->dht, &event))
                ;
        b->count = 0;
        while (dht_transmit(b->dht, &send)) {
                struct datagram_out *out = &b->out[b->count];

                check(b->count < DATAGRAMS_MAX && send.len <= sizeof(out->bytes));
                *out = (struct datagram_out){ .socket = send.socket, .to = send.to, .len = send.len };
                memcpy(out->bytes, send.bytes, send.len);
                check(rpc_message_read(out->bytes, out->len, &out->message));
                b->count += out->message.type == RPC_TYPE_RESPONSE || !out->message.internal || out->message.command != RPC_PING;
        }
}

static size_t receive(struct bench *b, const struct addr *from, const void *bytes, size_t len)
{
        dht_receive(b->dht, SERVER, from, bytes, len, &b->now);
        settle(b, 0);
        return b->count;
}

static size_t send_message(struct bench *b, const struct addr *from, struct rpc_message message)
{
        uint8_t bytes[RPC_DATAGRAM_MAX];

        message.to = b->self;
        message.tid = message.tid ? message.tid : ++b->tid;
        return receive(b, from, bytes, rpc_message_write(&message, bytes, sizeof(bytes)));
}

/* A token for @from, by asking for something. */
static void fetch_token(struct bench *b, const struct addr *from, uint8_t token_out[RPC_TOKEN_BYTES])
{
        static const uint8_t nothing[32] = { 0xee };

        check_equal(send_message(b, from, (struct rpc_message){ .command = COMMAND_LOOKUP, .target = nothing }), 1);
        check(b->out[0].message.token);
        memcpy(token_out, b->out[0].message.token, RPC_TOKEN_BYTES);
}

/* A node with an id asks, is pinged, answers: now it is in the table. */
static void introduce(struct bench *b, const struct addr *node)
{
        uint8_t id[RPC_ID_BYTES], bytes[RPC_DATAGRAM_MAX];
        struct rpc_message ping = { .id = id, .internal = true, .command = RPC_PING, .to = b->self, .tid = 1 };
        struct dht_stats before, after;
        struct rpc_send send;

        dht_stats(b->dht, &before);
        rpc_node_id(node, id);
        dht_receive(b->dht, SERVER, node, bytes, rpc_message_write(&ping, bytes, sizeof(bytes)), &b->now);
        dht_stats(b->dht, &after);
        check_equal(after.nodes, before.nodes);                 /* the source of a request may be forged */
        while (dht_transmit(b->dht, &send)) {
                struct rpc_message message, pong = { .type = RPC_TYPE_RESPONSE, .id = id, .to = b->self };

                check(rpc_message_read(send.bytes, send.len, &message));
                if (message.type != RPC_TYPE_REQUEST)
                        continue;
                check(addr_equal(&send.to, node) && message.internal && message.command == RPC_PING);
                pong.tid = message.tid;
                dht_receive(b->dht, SERVER, node, bytes, rpc_message_write(&pong, bytes, sizeof(bytes)), &b->now);
                break;
        }
        dht_stats(b->dht, &after);
        check_equal(after.nodes, before.nodes + 1);
        settle(b, 0);
}

/* --- The reference's hostile datagrams --- */

static const char *summary(const struct datagram_out *out)
{
        static char text[96];
        const struct rpc_message *m = &out->message;

        if (m->type == RPC_TYPE_REQUEST)
                return "request";
        snprintf(text, sizeof(text), "response id=%d token=%d closerNodes=%zu error=%d value=%d", m->id != NULL, m->token != NULL,
                 m->closer_count, (int)m->error, m->value != NULL);
        return text;
}

/* Where we don't do as JavaScript nodes do. */
static const struct { const char *name, *ours; } differences[] = {
        { "PEER_HANDSHAKE FROM_CLIENT unknown target with relayAddress = me (open relay)", NULL },
        { "PEER_HANDSHAKE FROM_SERVER with peerAddress = me (open reflector)", NULL },
        { "PEER_HANDSHAKE FROM_CLIENT without target", NULL },
        { "PEER_HOLEPUNCH FROM_SERVER, peerAddress = me", NULL },
        { "PLUGIN unknown plugin", "response id=1 token=0 closerNodes=2 error=1 value=0" },
};

static const char *expected_of(json_t *row)
{
        const char *name = vector_text(row, "name");

        for (size_t i = 0; i < ARRAY_LEN(differences); i++)
                if (strcmp(differences[i].name, name) == 0)
                        return differences[i].ours;
        return json_array_size(vector_at(row, "replies")) ? vector_text(row, "replies.0.summary") : NULL;
}

/* The token in it was good at another node: it gets one of ours, and where the signature was good, so is this one. */
static size_t renew(struct bench *b, json_t *row, uint8_t *bytes, size_t len)
{
        uint8_t token[RPC_TOKEN_BYTES], seed[32], secret_key[64], public_key[32], signature[64], id[RPC_ID_BYTES], value[1024];
        struct rpc_message message;
        struct dht_announce announce;
        bool good = json_array_size(vector_at(row, "replies")) > 0;

        if (!rpc_message_read(bytes, len, &message) || !message.token || strstr(vector_text(row, "name"), "made-up"))
                return len;
        fetch_token(b, &stranger, token);
        message.token = token;
        rpc_node_id(&b->self, id);
        if (good && message.value && dht_announce_decode(message.value, message.value_len, &announce) && announce.has_record &&
            (message.command == COMMAND_ANNOUNCE || message.command == COMMAND_UNANNOUNCE)) {
                struct dht_scope scope = { message.target, id, token };
                struct writer w = writer_over(value, sizeof(value));

                memset(seed, 0x77, sizeof(seed));
                crypto_sign_seed_keypair(public_key, secret_key, seed);
                if (announce.bump > 1000000)    /* 30 s ahead, then and now */
                        announce.bump = strstr(vector_text(row, "name"), "30 s") ? b->now.wall_us / 1000 + 30000 : announce.bump;
                dht_claim_sign(message.command == COMMAND_ANNOUNCE ? DHT_CLAIM_ANNOUNCE : DHT_CLAIM_UNANNOUNCE, &scope, &announce,
                               secret_key, signature);
                announce.signature = signature;
                dht_announce_write(&w, &announce);
                message.value = value;
                message.value_len = writer_len(&w);
        }
        return rpc_message_write(&message, bytes, 4096);
}

TEST(dht_answers_hostile_datagrams_as_the_reference_does_or_better)
{
        json_t *row;
        size_t i;
        BENCH(persistent, &local, true);
        BENCH(ephemeral, &((struct addr){ { 127, 0, 0, 1 }, 47017 }), false);

        introduce(&persistent, &(struct addr){ { 127, 0, 0, 1 }, 28013 });
        introduce(&persistent, &(struct addr){ { 127, 0, 0, 1 }, 53713 });
        json_array_foreach(vector_at(vectors("dht-hostile.json"), "cases"), i, row) {
                struct bench *b = strcmp(vector_text(row, "sentTo"), "persistent") == 0 ? &persistent : &ephemeral;
                uint8_t bytes[4096], copy[4096];
                size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));
                const char *expected = expected_of(row), *name = vector_text(row, "name");

                memcpy(copy, bytes, len);
                if (len <= RPC_DATAGRAM_MAX)
                        len = renew(b, row, copy, len);
                receive(b, &stranger, copy, len);
                if (b->count == 0)
                        settle(b, MSEC(100));
                if (b == &ephemeral)
                        expected = "response id=0 token=0 closerNodes=0 error=1 value=0";       /* it knows nobody */
                if (b->count != (expected != NULL) || (expected && strcmp(summary(&b->out[0]), expected) != 0))
                        test_fail(__FILE__, __LINE__, "%s: %zu answers, %s; expected %s", name, b->count,
                                  b->count ? summary(&b->out[0]) : "none", expected ? expected : "none");
        }
}

TEST(dht_drops_and_answers_the_references_malformed_datagrams)
{
        struct addr self = { { 127, 0, 0, 1 }, 10001 };
        json_t *row;
        size_t i;
        BENCH(b, &self, true);

        json_array_foreach(vector_at(vectors("dht.json"), "malformed"), i, row) {
                struct addr from = { { 127, 0, 0, 1 }, (uint16_t)vector_number(row, "fromPort") };
                uint8_t bytes[4096];
                size_t len = vector_bytes(row, "hex", bytes, sizeof(bytes));

                receive(&b, &from, bytes, len);
                if (b.count > 1 || (strcmp(vector_text(row, "outcome"), "dropped") == 0 && b.count))
                        test_fail(__FILE__, __LINE__, "%s: %zu answers", vector_text(row, "name"), b.count);
        }
}

/* --- Records --- */

struct claimed {
        uint8_t secret_key[64], target[32], value[DHT_ANNOUNCE_MAX];
        uint8_t token[RPC_TOKEN_BYTES];
        size_t len;
};

/* Key @number's own announcement (or withdrawal), as @from would send it now. */
static struct claimed claim(struct bench *b, unsigned number, enum dht_claim which, const struct addr *from)
{
        uint8_t seed[32] = { (uint8_t)number }, public_key[32], signature[64], id[RPC_ID_BYTES];
        struct claimed c;
        struct dht_announce announce = { .has_record = true, .record = { .public_key = public_key }, .signature = signature };
        struct writer w = writer_over(c.value, sizeof(c.value));

        crypto_sign_seed_keypair(public_key, c.secret_key, seed);
        dht_target(public_key, c.target);
        fetch_token(b, from, c.token);
        rpc_node_id(&b->self, id);
        dht_claim_sign(which, &(struct dht_scope){ c.target, id, c.token }, &announce, c.secret_key, signature);
        dht_announce_write(&w, &announce);
        c.len = writer_len(&w);
        return c;
}

static size_t send_claim(struct bench *b, const struct addr *from, uint64_t command, const struct claimed *c)
{
        return send_message(b, from, (struct rpc_message){ .command = command, .target = c->target, .token = c->token,
                                                           .value = c->value, .value_len = c->len });
}

static struct dht_stats stats_of(const struct bench *b)
{
        struct dht_stats stats;

        dht_stats(b->dht, &stats);
        return stats;
}

TEST(dht_holds_an_announcement_until_it_is_withdrawn_or_old)
{
        struct addr forward;
        struct claimed c;
        BENCH(b, &public_self, true);

        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        check_equal(send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c), 1);
        check(!b.out[0].message.token && !b.out[0].message.error);
        check(dht_forward_of(b.dht, c.target, &forward) && addr_equal(&forward, &public_stranger));
        send_message(&b, &public_stranger, (struct rpc_message){ .command = COMMAND_FIND_PEER, .target = c.target });
        check_equal(b.count, 1);
        check(b.out[0].message.value);
        c = claim(&b, 1, DHT_CLAIM_UNANNOUNCE, &public_stranger);
        check_equal(send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c), 0);          /* no claim for another */
        check_equal(send_claim(&b, &public_stranger, COMMAND_UNANNOUNCE, &c), 1);
        check(!dht_forward_of(b.dht, c.target, &forward));
        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        check_equal(send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c), 1);
        for (unsigned i = 0; i < 241; i++)
                settle(&b, SECONDS(5));
        check(!dht_forward_of(b.dht, c.target, &forward));
        check_equal(stats_of(&b).forwards, 0);
}

/* A node that serves others and has a server itself is where that one is found, and stays it whatever it is told. */
TEST(dht_answers_for_a_server_of_its_own)
{
        struct addr forward;
        struct claimed c;
        struct dht_lookup lookup;
        struct dht_listener *listener;
        BENCH(b, &public_self, true);

        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        listener = dht_listen(b.dht, c.secret_key, NULL, &b.now);
        check(listener);
        settle(&b, 0);
        check_equal(send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c), 1);
        check(!b.out[0].message.error && !dht_forward_of(b.dht, c.target, &forward));
        send_message(&b, &public_stranger, (struct rpc_message){ .command = COMMAND_FIND_PEER, .target = c.target });
        check(b.count == 1 && b.out[0].message.token);
        check_equal(b.out[0].message.value_len, 33);
        check_bytes(b.out[0].message.value, c.secret_key + 32, 32);
        check_equal(b.out[0].message.value[32], 0);             /* no relays: here it is */
        send_message(&b, &public_stranger, (struct rpc_message){ .command = COMMAND_LOOKUP, .target = c.target });
        check(b.count == 1 && b.out[0].message.value);
        check(dht_lookup_decode(b.out[0].message.value, b.out[0].message.value_len, &lookup) && lookup.count == 1);
        check_bytes(lookup.records[0].public_key, c.secret_key + 32, 32);
        dht_unlisten(b.dht, listener, false, &b.now);
        settle(&b, 0);
        send_message(&b, &public_stranger, (struct rpc_message){ .command = COMMAND_FIND_PEER, .target = c.target });
        check(b.count == 1 && !b.out[0].message.value);
}

TEST(dht_takes_a_claim_only_with_a_token_of_its_own_for_that_host)
{
        struct addr other = { { 80, 3, 3, 3 }, 50000 };
        struct claimed c;
        BENCH(b, &public_self, true);

        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        check_equal(send_claim(&b, &other, COMMAND_ANNOUNCE, &c), 1);
        check_equal(b.out[0].message.error, RPC_ERROR_INVALID_TOKEN);
        check(b.out[0].message.token);
        settle(&b, SECONDS(20));
        check_equal(send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c), 1);
        check_equal(b.out[0].message.error, RPC_ERROR_INVALID_TOKEN);
        check_equal(stats_of(&b).forwards, 0);
}

/* Signatures cost; a host gets so many a second and no more. */
TEST(dht_checks_signatures_of_one_host_only_so_fast)
{
        unsigned taken = 0;
        BENCH(b, &public_self, true);

        for (unsigned i = 1; i <= 80; i++) {
                struct claimed c = claim(&b, i, DHT_CLAIM_ANNOUNCE, &public_stranger);

                taken += send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c) == 1;
        }
        check(taken >= 20 && taken <= 40);
        check_equal(stats_of(&b).forwards, taken);
}

TEST(dht_ephemeral_node_knows_no_records)
{
        static const uint8_t target[32] = { 1 };
        BENCH(b, &public_self, false);

        for (uint64_t command = COMMAND_FIND_PEER; command <= COMMAND_IMMUTABLE_GET; command++) {
                check_equal(send_message(&b, &public_stranger, (struct rpc_message){ .command = command, .target = target }), 1);
                check_equal(b.out[0].message.error, RPC_ERROR_UNKNOWN_COMMAND);
                check(!b.out[0].message.id && !b.out[0].message.token);
        }
}

/* --- Values --- */

/* Key @number's value @text under @seq, signed, as @from puts it. Returns the error it is answered with, or -1: silence. */
static int put_mutable(struct bench *b, const struct addr *from, unsigned number, uint64_t seq, const char *text)
{
        uint8_t seed[32] = { (uint8_t)number }, public_key[32], secret_key[64], signature[64], target[32], value[256];
        uint8_t token[RPC_TOKEN_BYTES];
        struct dht_mutable mutable = { public_key, seq, (const uint8_t *)text, strlen(text), signature };
        struct writer w = writer_over(value, sizeof(value));

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        dht_target(public_key, target);
        dht_mutable_sign(&mutable, secret_key, signature);
        dht_mutable_put_write(&w, &mutable);
        fetch_token(b, from, token);
        if (send_message(b, from, (struct rpc_message){ .command = COMMAND_MUTABLE_PUT, .target = target, .token = token,
                                                        .value = value, .value_len = writer_len(&w) }) == 0)
                return -1;
        check_equal(b->count, 1);
        check_equal(b->out[0].message.token == NULL, b->out[0].message.error != 0);
        return (int)b->out[0].message.error;
}

/* What the node holds for key @number of at least @seq, in b->out[0]. */
static bool get_mutable(struct bench *b, unsigned number, uint8_t seq, struct dht_mutable *out)
{
        uint8_t seed[32] = { (uint8_t)number }, secret_key[64], target[32];
        static uint8_t public_key[32];

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        dht_target(public_key, target);
        check_equal(send_message(b, &stranger, (struct rpc_message){ .command = COMMAND_MUTABLE_GET, .target = target,
                                                                     .value = &seq, .value_len = 1 }), 1);
        check(b->out[0].message.token && !b->out[0].message.error);
        if (!b->out[0].message.value)
                return false;
        check(dht_mutable_decode(b->out[0].message.value, b->out[0].message.value_len, out));
        out->public_key = public_key;
        return true;
}

TEST(dht_holds_a_mutable_value_and_lets_its_key_alone_replace_it)
{
        struct dht_mutable held;
        BENCH(b, &local, true);

        check(!get_mutable(&b, 1, 0, &held));
        check_equal(put_mutable(&b, &stranger, 1, 5, "five"), 0);
        check_equal(put_mutable(&b, &stranger, 1, 5, "five"), 0);
        check_equal(put_mutable(&b, &stranger, 1, 5, "cinq"), RPC_ERROR_SEQ_REUSED);
        check_equal(put_mutable(&b, &stranger, 1, 4, "five"), RPC_ERROR_SEQ_TOO_LOW);
        check(get_mutable(&b, 1, 5, &held) && held.seq == 5 && held.value_len == 4 && dht_mutable_verify(&held));
        check_bytes(held.value, "five", 4);
        check(!get_mutable(&b, 1, 6, &held));
        check_equal(put_mutable(&b, &public_stranger, 1, 6, "six"), 0);
        check(get_mutable(&b, 1, 0, &held) && held.seq == 6 && held.value_len == 3);
        check_equal(stats_of(&b).values, 1);
        for (unsigned i = 0; i < 3; i++)
                settle(&b, MINUTES(16 * 60));
        check(!get_mutable(&b, 1, 0, &held));
        check_equal(stats_of(&b).values, 0);
}

/* Signatures are checked only so fast, and no value is read back by somebody who isn't really there. */
TEST(dht_takes_so_many_values_of_a_host_and_sends_few_large_ones_blindly)
{
        uint8_t value[900] = { 0 }, target[32], token[RPC_TOKEN_BYTES];
        unsigned taken = 0, large = 0;
        BENCH(b, &public_self, true);

        for (unsigned i = 1; i <= 80; i++)
                taken += put_mutable(&b, &public_stranger, i, 1, "one") == 0;
        check(taken >= 20 && taken <= 40);
        crypto_generichash(target, sizeof(target), value, sizeof(value), NULL, 0);
        settle(&b, SECONDS(60));
        fetch_token(&b, &public_stranger, token);
        check_equal(send_message(&b, &public_stranger, (struct rpc_message){ .command = COMMAND_IMMUTABLE_PUT, .target = target,
                                                                             .token = token, .value = value,
                                                                             .value_len = sizeof(value) }), 1);
        for (unsigned i = 0; i < 20; i++) {
                struct addr from = { { 80, 7, 7, (uint8_t)i }, 4000 };

                check_equal(send_message(&b, &from, (struct rpc_message){ .command = COMMAND_IMMUTABLE_GET, .target = target }), 1);
                large += b.out[0].message.value != NULL;
                check(b.out[0].message.token);
        }
        check(large >= 1 && large <= 8);
}

/* --- Handshakes through it --- */

static size_t send_carrier(struct bench *b, const struct addr *from, uint16_t tid, const uint8_t *target,
                           const struct dht_carrier *carrier)
{
        uint8_t value[256];
        struct writer w = writer_over(value, sizeof(value));

        dht_carrier_write(&w, carrier);
        return send_message(b, from, (struct rpc_message){ .tid = tid, .command = COMMAND_HANDSHAKE, .target = target,
                                                           .value = value, .value_len = writer_len(&w) });
}

static struct dht_carrier carrier_in(const struct datagram_out *out)
{
        struct dht_carrier carrier;

        check(out->message.value && dht_carrier_decode(out->message.value, out->message.value_len, &carrier));
        return carrier;
}

TEST(dht_relays_a_handshake_there_and_its_answer_back)
{
        struct addr client = { { 80, 4, 4, 4 }, 60000 }, punched = { { 80, 2, 2, 2 }, 61000 };
        struct dht_carrier to_server = { .mode = DHT_FROM_CLIENT, .noise = (const uint8_t *)"one", .noise_len = 3 };
        struct dht_carrier to_client = { .mode = DHT_FROM_SERVER, .noise = (const uint8_t *)"two", .noise_len = 3,
                                         .has_peer = true, .peer = client }, seen;
        struct claimed c;
        BENCH(b, &public_self, true);

        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c);
        check_equal(send_carrier(&b, &public_stranger, 77, c.target, &to_client), 0);    /* nobody asked yet */
        check_equal(send_carrier(&b, &client, 77, c.target, &to_server), 1);
        seen = carrier_in(&b.out[0]);
        check(addr_equal(&b.out[0].to, &public_stranger) && b.out[0].message.tid == 77 && seen.mode == DHT_FROM_RELAY);
        check(seen.has_peer && addr_equal(&seen.peer, &client) && !seen.has_relay);
        check_bytes(b.out[0].message.target, c.target, 32);
        check_equal(send_carrier(&b, &punched, 77, c.target, &to_client), 1);            /* from the socket it opened for us */
        seen = carrier_in(&b.out[0]);
        check(addr_equal(&b.out[0].to, &client) && b.out[0].message.type == RPC_TYPE_RESPONSE && seen.mode == DHT_REPLY);
        check(seen.has_peer && addr_equal(&seen.peer, &punched) && b.out[0].message.tid == 77);
        check_equal(send_carrier(&b, &punched, 78, c.target, &to_client), 0);            /* another tid */
        to_client.peer.port++;
        check_equal(send_carrier(&b, &punched, 77, c.target, &to_client), 0);            /* another client */
        to_client.peer.port--;
        settle(&b, SECONDS(11));
        check_equal(send_carrier(&b, &punched, 77, c.target, &to_client), 0);            /* too late */
}

TEST(dht_passes_a_handshake_from_relay_to_relay)
{
        struct addr first = { { 80, 5, 5, 5 }, 49737 }, client = { { 80, 4, 4, 4 }, 60000 };
        struct dht_carrier carrier = { .mode = DHT_FROM_RELAY, .noise = (const uint8_t *)"one", .noise_len = 3, .has_peer = true,
                                       .peer = client }, seen;
        struct claimed c;
        BENCH(b, &public_self, true);

        c = claim(&b, 1, DHT_CLAIM_ANNOUNCE, &public_stranger);
        send_claim(&b, &public_stranger, COMMAND_ANNOUNCE, &c);
        check_equal(send_carrier(&b, &first, 5, c.target, &carrier), 1);
        seen = carrier_in(&b.out[0]);
        check(addr_equal(&b.out[0].to, &public_stranger) && seen.mode == DHT_FROM_SECOND_RELAY);
        check(addr_equal(&seen.peer, &client) && seen.has_relay && addr_equal(&seen.relay, &first));
}

static size_t send_punch(struct bench *b, const struct addr *from, uint16_t tid, const uint8_t *target,
                         const struct dht_punch *punch)
{
        uint8_t value[256];
        struct writer w = writer_over(value, sizeof(value));

        dht_punch_write(&w, punch);
        return send_message(b, from, (struct rpc_message){ .tid = tid, .command = COMMAND_HOLEPUNCH, .target = target,
                                                           .value = value, .value_len = writer_len(&w) });
}

TEST(dht_relays_a_hole_punch_to_whom_the_client_names_and_only_its_answer_back)
{
        struct addr client = { { 80, 4, 4, 4 }, 60000 }, server = { { 80, 2, 2, 2 }, 61000 }, bogon = { { 10, 0, 0, 1 }, 61000 };
        struct dht_punch there = { .mode = DHT_FROM_CLIENT, .id = 7, .payload = (const uint8_t *)"sealed", .payload_len = 6,
                                   .has_peer = true, .peer = server };
        struct dht_punch back = { .mode = DHT_FROM_SERVER, .payload = (const uint8_t *)"answer", .payload_len = 6,
                                  .has_peer = true, .peer = client }, seen;
        static const uint8_t target[32] = { 1 };
        BENCH(b, &public_self, true);

        check_equal(send_punch(&b, &server, 9, target, &back), 0);
        check_equal(send_punch(&b, &client, 9, target, &there), 1);
        check(addr_equal(&b.out[0].to, &server) && b.out[0].message.tid == 9);
        check(dht_punch_decode(b.out[0].message.value, b.out[0].message.value_len, &seen));
        check(seen.mode == DHT_FROM_RELAY && seen.id == 7 && addr_equal(&seen.peer, &client));
        check_bytes(seen.payload, "sealed", 6);
        check_equal(send_punch(&b, &server, 9, target, &back), 1);
        check(addr_equal(&b.out[0].to, &client) && b.out[0].message.type == RPC_TYPE_RESPONSE);
        check(dht_punch_decode(b.out[0].message.value, b.out[0].message.value_len, &seen));
        check(seen.mode == DHT_REPLY && addr_equal(&seen.peer, &server));
        there.peer = bogon;
        check_equal(send_punch(&b, &client, 10, target, &there), 0);
}

/* A client may name the relay to use only if we know it for a node ourselves, and never more than so often. */
TEST(dht_is_nobodys_loudspeaker)
{
        struct addr victim = { { 80, 9, 9, 9 }, 53 }, node = { { 80, 8, 8, 8 }, 49737 };
        struct dht_carrier carrier = { .mode = DHT_FROM_CLIENT, .noise = (const uint8_t *)"one", .noise_len = 3, .has_relay = true,
                                       .relay = victim };
        static const uint8_t target[32] = { 1 };
        unsigned relayed = 0;
        BENCH(b, &public_self, true);

        check_equal(send_carrier(&b, &public_stranger, 0, target, &carrier), 0);
        introduce(&b, &node);
        carrier.relay = node;
        for (unsigned i = 0; i < 100; i++)
                relayed += send_carrier(&b, &public_stranger, 0, target, &carrier) == 1;
        check(relayed >= 20 && relayed <= 40);
}

TEST(dht_holds_only_so_many_answers_back)
{
        static const uint8_t delay[4] = { 0x10, 0x27, 0, 0 }, too_long[4] = { 0x11, 0x27, 0, 0 };
        size_t answers = 0;
        BENCH(b, &local, true);

        send_message(&b, &stranger, (struct rpc_message){ .internal = true, .command = RPC_DELAYED_PING, .value = too_long,
                                                          .value_len = sizeof(too_long) });
        settle(&b, SECONDS(11));
        check_equal(b.count, 0);

        for (unsigned i = 0; i < 50; i++)
                check_equal(send_message(&b, &stranger, (struct rpc_message){ .internal = true, .command = RPC_DELAYED_PING,
                                                                              .value = delay, .value_len = sizeof(delay) }), 0);
        settle(&b, SECONDS(10));
        for (size_t i = 0; i < b.count; i++)
                answers += b.out[i].message.type == RPC_TYPE_RESPONSE;
        check_equal(answers, 4);
}

/* A reply never names who can't be one. */
TEST(dht_table_takes_no_bogons_on_a_public_network)
{
        struct addr bogons[] = { { { 10, 0, 0, 1 }, 49737 }, { { 127, 0, 0, 1 }, 49737 }, { { 224, 0, 0, 1 }, 49737 } };
        uint8_t id[RPC_ID_BYTES];
        BENCH(b, &public_self, true);

        for (size_t i = 0; i < ARRAY_LEN(bogons); i++) {
                rpc_node_id(&bogons[i], id);
                send_message(&b, &bogons[i], (struct rpc_message){ .id = id, .internal = true, .command = RPC_PING });
                check_equal(stats_of(&b).rpc.requests, 0);      /* it is not even pinged */
        }
}
