/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the tunnel, its channels, and the steps between them. Nobody else includes it. */
#ifndef HG_TUNNEL_STATE_H
#define HG_TUNNEL_STATE_H

#include "heap.h"
#include "list.h"
#include "map.h"
#include "tunnel.h"
#include "tunnel_datagram.h"
#include "tunnel_frame.h"
#include "tunnel_hello.h"
#include "tunnel_queue.h"

enum {
        TUNNEL_PLAIN_DATA_MAX = 61440,          /* data bytes of a frame on a channel without order */
        TUNNEL_PLAIN_MAX = 4 * 1024 * 1024,     /* bytes of a channel without credit: unread here, or unacknowledged there */
        TUNNEL_WINDOW_MAX = 4 * 1024 * 1024,    /* a window grows to this; */
        TUNNEL_WINDOW_LONG_MAX = 64 * 1024 * 1024,      /* and to this, where the path is so long that it takes more: what was lost, and all
                                                           behind it, is read two round trips after it was sent */
        TUNNEL_EARLY_MAX = 16 * 1024,           /* data bytes of a channel before it is open */
        TUNNEL_REPLIES_MAX = 64,
        TUNNEL_SMALL_MAX = 320,                 /* longest body but of an advertisement, an open and a stream */
        TUNNEL_LEAD_MS = 6 * 60 * 60 * 1000,    /* our hello is from the future, which an original takes; it bans for life whom its
                                                   clock leads by 15 minutes: hypergate.md 14.5 */
        TUNNEL_SCRATCH_MAX = TUNNEL_SERVICE_FRAME_BYTES + TUNNEL_HEADER_BYTES + TUNNEL_OPEN_BYTES + TUNNEL_METADATA_MAX,
};

/* What the caller knows of a channel. */
enum tunnel_phase {
        TUNNEL_OPENING,         /* gateway: asked for, unanswered */
        TUNNEL_ARRIVING,        /* provider: not answered yet */
        TUNNEL_REFUSING,        /* provider: refused, the answer has not left; the caller has forgotten it */
        TUNNEL_RUNNING,
        TUNNEL_OVER,            /* the outcome is an event that the caller has not drained yet */
        TUNNEL_GONE,            /* the caller has forgotten it; here until its last frames have left */
};

enum tunnel_sending {
        TUNNEL_SENDING,
        TUNNEL_DRAINING,        /* ended by the caller; a plain peer has not acknowledged all data yet */
        TUNNEL_SETTLING,        /* it has; a moment for it to hand the data on: an original applies an end at once */
        TUNNEL_SENT,            /* the end has left, or is next to leave */
        TUNNEL_SEALED,          /* so has our acknowledgement of theirs */
};

enum tunnel_receiving {
        TUNNEL_RECEIVING,
        TUNNEL_HELD,            /* a plain peer's end came; an original lets it overtake data, which may still follow */
        TUNNEL_RECEIVED,        /* nothing follows what is queued */
        TUNNEL_HANDED_ON,       /* and the caller has passed on the end */
};

enum tunnel_closing {
        TUNNEL_UNCLOSED,
        TUNNEL_CLOSE_HELD,      /* a plain peer's close without an end, likewise */
        TUNNEL_ABORTED,         /* by the peer: what is queued is read, then the caller is told */
        TUNNEL_ACKNOWLEDGED,    /* the peer has ended, and has seen our end */
};

/* Frames a channel owes the peer, in the order they leave. */
enum {
        TUNNEL_OUT_OPEN = 1,
        TUNNEL_OUT_CONFIRM = 2,
        TUNNEL_OUT_ERROR = 4,
        TUNNEL_OUT_CREDIT = 8,
        TUNNEL_OUT_END = 16,
        TUNNEL_OUT_ACKNOWLEDGE = 32,    /* close, everything done */
        TUNNEL_OUT_ABORT = 64,          /* close, anything else */
};

/* Events a channel owes the caller, in the order they are told. */
enum {
        TUNNEL_NEWS_ARRIVED = 1,
        TUNNEL_NEWS_OPENED = 2,
        TUNNEL_NEWS_READABLE = 4,
        TUNNEL_NEWS_REFUSED = 8,
        TUNNEL_NEWS_CLOSED = 16,
};

/* Of a channel that carries them. */
struct tunnel_channel_datagrams {
        struct tunnel_datagram_queue unread;
        struct tunnel_datagram_queue late;      /* to the peer: too long to go beside the stream, while that has no room */
};

/* There may be many, most of them of streams that say nothing: what only some need is elsewhere. */
struct tunnel_channel {
        struct tunnel *tunnel;
        void *context;
        struct list all;                /* tunnel->all */
        struct map_entry by_id;         /* tunnel->by_id, while mapped */
        struct list control;            /* tunnel->controls, while @out */
        struct list news_entry;         /* tunnel->newsworthy, while @news */
        struct list turn;               /* tunnel->urgent or ->waiting, while it waits for room */
        struct list reserved_entry;     /* tunnel->reservations, while @reserved */
        struct list unanswered;         /* tunnel->unanswered: opens in the order they left */
        struct list draining;           /* tunnel->draining, while TUNNEL_DRAINING */
        struct heap_entry timer;
        usec_t phase_due_us, send_due_us, receive_due_us;       /* the timer has the earliest */
        uint32_t id;
        uint32_t features;              /* both sides have, decided by the open */
        uint64_t service;               /* which of those behind the gate port; 0: any */
        enum tunnel_phase phase : 8;
        enum tunnel_sending sending : 8;
        enum tunnel_receiving receiving : 8;
        enum tunnel_closing closing : 8;
        enum tunnel_reason reason : 8;  /* in TUNNEL_OVER */
        uint8_t protocol;
        uint16_t gate_port;
        uint8_t out, news;
        bool mapped, asked;             /* @asked: writable was asked and there was none */
        bool overtaken;                 /* data came after the end: it had passed some */
        uint8_t *blob;                  /* metadata to send or to tell; text to send or to tell */
        size_t blob_len;

        /* To the peer. */
        uint64_t credit;                /* data bytes the peer's window takes */
        size_t share;                   /* left of this round's */
        size_t reserved;                /* of the room, since WRITABLE was told */
        usec_t reserved_us, exhausted_us;       /* when it was told; when a share was last used up */
        uint64_t sent_bytes;            /* data */
        uint64_t drain_mark;            /* tunnel->sent_bytes after the last of it */
        usec_t asked_us;                /* when the open left */

        /* From the peer. */
        struct tunnel_queue queue;
        usec_t moved_us;                /* when its reader last took something, or had nothing to take */
        struct tunnel_channel_datagrams *datagrams;     /* in its place, from the first on; else NULL */
        uint64_t window_left;           /* data bytes the peer may still send */
        uint32_t window, consumed, grant;       /* its size; consumed and not granted; granted and not told */
        usec_t granted_us;
        usec_t round_us;                /* since then @round_bytes were read; a round trip at least, then anew */
        uint32_t round_bytes;
        uint64_t consumed_total;
        usec_t held_us;                 /* HELD: since the end or the last data after it */
        uint64_t held_mark;             /* and tunnel->stream_bytes then */
};

static inline const struct tunnel_datagram_queue *tunnel_datagrams_unread(const struct tunnel_channel *ch)
{
        static const struct tunnel_datagram_queue none;

        return ch->datagrams ? &ch->datagrams->unread : &none;
}

static inline const struct tunnel_datagram_queue *tunnel_datagrams_late(const struct tunnel_channel *ch)
{
        static const struct tunnel_datagram_queue none;

        return ch->datagrams ? &ch->datagrams->late : &none;
}

enum tunnel_sink {
        TUNNEL_SKIP,
        TUNNEL_SMALL,           /* to input.small */
        TUNNEL_BLOB,            /* to input.blob */
        TUNNEL_STREAM,          /* to the queue of input.channel */
        TUNNEL_WHOLE,           /* collected, then to its datagrams */
};

/* The frame that is being received. */
struct tunnel_input {
        uint8_t head[TUNNEL_HEADER_BYTES];
        size_t head_len;
        struct tunnel_frame frame;
        uint32_t body_left;
        enum tunnel_sink sink;
        uint8_t small[TUNNEL_SMALL_MAX];
        size_t small_len;
        uint8_t *blob;
        size_t blob_len, blob_size, blob_max;
        struct tunnel_channel *channel;
};

/* An answer about an id that has no channel here. */
struct tunnel_reply {
        uint32_t id;
        uint8_t action;         /* open: refused, too many; close */
};

struct tunnel_advert {
        size_t len;
        uint8_t frame[];        /* with its header */
};

enum tunnel_hgx_state {
        TUNNEL_HGX_NONE,
        TUNNEL_HGX_FIRST,       /* said what we can */
        TUNNEL_HGX_LAST,        /* said that we know what they can */
};

struct tunnel {
        struct tunnel_config config;
        int64_t wall_offset_us;         /* of the wall clock from the monotonic one */
        usec_t now_us;                  /* of the last call that told */
        enum tunnel_verdict verdict;
        enum tunnel_role peer_role;
        bool up, disconnected, hello_sent, told_up, told_verdict;
        usec_t speak_us;                /* hello is sent then, if the peer's has not come before */
        usec_t hello_due_us;
        unsigned router;                /* that of the peer's hello; ours is for the same, or was for config.router */
        unsigned proven;                /* or of 1 << router: by the peer; */
        unsigned to_prove, to_confirm;  /* and to the peer, who has not, or has proven it to us */
        int64_t peer_time_ms, skew_ms;

        enum tunnel_hgx_state hgx_sent, hgx_seen;
        struct tunnel_hgx peer_hgx;
        struct tunnel_relay relay, relay_told;  /* ours, and what of it the peer knows */
        struct tunnel_relay peer_relay;
        bool peer_relay_news;           /* to be told */
        bool leaves, bye_sent;          /* we leave; and the peer knows */
        bool peer_leaves, told_peer_leaves;
        uint32_t named_channel;         /* the peer has named a service for this one, which is to be asked for next; 0: none */
        uint64_t named_service;

        struct list all, controls, newsworthy, urgent, waiting, reservations, unanswered, draining;
        struct map by_id;
        struct heap timers;
        uint32_t channel_count, next_id;
        struct tunnel_channel *parting; /* told to be gone by the last event: freed by the next call */

        struct tunnel_input input;
        uint64_t stream_bytes;          /* data received, all channels */
        usec_t stream_us;               /* when last */
        uint64_t burst_bytes;           /* since there was a lull */
        size_t queued_bytes;            /* received and not consumed, all channels */
        size_t datagram_bytes;          /* of them, in datagrams */
        size_t late_bytes;              /* to the peer, of all channels */
        uint64_t datagrams_dropped;
        usec_t sweep_us;                /* when channels may be looked through again for one with too many */
        uint64_t grown_bytes;           /* windows beyond their first size */
        struct tunnel_channel *stalled; /* whose reader holds up all; since when, and how much it had consumed */
        usec_t stalled_us;
        uint64_t stalled_mark;
        struct tunnel_spare spare;
        bool hungry;                    /* there was no memory for what came: not taken before the next try */
        usec_t hungry_us, retry_us;     /* since when, USEC_NEVER: not; and that try */
        usec_t pressed_us;              /* until then windows shrink */
        uint32_t frames_ignored;

        uint8_t *advert_in;             /* from the peer: to be told, and told */
        size_t advert_in_len;
        size_t advert_long;             /* the length of one that was passed over; 0: none, or it was told */
        uint8_t *advert_told;
        struct tunnel_advert *advert, *advert_leaving;  /* ours: the newest, and the one under way */
        usec_t advert_due_us;

        struct tunnel_reply replies[TUNNEL_REPLIES_MAX];
        unsigned reply_first, reply_count;
        const uint8_t *leaving;         /* rest of the frame under way */
        size_t leaving_len;
        uint8_t *batch;                 /* datagrams under way, with their headers; else NULL */
        uint8_t scratch[TUNNEL_SCRATCH_MAX];
        size_t room_bytes, unacked_bytes, reserved_bytes;
        uint64_t sent_bytes;            /* handed out to be sealed, sealing included */
        usec_t acked_us;                /* when the last acknowledgement of any came */
        usec_t heard_us;                /* and anything at all that the peer sent */
        usec_t rtt_us;                  /* of the connection; 0: unknown */
};

/* tunnel.c: frees what the last event took leave of. */
void tunnel_bury(struct tunnel *t);

/* tunnel_channel.c: one channel's life. */
struct tunnel_channel *tunnel_channel_new(struct tunnel *t, uint32_t id, enum tunnel_phase phase);
struct tunnel_channel *tunnel_channel_find(const struct tunnel *t, uint32_t id);
void tunnel_channel_free(struct tunnel_channel *ch);
void tunnel_channel_unmap(struct tunnel_channel *ch);
void tunnel_channel_owe(struct tunnel_channel *ch, unsigned out);       /* a frame to the peer */
void tunnel_channel_drop_out(struct tunnel_channel *ch);
void tunnel_channel_tell(struct tunnel_channel *ch, unsigned news);     /* an event to the caller */
void tunnel_channel_arm(struct tunnel_channel *ch);
void tunnel_channel_features(struct tunnel_channel *ch, bool extended);
void tunnel_channel_run(struct tunnel_channel *ch, usec_t now_us);      /* it is open */
void tunnel_channel_over(struct tunnel_channel *ch, enum tunnel_reason reason);
void tunnel_channel_fail(struct tunnel_channel *ch, enum tunnel_reason reason);         /* over, and the peer is told */
void tunnel_channel_finish(struct tunnel_channel *ch, usec_t now_us);   /* if both directions have ended */
void tunnel_channel_release(struct tunnel_channel *ch);                 /* free, once gone and nothing is owed */
void tunnel_channel_burst(struct tunnel *t, usec_t now_us);             /* after a lull another one begins */
void tunnel_channel_hold(struct tunnel_channel *ch, usec_t now_us);
void tunnel_channel_ended(struct tunnel_channel *ch, usec_t now_us);    /* the peer's end came */
void tunnel_channel_closed(struct tunnel_channel *ch, bool acknowledged, usec_t now_us);        /* its close came */
void tunnel_channel_answered(struct tunnel_channel *ch);                /* the open has its answer, whoever still cares */
void tunnel_channel_due(struct tunnel_channel *ch, usec_t now_us);
void tunnel_channel_drain(struct tunnel_channel *ch, usec_t now_us);    /* its end waits for acknowledgements */
void tunnel_channel_drained(struct tunnel *t, usec_t now_us);           /* acknowledgements came */

/* tunnel_share.c: who may send next. */
void tunnel_share_wait(struct tunnel_channel *ch);
void tunnel_share_drop(struct tunnel_channel *ch);
struct tunnel_channel *tunnel_share_next(const struct tunnel *t);
void tunnel_share_grant(struct tunnel_channel *ch);
void tunnel_share_expire(struct tunnel *t);
usec_t tunnel_share_deadline(const struct tunnel *t);
void tunnel_share_spend(struct tunnel_channel *ch, size_t data_len, size_t sealed_len, usec_t now_us);

/* tunnel_receive.c */
void tunnel_fail(struct tunnel *t, enum tunnel_verdict verdict);
void tunnel_reply(struct tunnel *t, uint32_t id, uint8_t action);
void tunnel_ignore(struct tunnel *t);                   /* the frame is counted, and means nothing */

/* tunnel_said.c: the frame is one of these, and here whole */
void tunnel_said(struct tunnel *t, usec_t now_us);

/* tunnel_proof.c: that both belong to a router */
void tunnel_proof_hello(struct tunnel *t, struct writer *w);    /* ours leaves */
void tunnel_proof_on_hello(struct tunnel *t, usec_t now_us);
bool tunnel_proof_heard(const struct tunnel *t);        /* a good one */
void tunnel_proof_on_proof(struct tunnel *t, usec_t now_us);
bool tunnel_proof_due(const struct tunnel *t);
void tunnel_proof_leave(struct tunnel *t, struct writer *w);    /* one that is due */

/* tunnel_hunger.c: there is no memory */
void tunnel_hunger_begin(struct tunnel *t);
void tunnel_hunger_retry(struct tunnel *t);             /* some was freed */

/* tunnel_window.c */
void tunnel_window_read(struct tunnel_channel *ch, uint32_t len, usec_t now_us);        /* @len more were read */
void tunnel_hunger_end(struct tunnel *t);

/* tunnel_stall.c */
size_t tunnel_stream_room(const struct tunnel *t);      /* data bytes the channel of the current frame takes now */
bool tunnel_stall_exists(const struct tunnel *t);
void tunnel_stall_check(struct tunnel *t, usec_t now_us);
usec_t tunnel_stall_deadline(const struct tunnel *t);

/* tunnel_datagram.c */
bool tunnel_datagrams_begin(struct tunnel_channel *ch);         /* false: no memory */
void tunnel_datagram_deliver(struct tunnel_channel *ch, const uint8_t *bytes, size_t len);
void tunnel_datagram_drop(struct tunnel_channel *ch);   /* all that wait */
void tunnel_datagram_depart(struct tunnel_channel *ch, const struct iovec *datagrams, size_t count, usec_t now_us);     /* now */
void tunnel_datagram_forget(struct tunnel_channel *ch, size_t down_to_bytes);   /* the oldest; counted, and it may be over */

/* tunnel_unordered.c: those too long for a message wait for room in the stream; there is some */
void tunnel_late_keep(struct tunnel_channel *ch, const struct iovec *datagram);
void tunnel_late_leave(struct tunnel_channel *ch, usec_t now_us);
void tunnel_late_drop(struct tunnel_channel *ch);

/* tunnel_transmit.c */
bool tunnel_advertises(const struct tunnel *t);         /* now, or when it is due */
bool tunnel_transmit_ready(const struct tunnel *t);     /* tunnel_transmit() would give a message */

static inline bool tunnel_channel_plain(const struct tunnel_channel *ch)
{
        return !(ch->features & TUNNEL_FEATURE_ORDER);
}

static inline bool tunnel_channel_has_unread(const struct tunnel_channel *ch)
{
        return ch->queue.len || tunnel_datagrams_unread(ch)->first;
}

static inline bool tunnel_channel_credited(const struct tunnel_channel *ch)
{
        return ch->features & TUNNEL_FEATURE_CREDIT;
}

#endif
