/* SPDX-License-Identifier: BSD-3-Clause */
/* Knocks: handshakes to a server that strangers may send it, valid in every byte, each of another client.
 *
 *   knocks COUNT FIREWALL <SEED
 *   knocks COUNT round <SEED
 *
 * SEED: the 32 bytes of the server's key pair, as an instance keeps them. FIREWALL: what each client says of its own (connect.md 1).
 * round: instead, rounds of hole punches, valid but for their seal, of sessions there may be (connect.md 2.3). Prints PEER_HANDSHAKE
 * or PEER_HOLEPUNCH requests, one a line, in hexadecimal; the same each time. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dht.h"
#include "dht_carrier.h"
#include "dht_punch.h"
#include "noise.h"
#include "noise_payload.h"
#include "rpc_message.h"

enum {
        PEER_HANDSHAKE = 0, PEER_HOLEPUNCH = 1,
        FROM_CLIENT = 0, FROM_RELAY = 2,
        SESSIONS = 300,
        SEALED_BYTES = 120,
};

static void fill(void *context, void *out, size_t len)
{
        uint8_t *seed = context;

        randombytes_buf_deterministic(out, len, seed);
        sodium_increment(seed, randombytes_SEEDBYTES);
}

/* The handshake message of a client that was never there before. */
static size_t write_noise(const struct random *random, const uint8_t server[NOISE_KEY_BYTES], unsigned firewall, uint8_t *out)
{
        uint8_t seed[crypto_sign_SEEDBYTES], public_key[NOISE_KEY_BYTES], secret_key[NOISE_SECRET_KEY_BYTES], plain[NOISE_PAYLOAD_MAX];
        struct writer w = writer_over(plain, sizeof(plain));
        struct noise_payload payload = {
                .version = NOISE_PAYLOAD_VERSION, .firewall = firewall, .has_udx = true, .udx_version = 1, .udx_id = random_u32(random),
                .has_secret_stream = true, .secret_stream_version = 1,
        };
        struct noise noise;

        random_fill(random, seed, sizeof(seed));
        crypto_sign_seed_keypair(public_key, secret_key, seed);
        noise_payload_write(&w, &payload);
        noise_init(&noise, secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        if (w.failed || noise_initiate(&noise, server, random, plain, writer_len(&w), out) != NOISE_FINE)
                return 0;
        noise_fini(&noise);
        return writer_len(&w) + NOISE_FIRST_BYTES;
}

static size_t write_request(const struct random *random, const uint8_t server[NOISE_KEY_BYTES], unsigned command, const uint8_t *value,
                            const struct writer *w, uint8_t *out)
{
        uint8_t target[DHT_TARGET_BYTES];
        struct rpc_message message = { .type = RPC_TYPE_REQUEST, .tid = (uint16_t)random_u32(random),
                                       .to = { .ip = { 127, 0, 0, 1 }, .port = 1 }, .command = command, .target = target,
                                       .value = value, .value_len = writer_len(w) };

        dht_target(server, target);
        return w->failed ? 0 : rpc_message_write(&message, out, RPC_DATAGRAM_MAX);
}

static size_t write_knock(const struct random *random, const uint8_t server[NOISE_KEY_BYTES], unsigned firewall, uint8_t *out)
{
        uint8_t noise[DHT_NOISE_MAX], value[DHT_NOISE_MAX + DHT_CARRIER_OVERHEAD];
        size_t len = write_noise(random, server, firewall, noise);
        struct dht_carrier carrier = { .mode = FROM_CLIENT, .noise = noise, .noise_len = len };
        struct writer w = writer_over(value, sizeof(value));

        dht_carrier_write(&w, &carrier);
        return len == 0 ? 0 : write_request(random, server, PEER_HANDSHAKE, value, &w, out);
}

static size_t write_round(const struct random *random, const uint8_t server[NOISE_KEY_BYTES], uint8_t *out)
{
        uint8_t sealed[SEALED_BYTES], value[SEALED_BYTES + DHT_PUNCH_OVERHEAD];
        struct dht_punch punch = { .mode = FROM_RELAY, .id = random_below(random, SESSIONS), .payload = sealed,
                                   .payload_len = sizeof(sealed), .has_peer = true, .peer = { .ip = { 11 }, .port = 11 } };
        struct writer w = writer_over(value, sizeof(value));

        random_fill(random, sealed, sizeof(sealed));
        random_fill(random, punch.peer.ip + 1, sizeof(punch.peer.ip) - 1);
        dht_punch_write(&w, &punch);
        return write_request(random, server, PEER_HOLEPUNCH, value, &w, out);
}

int main(int argc, char **argv)
{
        uint8_t seed[crypto_sign_SEEDBYTES], server[NOISE_KEY_BYTES], secret_key[NOISE_SECRET_KEY_BYTES], state[randombytes_SEEDBYTES] = { 0 };
        struct random random = { .fill = fill, .context = state };

        if (argc != 3 || sodium_init() < 0 || fread(seed, 1, sizeof(seed), stdin) != sizeof(seed)) {
                fprintf(stderr, "usage: knocks COUNT FIREWALL|round <SEED\n");
                return EXIT_FAILURE;
        }
        crypto_sign_seed_keypair(server, secret_key, seed);
        for (long n = atol(argv[1]); n > 0; n--) {
                char text[2 * RPC_DATAGRAM_MAX + 1];
                uint8_t bytes[RPC_DATAGRAM_MAX];
                size_t len = strcmp(argv[2], "round") == 0 ? write_round(&random, server, bytes) :
                                                             write_knock(&random, server, (unsigned)atoi(argv[2]), bytes);

                if (len == 0)
                        return EXIT_FAILURE;
                puts(sodium_bin2hex(text, sizeof(text), bytes, len));
        }
        return EXIT_SUCCESS;
}
