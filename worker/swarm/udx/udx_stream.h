/* SPDX-License-Identifier: BSD-3-Clause */
/* A UDX stream: ordered bytes both ways, each way ended on its own, and unordered messages beside them. */
#ifndef HG_UDX_STREAM_H
#define HG_UDX_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "usec.h"

#define UDX_RESERVE_MAX (64 * 1024)             /* bytes one reserve yields at most */
#define UDX_BUFFER_MIN (256 * 1024)             /* a smaller limit is raised to this */
#define UDX_BUFFER_MAX (4 * 1024 * 1024)        /* default of the limit for reading; what JS always advertises */
#define UDX_WINDOW_MAX (64 * 1024 * 1024)       /* of what may be on its way to a reader that keeps up, and is kept for sending */
#define UDX_MESSAGE_BASE 1152                   /* bytes of an unordered message that pass any path */
#define UDX_MESSAGE_MAX 1452                    /* and that pass where more do */
#define UDX_MESSAGES_MAX 512                    /* messages that wait, each way; further ones are dropped */
#define UDX_MESSAGE_BUFFER 1472                 /* holds any that comes */

struct udx_mux;
struct udx_stream;

struct udx_path {
        unsigned socket;        /* the caller's own number for it */
        uint32_t remote_id;     /* how the peer calls its end of the stream */
        struct addr remote;
};

/* What a stream knows about its path, for logs and metrics. */
struct udx_stats {
        usec_t srtt_us, rto_us, min_rtt_us;     /* 0 before the first sample */
        size_t cwnd_bytes, inflight_bytes, unacked_bytes, readable_bytes;
        uint32_t peer_window_bytes;
        size_t datagram_bytes;                  /* the longest that is known to pass, */
        size_t message_bytes;                   /* and of a message in it */
        uint64_t bytes_in, bytes_out;           /* payload, each byte once */
        uint64_t packets_resent;
};

/* A new stream that already receives under @local_id, or under a random free id when 0. @context comes back with its events.
 * 0 and *@stream_out, or -EEXIST (the id is taken) or -ENOMEM. */
int udx_stream_new(struct udx_mux *mux, uint32_t local_id, void *context, struct udx_stream **stream_out);

/* Frees it; one that is connected and still open is destroyed first. NULL is fine. */
void udx_stream_free(struct udx_stream *stream);

uint32_t udx_stream_local_id(const struct udx_stream *stream);
void udx_stream_set_context(struct udx_stream *stream, void *context);
void *udx_stream_context(const struct udx_stream *stream);

/* Where packets go from now on, those resent included; nothing is sent for it but what was waiting. A stream that is connected
 * already moves: packets from the remote before stay welcome. Packets held for @path's remote are taken now; others, and the
 * UDX_PATH that tells of them, count while moves are allowed and are forgotten otherwise. */
void udx_stream_connect(struct udx_stream *stream, const struct udx_path *path, usec_t now_us);

/* NULL until connected. */
const struct udx_path *udx_stream_path(const struct udx_stream *stream);

/* While allowed, packets of this connected stream from other remotes count too (but for END and DESTROY) and are reported as
 * UDX_PATH, as those of its remote are that come by another socket, so that the caller may connect there once the bytes above
 * have proved themselves. Off at first. */
void udx_stream_allow_moves(struct udx_stream *stream, bool allowed);

/* Room for @len (<= UDX_RESERVE_MAX) contiguous bytes at the end of what is to be sent, which the caller fills and commits before
 * any other call on the stream; NULL when the send buffer has less space, no memory, or the stream takes no more data. */
uint8_t *udx_stream_reserve(struct udx_stream *stream, size_t len);

/* Queues the first @len bytes of what was reserved. They stay put until acknowledged and are never copied again. */
void udx_stream_commit(struct udx_stream *stream, size_t len);

/* Copies as much as there is space for and returns how much that was. */
size_t udx_stream_write(struct udx_stream *stream, const void *bytes, size_t len);

/* Space in the send buffer: it follows the congestion window, up to the limit. 0 once ended or closed. */
size_t udx_stream_writable_bytes(struct udx_stream *stream);

/* How long an acknowledgement takes, smoothed; 0: none has come yet. */
usec_t udx_stream_rtt_us(const struct udx_stream *stream);

/* Bytes written and not yet acknowledged. */
size_t udx_stream_unacked_bytes(const struct udx_stream *stream);

/* Ends our direction after what is queued; the other goes on. */
void udx_stream_end(struct udx_stream *stream);

/* Drops the stream at both ends, whatever is queued or unread; no event follows. Free it when convenient. */
void udx_stream_destroy(struct udx_stream *stream);

/* The first bytes that can be read, contiguous, each valid until others are consumed or gathered or the mux takes packets again; the
 * caller may overwrite them (to decrypt in place). Returns how many: all, or a message of ours at least, and more as they are consumed. */
size_t udx_stream_peek(struct udx_stream *stream, uint8_t **span_out);

/* The next bytes to be read are a frame of @len: they are to be peeked whole. UDX_READABLE follows, if that takes only to copy them.
 * Returns how many bytes are here in order, whether udx_stream_peek() returns them all or not. */
size_t udx_stream_gather(struct udx_stream *stream, size_t len);

/* Gives the first @len of them back: they make room for the peer's next ones. */
void udx_stream_consume(struct udx_stream *stream, size_t len);

/* The peer has ended and everything it sent is consumed. */
bool udx_stream_at_end(const struct udx_stream *stream);

/* An unordered message of @len bytes gets through now, as far as is known. False: it should be written, if it is to arrive: above
 * UDX_MESSAGE_BASE data asks the path what it carries, for those that come after it, and again from time to time. */
bool udx_stream_takes_message(struct udx_stream *stream, size_t len, usec_t now_us);

/* One unordered message: sent once, at the next drain and ahead of all data, whatever congestion control says, or never. False: longer
 * than gets through, not connected, or too many wait. */
bool udx_stream_send_message(struct udx_stream *stream, const void *bytes, size_t len);

/* An empty unordered message that leaves by @path, to where this stream is not connected: it opens what only opens from our side, and
 * shows the peer where we are. False: not connected at all, or too many wait. */
bool udx_stream_probe(struct udx_stream *stream, const struct udx_path *path);

/* Copies the oldest message received to @out and returns true with its length, or false when none waits. */
bool udx_stream_receive_message(struct udx_stream *stream, uint8_t out[UDX_MESSAGE_BUFFER], size_t *len_out);

/* Bounds of what is kept for sending and for reading, in bytes: at least UDX_BUFFER_MIN, reading at most UDX_BUFFER_MAX to begin with. A frame
 * that is to be peeked whole must be at most half of the second. Set before the stream is connected; may be raised later, which the
 * peer learns as it is read on. */
void udx_stream_set_send_limit(struct udx_stream *stream, size_t limit_bytes);
void udx_stream_set_receive_limit(struct udx_stream *stream, size_t limit_bytes);

/* A frame of @len bytes is to be peeked whole: where the limit is less than twice that it is raised, to UDX_BUFFER_MAX at most, until the
 * window is used less. False: it can't be, all streams together have grown as far as they may. */
bool udx_stream_hold_frame(struct udx_stream *stream, size_t len);

/* From now on the limit for reading grows while a reader keeps up, on paths whose round trip is longer than ten milliseconds: as many
 * times as it is longer, up to UDX_WINDOW_MAX. What was set is to be what the socket holds for this stream. */
void udx_stream_let_window_grow(struct udx_stream *stream);

/* From now on datagrams grow to what the path is found to carry, up to UDX_DATAGRAM_MAX; or not, and they are as short as at first. Where
 * others pass on what we send (a relay), those that were sent long can't be cut into fragments if they turn out to be too long. */
void udx_stream_let_datagrams_grow(struct udx_stream *stream, bool may);

void udx_stream_stats(const struct udx_stream *stream, struct udx_stats *out);

#endif
