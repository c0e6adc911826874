/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_stranger.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "peer_sim_dht.h"

void stranger_init(struct stranger *stranger, struct peer_sim *sim, uint8_t number)
{
        uint8_t seed[32] = { 's', number };

        *stranger = (struct stranger){
                .sim = sim,
                .addr = { .ip = { 77, 7, number, 1 }, .port = 777 },
                .relay = { .ip = { 78, 8, number, 1 }, .port = 888 },
                .mode = DHT_FROM_RELAY,
        };
        crypto_sign_seed_keypair(stranger->secret_key + 32, stranger->secret_key, seed);
        memcpy(stranger->secret_key, seed, sizeof(seed));
        stranger->mux = udx_mux_new(net_random(sim->net));
        assert(stranger->mux && udx_stream_new(stranger->mux, 0, NULL, &stranger->stream) == 0);
        stranger->payload = (struct noise_payload){
                .version = NOISE_PAYLOAD_VERSION,
                .has_udx = true,
                .udx_version = 1,
                .udx_id = udx_stream_local_id(stranger->stream),
                .has_secret_stream = true,
                .secret_stream_version = 1,
        };
}

void stranger_fini(struct stranger *stranger)
{
        udx_mux_free(stranger->mux);
}

void stranger_prepare_raw(struct stranger *stranger, const uint8_t key[NOISE_KEY_BYTES], const void *payload, size_t len)
{
        const struct random *random = net_random(stranger->sim->net);

        noise_init(&stranger->noise, stranger->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        assert(noise_initiate(&stranger->noise, key, random, payload, len, stranger->question) == NOISE_FINE);
        stranger->question_len = len + NOISE_FIRST_BYTES;
}

void stranger_prepare(struct stranger *stranger, const uint8_t key[NOISE_KEY_BYTES])
{
        uint8_t payload[NOISE_PAYLOAD_MAX];
        struct writer w = writer_over(payload, sizeof(payload));

        noise_payload_write(&w, &stranger->payload);
        stranger_prepare_raw(stranger, key, payload, writer_len(&w));
}

bool stranger_knock(struct stranger *stranger, struct peer_sim_node *node)
{
        struct dht_inbound inbound = {
                .socket = node->socket,
                .mode = stranger->mode,
                .from = stranger->mode == DHT_FROM_CLIENT ? stranger->addr : stranger->relay,
                .client = stranger->addr,
                .to = node->seen,
        };
        const struct peer_sim_answer *answer = peer_sim_dht_answer(node->dht);
        uint8_t plain[DHT_NOISE_MAX];
        struct reader r;

        peer_sim_dht_knock(node->dht, &inbound, stranger->question, stranger->question_len);
        peer_sim_settle(stranger->sim);
        if (!answer->len || noise_finish(&stranger->noise, answer->noise, answer->len, plain, &stranger->session) != NOISE_FINE)
                return false;
        r = reader_over(plain, answer->len - NOISE_SECOND_BYTES);
        return noise_payload_read(&r, &stranger->answer);
}

void stranger_connect(struct stranger *stranger, const struct peer_sim_node *node)
{
        struct udx_path path = { .remote_id = stranger->answer.udx_id, .remote = node->addr };
        struct secret_config config = {
                .role = SECRET_INITIATOR, .tx = stranger->session.tx, .rx = stranger->session.rx, .hash = stranger->session.hash,
        };

        udx_stream_connect(stranger->stream, &path, net_now(stranger->sim->net));
        secret_init(&stranger->secret, &config, net_random(stranger->sim->net), stranger->header);
}

void stranger_send(struct stranger *stranger, struct peer_sim_node *node, const struct addr *from, const void *bytes, size_t len)
{
        static uint8_t flat[65536];
        struct udx_send out;

        assert(udx_stream_write(stranger->stream, bytes, len) == len);
        while (udx_mux_transmit(stranger->mux, &out, net_now(stranger->sim->net))) {
                size_t at = 0, step = out.segment_bytes;

                for (unsigned i = 0; i < out.iov_len; i++) {
                        memcpy(flat + at, out.iov[i].iov_base, out.iov[i].iov_len);
                        at += out.iov[i].iov_len;
                }
                for (size_t done = 0; done < at; done += step)
                        peer_sim_inject(node, from, flat + done, at - done < step ? at - done : step);
        }
        peer_sim_settle(stranger->sim);
}
