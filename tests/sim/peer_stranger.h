/* SPDX-License-Identifier: BSD-3-Clause */
/* Somebody who speaks to a node of a peer simulation with tools of its own, right or wrong: a client made of the same leaves
 * (noise, secret, udx), without any of the care. What is sent to it goes nowhere. */
#ifndef HG_PEER_STRANGER_H
#define HG_PEER_STRANGER_H

#include "noise.h"
#include "noise_payload.h"
#include "peer_sim.h"
#include "secret.h"

struct stranger {
        struct peer_sim *sim;
        struct addr addr, relay;        /* as the node is told: the client, and who relays for it */
        enum dht_mode mode;
        uint8_t secret_key[NOISE_SECRET_KEY_BYTES];
        struct noise_payload payload;   /* what it will say */
        struct noise noise;
        uint8_t question[DHT_NOISE_MAX];
        size_t question_len;
        struct noise_session session;   /* of the answer */
        struct noise_payload answer;
        struct udx_mux *mux;
        struct udx_stream *stream;
        struct secret secret;
        uint8_t header[SECRET_HEADER_BYTES];
};

/* Sound in all respects until a test changes something. Freed by stranger_fini(). */
void stranger_init(struct stranger *stranger, struct peer_sim *sim, uint8_t number);
void stranger_fini(struct stranger *stranger);

/* Makes the handshake message to the holder of @key. */
void stranger_prepare(struct stranger *stranger, const uint8_t key[NOISE_KEY_BYTES]);

/* The same with @len (<= NOISE_PAYLOAD_MAX) bytes of payload as they are. */
void stranger_prepare_raw(struct stranger *stranger, const uint8_t key[NOISE_KEY_BYTES], const void *payload, size_t len);

/* Hands it to @node. True: it was answered, and the answer is good; false: silence. */
bool stranger_knock(struct stranger *stranger, struct peer_sim_node *node);

/* Connects the stream to @node and makes the secret stream's header, which it does not send. */
void stranger_connect(struct stranger *stranger, const struct peer_sim_node *node);

/* Sends @len bytes on the stream, or what has piled up, to @node from @from. */
void stranger_send(struct stranger *stranger, struct peer_sim_node *node, const struct addr *from, const void *bytes, size_t len);

#endif
