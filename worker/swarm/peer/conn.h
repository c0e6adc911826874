/* SPDX-License-Identifier: BSD-3-Clause */
/* An encrypted connection to a peer: messages sealed straight into the send buffer of its UDX stream, and opened where they were
 * received. Made by dialling or accepting (peer.h), which also reports its events; authenticated from the first moment its user
 * sees it. Keep-alives are sent and swallowed here. */
#ifndef HG_CONN_H
#define HG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "udx_stream.h"
#include "usec.h"

struct conn;

enum {
        CONN_KEY_BYTES = 32,
        CONN_SEAL_BYTES = 20,                                   /* what sealing adds to a message */
        CONN_MESSAGE_MAX = UDX_RESERVE_MAX - CONN_SEAL_BYTES,   /* bytes of a message we send */
        CONN_OPEN_MAX = UDX_BUFFER_MAX / 2 - CONN_SEAL_BYTES,   /* of one we take: a peer that sends more is cut off */
        CONN_KEEP_OPEN_MAX = 16,
        CONN_UNORDERED_BUFFER = UDX_MESSAGE_BUFFER,             /* holds any unordered one that comes */
        CONN_UNORDERED_BASE = UDX_MESSAGE_BASE - 24,            /* bytes of one that passes any path, */
        CONN_UNORDERED_MAX = UDX_MESSAGE_MAX - 24,              /* and of the longest, where the path takes it */
};

#define CONN_KEEP_ALIVE_US SECONDS(5)           /* without a write: hyperdht's connectionKeepAlive */

/* Behind a NAT, which may forget the way in that only we can open, without a packet of ours: 40 keep-alives a minute in place of 12, with
 * their acknowledgements 80 packets, 4.5 kB with the headers of IP. Where both are behind one, the acknowledgements of who accepted keep
 * his open. Not with more than CONN_KEEP_OPEN_MAX connections. */
#define CONN_KEEP_OPEN_US MSEC(1500)
#define CONN_KEEP_OPEN_LATER_US MSEC(1750)

/* Frees it at any time; one that is not closed yet is cut off (the peer sees a reset). No event of it follows. NULL is fine. */
void conn_free(struct conn *conn);

/* The @context that comes with its events from now on. */
void conn_set_context(struct conn *conn, void *context);
void *conn_context(const struct conn *conn);

/* We dialled. */
bool conn_is_initiator(const struct conn *conn);

/* Static public keys, CONN_KEY_BYTES each: the identity we dialled as or that was dialled, and the peer's. */
const uint8_t *conn_local_key(const struct conn *conn);
const uint8_t *conn_remote_key(const struct conn *conn);

struct addr conn_remote_addr(const struct conn *conn);

/* What it sends goes over a blind relay, whose address conn_remote_addr() is. */
bool conn_is_relayed(const struct conn *conn);

/* The key of that relay; NULL: it is not. */
const uint8_t *conn_relay_key(const struct conn *conn);

/* How the peer calls our end of its UDX stream. */
uint32_t conn_stream_id(const struct conn *conn);

/* The peer has shown that it belongs here: what may wait unread for it grows from UDX_BUFFER_MIN, which anybody gets who knows our
 * key or is listed in our topic, to the configured window. */
void conn_trust(struct conn *conn);

/* Messages of the peer's, opened in order: the oldest one not consumed, or what is left of it, where it lies; 0: none now. Valid
 * until consumed or the UDX mux takes packets again; the next call yields the same again. PEER_CONN_READABLE says when to look, and
 * is not repeated for what was not looked at: read until 0, or come back by yourself. */
size_t conn_peek(struct conn *conn, const uint8_t **bytes_out);

/* The first @len bytes of that are done with. Reading on opens the peer's window. */
void conn_consume(struct conn *conn, size_t len);

/* The peer has ended its direction and everything it sent was consumed. An end is not authenticated: who must know that nothing is
 * missing needs a last word of its own above. */
bool conn_at_end(const struct conn *conn);

/* Bytes the send buffer takes now, sealing included; 0 once ended or closed. Below CONN_MESSAGE_MAX + CONN_SEAL_BYTES, the asker
 * gets PEER_CONN_WRITABLE when it is there again; but not, while nothing is unacknowledged: then memory is short, and to be asked for
 * again after a while. What is told is there for one conn_seal(). */
size_t conn_room_bytes(struct conn *conn);

/* How long an answer takes, as udx_stream_rtt_us(). */
usec_t conn_rtt_us(const struct conn *conn);

/* Bytes in the send buffer that the peer has not acknowledged, sealing included. */
size_t conn_unacked_bytes(const struct conn *conn);

/* Sends one message of @len (1 .. CONN_MESSAGE_MAX) bytes: encrypted from where it lies straight into the send buffer. False, and
 * nothing happened: conn_room_bytes() is less than @len + CONN_SEAL_BYTES. */
bool conn_seal(struct conn *conn, const void *bytes, size_t len, usec_t now_us) __attribute__((warn_unused_result));

/* An unordered message of @len bytes gets through now, as far as is known. False: conn_seal() would get it there, and for longer ones
 * finds out whether the next ones would, see udx_stream_takes_message(). */
bool conn_takes_unordered(struct conn *conn, size_t len, usec_t now_us);

/* How long one may be as things are, at least CONN_UNORDERED_BASE. */
size_t conn_unordered_bytes(const struct conn *conn);

/* Sends one unordered message of @len (.. CONN_UNORDERED_MAX) bytes: past all that waits, once; it may be lost, or come before or
 * after others. False: that is sure already. */
bool conn_seal_unordered(struct conn *conn, const void *bytes, size_t len);

/* The next unordered message of the peer's, each at most once, into @out; false when there is none. PEER_CONN_UNORDERED says when to
 * look; those nobody looks at are dropped when too many wait. */
bool conn_receive_unordered(struct conn *conn, uint8_t out[CONN_UNORDERED_BUFFER], size_t *len_out);

/* Sends a keep-alive now: provokes the failure of a connection whose peer is gone. */
void conn_ping(struct conn *conn, usec_t now_us);

/* No more messages from us; what was sealed arrives before that. */
void conn_end(struct conn *conn);

/* Messages have gone both ways: what the rule for duplicates asks (swarm.md 5: rawBytesRead, rawBytesWritten; keep-alives count,
 * the header frames do not). */
bool conn_is_used(const struct conn *conn);

/* The handshake of @conn, an incoming one, was under way before @other was used: they crossed, and neither is news of a restart. */
bool conn_crossed(const struct conn *conn, const struct conn *other);

struct conn_stats {
        uint64_t bytes_in, bytes_out;           /* of frames, sealing included, headers not */
        uint64_t messages_in, messages_out;
        usec_t opened_us;
        struct udx_stats udx;
};

void conn_stats(const struct conn *conn, struct conn_stats *out);

#endif
