/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a stream and the mux share with each other and with nobody else. */
#ifndef HG_UDX_PRIVATE_H
#define HG_UDX_PRIVATE_H

#include "heap.h"
#include "list.h"
#include "map.h"
#include "udx.h"
#include "udx_assembly.h"
#include "udx_congestion.h"
#include "udx_mtu.h"
#include "udx_pacer.h"
#include "udx_queue.h"
#include "udx_recovery.h"
#include "udx_rtt.h"

enum {
        UDX_WAITING_MAX = 16,           /* packets held for a stream that is not connected */
        UDX_TIMEOUTS_MAX = 7,           /* libudx: the seventh in a row is the end, 13 * rto after the first sending */
};

enum udx_endpoint_kind {
        UDX_ENDPOINT_STREAM,
        UDX_ENDPOINT_CLOSED,            /* what is remembered of one */
        UDX_ENDPOINT_FORWARD,           /* one end of a forward */
};

/* What an id leads to. */
struct udx_endpoint {
        struct map_entry entry;
        uint32_t id;
        enum udx_endpoint_kind kind;
};

enum udx_stream_state {
        UDX_UNCONNECTED,
        UDX_OPEN,
        UDX_GONE,                       /* closed or destroyed; only what is unread is left */
};

enum udx_half {
        UDX_HALF_OPEN,
        UDX_HALF_ENDING,                /* ours: end asked for; theirs: END seen, with gaps before it */
        UDX_HALF_END_SENT,              /* ours only */
        UDX_HALF_ENDED,                 /* END and all before it acknowledged; or here */
};

/* A datagram held until the stream is connected, or an unordered message. */
struct udx_note {
        struct udx_note *next;
        struct addr remote;
        uint16_t len;
        bool elsewhere;                 /* a message that goes to @remote, by @socket, for @remote_id */
        unsigned socket;
        uint32_t remote_id;
        uint8_t bytes[];
};

struct udx_notes {
        struct udx_note *first, *last;
        unsigned count;
};

struct udx_stream {
        struct udx_endpoint endpoint;
        struct udx_mux *mux;
        void *context;
        struct list all, ready, eventful;
        struct heap_entry timer;
        enum udx_stream_state state;
        unsigned events;                /* bits by enum udx_event_type */
        enum udx_reason reason;

        struct udx_path path;
        struct addr remote_before;      /* where it was connected before it moved; port 0: nowhere */
        bool moves_allowed;
        unsigned seen_socket;           /* latest source reported as UDX_PATH */
        struct addr seen_remote;
        struct udx_notes waiting, messages_in, messages_out;

        enum udx_half remote_half;
        uint32_t remote_end;            /* seq of the peer's END, from UDX_HALF_ENDING on */
        struct udx_assembly assembly;
        size_t window_first;            /* assembly.limit_bytes grows from here, */
        bool window_grows;              /* if it may */
        usec_t window_since_us, window_used_us;
        size_t window_arrived;          /* bytes since then */
        uint32_t advertised_bytes;      /* the window as last told */
        bool ack_due;
        usec_t ack_late_us;             /* what came may wait that long for a packet of ours to acknowledge it; USEC_NEVER: nothing did */
        usec_t beat_answer_us;          /* no HEARTBEAT is answered before */

        enum udx_half local_half;
        struct udx_queue queue;
        struct udx_recovery recovery;
        struct udx_congestion congestion;
        struct udx_rtt rtt;
        struct udx_pacer pacer;
        struct udx_mtu mtu;
        size_t send_limit_bytes;
        uint32_t peer_window_bytes;
        uint32_t window_seq;            /* newest seq that brought one: RFC 9293 SND.WL1; what came with it acknowledged up to una */
        uint32_t stray_end;             /* of what the peer says it has beyond all that we sent, */
        usec_t stray_us;                /* and since when; 0: nothing */
        bool write_short;               /* a writer waits for space */
        bool probe_due;                 /* tail loss probe: to be sent; */
        unsigned probes;                /* sent, with nothing heard since */
        bool asked;                     /* a long packet has gone ahead of it, to see whether such still get through */
        bool beat_due;                  /* HEARTBEAT to be sent: is the window still shut? */

        unsigned timeouts;              /* in a row */
        usec_t timeout_us;              /* retransmission; USEC_NEVER while nothing is out */
        usec_t between_us;              /* the oldest packet once more, between two timeouts; USEC_NEVER: not now */
        usec_t tail_since_us;           /* last packet sent, or heard of: tail loss is measured from here */
        usec_t sent_us;                 /* last data sent */
        usec_t pace_us;                 /* the pacer lets more go; USEC_NEVER: not waiting for it */
        usec_t shut_since_us, shut_probe_us;    /* peer's window is 0 and nothing is in flight; 0: it is not so */
        uint64_t bytes_in, bytes_out, packets_resent;
};

/* A run under construction; its memory is handed out by udx_mux_transmit(). */
struct udx_run {
        uint8_t headers[UDX_RUN_SEGMENTS * UDX_HEADER_BYTES + UDX_SACK_MAX * UDX_SACK_BYTES];
        struct iovec iov[UDX_RUN_SEGMENTS * 3 + 1];
        unsigned iov_len, segments;
        size_t first_bytes, bytes;
        struct udx_note *notes;         /* being sent, linked; freed at the next call */
        bool pieces;                    /* all of it may be cut on its way; else none */
        bool elsewhere;                 /* it goes by @path, not by its stream's */
        struct udx_path path;
};

struct udx_mux {
        struct random random;
        uint32_t id_mask, id_mark;      /* what of a new id is random, and what is not */
        struct map ids;
        struct udx_endpoint *last;      /* the one found last: runs are for one stream */
        struct list streams, ready, eventful;
        struct heap timers;
        struct list closed, closed_ready;       /* by age */
        struct heap closed_timers;
        unsigned closed_count;
        struct list forwards, forwards_ready;   /* ends of forwards with packets to send */
        size_t forward_bytes;                   /* that wait */
        struct udx_meter forward_meter;         /* of all */
        struct udx_pool pool;
        size_t grown_bytes;                     /* of windows, beyond what each began with */
        struct udx_counters counters;
        usec_t now_us;
        struct udx_run run;
};

/* udx_mux.c */
struct udx_endpoint *udx_mux_find(struct udx_mux *mux, uint32_t id);
uint32_t udx_mux_free_id(struct udx_mux *mux);
int udx_mux_add(struct udx_mux *mux, struct udx_endpoint *endpoint);
void udx_mux_remove(struct udx_mux *mux, struct udx_endpoint *endpoint);
void udx_note_drop_all(struct udx_mux *mux, struct udx_notes *notes);
struct udx_note *udx_note_add(struct udx_mux *mux, struct udx_notes *notes, const void *bytes, size_t len);
struct udx_note *udx_note_pop(struct udx_notes *notes);
void udx_note_free(struct udx_mux *mux, struct udx_note *note);

static inline void udx_stream_want(struct udx_stream *stream)
{
        if (list_empty(&stream->ready))
                list_push_back(&stream->mux->ready, &stream->ready);
}

static inline void udx_stream_acknowledged(struct udx_stream *stream)
{
        stream->ack_due = false;
        stream->ack_late_us = USEC_NEVER;
}

static inline void udx_stream_report(struct udx_stream *stream, enum udx_event_type type)
{
        stream->events |= 1u << type;
        if (list_empty(&stream->eventful))
                list_push_back(&stream->mux->eventful, &stream->eventful);
}

/* udx_stream.c */
void udx_stream_close(struct udx_stream *stream, enum udx_reason reason);
void udx_stream_close_if_ended(struct udx_stream *stream);
void udx_stream_report_space(struct udx_stream *stream);

/* udx_receive.c */
enum udx_verdict udx_stream_receive(struct udx_stream *stream, unsigned socket, const struct addr *remote,
                                    const struct udx_packet *packet, const void *bytes, size_t len);
void udx_stream_take_waiting(struct udx_stream *stream);

/* udx_timer.c */
void udx_stream_find_losses(struct udx_stream *stream, usec_t now_us);
void udx_stream_note_probe(struct udx_stream *stream, usec_t now_us);
void udx_stream_arm(struct udx_stream *stream);
void udx_stream_fire(struct udx_stream *stream, usec_t now_us);
void udx_stream_restart_timeout(struct udx_stream *stream, usec_t now_us);

/* udx_window.c */
void udx_window_set(struct udx_stream *stream, size_t first_bytes);
void udx_window_arrived(struct udx_stream *stream, size_t len);
bool udx_window_hold(struct udx_stream *stream, size_t bytes);    /* at least; false: there is not so much for all */

/* udx_transmit.c */
bool udx_stream_transmit(struct udx_stream *stream, struct udx_run *run, usec_t now_us);
void udx_run_reset(struct udx_mux *mux, struct udx_run *run);
void udx_run_add_header(struct udx_run *run, const struct udx_packet *header);
bool udx_run_takes(const struct udx_run *run, size_t bytes);
void udx_run_keep(struct udx_run *run, struct udx_note *note);
bool udx_stream_window_is_shut(const struct udx_stream *stream);

/* udx_closed.c: what is remembered of a stream so that its peer is not left to guess */
void udx_closed_remember(const struct udx_stream *stream, bool destroyed, bool ack_due);
enum udx_verdict udx_closed_receive(struct udx_mux *mux, struct udx_endpoint *endpoint, const struct addr *remote,
                                    const struct udx_packet *packet, usec_t now_us);
void udx_closed_advance(struct udx_mux *mux, usec_t now_us);
bool udx_closed_transmit(struct udx_mux *mux, struct udx_run *run, struct udx_path *path_out);
void udx_closed_forget_all(struct udx_mux *mux);

/* udx_forward.c */
enum udx_verdict udx_forward_receive(struct udx_mux *mux, struct udx_endpoint *endpoint, unsigned socket, const struct addr *remote,
                                     const void *bytes, size_t len);
bool udx_forward_transmit(struct udx_mux *mux, struct udx_run *run, struct udx_path *path_out);
void udx_forward_free_all(struct udx_mux *mux);

#endif
