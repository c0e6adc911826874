/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that meet: one dials another, which strangers want something of meanwhile, behind NATs, over relays that do what they like, and a
 * blind one. The input is what they are like and who does what when; strangers have true keys for what they say. Whatever happens, honest
 * peers read what honest peers wrote, and once all connections are cut off nothing is left but for a while. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "peer_sim_dht.h"
#include "peer_stranger.h"
#include "steps.h"

enum { STEPS_MAX = 60, DIALS_MAX = 12, STRANGERS = 4, CROWD = 320, CROWD_STEP = 64, SPEAK_MAX = 8 };

enum { CLIENT, SERVER, RELAY };

/* What a peer is like: a byte for each. */
enum {
        OPEN = 1,
        HIDDEN = 2,                     /* seen where nobody gets through */
        FILTERED = 4,
        RANDOM = 8,
        UNSEEN = 16,                    /* by too few to know its NAT */
        THROUGH_RELAY = 32,             /* names the blind relay to others */
        PROVING = 64,                   /* as one of those that it serves */
        ASKS = 128,                     /* the server: who may come; the client: it gets no sockets */
};

/* What a stranger says of itself. */
enum {
        SAYS_OTHER_VERSION = 1,
        SAYS_NO_UDX = 2,
        SAYS_ADDRESS = 4,
        SAYS_RELAY = 8,
        SAYS_NO_RELAY = 16,             /* as the last one, but nobody has such a key */
        COMES_DIRECTLY = 32,
        COMES_OVER_ITS_RELAY = 64,      /* one of the server's */
        COMES_FROM_NOWHERE = 128,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct question {
        uint8_t bytes[DHT_NOISE_MAX];
        size_t len;
};

struct scene {
        struct peer_sim *sim;
        struct reader input;
        struct stranger strangers[STRANGERS];
        bool answered[STRANGERS], connected[STRANGERS];
        unsigned spoken[STRANGERS];
        struct peer_dial *dial;         /* the last one, if it is under way alone */
        unsigned dials, crowd;
};

static const struct addr nowhere = { .ip = { 5, 5, 5, 5 }, .port = 5 };

/* ---- the beginning ---- */

static void be_like(struct peer_sim_node *node, uint8_t what)
{
        node->open = what & OPEN;
        node->filtered = what & FILTERED;
        node->random_nat = what & RANDOM;
        node->sighted = what & UNSEEN ? 1 : 4;
        if (!(what & HIDDEN))
                return;
        node->seen = nowhere;
        node->seen.ip[3] += (uint8_t)node->index;
        node->seen.port = what & OPEN ? 0 : node->seen.port;            /* or where nobody can be */
        node->only_from = node->sim->node[RELAY].addr;
        node->only_until_us = USEC_NEVER;
}

/* The server says of itself what the first stranger says. */
static size_t answer(void *context, const uint8_t *question, size_t len, uint8_t answer_out[DHT_NOISE_MAX])
{
        const struct scene *scene = context;
        uint8_t plain[DHT_NOISE_MAX], payload[NOISE_PAYLOAD_MAX];
        struct writer w = writer_over(payload, sizeof(payload));
        struct noise_session session;
        struct noise noise;

        noise_payload_write(&w, &scene->strangers[0].payload);
        noise_init(&noise, scene->sim->node[SERVER].secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        assert(noise_accept(&noise, question, len, plain) == NOISE_FINE);
        assert(noise_respond(&noise, net_random(scene->sim->net), payload, writer_len(&w), answer_out, &session) == NOISE_FINE);
        noise_fini(&noise);
        return writer_len(&w) + NOISE_SECOND_BYTES;
}

static void begin(struct scene *scene)
{
        static const struct addr relay = { .ip = { 198, 51, 3, 3 }, .port = 3003 };
        static const uint8_t proof[PEER_PROOF_BYTES] = { 7 };
        const struct net_link link = { .delay_us = 1000 };
        uint8_t client = read_u8(&scene->input), server = read_u8(&scene->input);
        struct peer_sim *sim = server & ASKS ? peer_sim_pair_that_asks(1, &link) : peer_sim_pair(1, &link);
        struct peer_sim_node *node = sim->node;

        scene->sim = sim;
        sim->impostor = answer;
        sim->impostor_context = scene;
        net_link_set(sim->net, peer_sim_add(sim, &relay)->socket, &link);
        node[RELAY].open = true;
        node[RELAY].relay_proof = server & PROVING ? proof : NULL;
        peer_sim_relay(&node[RELAY], 0, 0);
        node[SERVER].entry.relay_count = PEER_SIM_RELAYS;
        be_like(&node[CLIENT], client);
        be_like(&node[SERVER], server);
        node[CLIENT].lacks_sockets = client & ASKS;
        if (client & THROUGH_RELAY)
                node[CLIENT].relay_through = peer_sim_key(&node[RELAY]);
        if (client & PROVING)
                node[CLIENT].relay_proof = proof;
        if (server & THROUGH_RELAY)
                peer_listener_relay_through(node[SERVER].listener, peer_sim_key(&node[RELAY]), server & PROVING ? proof : NULL,
                                            client & OPEN);
        for (uint8_t i = 0; i < STRANGERS; i++)         /* the last two are one, twice */
                stranger_init(&scene->strangers[i], sim, i < STRANGERS - 1 ? 1 + i : i);
        peer_sim_settle(sim);
}

/* ---- peers that mean it ---- */

static bool is_over(const struct scene *scene)
{
        const struct peer_sim_node *client = &scene->sim->node[CLIENT];

        return client->connected + client->failed >= scene->dials;
}

static void dial(struct scene *scene, uint8_t how)
{
        struct peer_dial *one;

        if (scene->dials == DIALS_MAX || !scene->sim->node[SERVER].listener)
                return;
        one = peer_sim_dial(&scene->sim->node[CLIENT], &scene->sim->node[SERVER], how % 3);
        scene->dial = is_over(scene) ? one : NULL;
        scene->dials++;
}

/* It ends, or begins anew. */
static void interrupt(struct scene *scene, uint8_t how)
{
        struct now now = peer_sim_now(scene->sim);

        if (!scene->dial || is_over(scene))
                return;
        peer_dial_attempt(scene->dial, &now);
        assert(!peer_dial_struggles(scene->dial, &now) || peer_struggles(scene->sim->node[CLIENT].set, &now));
        assert(!peer_dial_punches(scene->dial) || peer_dial_is_asked(scene->dial));
        if (how & 1)
                peer_dial_again(scene->dial, &now);
        if (how & 1)
                return;
        peer_dial_cancel(scene->dial, &now);
        scene->dials--;
        scene->dial = NULL;
}

/* Whoever carries handshakes to the server does something to them. */
static void carriers_do(struct scene *scene, uint8_t what)
{
        struct peer_sim_entry *entry = &scene->sim->node[SERVER].entry;

        entry->behaviour[what / 8 % 2] = (enum peer_sim_relay)(what % (PEER_SIM_IMPOSTOR + 1));
        entry->delay_us[what / 8 % 2] = MSEC(what / 16 % 4 * 500);
        entry->listed = !(what & 64);
        scene->sim->repeats = what / 128;
}

static void write_some(struct scene *scene, uint8_t what)
{
        struct peer_sim_node *node = &scene->sim->node[what % 2];
        struct peer_sim_end *end = node->end_count ? &node->end[what / 8 % node->end_count] : NULL;

        if (!end || !end->conn)
                return;
        if (what & 2)
                peer_sim_write(end, read_u8(&scene->input) * UINT64_C(100), what & 4);
        else
                end->reads = what & 4;
}

static void cut_off(struct scene *scene, uint8_t what)
{
        struct peer_sim_node *node = &scene->sim->node[what % 2];
        struct peer_sim_end *end = node->end_count ? &node->end[what / 2 % node->end_count] : NULL;

        if (!end || !end->conn)
                return;
        conn_free(end->conn);
        end->conn = NULL;
}

/* Whom it punches with, and with whom it has been at it for long: one question and the list agree. */
static void ask_of(const struct peer_listener *listener, const uint8_t *key, const struct now *now)
{
        uint8_t struggling[2 * PEER_SESSIONS_PER_HOST][PEER_KEY_BYTES];
        size_t count = peer_listener_struggling(listener, struggling, ARRAY_LEN(struggling), now);
        bool struggles = peer_listener_struggles(listener, key, now), listed = false;

        for (size_t i = 0; i < count; i++)
                listed |= memcmp(struggling[i], key, PEER_KEY_BYTES) == 0;
        assert(listed == struggles || (struggles && count == ARRAY_LEN(struggling)));
        peer_listener_punches(listener, key, now);
}

/* What the server is asked and told by its owner. */
static void own(struct scene *scene, uint8_t what)
{
        struct peer_sim_node *server = &scene->sim->node[SERVER];
        struct now now = peer_sim_now(scene->sim);
        const uint8_t *key = what & 8 ? peer_sim_key(&scene->sim->node[CLIENT]) : scene->strangers[what / 16 % STRANGERS].secret_key + 32;

        switch (what % 8) {
        case 0:
                server->admits = false;
                break;
        case 1:
                peer_admit(server->set, server->knock - what / 16, what & 8, &now);
                break;
        case 2:
                if (server->listener)
                        ask_of(server->listener, key, &now);
                break;
        case 3:
                if (server->listener)
                        peer_listener_awaits(server->listener, key, SECONDS(5), &now);
                break;
        case 4:
                if (server->listener && what >= 0xe0)
                        peer_unlisten(server->listener, &now);
                break;
        case 5:
                server->only_until_us = what & 8 ? 0 : USEC_NEVER;
                server->only_from.port = what & 16 ? 0 : scene->sim->node[RELAY].addr.port;
                scene->sim->node[CLIENT].only_until_us = what & 32 ? 0 : server->only_until_us;
                break;
        case 6:
                server->lacks_sockets = what & 8;
                break;
        default:
                peer_receive_probe(server->set, server->socket, what & 8 ? &nowhere : &scene->strangers[what / 16 % STRANGERS].addr, &now);
        }
}

/* ---- strangers ---- */

static void prepare(struct scene *scene, struct stranger *stranger)
{
        struct noise_payload *payload = &stranger->payload;
        uint8_t what = read_u8(&scene->input);

        payload->version = what & SAYS_OTHER_VERSION ? 2 : NOISE_PAYLOAD_VERSION;
        payload->has_udx = !(what & SAYS_NO_UDX);
        payload->address_count = what & SAYS_ADDRESS ? 1 : 0;
        payload->addresses[0] = stranger->addr;
        payload->has_relay_through = what & (SAYS_RELAY | SAYS_NO_RELAY);
        memcpy(payload->relay_through_key, peer_sim_key(&scene->sim->node[RELAY]), sizeof(payload->relay_through_key));
        payload->relay_through_key[0] ^= what & SAYS_NO_RELAY;
        payload->firewall = read_u8(&scene->input) % 5;
        stranger->mode = what & COMES_DIRECTLY ? DHT_FROM_CLIENT : DHT_FROM_RELAY;
        stranger->relay = scene->sim->node[SERVER].entry.relays[0];
        stranger->relay.port += !(what & COMES_OVER_ITS_RELAY);
        if (what & COMES_FROM_NOWHERE)
                stranger->addr.port = 0;
        stranger_prepare(stranger, peer_sim_key(&scene->sim->node[SERVER]));
}

static bool may_knock(const struct scene *scene)
{
        const struct peer_sim_node *server = &scene->sim->node[SERVER];

        return server->listener && server->end_count < PEER_SIM_CONNS / 2;
}

static void knock(struct scene *scene, unsigned which)
{
        struct stranger *stranger = &scene->strangers[which];

        prepare(scene, stranger);
        if (may_knock(scene) && !scene->connected[which])
                scene->answered[which] = stranger_knock(stranger, &scene->sim->node[SERVER]) && stranger->answer.udx_id;
}

/* As it came before; or a beginning of it, or more than there can be. */
static void repeat(struct scene *scene, unsigned which, uint8_t len)
{
        const struct stranger *stranger = &scene->strangers[which];
        struct dht_inbound inbound = { .socket = scene->sim->node[SERVER].socket, .mode = DHT_FROM_RELAY, .from = stranger->relay,
                                       .client = stranger->addr, .to = scene->sim->node[SERVER].seen };
        uint8_t longest[DHT_NOISE_MAX] = { 0 };

        if (!may_knock(scene))
                return;
        memcpy(longest, stranger->question, stranger->question_len);
        inbound.from.port += len % 16;
        peer_sim_dht_knock(scene->sim->node[SERVER].dht, &inbound, longest, len < 128 ? stranger->question_len : (size_t)len * 4);
        peer_sim_settle(scene->sim);
}

/* Whatever else happens they are the same: they are made beside it, once. */
static const struct question *crowd_questions(void)
{
        static struct question questions[CROWD];
        const struct net_link link = { .delay_us = 1000 };
        struct peer_sim *aside;

        if (questions[0].len)
                return questions;
        aside = peer_sim_pair(1, &link);
        for (unsigned i = 0; i < CROWD; i++) {
                struct stranger stranger;

                stranger_init(&stranger, aside, (uint8_t)i);
                stranger_prepare(&stranger, peer_sim_key(&aside->node[SERVER]));
                memcpy(questions[i].bytes, stranger.question, stranger.question_len);
                questions[i].len = stranger.question_len;
                stranger_fini(&stranger);
        }
        peer_sim_free(aside);
        return questions;
}

/* Many come, each from somewhere else, or all from one host, or over one relay; some with nothing but noise. */
static void crowd(struct scene *scene, uint8_t how)
{
        for (unsigned i = 0; i < CROWD_STEP && may_knock(scene); i++, scene->crowd++) {
                const struct question *question = &crowd_questions()[scene->crowd % CROWD];
                struct dht_inbound inbound = {
                        .socket = scene->sim->node[SERVER].socket, .mode = DHT_FROM_RELAY, .to = scene->sim->node[SERVER].seen,
                        .from = { { 78, how & 1 ? 1 : (uint8_t)scene->crowd, how & 1 ? 0 : (uint8_t)(scene->crowd / 256), 1 }, 888 },
                        .client = { { 77, how & 2 ? 1 : (uint8_t)scene->crowd, how & 2 ? 0 : (uint8_t)(scene->crowd / 256), 1 }, 777 },
                };

                if (how & 8)
                        inbound.from = scene->sim->node[SERVER].entry.relays[how / 16 % PEER_SIM_RELAYS];
                peer_sim_dht_knock(scene->sim->node[SERVER].dht, &inbound, question->bytes, question->len - (how & 4 ? i % 8 : 0));
                peer_sim_settle(scene->sim);
        }
}

/* On its stream: its header, messages that are sealed, or what the input has; from where it was said to be, or from elsewhere. */
static void speak(struct scene *scene, unsigned which, uint8_t what)
{
        struct stranger *stranger = &scene->strangers[which];
        struct addr from = stranger->addr;
        uint8_t bytes[SECRET_HEADER_BYTES + 1024];
        struct writer w = writer_over(bytes, sizeof(bytes));
        size_t len = read_u8(&scene->input);
        const uint8_t *said;

        len = MIN(len, reader_left(&scene->input));
        said = read_bytes(&scene->input, len);
        if (!scene->answered[which] || scene->spoken[which]++ == SPEAK_MAX)     /* nobody acknowledges what it sends */
                return;
        if (!scene->connected[which])
                stranger_connect(stranger, &scene->sim->node[SERVER]);
        scene->connected[which] = true;
        if (what & 1)
                write_bytes(&w, stranger->header, sizeof(stranger->header));
        if (what & 2)
                secret_seal(&stranger->secret, write_reserve(&w, len + SECRET_SEAL_BYTES), said, len);
        else if (len)
                write_bytes(&w, said, len);
        from.port += what / 4 % 4 == 1;
        if (what / 4 % 4 == 2)
                from.port = 0;
        assert(!w.failed);
        if (writer_len(&w))
                stranger_send(stranger, &scene->sim->node[SERVER], &from, bytes, writer_len(&w));
}

/* A round of a punch, sealed with the keys that it has. */
static void punch(struct scene *scene, unsigned which, uint8_t what)
{
        struct stranger *stranger = &scene->strangers[which];
        struct peer_sim_node *server = &scene->sim->node[SERVER];
        const struct peer_sim_answer *round = peer_sim_dht_round(server->dht);
        struct dht_inbound inbound = { .socket = server->socket, .mode = DHT_FROM_RELAY, .from = stranger->relay, .client = stranger->addr,
                                       .to = server->seen };
        uint8_t numbers = read_u8(&scene->input), secret[NAT_SECRET_BYTES], sealed[NAT_SEALED_MAX];
        struct nat_payload said, heard = {
                .connected = what & 1, .punching = what & 2, .error = numbers / 64, .firewall = numbers / 8 % 4, .round = numbers % 8,
                .has_addresses = what & 4, .addresses = { stranger->addr }, .address_count = what & 4 ? 1 : 0, .has_token = what & 8,
                .has_remote = what & 16, .remote = stranger->addr,
        };
        size_t len;

        if (!scene->answered[which] || !server->listener)
                return;
        nat_secret(stranger->session.hash, secret);
        if (what & 32 && round->len && nat_open(secret, round->noise, round->len, &said)) {     /* what it was given comes back */
                heard.has_remote_token = said.has_token;
                memcpy(heard.remote_token, said.token, sizeof(said.token));
        }
        if (what & 64)
                inbound.from = server->entry.relays[0];
        len = nat_seal(secret, net_random(scene->sim->net), &heard, sealed);
        sealed[len - 1] ^= what >= 0xe0;
        peer_sim_dht_punch(server->dht, &inbound, stranger->answer.holepunch_id + (what >= 0xf0), sealed, len);
        peer_sim_settle(scene->sim);
}

/* ---- the end ---- */

/* What was read from an honest peer is what that one wrote: @node has the other's key. */
static void check_read(const struct peer_sim_node *node, const struct peer_sim_node *other)
{
        for (unsigned i = 0; i < node->end_count; i++)
                assert(!node->end[i].wrong || memcmp(node->end[i].remote_key, peer_sim_key(other), PEER_KEY_BYTES) != 0);
}

static void end(struct scene *scene)
{
        struct peer_sim_node *node = scene->sim->node;
        struct peer_stats stats;

        check_read(&node[CLIENT], &node[SERVER]);
        check_read(&node[SERVER], &node[CLIENT]);
        peer_sim_run(scene->sim, MINUTES(2));
        for (unsigned i = 0; i < 2; i++) {
                for (unsigned k = 0; k < node[i].end_count; k++)
                        conn_free(node[i].end[k].conn);
                node[i].end_count = 0;
        }
        peer_sim_run(scene->sim, MINUTES(2));
        for (unsigned i = 0; i < 2; i++) {
                peer_stats(node[i].set, &stats);
                assert(stats.dials + stats.sessions + stats.conns + stats.half_open + stats.sockets == 0);
        }
        for (unsigned i = 0; i < STRANGERS; i++)
                stranger_fini(&scene->strangers[i]);
        peer_sim_free(scene->sim);
}

static void step(struct scene *scene)
{
        static const usec_t waits[] = { 1000, MSEC(20), MSEC(300), SECONDS(1), SECONDS(3), SECONDS(5), SECONDS(11), SECONDS(40) };
        uint8_t op = read_u8(&scene->input), what = read_u8(&scene->input);
        unsigned which = op / 16 % STRANGERS;

        switch (op % 16) {
        case 0:
        case 1:
                peer_sim_run(scene->sim, waits[what % ARRAY_LEN(waits)] + what / 8);
                break;
        case 2:
                dial(scene, what);
                break;
        case 3:
                carriers_do(scene, what);
                break;
        case 4:
                write_some(scene, what);
                break;
        case 5:
                cut_off(scene, what);
                break;
        case 6:
        case 7:
                own(scene, what);
                break;
        case 8:
                knock(scene, which);
                break;
        case 9:
                repeat(scene, which, what);
                break;
        case 10:
        case 11:
                speak(scene, which, what);
                break;
        case 12:
        case 13:
                punch(scene, which, what);
                break;
        case 14:
                crowd(scene, what);
                break;
        default:
                interrupt(scene, what);
        }
        peer_sim_settle(scene->sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct scene scene;

        scene = (struct scene){ .input = steps_begin(data, len) };
        begin(&scene);
        for (unsigned i = 0; i < STEPS_MAX && steps_next(&scene.input); i++)
                step(&scene);
        end(&scene);
        return 0;
}
