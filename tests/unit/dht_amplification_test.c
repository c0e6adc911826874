/* SPDX-License-Identifier: BSD-3-Clause */
/* What a forged source makes us send to its victim, command by command, while everything there is to tell is as large as it gets:
 * bytes out for bytes in, beside what a JavaScript node sends (tests/vectors/protocol/dht.md 10.3). UDP payloads: the 28 bytes of
 * headers that each datagram has besides, out and in, would make every figure smaller. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dht.h"
#include "dht_carrier.h"
#include "dht_mutable.h"
#include "dht_punch.h"
#include "dht_record.h"
#include "test.h"

enum {
        SERVER = 1, CLIENT = 2,         /* sockets */
        HANDSHAKE = 0, HOLEPUNCH, FIND_PEER, LOOKUP, ANNOUNCE, UNANNOUNCE, MUTABLE_PUT, MUTABLE_GET, IMMUTABLE_PUT, IMMUTABLE_GET,
        PLUGIN,
        NODES = 40,                     /* in the table: more than an answer names */
        RECORDS = 24,
        VALUE_BYTES = 1300,             /* near what a path takes with the rest of a PUT */
        PER_SECOND = 400, SECONDS_LONG = 10,
};

static const struct addr self = { { 80, 1, 1, 1 }, 49737 };

struct scene {
        struct dht *dht;
        struct now now;
        uint64_t seed;
        uint16_t tid;
        uint8_t topic[32], peer[32], mutable[32], immutable[32];        /* targets with the most behind them */
        uint8_t immutable_value[VALUE_BYTES];
        uint8_t id[RPC_ID_BYTES], token[RPC_TOKEN_BYTES];               /* of the victim; made up */
        uint8_t value[RPC_DATAGRAM_MAX];
        struct addr victim;
        size_t to_victims, to_others;   /* bytes; a victim is a whole /24, replies to the background's questions don't count */
        struct rpc_message reply;       /* the last one to it */
        uint8_t reply_bytes[RPC_DATAGRAM_MAX];
};

static void scene_free(struct scene *s)
{
        dht_free(s->dht);
}

static bool is_victim(const struct scene *s, const struct addr *addr)
{
        return memcmp(addr->ip, s->victim.ip, 3) == 0;
}

static void send_on(struct scene *s, usec_t later_us)
{
        struct dht_event event;
        struct rpc_send send;

        s->now.mono_us += later_us;
        s->now.boot_us += later_us;
        s->now.wall_us += later_us;
        dht_advance(s->dht, &s->now);
        while (dht_event(s->dht, &event))
                ;
        while (dht_transmit(s->dht, &send)) {
                struct rpc_message message;
                bool ping;

                check(rpc_message_read(send.bytes, send.len, &message));
                ping = message.type == RPC_TYPE_REQUEST && message.internal;
                if (is_victim(s, &send.to)) {
                        s->to_victims += send.len;
                        memcpy(s->reply_bytes, send.bytes, send.len);
                        check(rpc_message_read(s->reply_bytes, send.len, &s->reply));
                } else if (!ping) {
                        s->to_others += send.len;
                }
        }
}

static void receive(struct scene *s, const struct addr *from, const void *bytes, size_t len)
{
        dht_receive(s->dht, SERVER, from, bytes, len, &s->now);
        send_on(s, 0);
}

/* Returns its length. */
static size_t ask(struct scene *s, const struct addr *from, struct rpc_message message)
{
        uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t len;

        message.to = self;
        message.tid = ++s->tid;
        len = rpc_message_write(&message, bytes, sizeof(bytes));
        check(len > 0);
        receive(s, from, bytes, len);
        return len;
}

/* --- The most there is to tell --- */

static struct addr host(unsigned network, uint8_t number)
{
        return (struct addr){ { (uint8_t)(100 + network / 256), (uint8_t)network, number, 1 }, 49737 };
}

/* A node asks, is asked back and answers: it is in the table. */
static void introduce(struct scene *s, const struct addr *node)
{
        uint8_t id[RPC_ID_BYTES], bytes[RPC_DATAGRAM_MAX];
        struct rpc_message ping = { .id = id, .internal = true, .command = RPC_PING, .to = self, .tid = 1 };
        struct rpc_send send;

        s->now.mono_us += SECONDS(2);
        rpc_node_id(node, id);
        dht_receive(s->dht, SERVER, node, bytes, rpc_message_write(&ping, bytes, sizeof(bytes)), &s->now);
        while (dht_transmit(s->dht, &send)) {
                struct rpc_message asked, pong = { .type = RPC_TYPE_RESPONSE, .id = id, .to = self };

                check(rpc_message_read(send.bytes, send.len, &asked));
                pong.tid = asked.tid;
                if (asked.type == RPC_TYPE_REQUEST)
                        dht_receive(s->dht, SERVER, node, bytes, rpc_message_write(&pong, bytes, sizeof(bytes)), &s->now);
        }
}

static void fetch_token(struct scene *s, const struct addr *from, uint8_t token_out[RPC_TOKEN_BYTES])
{
        s->victim = *from;
        ask(s, from, (struct rpc_message){ .command = LOOKUP, .target = s->id });
        check(s->reply.token);
        memcpy(token_out, s->reply.token, RPC_TOKEN_BYTES);
}

/* Key @number is announced at @target, or (NULL) at its own, with as many relays as are kept. */
static void announce(struct scene *s, unsigned number, const uint8_t *target)
{
        static const uint8_t relays[3 * 6] = { 90, 1, 1, 1, 1, 1, 90, 2, 2, 2, 1, 1, 90, 3, 3, 3, 1, 1 };
        uint8_t seed[32] = { (uint8_t)number }, public_key[32], secret_key[64], own[32], id[RPC_ID_BYTES], token[RPC_TOKEN_BYTES];
        uint8_t signature[64], value[DHT_ANNOUNCE_MAX];
        struct dht_announce said = { .has_record = true, .record = { public_key, relays, 3 }, .bump = s->now.wall_us / 1000 };
        struct addr from = host(number, 9);
        struct writer w = writer_over(value, sizeof(value));

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        dht_target(public_key, own);
        rpc_node_id(&self, id);
        fetch_token(s, &from, token);
        dht_claim_sign(DHT_CLAIM_ANNOUNCE, &(struct dht_scope){ target ? target : own, id, token }, &said, secret_key, signature);
        said.signature = signature;
        dht_announce_write(&w, &said);
        ask(s, &from, (struct rpc_message){ .command = ANNOUNCE, .target = target ? target : own, .token = token, .value = value,
                                            .value_len = writer_len(&w) });
        memcpy(s->peer, own, sizeof(s->peer));
}

static void put_values(struct scene *s)
{
        uint8_t seed[32] = { 99 }, public_key[32], secret_key[64], signature[64], token[RPC_TOKEN_BYTES], value[RPC_DATAGRAM_MAX];
        struct dht_mutable said = { public_key, 7, s->immutable_value, VALUE_BYTES, signature };
        struct writer w = writer_over(value, sizeof(value));
        struct addr from = host(200, 9);

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        dht_target(public_key, s->mutable);
        memset(s->immutable_value, 'v', VALUE_BYTES);
        crypto_generichash(s->immutable, 32, s->immutable_value, VALUE_BYTES, NULL, 0);
        dht_mutable_sign(&said, secret_key, signature);
        dht_mutable_put_write(&w, &said);
        fetch_token(s, &from, token);
        ask(s, &from, (struct rpc_message){ .command = MUTABLE_PUT, .target = s->mutable, .token = token, .value = value,
                                            .value_len = writer_len(&w) });
        ask(s, &from, (struct rpc_message){ .command = IMMUTABLE_PUT, .target = s->immutable, .token = token,
                                            .value = s->immutable_value, .value_len = VALUE_BYTES });
}

static void scene_init(struct scene *s)
{
        struct dht_config config = { .server_socket = SERVER, .client_socket = CLIENT, .server_port = self.port,
                                     .persistent = true, .public_addr = self };
        struct dht_stats stats;

        *s = (struct scene){ .seed = 1, .now = { SECONDS(100), SECONDS(100), SECONDS(1700000000) }, .topic = { 1 }, .token = { 2 } };
        config.random = (struct random){ test_random_fill, &s->seed };
        check_equal(dht_new(&s->dht, &config, &s->now), 0);
        for (unsigned i = 0; i < NODES; i++)
                introduce(s, &(struct addr){ { 81, (uint8_t)i, (uint8_t)(i * i), 1 }, 49737 });
        for (unsigned i = 0; i < RECORDS; i++)
                announce(s, i, s->topic);
        announce(s, RECORDS, NULL);
        put_values(s);
        dht_stats(s->dht, &stats);
        check(stats.nodes >= DHT_K && stats.records >= DHT_RECORDS_PER_LOOKUP && stats.forwards == 1 && stats.values == 2);
}

#define SCENE(name)                                                     \
        cleanup_with(scene_free) struct scene name = { .dht = NULL };   \
        scene_init(&name)

/* --- What can be asked --- */

struct row {
        const char *name;
        void (*fill)(struct scene *s, struct rpc_message *message);
        unsigned reference_bytes;       /* the longest answer of a JavaScript node */
        unsigned bytes;                 /* ours, to a stranger's first question */
        unsigned percent;               /* of what came in, when a network is asked for at all we serve it, for ten seconds */
        unsigned others_percent;        /* the same, to third parties */
};

static void set_value(struct scene *s, struct rpc_message *m, const void *bytes, size_t len)
{
        memcpy(s->value, bytes, len);
        m->value = s->value;
        m->value_len = len;
}

static void internal(struct rpc_message *m, uint64_t command)
{
        m->internal = true;
        m->command = command;
}

static void ping(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_PING);
}

static void ping_with_id(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_PING);
        rpc_node_id(&s->victim, s->id);
        m->id = s->id;
}

static void ping_nat(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_PING_NAT);
        set_value(s, m, "\x35\x00", 2);
}

static void find_node(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_FIND_NODE);
        m->target = s->topic;
}

static void down_hint(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_DOWN_HINT);
        set_value(s, m, &(uint8_t[]){ 81, 3, 9, 1, 0x49, 0xc2 }, 6);
}

static void delayed_ping(struct scene *s, struct rpc_message *m)
{
        internal(m, RPC_DELAYED_PING);
        set_value(s, m, "\x64\x00\x00\x00", 4);
}

static void unknown_command(struct scene *s, struct rpc_message *m)
{
        internal(m, 99);
        m->target = s->topic;
}

static void plugin(struct scene *s, struct rpc_message *m)
{
        m->command = PLUGIN;
        m->target = s->topic;
}

static void find_peer(struct scene *s, struct rpc_message *m)
{
        m->command = FIND_PEER;
        m->target = s->peer;
}

static void lookup(struct scene *s, struct rpc_message *m)
{
        m->command = LOOKUP;
        m->target = s->topic;
}

static void made_up_token(struct scene *s, struct rpc_message *m)
{
        lookup(s, m);
        m->token = s->token;
}

static void announce_made_up(struct scene *s, struct rpc_message *m)
{
        uint8_t value[DHT_ANNOUNCE_MAX], key[32] = { 5 }, signature[64] = { 6 };
        struct dht_announce said = { .has_record = true, .record = { .public_key = key }, .signature = signature };
        struct writer w = writer_over(value, sizeof(value));

        dht_announce_write(&w, &said);
        m->command = ANNOUNCE;
        m->target = s->topic;
        m->token = s->token;
        set_value(s, m, value, writer_len(&w));
}

static void unannounce_made_up(struct scene *s, struct rpc_message *m)
{
        announce_made_up(s, m);
        m->command = UNANNOUNCE;
}

static void mutable_get(struct scene *s, struct rpc_message *m)
{
        m->command = MUTABLE_GET;
        m->target = s->mutable;
        set_value(s, m, "", 1);
}

static void immutable_get(struct scene *s, struct rpc_message *m)
{
        m->command = IMMUTABLE_GET;
        m->target = s->immutable;
}

static void mutable_put_made_up(struct scene *s, struct rpc_message *m)
{
        mutable_get(s, m);
        m->command = MUTABLE_PUT;
        m->token = s->token;
}

static void immutable_put_made_up(struct scene *s, struct rpc_message *m)
{
        m->command = IMMUTABLE_PUT;
        m->target = s->topic;
        m->token = s->token;
        set_value(s, m, "x", 1);
}

static void carrier(struct scene *s, struct rpc_message *m, const uint8_t *target)
{
        uint8_t value[64];
        struct dht_carrier said = { .mode = DHT_FROM_CLIENT, .noise = (const uint8_t *)"n", .noise_len = 1 };
        struct writer w = writer_over(value, sizeof(value));

        dht_carrier_write(&w, &said);
        m->command = HANDSHAKE;
        m->target = target;
        set_value(s, m, value, writer_len(&w));
}

static void handshake_unknown(struct scene *s, struct rpc_message *m)
{
        carrier(s, m, s->topic);
}

static void handshake_relayed(struct scene *s, struct rpc_message *m)
{
        carrier(s, m, s->peer);
}

static void punch(struct scene *s, struct rpc_message *m)
{
        uint8_t value[64];
        struct dht_punch said = { .mode = DHT_FROM_CLIENT, .payload = (const uint8_t *)"p", .payload_len = 1, .has_peer = true,
                                  .peer = { { 91, 1, 1, 1 }, 53 } };
        struct writer w = writer_over(value, sizeof(value));

        dht_punch_write(&w, &said);
        m->command = HOLEPUNCH;
        m->target = s->peer;
        set_value(s, m, value, writer_len(&w));
}

static const struct row rows[] = {
        { "PING", ping, 42, 42, 400, 0 },
        { "PING with an id", ping_with_id, 42, 85, 110, 0 },
        { "PING_NAT", ping_nat, 42, 42, 400, 0 },
        { "FIND_NODE", find_node, 163, 163, 200, 0 },
        { "DOWN_HINT", down_hint, 42, 42, 400, 0 },
        { "DELAYED_PING", delayed_ping, 42, 42, 10, 0 },
        { "unknown command", unknown_command, 164, 164, 200, 0 },
        { "PLUGIN", plugin, 164, 164, 200, 0 },
        { "FIND_PEER", find_peer, 250, 250, 400, 0 },
        { "LOOKUP", lookup, 1228, 1228, 300, 0 },
        { "LOOKUP with a made-up token", made_up_token, 196, 75, 110, 0 },
        { "ANNOUNCE with one", announce_made_up, 196, 75, 60, 0 },
        { "UNANNOUNCE with one", unannounce_made_up, 196, 75, 60, 0 },
        { "MUTABLE_GET", mutable_get, 1472, 1472, 300, 0 },
        { "IMMUTABLE_GET", immutable_get, 1472, 1472, 300, 0 },
        { "MUTABLE_PUT with a made-up token", mutable_put_made_up, 196, 75, 110, 0 },
        { "IMMUTABLE_PUT with one", immutable_put_made_up, 196, 75, 110, 0 },
        { "PEER_HANDSHAKE, nobody's", handshake_unknown, 163, 163, 200, 0 },
        { "PEER_HANDSHAKE, relayed", handshake_relayed, 0, 0, 0, 45 },
        { "PEER_HOLEPUNCH, relayed", punch, 0, 0, 0, 45 },
};

static size_t ask_as(struct scene *s, const struct row *row, const struct addr *victim)
{
        struct rpc_message message = { .type = RPC_TYPE_REQUEST };

        s->victim = *victim;
        row->fill(s, &message);
        return ask(s, victim, message);
}

TEST(dht_amplifies_no_more_than_it_must)
{
        printf("# bytes to a victim for bytes from whoever forges it; JavaScript; ours, at first; ours, in the long run\n");
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct row *row = &rows[i];
                size_t asked, first, in = 0;
                SCENE(s);

                send_on(&s, SECONDS(20));
                s.to_victims = 0;
                asked = ask_as(&s, row, &(struct addr){ { 140, 1, 1, 1 }, 53 });
                for (unsigned t = 0; t < 15; t++)
                        send_on(&s, SECONDS(1));
                first = s.to_victims;
                s.to_victims = s.to_others = 0;
                for (unsigned n = 0; n < PER_SECOND * SECONDS_LONG; n++) {
                        in += ask_as(&s, row, &(struct addr){ { 150, 1, 1, (uint8_t)(n % 4) }, 53 });
                        send_on(&s, SECONDS(1) / PER_SECOND);
                }
                for (unsigned t = 0; t < 15; t++)
                        send_on(&s, SECONDS(1));
                printf("# %-34s %4zu: %4u, %5.1f; %4zu, %5.1f; %5.1f; to others %5.1f\n", row->name, asked, row->reference_bytes,
                       (double)row->reference_bytes / (double)asked, first, (double)first / (double)asked,
                       (double)s.to_victims / (double)in, (double)s.to_others / (double)in);
                if (first > row->bytes || s.to_victims * 100 > in * row->percent || s.to_others * 100 > in * row->others_percent)
                        test_fail(__FILE__, __LINE__, "%s: %zu bytes at first, then %zu and %zu for %zu", row->name, first,
                                  s.to_victims, s.to_others, in);
        }
}
