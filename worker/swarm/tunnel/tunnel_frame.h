/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of the Hypergate protocol (hypergate.md 2): length u32, action u8, error length u8, channel u32, body; big-endian. */
#ifndef HG_TUNNEL_FRAME_H
#define HG_TUNNEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "tunnel.h"

enum tunnel_action {
        TUNNEL_ACTION_HELLO = 0,
        TUNNEL_ACTION_OPEN = 1,
        TUNNEL_ACTION_STREAM = 2,
        TUNNEL_ACTION_CLOSE = 3,
        TUNNEL_ACTION_ADVERTISE = 4,
        TUNNEL_ACTION_END = 5,
        TUNNEL_ACTION_HGX = 0x40,
        TUNNEL_ACTION_CREDIT = 0x41,
        TUNNEL_ACTION_BYE = 0x42,
        TUNNEL_ACTION_RELAY = 0x45,
        TUNNEL_ACTION_SERVICE = 0x46,
        TUNNEL_ACTION_PROOF = 0x47,
};

enum {
        TUNNEL_FRAME_LENGTH_BYTES = 4,
        TUNNEL_FRAME_HEAD_BYTES = 6,            /* what the length counts ahead of the body */
        TUNNEL_FRAME_MAX = 10 * 1024 * 1024,    /* a larger length ends the connection, as in the original */
        TUNNEL_OPEN_BYTES = 5,                  /* gate port u32, protocol u8 */
        TUNNEL_SERVICE_FRAME_BYTES = TUNNEL_HEADER_BYTES + 1 + 8,
        TUNNEL_ERROR_MAX = 255,                 /* JSON text */
        TUNNEL_HGX_VERSION = 1,
};

struct tunnel_frame {
        uint32_t length;        /* as on the wire: below TUNNEL_FRAME_HEAD_BYTES there are no other fields */
        uint32_t channel;
        uint8_t action, error_len;
};

/* The header in front of @body_len bytes. */
void tunnel_frame_write(struct writer *w, uint8_t action, uint8_t error_len, uint32_t channel, size_t body_len);

/* Length, and the rest when the length says that there is one. */
void tunnel_frame_read(struct reader *r, struct tunnel_frame *frame);

/* Body of an open. Without the protocol byte (the old format) and with an unknown one it is TCP. What follows is metadata,
 * left in @r. False: no gate port. */
bool tunnel_open_read(struct reader *r, uint32_t *gate_port_out, uint8_t *protocol_out);
void tunnel_open_write(struct writer *w, uint32_t gate_port, uint8_t protocol);

/* @text as a JSON string of at most TUNNEL_ERROR_MAX bytes with its quotes: escaped, cut between characters. Its length. */
size_t tunnel_error_write(uint8_t out[TUNNEL_ERROR_MAX], const char *text, size_t len);

/* What is inside the quotes of a JSON string, escapes left as they are; other text as a whole. */
const uint8_t *tunnel_error_read(const uint8_t *json, size_t *len);

struct tunnel_hgx {
        uint8_t flags;
        uint32_t features, window_bytes;
};

enum {
        TUNNEL_HGX_SEEN = 1,            /* flags: I have received yours */
        TUNNEL_FEATURE_ORDER = 1,       /* features */
        TUNNEL_FEATURE_CREDIT = 2,
        TUNNEL_FEATURE_RELAY = 4,
        TUNNEL_FEATURE_UNORDERED = 8,
        TUNNEL_FEATURE_BYE = 16,
        TUNNEL_FEATURE_SERVICE = 32,
        TUNNEL_FEATURE_PROOF = 64,
        TUNNEL_RELAY_WANTED = 1,        /* flags of relay */
        TUNNEL_RELAY_OFFERED = 2,
        TUNNEL_PROOF_MUTUAL = 1,        /* flags of proof: you have proven the same to me */
};

/* Whole frames. */
void tunnel_hgx_write(struct writer *w, const struct tunnel_hgx *hgx);
void tunnel_credit_write(struct writer *w, uint32_t channel, uint32_t bytes);
void tunnel_relay_write(struct writer *w, const struct tunnel_relay *relay);
void tunnel_bye_write(struct writer *w);
void tunnel_service_write(struct writer *w, uint32_t channel, uint64_t service);

/* Returned: where TUNNEL_HELLO_BYTES are to be made. */
uint8_t *tunnel_proof_write(struct writer *w, uint8_t flags);

/* An unordered message's head, in front of the datagram; and false: none of ours. */
void tunnel_unordered_write(struct writer *w, uint32_t channel);
bool tunnel_unordered_read(struct reader *r, uint32_t *channel_out);

/* Bodies, from the '0' on. False: not ours, of another version, or too short; longer ones are accepted. */
bool tunnel_hgx_read(struct reader *r, struct tunnel_hgx *hgx);
bool tunnel_credit_read(struct reader *r, uint32_t *bytes_out);
bool tunnel_relay_read(struct reader *r, struct tunnel_relay *relay);
bool tunnel_bye_read(struct reader *r);
bool tunnel_service_read(struct reader *r, uint64_t *service_out);
bool tunnel_proof_read(struct reader *r, uint8_t *flags_out, const uint8_t **hello_out);

#endif
