/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames on a connection between a blind relay and a peer it serves: the part of npm protomux 3.12 that carries npm blind-relay 1.6,
 * and the two messages of the latter (connect.md 7.2). One message of the secret stream is one frame, or a batch of them. */
#ifndef HG_RELAY_FRAME_H
#define HG_RELAY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum {
        RELAY_KEY_BYTES = 32,
        RELAY_TOKEN_BYTES = 32,
        RELAY_FRAME_MAX = 64,           /* bytes of the longest frame we write: an open has 48 */
};

enum relay_frame_kind {
        RELAY_FRAME_OTHER,              /* empty, or a control frame from the future: ignored */
        RELAY_FRAME_OPEN,               /* channel: the sender's name for it; protocol, id */
        RELAY_FRAME_REJECT,             /* channel: the receiver's, whose open is refused */
        RELAY_FRAME_CLOSE,              /* channel: the sender's */
        RELAY_FRAME_MESSAGE,            /* channel: the sender's; type, body */
};

/* Points into what was read. */
struct relay_frame {
        enum relay_frame_kind kind;
        uint64_t channel, type;
        const uint8_t *protocol, *id, *body;
        size_t protocol_len, id_len, body_len;
};

/* What one message of the secret stream holds. */
struct relay_frames {
        struct reader r;
        bool batch, begun;
        uint64_t channel;               /* of the batch's next frames */
};

void relay_frames_init(struct relay_frames *frames, const void *bytes, size_t len);

/* The next one; false at the end, or (frames->r.failed) where it is cut short: the original ends such a connection. */
bool relay_frames_next(struct relay_frames *frames, struct relay_frame *out);

enum relay_message_type {
        RELAY_PAIR = 0,
        RELAY_UNPAIR = 1,
};

struct relay_message {
        enum relay_message_type type;
        bool initiator;                 /* which half of the token: says nothing about who dialled. Not in an unpair */
        uint8_t token[RELAY_TOKEN_BYTES];
        uint32_t stream_id;             /* pair: of the author's stream; from a relay, of its own for the receiver */
        uint64_t seq;                   /* pair: 0; nobody reads it */
};

/* The body of a message frame of @type. False: cut short, no such message, or an id that is none. What follows is ignored. */
bool relay_message_read(uint64_t type, const void *body, size_t len, struct relay_message *message_out);

/* Whole frames on the author's @channel. */
void relay_open_write(struct writer *w, uint64_t channel, const uint8_t id[RELAY_KEY_BYTES]);
void relay_reject_write(struct writer *w, uint64_t channel);
void relay_close_write(struct writer *w, uint64_t channel);
void relay_message_write(struct writer *w, uint64_t channel, const struct relay_message *message);

#endif
