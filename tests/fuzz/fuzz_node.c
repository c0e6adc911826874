/* SPDX-License-Identifier: BSD-3-Clause */
/* A node that is gateway and provider, and a network that says what the input says: datagrams from eight hosts, answers to what the
 * node asked, by the rules or its own words thrown back at it, and time that passes. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "node.h"
#include "rpc_message.h"
#include "steps.h"
#include "wire.h"

enum {
        DATAGRAM_MAX = 1472,
        SENT_MAX = 16,
        STEPS_MAX = 100,
        TURNS_MAX = 200,                /* without time passing: more is a node that spins */
};

/* How a host answers. */
enum {
        ANSWER_TOKEN = 1,
        ANSWER_CLOSER = 2,
        ANSWER_MOVED = 4,
        ANSWER_WITHOUT_ID = 8,
        ANSWER_ERROR = 16,
        ANSWER_VALUE = 32,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct sent {
        uint32_t socket;
        struct addr to;
        uint8_t bytes[DATAGRAM_MAX];
        size_t len;
};

struct world {
        struct node *node;
        struct now now;
        uint64_t dice;
        struct sent sent[SENT_MAX];     /* the newest, a ring */
        size_t sent_count;
};

static void fill(void *context, void *out, size_t len)
{
        uint64_t *state = context;
        uint8_t *bytes = out;

        for (size_t i = 0; i < len; i++) {
                *state = *state * 6364136223846793005 + 1442695040888963407;
                bytes[i] = (uint8_t)(*state >> 56);
        }
}

static void keep(struct world *w, const struct datagram *out)
{
        struct sent *sent = &w->sent[w->sent_count++ % SENT_MAX];
        const uint8_t *bytes = out->iov[0].iov_base;

        sent->socket = out->socket;
        sent->to = out->remote;
        sent->len = out->iov[0].iov_len < DATAGRAM_MAX ? out->iov[0].iov_len : DATAGRAM_MAX;
        memcpy(sent->bytes, bytes, sent->len);
}

static void turn(struct world *w)
{
        struct node_event event;
        struct datagram out;
        unsigned turns = 0;

        do {
                assert(++turns < TURNS_MAX);
                if (node_deadline(w->node) <= w->now.mono_us)
                        node_advance(w->node, &w->now);
                while (node_event(w->node, &event, &w->now))
                        assert(event.kind != NODE_PEER_UP);     /* nobody here knows the secret */
                while (node_transmit(w->node, &out, &w->now))
                        keep(w, &out);
        } while (node_deadline(w->node) <= w->now.mono_us);
}

static void receive(struct world *w, uint32_t socket, const struct addr *from, uint8_t *bytes, size_t len, uint16_t segment)
{
        struct iovec iov = { bytes, len };
        struct datagram in = { .socket = socket, .remote = *from, .iov = &iov, .iov_len = 1, .len = len,
                               .segment_bytes = segment };

        if (len)
                node_receive(w->node, &in, &w->now);
}

static void stranger(struct world *w, struct reader *r)
{
        uint8_t who = read_u8(r), bytes[DATAGRAM_MAX];
        struct addr from = { .ip = { 10, 0, 0, (uint8_t)(1 + who % 8) }, .port = 49737 };
        size_t len = read_u16le(r) % DATAGRAM_MAX;
        uint16_t segment = who & 64 ? (uint16_t)(1 + len / 3) : 0;

        len = len < reader_left(r) ? len : reader_left(r);
        read_copy(r, bytes, len);
        receive(w, who >> 7, &from, bytes, len, segment);
}

/* What it sent comes back from where it went, as a response (dht-rpc: another type byte), with one byte changed. */
static void echo(struct world *w, struct reader *r)
{
        size_t which = read_u8(r), at = read_u16le(r);
        struct sent *sent = &w->sent[which % SENT_MAX];
        uint8_t bytes[DATAGRAM_MAX];
        size_t len = sent->len;

        if (!len)
                return;
        memcpy(bytes, sent->bytes, len);
        if (which & 128)
                bytes[0] |= 0x10;
        bytes[at % len] ^= read_u8(r);
        receive(w, sent->socket, &sent->to, bytes, len, 0);
}

/* What a host says that plays by the rules: it was asked @sent, and sees us at one of two addresses. */
static void answer(struct world *w, const struct sent *sent, uint8_t how)
{
        static const uint8_t token[RPC_TOKEN_BYTES] = { 9 };
        uint8_t bytes[DATAGRAM_MAX], id[RPC_ID_BYTES], closer[8 * RPC_ADDR_BYTES];
        struct writer hosts = writer_over(closer, sizeof(closer));
        struct rpc_message asked, said;

        if (!sent->len || !rpc_message_read(sent->bytes, sent->len, &asked) || asked.type != RPC_TYPE_REQUEST)
                return;
        for (uint8_t i = 0; i < 8; i++)
                wire_write_addr(&hosts, &(struct addr){ { 10, 0, 0, (uint8_t)(1 + i) }, 49737 });
        rpc_node_id(&sent->to, id);
        said = (struct rpc_message){
                .type = RPC_TYPE_RESPONSE, .tid = asked.tid, .to = { { 203, 0, 113, how & ANSWER_MOVED ? 8 : 7 }, 49737 },
                .id = how & ANSWER_WITHOUT_ID ? NULL : id, .token = how & ANSWER_TOKEN ? token : NULL, .closer = closer,
                .closer_count = how & ANSWER_CLOSER ? 8 : 0, .error = how & ANSWER_ERROR ? RPC_ERROR_INVALID_TOKEN : 0,
                .value = how & ANSWER_VALUE ? asked.value : NULL, .value_len = how & ANSWER_VALUE ? asked.value_len : 0,
        };
        receive(w, sent->socket, &sent->to, bytes, rpc_message_write(&said, bytes, sizeof(bytes)), 0);
}

/* The last ones it asked, each host at most as often as it was asked. */
static void answer_all(struct world *w, struct reader *r)
{
        size_t count = read_u8(r) % SENT_MAX + 1;
        uint8_t how = read_u8(r);

        for (size_t i = 0; i < count && i < w->sent_count; i++) {
                struct sent sent = w->sent[(w->sent_count - 1 - i) % SENT_MAX];

                answer(w, &sent, how);
        }
}

static void pass_time(struct world *w, usec_t us)
{
        usec_t until_us = w->now.mono_us + us;

        while (node_deadline(w->node) <= until_us) {
                usec_t us_later = usec_max(node_deadline(w->node), w->now.mono_us) - w->now.mono_us;

                w->now = (struct now){ w->now.mono_us + us_later, w->now.boot_us + us_later, w->now.wall_us + us_later };
                turn(w);
        }
        us = until_us - w->now.mono_us;
        w->now = (struct now){ until_us, w->now.boot_us + us, w->now.wall_us + us };
}

static void begin(struct world *w)
{
        static const struct node_router router = { .public_key = { 1 }, .auth_key = { 2 } };
        static const uint8_t seeds[NODE_ROLES][NODE_KEY_BYTES] = { { 3 }, { 4 } };
        struct addr first = { .ip = { 10, 0, 0, 1 }, .port = 49737 };
        struct node_config config = { .random = { fill, &w->dice }, .client_socket = 1,
                                      .server_local = { .ip = { 10, 0, 0, 100 }, .port = 49737 } };
        int r = node_new(&w->node, &config, &w->now);

        assert(r == 0);
        node_set_bootstrap(w->node, &first, 1, &w->now);
        node_set_local_addresses(w->node, &config.server_local, 1, &w->now);
        node_set_routers(w->node, &router, 1, &w->now);
        for (int role = 0; role < NODE_ROLES; role++)
                node_join(w->node, role, seeds[role], &w->now);
        node_advertise(w->node, "{}", 2, &w->now);
        turn(w);
}

/* Peers whose addresses are known, @what of which are new: some are where hosts that answer are, and more than there may be are refused. */
static void appoint(struct world *w, uint8_t what, struct reader *r)
{
        struct node_appointed peers[12] = { { .addr.port = 49737 } };
        size_t count = read_u8(r) % (ARRAY_LEN(peers) + 1);
        uint8_t first = read_u8(r);
        int error;

        for (size_t i = 0; i < count; i++) {
                uint8_t seed[NODE_KEY_BYTES] = { (uint8_t)(first + i) % 80, 5 }, secret_key[64];

                crypto_sign_seed_keypair(peers[i].key, secret_key, seed);
                peers[i].addr = (struct addr){ .ip = { 10, 0, 0, (uint8_t)(1 + i) }, .port = what % 2 ? 49737 : 49738 };
        }
        error = node_appoint(w->node, peers, count, &w->now);
        assert(error == 0 || error == -E2BIG);
}

/* Who may meet it changes: nobody, all, or some that are and some that are not there. */
static void allow(struct world *w, uint8_t what, struct reader *r)
{
        uint8_t keys[4][NODE_KEY_BYTES], secret_key[64], first = read_u8(r);

        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                crypto_sign_seed_keypair(keys[i], secret_key, (uint8_t[NODE_KEY_BYTES]){ (uint8_t)(first + i) % 80, 5 });
        node_allow(w->node, what % 2 ? NODE_PROVIDER : NODE_GATEWAY, (const uint8_t(*)[NODE_KEY_BYTES])keys, what / 2 % 5, &w->now);
}

/* Its caller: what it may be told and asked at any time. */
static void call(struct world *w, uint8_t what, struct reader *r)
{
        struct addr here[2] = { { .ip = { 10, 0, 0, 100 + what / 16 % 2 }, .port = 49737 }, { .ip = { 10, 0, what, 1 }, .port = 49737 } };
        struct addr known[NODE_KNOWN_MAX];
        struct node_stats stats;
        struct datagram lost = { .len = 1000, .segment_bytes = what & 16 ? 300 : 0 };

        switch (what % 8) {
        case 0:
                node_set_local_addresses(w->node, here, read_u8(r) % 3, &w->now);
                break;
        case 1:
                node_set_known(w->node, (struct addr[]){ { { 10, 0, 0, 3 }, 49737 }, { { 10, 0, 0, 4 }, 49737 } }, 2, &w->now);
                break;
        case 2:
                assert(node_known(w->node, known, NODE_KNOWN_MAX) <= NODE_KNOWN_MAX);
                node_stats(w->node, &stats);
                assert(stats.announced <= NODE_ROLES && stats.peers[0] + stats.peers[1] == 0 && stats.channels == 0);
                break;
        case 3:
                node_unsent(w->node, &lost, 90);
                node_trim(w->node);
                break;
        case 4:                         /* we slept */
                w->now.boot_us += MINUTES(what);
                w->now.wall_us += MINUTES(what);
                break;
        case 5:
                node_advertise(w->node, "{\"routes\":[]}", 13, &w->now);
                break;
        default:
                if (what >= 0xf0)
                        appoint(w, what, r);
                else if (what >= 0xd0)
                        allow(w, what, r);
                else
                        pass_time(w, SECONDS(5 + (usec_t)what / 8));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct world w;
        struct reader r = steps_begin(data, len);

        w = (struct world){ .now = { SECONDS(1), SECONDS(1), SECONDS(1700000000) }, .dice = 1 };
        begin(&w);
        for (unsigned step = 0; step < STEPS_MAX && steps_next(&r); step++) {
                uint8_t op = read_u8(&r);

                switch (op < 0xe0 ? op % 4 : 4) {
                case 0:
                        pass_time(&w, MSEC(read_u16le(&r) / 8));
                        break;
                case 1:
                        stranger(&w, &r);
                        break;
                case 4:
                        if (op < 0xf0)
                                call(&w, read_u8(&r), &r);
                        else
                                answer_all(&w, &r);
                        break;
                default:
                        echo(&w, &r);
                }
                turn(&w);
        }
        node_leave(w.node, SECONDS(1), &w.now);
        pass_time(&w, SECONDS(2));
        node_free(w.node);
        return 0;
}
