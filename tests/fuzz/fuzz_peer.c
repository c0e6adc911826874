/* SPDX-License-Identifier: BSD-3-Clause */
/* What strangers have a say in when peers meet: the payload of a handshake, either way, and the stream's first bytes. The input is
 *
 *      flags u8        bit 0: we dial and the input answers, else it knocks; bit 1: its message is the payload as it is, not
 *                      sealed; bit 2: a true header frame goes before the stream's bytes; bits 3, 4: one true message, or two;
 *                      bits 5 to 7: how many more come with the same payload before it, the first of them twice
 *      length u8       of the payload
 *      payload, then the stream's bytes
 *
 * Whatever happens, nothing of it is left half a minute later, and no byte is taken for a message that was not sealed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "peer_sim_dht.h"
#include "peer_stranger.h"

enum { SEALED = 0, RAW = 2, WITH_HEADER = 4, WITH_MESSAGE = 8, WITH_TWO = 16 };

struct input {
        uint8_t flags;
        const uint8_t *payload, *stream;
        size_t payload_len, stream_len;
        struct stranger *stranger;
        struct peer_sim_node *server;
        bool answered;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct peer_sim *sim;           /* another for each input: the same one gives the same run */

static void begin(void)
{
        sim = peer_sim_pair(1, &(struct net_link){ .delay_us = 100 });
        sim->node[1].entry.relay_count = 1;
}

/* Sends the stream's part of the input, as far as it has keys. */
static void speak(struct input *input, struct peer_sim_node *node)
{
        struct stranger *stranger = input->stranger;
        uint8_t bytes[SECRET_HEADER_BYTES + 2048];
        struct writer w = writer_over(bytes, sizeof(bytes));
        size_t len = input->stream_len < 512 ? input->stream_len : 512;
        unsigned messages = (input->flags & WITH_MESSAGE ? 1 : 0) + (input->flags & WITH_TWO ? 1 : 0);

        if (input->flags & WITH_HEADER)
                write_bytes(&w, stranger->header, sizeof(stranger->header));
        for (unsigned i = 0; i < messages; i++)
                secret_seal(&stranger->secret, write_reserve(&w, len + SECRET_SEAL_BYTES), input->stream, len);
        write_bytes(&w, input->stream, len);
        assert(!w.failed);
        stranger_send(stranger, node, &stranger->addr, bytes, writer_len(&w));
}

static void knock(struct input *input)
{
        struct peer_sim_node *server = &sim->node[1];

        stranger_prepare_raw(input->stranger, peer_sim_key(server), input->payload, input->payload_len);
        if (input->flags & RAW)
                memcpy(input->stranger->question, input->payload, input->payload_len);
        if (!stranger_knock(input->stranger, server) || !input->stranger->answer.udx_id)
                return;
        stranger_connect(input->stranger, server);
        speak(input, server);
}

/* Others come from the same host, and stay. */
static void crowd(const struct input *input, struct stranger others[7])
{
        struct peer_sim_node *server = &sim->node[1];

        for (unsigned i = 0; i < input->flags / 32; i++) {
                struct noise noise;

                stranger_init(&others[i], sim, (uint8_t)(2 + i));
                others[i].addr = input->stranger->addr;
                others[i].addr.port += (uint16_t)(1 + i);
                stranger_prepare_raw(&others[i], peer_sim_key(server), input->payload, input->payload_len);
                noise = others[i].noise;
                stranger_knock(&others[i], server);
                others[i].noise = noise;
                if (i == 0)
                        stranger_knock(&others[i], server);
        }
}

static size_t answer(void *context, const uint8_t *question, size_t len, uint8_t answer_out[DHT_NOISE_MAX])
{
        struct input *input = context;
        uint8_t plain[DHT_NOISE_MAX];
        struct noise noise;
        struct reader r;

        if (input->flags & RAW) {
                memcpy(answer_out, input->payload, input->payload_len);
                return input->payload_len;
        }
        noise_init(&noise, input->server->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        assert(noise_accept(&noise, question, len, plain) == NOISE_FINE);
        r = reader_over(plain, len - NOISE_FIRST_BYTES);
        assert(noise_payload_read(&r, &input->stranger->answer));
        assert(noise_respond(&noise, net_random(sim->net), input->payload, input->payload_len, answer_out,
                             &input->stranger->session) == NOISE_FINE);
        input->answered = true;
        return input->payload_len + NOISE_SECOND_BYTES;
}

static void be_dialled(struct input *input)
{
        struct peer_sim_node *client = &sim->node[0];

        input->server = &sim->node[1];
        sim->impostor = answer;
        sim->impostor_context = input;
        sim->node[1].entry.behaviour[0] = PEER_SIM_IMPOSTOR;
        peer_sim_dial(client, &sim->node[1], 1);
        peer_sim_run(sim, MSEC(10));
        if (input->answered) {
                struct secret_config config = {
                        .role = SECRET_RESPONDER, .tx = input->stranger->session.tx, .rx = input->stranger->session.rx,
                        .hash = input->stranger->session.hash,
                };

                stranger_connect(input->stranger, client);
                secret_init(&input->stranger->secret, &config, net_random(sim->net), input->stranger->header);
                speak(input, client);
        }
        sim->node[1].entry.behaviour[0] = PEER_SIM_HONEST;
}

/* Nothing is left but connections, and these are cut off. */
static void clear(struct peer_sim_node *node, const struct input *input)
{
        struct peer_stats stats;

        for (unsigned i = 0; i < node->end_count; i++) {
                struct peer_sim_end *end = &node->end[i];

                assert(input->flags & WITH_HEADER && !(input->flags & RAW));
                assert(end->read == 0 || input->flags & (WITH_MESSAGE | WITH_TWO));
                conn_free(end->conn);
        }
        node->end_count = 0;
        peer_sim_run(sim, SECONDS(31));
        peer_stats(node->set, &stats);
        assert(stats.dials + stats.sessions + stats.conns == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct stranger stranger, others[7];
        struct input input = { .stranger = &stranger };
        struct reader r = reader_over(data, len);

        begin();
        stranger_init(&stranger, sim, 1);
        input.flags = read_u8(&r);
        input.payload_len = read_u8(&r);
        if (input.payload_len > reader_left(&r))
                input.payload_len = reader_left(&r);
        input.payload = read_bytes(&r, input.payload_len);
        if (r.failed) {
                stranger_fini(&stranger);
                peer_sim_free(sim);
                return 0;
        }
        input.stream = r.at;
        input.stream_len = reader_left(&r);
        crowd(&input, others);
        if (input.flags & 1)
                be_dialled(&input);
        else
                knock(&input);
        clear(&sim->node[0], &input);
        clear(&sim->node[1], &input);
        stranger_fini(&stranger);
        for (unsigned i = 0; i < input.flags / 32; i++)
                stranger_fini(&others[i]);
        peer_sim_free(sim);
        return 0;
}
