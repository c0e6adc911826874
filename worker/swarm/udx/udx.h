/* SPDX-License-Identifier: BSD-3-Clause */
/* UDX: reliable ordered byte streams over UDP, as libudx speaks them. The mux owns every stream of a process: it takes
 * datagrams in, hands runs of packets and events out, and says when it wants to be woken. It knows no socket and no clock.
 *
 * A turn of the caller: feed what arrived (receive), let time pass (advance), drain events and react to them (read, write,
 * connect, end), then drain transmit until false, then ask for the deadline. Acknowledgements leave with the drain, so draining
 * once per batch of datagrams acknowledges once per batch.
 *
 * All times are monotonic microseconds and never run backwards from call to call. */
#ifndef HG_UDX_H
#define HG_UDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "addr.h"
#include "random.h"
#include "udx_forward.h"
#include "udx_packet.h"
#include "udx_stream.h"
#include "usec.h"

#define UDX_RUN_SEGMENTS 55     /* a run fits one UDP_SEGMENT send: under 64 segments, */
#define UDX_RUN_BYTES 65000     /* and no more bytes than an IP packet holds */

struct udx_mux;

/* One packet, or a run of equal-sized ones (the last may be shorter) to one remote. Everything it points to is valid
 * until the next call on the mux or a stream of it. */
struct udx_send {
        unsigned socket;
        struct addr remote;
        const struct iovec *iov;
        unsigned iov_len;
        uint16_t segment_bytes; /* size of each datagram but the last */
        unsigned segments;
        size_t bytes;           /* in all */
        bool pieces;            /* each may be cut into IP fragments: its size was fine when it was first sent, and can't be changed */
};

enum udx_event_type {
        UDX_PATH,               /* a packet came from @socket, @remote, which this stream is not connected to: connect, or not */
        UDX_READABLE,           /* more bytes than before */
        UDX_MESSAGES,           /* unordered messages wait */
        UDX_REMOTE_ENDED,       /* the peer's END is here with everything before it; what is unread stays readable */
        UDX_WRITABLE,           /* space again, after a write or reserve that found too little */
        UDX_ENDED,              /* our end and all before it have arrived; the peer may go on */
        UDX_CLOSED,             /* last event of a stream; @reason says how. What is unread stays readable until it is freed */
};

enum udx_reason {
        UDX_CLEAN,              /* both sides ended and know it */
        UDX_RESET,              /* the peer destroyed the stream */
        UDX_TIMEOUT,            /* nobody answers, or a window stayed shut too long */
        UDX_DAMAGED,            /* the peer holds a packet that we never sent: one that was changed on its way */
};

struct udx_event {
        enum udx_event_type type;
        struct udx_stream *stream;
        void *context;          /* the stream's, see udx_stream_new() */
        enum udx_reason reason;
        unsigned socket;
        struct addr remote;
};

struct udx_counters {
        uint64_t verdicts[UDX_VERDICTS];        /* datagrams received, by what became of them */
        uint64_t duplicates;                    /* DATA packets that were here before */
        uint64_t packets_sent, acks_sent, packets_resent, probes_sent;
        uint64_t losses_by_rack, losses_by_timeout, recoveries, timeouts;
        uint64_t mtu_probes_sent, black_holes;
};

/* @random is borrowed for the mux's life: it chooses stream ids, which is all an off-path attacker has to guess. NULL: no memory. */
struct udx_mux *udx_mux_new(const struct random *random);

/* From now on @mark is the highest byte of each new stream's id, and the rest is random: who divides what arrives can tell by it what is
 * for us. Whoever has seen one of our ids knows it. */
void udx_mux_mark(struct udx_mux *mux, uint8_t mark);

/* Frees it with whatever streams are left; their pointers die with it. */
void udx_mux_free(struct udx_mux *mux);

/* One datagram. UDX_NOT_OURS: offer it to the next protocol on that socket. */
enum udx_verdict udx_mux_receive(struct udx_mux *mux, unsigned socket, const struct addr *remote, const void *bytes, size_t len,
                                 usec_t now_us);

/* A run of datagrams of @segment_bytes each (the last may be shorter), as a GRO read yields them. Takes them up to the first that
 * is not ours and returns how many bytes it took: less than @len means the datagram there belongs to the next protocol; call again
 * with what follows it. */
size_t udx_mux_receive_run(struct udx_mux *mux, unsigned socket, const struct addr *remote, const void *bytes, size_t len,
                           size_t segment_bytes, usec_t now_us);

/* When to call udx_mux_advance() next, once transmit is drained; USEC_NEVER when nothing waits for time. */
usec_t udx_mux_deadline(const struct udx_mux *mux);

/* Does what has become due: retransmissions, probes, pacing, the end of old records. */
void udx_mux_advance(struct udx_mux *mux, usec_t now_us);

/* The next run to send; false when there is none for now. Streams take turns, a run each. */
bool udx_mux_transmit(struct udx_mux *mux, struct udx_send *out, usec_t now_us);

/* What was transmitted by @socket to @remote is too long for the way out, all of it: it was @bytes, or a run of as many each. */
void udx_mux_refused(struct udx_mux *mux, unsigned socket, const struct addr *remote, size_t bytes);

/* The next event; false when there is none. A stream may be freed while its events are being handled: the rest vanish. */
bool udx_mux_event(struct udx_mux *mux, struct udx_event *out);

/* Frees the memory that is kept for what comes next: for a caller who expects little. What is put by for need stays. */
void udx_mux_trim(struct udx_mux *mux);

const struct udx_counters *udx_mux_counters(const struct udx_mux *mux);

#endif
