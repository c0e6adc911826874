/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer's side of blind relaying: over a connection of its own to the relay it names a token and its stream, and is told which
 * stream of the relay's leads to the other half (connect.md 7.3, 7.5). */
#ifndef HG_RELAY_CLIENT_H
#define HG_RELAY_CLIENT_H

#include "relay_channel.h"
#include "usec.h"

#define RELAY_PATIENCE_US SECONDS(15)   /* from the start, the connection to the relay included: hyperdht lib/connect.js */

enum relay_client_state {
        RELAY_CONNECTING,               /* the connection to the relay is being made */
        RELAY_PAIRING,                  /* the relay has been asked, or will be by what relay_client_frame() yields */
        RELAY_PAIRED,                   /* relay_id is where packets go */
        RELAY_GIVEN_UP,                 /* the connection is of no use any more */
};

struct relay_client {
        enum relay_client_state state;
        struct relay_channel channel;
        struct relay_message question;
        unsigned frames_sent;
        uint32_t relay_id;
        usec_t limit_us;                /* USEC_NEVER once paired or given up */
};

/* @initiator: the other side has our token, not we its. @stream_id: of the stream that shall be relayed. */
void relay_client_init(struct relay_client *client, bool initiator, const uint8_t token[RELAY_TOKEN_BYTES], uint32_t stream_id,
                       usec_t now_us);

/* The connection is there; @key is who we are on it. */
void relay_client_connected(struct relay_client *client, const uint8_t key[RELAY_KEY_BYTES]);

/* The next frame to send; false: none now. */
bool relay_client_frame(struct relay_client *client, uint8_t out[RELAY_FRAME_MAX], size_t *len_out);

/* A message of the connection's. */
void relay_client_take(struct relay_client *client, const void *bytes, size_t len);

/* The connection is gone, or was never made. Nothing changes once paired. */
void relay_client_lost(struct relay_client *client);
void relay_client_advance(struct relay_client *client, usec_t now_us);

#endif
