/* SPDX-License-Identifier: BSD-3-Clause */
/* A tunnel whose peer is the test: frames in hexadecimal, without their length, as tests/vectors writes them. */
#ifndef HG_TEST_TUNNEL_PEER_H
#define HG_TEST_TUNNEL_PEER_H

#include <jansson.h>

#include "tunnel.h"
#include "tunnel_hello.h"

enum { PEER_FRAME_MAX = 64 * 1024 };

struct peer_frame {
        uint8_t at[PEER_FRAME_MAX];
        size_t len;
};

/* A row of hypergate.json's auth_blobs, with the router it is for. */
struct peer_hello {
        uint8_t source[32], target[32], router[32], auth[64], blob[TUNNEL_HELLO_BYTES];
        int64_t time_ms;
        struct tunnel_hello_keys keys;
};

json_t *peer_vectors(const char *name);
const char *peer_text(const json_t *object, const char *key);
long long peer_number(const json_t *object, const char *key);
size_t peer_unhex(const json_t *object, const char *key, void *out, size_t max);
void peer_hello_read(const json_t *root, const json_t *row, struct peer_hello *out);

/* The frame with its length in front. */
void peer_frame(const char *hex, struct peer_frame *out);

/* Our end of the connection that @hello came on, by a wall clock of @wall_ms; it is second 1 and there is room. */
struct tunnel *peer_tunnel(const struct peer_hello *hello, enum tunnel_role role, int64_t wall_ms);

/* One that is up, with an original on the other end, its own hello and HGX out of the way. */
struct tunnel *peer_tunnel_up(enum tunnel_role role);

/* There must be an event; its kind. */
enum tunnel_event_kind peer_event(struct tunnel *t, struct tunnel_event *event);

/* The peer sends a frame, byte by byte. */
void peer_feed(struct tunnel *t, const char *hex, usec_t now_us);

/* The next message out must be this frame. */
void peer_expect(struct tunnel *t, const char *hex, usec_t now_us);
bool peer_is_silent(struct tunnel *t, usec_t now_us);   /* there is none */

/* There is room, and time has come. */
void peer_settle(struct tunnel *t, usec_t now_us);

/* The next event is @kind, for @ch; or there is none. */
void peer_expect_event(struct tunnel *t, enum tunnel_event_kind kind, const struct tunnel_channel *ch, enum tunnel_reason reason,
                       usec_t now_us);
void peer_expect_no_event(struct tunnel *t, usec_t now_us);

/* All that can be read now is @text, and whether it ends there. */
void peer_expect_read(struct tunnel_channel *ch, const char *text, bool ends, usec_t now_us);

/* A gateway that is up, as above, with channel 1 open; it is second 1. */
struct tunnel *peer_gateway_open(struct tunnel_channel **ch_out);

#endif
