/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of hyperdht 6.34 as captured (tests/vectors/holepunch.json), played again from either end. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "noise.h"
#include "noise_payload.h"
#include "peer_sim_dht.h"
#include "test.h"
#include "vectors.h"

#define SIM cleanup_with(peer_sim_freep) struct peer_sim *

/* Gives out what the captured side drew: the seed of its ephemeral key and its stream's number. */
struct script {
        uint8_t seed[32];
        uint32_t stream_id;
        struct random random;
};

static void script_fill(void *context, void *out, size_t len)
{
        const struct script *script = context;

        memset(out, 0x55, len);
        if (len == sizeof(script->seed))
                memcpy(out, script->seed, len);
        else if (len == sizeof(script->stream_id))
                memcpy(out, &script->stream_id, len);
}

static json_t *scenario(const char *name)
{
        json_t *all = vector_at(vectors("holepunch.json"), "scenarios"), *at;
        size_t i;

        json_array_foreach(all, i, at)
                if (strcmp(vector_text(at, "name"), name) == 0)
                        return at;
        test_fail(__FILE__, __LINE__, "no scenario %s", name);
}

/* The first event of that kind, of that role unless NULL. */
static json_t *event_of(json_t *session, const char *kind, const char *role)
{
        json_t *events = vector_at(session, "events"), *at;
        size_t i;

        json_array_foreach(events, i, at)
                if (strcmp(vector_text(at, "kind"), kind) == 0 && (!role || strcmp(vector_text(at, "role"), role) == 0))
                        return at;
        test_fail(__FILE__, __LINE__, "no event %s", kind);
}

static struct addr addr_at(json_t *from, const char *path)
{
        json_t *at = vector_at(from, path);

        check(strcmp(vector_text(at, "host"), "127.0.0.1") == 0);
        return (struct addr){ .ip = { 127, 0, 0, 1 }, .port = (uint16_t)vector_number(at, "port") };
}

static void keys_of(uint8_t filler, uint8_t secret_key_out[64])
{
        memset(secret_key_out, filler, 32);
        crypto_sign_seed_keypair(secret_key_out + 32, (uint8_t[64]){ 0 }, secret_key_out);
}

/* A node whose randomness is that of @role in @session, bound where that was. */
static struct peer_sim_node *node_of(struct peer_sim *sim, json_t *session, const char *role, struct script *script)
{
        char path[64];
        json_t *addresses = event_of(session, "addresses", NULL), *sent = event_of(session, "noise-send", role);
        struct addr server_socket, client_socket;
        struct peer_sim_node *node;
        struct peer_config config;
        bool firewalled;

        snprintf(path, sizeof(path), "%s.server_socket", role);
        server_socket = addr_at(addresses, path);
        snprintf(path, sizeof(path), "%s.client_socket", role);
        client_socket = addr_at(addresses, path);
        snprintf(path, sizeof(path), "%s.firewalled", role);
        firewalled = vector_true(addresses, path);
        node = peer_sim_add(sim, firewalled ? &client_socket : &server_socket);
        node->open = !firewalled;
        node->sighted = 0;              /* no original tells what it knows of its NAT in a handshake */
        script->stream_id = (uint32_t)vector_number(sent, "payload.udx.id");
        script->random = (struct random){ .fill = script_fill, .context = script };
        peer_set_free(node->set);
        udx_mux_free(node->mux);
        node->mux = udx_mux_new(&script->random);
        config = (struct peer_config){
                .random = script->random, .udx = node->mux, .dht = node->dht, .server_socket = node->socket,
                .server_local = server_socket,
        };
        check(node->mux && peer_set_new(&node->set, &config) == 0);
        keys_of(strcmp(role, "server") == 0 ? 1 : 2, node->secret_key);
        return node;
}

static void ephemeral_of(json_t *session, struct script *script)
{
        uint8_t secret[64];

        vector_bytes(event_of(session, "noise-send", "client"), "ephemeral_secret_hex", secret, sizeof(secret));
        memcpy(script->seed, secret, sizeof(script->seed));
}

static size_t captured_answer(void *context, const uint8_t *question, size_t len, uint8_t answer_out[DHT_NOISE_MAX])
{
        return vector_bytes(event_of(context, "noise-send", "server"), "noise_hex", answer_out, DHT_NOISE_MAX);
}

/* Our client in the place of the captured one, up to the captured answer. */
static struct peer_sim *play_client(const char *name, struct script *script)
{
        json_t *session = scenario(name);
        struct peer_sim *sim = peer_sim_new(1, &(struct net_link){ .delay_us = 0 });
        struct script other = { .stream_id = 1 };

        ephemeral_of(session, script);
        node_of(sim, session, "client", script);
        node_of(sim, session, "server", &other);
        peer_sim_listen(&sim->node[1], false);
        sim->node[1].entry.behaviour[0] = PEER_SIM_IMPOSTOR;
        sim->impostor = captured_answer;
        sim->impostor_context = session;
        peer_sim_dial(&sim->node[0], &sim->node[1], 1);
        peer_sim_run(sim, MSEC(20));
        return sim;
}

static void check_question(const struct peer_sim *sim, const char *name)
{
        uint8_t expected[DHT_NOISE_MAX];
        size_t len = vector_bytes(event_of(scenario(name), "noise-send", "client"), "noise_hex", expected, sizeof(expected));

        check_equal(sim->question_len, len);
        check_bytes(sim->question, expected, len);
}

TEST(peer_vector_client_on_the_same_host)
{
        struct script script = { { 0 } };
        SIM sim = play_client("same-host-shortcut", &script);

        check_question(sim, "same-host-shortcut");
        check_equal(sim->node[0].sent_to_count, 1);     /* on its way to the socket the server announced from */
        check(addr_equal(&sim->node[0].sent_to[0], &sim->node[1].addr));
        peer_sim_run(sim, SECONDS(20));
        check_equal(sim->node[0].failure, PEER_PUNCH_UNANSWERED);
}

TEST(peer_vector_client_that_is_open_waits_to_be_called)
{
        struct script script = { { 0 } };
        SIM sim = play_client("client-open", &script);

        check_question(sim, "client-open");
        peer_sim_run(sim, SECONDS(9));
        check_equal(sim->node[0].failed, 0);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[0].failure, PEER_UNREACHED);
}

/* Our server in the place of the captured one: the captured question to it, and what the captured client would read. */
static size_t play_server(const char *name, uint8_t payload_out[DHT_NOISE_MAX])
{
        json_t *session = scenario(name), *sent = event_of(session, "noise-send", "client");
        SIM sim = peer_sim_new(2, &(struct net_link){ .delay_us = 0 });
        struct script script = { .seed = { 1 } }, client = { { 0 } };
        struct peer_sim_node *node = node_of(sim, session, "server", &script);
        json_t *listening = event_of(session, "server-listening", NULL);
        struct dht_inbound inbound = { .socket = node->socket, .mode = DHT_FROM_RELAY, .to = node->seen };
        uint8_t question[DHT_NOISE_MAX], payload[NOISE_PAYLOAD_MAX], made[DHT_NOISE_MAX], secret_key[64];
        size_t len = vector_bytes(sent, "noise_hex", question, sizeof(question)), payload_len;
        struct random random = { .fill = script_fill, .context = &client };
        struct noise_session keys;
        struct noise noise;
        const struct peer_sim_answer *answer;

        peer_sim_listen(node, false);
        node->entry.relay_count = 3;
        for (unsigned i = 0; i < 3; i++) {
                char path[64];

                snprintf(path, sizeof(path), "relays.%u.relayAddress", i);
                node->entry.relays[i] = addr_at(listening, path);
        }
        inbound.from = node->entry.relays[0];
        inbound.client = addr_at(event_of(session, "addresses", NULL), "client.client_socket");
        peer_sim_dht_knock(node->dht, &inbound, question, len);
        peer_sim_settle(sim);
        answer = peer_sim_dht_answer(node->dht);

        ephemeral_of(session, &client);
        keys_of(2, secret_key);
        payload_len = vector_bytes(sent, "payload_hex", payload, sizeof(payload));
        noise_init(&noise, secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        check_equal(noise_initiate(&noise, peer_sim_key(node), &random, payload, payload_len, made), NOISE_FINE);
        check_bytes(made, question, len);
        check_equal(noise_finish(&noise, answer->noise, answer->len, payload_out, &keys), NOISE_FINE);
        return answer->len - NOISE_SECOND_BYTES;
}

TEST(peer_vector_server_that_is_open_says_the_same)
{
        uint8_t payload[DHT_NOISE_MAX], expected[DHT_NOISE_MAX];
        size_t len = play_server("server-open", payload);

        check_equal(len, vector_bytes(event_of(scenario("server-open"), "noise-send", "server"), "payload_hex", expected,
                                      sizeof(expected)));
        check_bytes(payload, expected, len);
}

/* Down to the offer to punch. */
TEST(peer_vector_server_on_the_same_host_says_the_same)
{
        uint8_t payload[DHT_NOISE_MAX], expected[DHT_NOISE_MAX];
        size_t len = play_server("same-host-shortcut", payload);

        check_equal(len, vector_bytes(event_of(scenario("same-host-shortcut"), "noise-send", "server"), "payload_hex", expected,
                                      sizeof(expected)));
        check_bytes(payload, expected, len);
}
