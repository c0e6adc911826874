/* SPDX-License-Identifier: BSD-3-Clause */
/* The Hypergate protocol between two peers: hello, advertisements, and many channels over one encrypted connection.
 *
 * The plaintext of the secret stream goes in by tunnel_receive(), in pieces of any size. What shall be sealed comes out in
 * two ways: control by tunnel_transmit(), and data, which is never queued here: tunnel_write() writes only the header in
 * front of the caller's own bytes, to be sealed at once. Events are drained. Nothing calls back.
 *
 * A turn of the connection: tunnel_progress(), tunnel_receive() what there is, tunnel_event() until false (acting on each),
 * tunnel_transmit() until false; and tunnel_advance() at tunnel_deadline(). Seal in the order of the calls.
 *
 * Extensions are not negotiated in JSON (no JSON is parsed in the process that holds the keys) but by a binary frame of our
 * own, HGX, right after the peer's hello was verified and once more when the peer's HGX arrived:
 *
 *      action 0x40 | 01 | channel 0 u32 | '0' | version u8 = 1 | flags u8 | features u32 | window u32      (big-endian)
 *
 *      flags       bit 0: I have received yours
 *      features    bit 0 order, bit 1 credit, bit 2 relay, bit 3 unordered, bit 4 bye, bit 5 service, bit 6 proof; unknown bits
 *                  are ignored
 *      window      data bytes a channel may send to the author before it gets a credit
 *
 * An original ignores it silently in both roles: with errlen 1 it looks at no more of an unknown action than the JSON text
 * '0' (hypergate.md 15.1). A channel has the features both sides named if its open follows the gateway's HGX with bit 0 in
 * the stream; so both know without asking. Features:
 *
 *      order       stream, end and close of a channel never overtake each other; a close with the body byte 01 is the final
 *                  acknowledgement (all of yours was handed on and I have ended), any other is an abort; open errors carry the id
 *      credit      action 0x41 | 01 | channel u32 | '0' | bytes u32: @bytes more of data may be sent on this channel. The window is there
 *                  from the open on: a gateway's data may follow it before the answer comes, and is void if that is a refusal
 *
 *      relay       action 0x45 | 01 | channel 0 | '0' | flags u8 | key 32, once that is not all 0 and at each change. Flag bit 0: peers
 *                  are beyond my reach, I could use a blind relay; bit 1: I am one, with this public key (0s without), for all
 *                  peers of this router (relay_token.h)
 *
 *      bye         action 0x42 | 01 | channel 0 | '0', once: I am about to leave. The author neither opens nor accepts channels from
 *                  here on, and advertises nothing; those that run go on for a while, and when they are done it ends the connection
 *
 *      service     action 0x46 | 01 | channel u32 | '0' | name u64, right ahead of the open of that channel: which of the services is meant
 *                  that the provider has behind the gate port, by a name that both make from its advertisement (ipc_service.h)
 *
 *      proof       action 0x47 | 01 | channel 0 | '0' | flags u8 | 73 bytes as in hello: I know the secret of this router, too. One of each
 *                  other than hello's that the author has, or comes to have: so the connection stays what it is when the secret by
 *                  which it began counts no more. Flag bit 0: you have proven the same to me; without, the answer is such a one
 *
 *      unordered   datagrams of a channel may come as unordered messages of the secret stream: 01 | channel u32 | data. They have
 *                  no number of their own: the secret stream takes each once
 *
 * A channel of protocol UDP carries datagrams, each whole in one stream frame; there is no end, either side closes it. It has no
 * credit: what finds no room is dropped, here and there, first of the channel that has most of all unread. An empty datagram is a
 * frame without a body, which only a peer of our kind is sent. It has writable, send and datagrams in place of writable, write, end,
 * peek and consume. An unordered one can always be sent to: what fits in a message goes at once or never, the rest when the stream
 * has room.
 *
 * Toward a peer without them the sender waits for acknowledgements before an end, ends that may have overtaken data are held
 * back a moment, and a channel nobody reads stops the reading of the connection for a while, then is reset. */
#ifndef HG_TUNNEL_H
#define HG_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "random.h"
#include "usec.h"

struct tunnel;
struct tunnel_channel;

enum {
        TUNNEL_KEY_BYTES = 32,
        TUNNEL_AUTH_KEY_BYTES = 64,
        TUNNEL_ROUTERS_MAX = 8,
        TUNNEL_HEADER_BYTES = 10,               /* length, action, error length, channel */
        TUNNEL_UNORDERED_HEAD_BYTES = 5,        /* of a message that is a datagram: mark, channel */
        TUNNEL_DATA_MAX = 63330,                /* data bytes of a frame we send: sealed, a full run of UDX packets */
        TUNNEL_MESSAGE_MAX = TUNNEL_HEADER_BYTES + TUNNEL_DATA_MAX,
        TUNNEL_SEAL_BYTES = 20,                 /* what sealing adds to a message: length 3, tag 1, MAC 16 */
        TUNNEL_RECEIVE_LIMIT_BYTES = 96 * 1024 * 1024,  /* unless configured otherwise */
        TUNNEL_ADVERT_MAX = 256 * 1024,
        TUNNEL_METADATA_MAX = 8192,
        TUNNEL_TEXT_MAX = 253,                  /* of a refusal; its JSON form has 255 */
        TUNNEL_TCP = 0,                         /* protocol of an open */
        TUNNEL_UDP = 1,
        TUNNEL_DATAGRAM_MAX = 65507,            /* what UDP over IPv4 carries */
};

enum tunnel_role {
        TUNNEL_GATEWAY,
        TUNNEL_PROVIDER,
};

/* Why the connection must be destroyed. Nothing more comes out of a tunnel with another verdict than TUNNEL_FINE, but for hello where
 * the roles are the same and it was not said yet: it is to be sent before the end. */
enum tunnel_verdict {
        TUNNEL_FINE,
        TUNNEL_BAD_AUTH,        /* not a hello of this router's */
        TUNNEL_SKEW,            /* a true hello, from a clock more than a day away */
        TUNNEL_SAME_ROLE,       /* two providers; authenticated */
        TUNNEL_LATE,            /* no hello within 10 s */
        TUNNEL_OVERSIZE,        /* a frame over 10 MiB, or one longer than a hello before it */
};

/* A router, as a member knows it: by what its secret gives. */
struct tunnel_router {
        bool held;
        uint8_t public_key[TUNNEL_KEY_BYTES];
        uint8_t auth_key[TUNNEL_AUTH_KEY_BYTES];
};

/* While its secret is exchanged there are several, and a peer who knows any of these is one of ours. */
struct tunnel_routers {
        struct tunnel_router list[TUNNEL_ROUTERS_MAX];
        unsigned newest;
};

struct tunnel_config {
        enum tunnel_role role;
        uint8_t key[TUNNEL_KEY_BYTES];          /* our static public key of this connection, and the peer's */
        uint8_t peer_key[TUNNEL_KEY_BYTES];
        const struct tunnel_routers *routers;   /* borrowed for the tunnel's life */
        unsigned router;                        /* which of them our hello is for, unless the peer's came before, for another one: */
        usec_t listen_us;                       /* it is waited for for so long */
        struct random random;                   /* used by tunnel_new() only */
        uint32_t channels_max;                  /* 0: 16384 */
        uint32_t window_bytes;                  /* 0: 262144; per channel, for data to us */
        uint32_t window_max_bytes;              /* 0: 64 MiB; a window grows to this at most, at least 65536 */
        size_t receive_limit_bytes;             /* 0: TUNNEL_RECEIVE_LIMIT_BYTES; received and not yet consumed, all channels */
};

/* Copies @config. @now: hello carries the wall clock, its deadline starts here. 0 or -ENOMEM. */
int tunnel_new(struct tunnel **tunnel_out, const struct tunnel_config *config, const struct now *now);

/* Frees it with all its channels: no pointer to one is valid any more. NULL is fine. */
void tunnel_free(struct tunnel *tunnel);

/* Plaintext from the peer. Returns how many bytes were taken; fewer than @len only while tunnel_paused(): offer the rest again
 * when it no longer is. After a bad verdict everything is taken and ignored. */
size_t tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);

/* Nothing is taken now: a reader is behind (10 s at most), there is no memory, or an answer waits to be transmitted. */
bool tunnel_paused(const struct tunnel *tunnel);

/* Since when there has been no memory for what the peer sent, or USEC_NEVER. It tries again by itself; meanwhile channels whose
 * readers keep up are served from what is put by, a piece at a time. Their windows get smaller for a while from each tunnel_press().
 * What a reader that stopped leaves unread is what can be had back: tunnel_hog_bytes() tells how many bytes the one has who has
 * most, of those who may lose it by now, and tunnel_cut_hog() drops its datagrams, or resets it (TUNNEL_LIMIT). */
usec_t tunnel_hungry_us(const struct tunnel *tunnel);
void tunnel_press(struct tunnel *tunnel, usec_t now_us);
size_t tunnel_hog_bytes(const struct tunnel *tunnel, usec_t hungry_us, usec_t now_us);
void tunnel_cut_hog(struct tunnel *tunnel, usec_t hungry_us, usec_t now_us);

/* The state of the connection below, before events, writes and transmits of a turn: bytes its send buffer takes now, sealing
 * included, and bytes in it which the peer has not acknowledged. We count down @room_bytes ourselves until the next call. */
void tunnel_progress(struct tunnel *tunnel, size_t room_bytes, size_t unacked_bytes, usec_t now_us);

/* How long an answer takes over the connection below, as far as that is known: windows grow by it. */
void tunnel_distance(struct tunnel *tunnel, usec_t rtt_us);

/* About blind relays. */
struct tunnel_relay {
        bool wanted;                            /* the sender could use one */
        bool offered;                           /* it is one: */
        uint8_t key[TUNNEL_KEY_BYTES];          /* 0s otherwise */
};

/* What the peer shall know of us, as soon as it can and for as long as it can tell; an original never does. True: that is news. */
bool tunnel_tell_relay(struct tunnel *tunnel, const struct tunnel_relay *relay);

/* One of its routers has come, and the peer shall know; or it has gone, and counts for nothing any more. */
void tunnel_add_router(struct tunnel *tunnel, unsigned router);
void tunnel_drop_router(struct tunnel *tunnel, unsigned router);

/* Which routers the peer has proven to belong to: or of 1 << number; 0: none that is left. */
unsigned tunnel_proven(const struct tunnel *tunnel);

/* We leave: no channel is opened or accepted any more, what the peer asks for is refused. True: it can be told, and is as soon as there
 * is room; so what runs may be let finish before the connection ends. An original can't, and would ask on. */
bool tunnel_bye(struct tunnel *tunnel, usec_t now_us);

struct tunnel_message {
        const uint8_t *bytes;           /* valid until the next call on the tunnel */
        size_t len;                     /* at most TUNNEL_MESSAGE_MAX; with TUNNEL_SEAL_BYTES it fits in the room */
};

/* The next control message to seal, or false when there is none or no room. To be drained before tunnel_writable(). */
bool tunnel_transmit(struct tunnel *tunnel, struct tunnel_message *out, usec_t now_us);

/* Does what has become due. */
void tunnel_advance(struct tunnel *tunnel, usec_t now_us);

/* When to advance next: 0 while an event or a message waits that can come out now; USEC_NEVER when idle. */
usec_t tunnel_deadline(const struct tunnel *tunnel);

enum tunnel_event_kind {
        TUNNEL_UP,              /* the peer is authenticated: role (theirs) */
        TUNNEL_FAILED,          /* verdict; destroy the connection. len: of TUNNEL_OVERSIZE, what the frame says of itself */
        TUNNEL_ADVERT,          /* bytes, len as received; only a gateway gets it, of several the newest */
        TUNNEL_ADVERT_LONG,     /* len: an advertisement was longer than TUNNEL_ADVERT_MAX, and has been passed over */
        TUNNEL_RELAY,           /* relay: what it says of itself now */
        TUNNEL_BYE,             /* the peer leaves: nothing can be opened any more, and it advertises nothing; channels go on */
        TUNNEL_ARRIVED,         /* a gateway asks for gate_port, protocol, service; bytes, len: its metadata; answer accept or refuse */
        TUNNEL_OPENED,          /* our tunnel_open() was confirmed */
        TUNNEL_REFUSED,         /* it was not: reason; bytes, len: the peer's text, as inside JSON quotes; the channel is gone */
        TUNNEL_READABLE,        /* tunnel_peek() has bytes, or the end, or tunnel_datagrams() some, after it had none */
        TUNNEL_WRITABLE,        /* tunnel_writable() was asked, said 0, and no longer does */
        TUNNEL_CLOSED,          /* reason; the channel is gone */
};

enum tunnel_reason {
        TUNNEL_DONE,            /* both directions ended, in order, and the peer knows; datagrams: the peer closed it */
        TUNNEL_RESET,           /* the peer gave up; what came before has been consumed */
        TUNNEL_LOST,            /* tunnel_disconnect() */
        TUNNEL_DECLINED,        /* the provider refused: text */
        TUNNEL_TIMED_OUT,       /* no answer by the deadline */
        TUNNEL_LIMIT,           /* nobody read for too long, or while memory was short; or the peer overran its window */
};

struct tunnel_event {
        enum tunnel_event_kind kind;
        enum tunnel_role role;
        enum tunnel_verdict verdict;
        enum tunnel_reason reason;
        uint16_t gate_port;
        uint8_t protocol;
        uint64_t service;                       /* ARRIVED: its name, 0: any */
        struct tunnel_channel *channel;         /* when "gone": a name for what was, valid until the next call */
        void *context;                          /* the channel's */
        const uint8_t *bytes;                   /* valid until the next call on the tunnel */
        size_t len;
        struct tunnel_relay relay;
};

/* Drained until false. */
bool tunnel_event(struct tunnel *tunnel, struct tunnel_event *out, usec_t now_us);

/* What a provider tells a gateway: after hello, at each call, and every 30 s. Copied. 0, -ENOMEM, -EMSGSIZE. */
int tunnel_advertise(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);

/* As gateway: asks for @gate_port of @protocol. @metadata (opaque, may be empty) is copied. Ends in TUNNEL_OPENED or TUNNEL_REFUSED, the
 * latter at @deadline_us at the latest. 0, or: -ENOTCONN no authenticated provider, or one of us leaves, -EBUSY the peer (an original, which answers
 * one by one) owes an older answer for this port, -EMFILE channels_max, -EMSGSIZE metadata, -ENOMEM. */
int tunnel_open(struct tunnel *tunnel, uint16_t gate_port, uint8_t protocol, const void *metadata, size_t len,
                usec_t deadline_us, void *context, struct tunnel_channel **channel_out, usec_t now_us);

/* Right after tunnel_open(): which of the peer's services is meant, 0: any. For a peer that understands it; another one chooses itself. */
void tunnel_name_service(struct tunnel_channel *channel, uint64_t service);

/* As provider: the answer to TUNNEL_ARRIVED, once. @text: UTF-8, cut to fit; after a refusal the channel is gone. */
void tunnel_accept(struct tunnel_channel *channel, void *context, usec_t now_us);
void tunnel_refuse(struct tunnel_channel *channel, const char *text, size_t len, usec_t now_us);

void tunnel_channel_set_context(struct tunnel_channel *channel, void *context);
void *tunnel_channel_context(const struct tunnel_channel *channel);

/* Data bytes that may be written now: what the peer's window, the room, and the others' share leave; at most TUNNEL_DATA_MAX.
 * 0 also after tunnel_end(). A channel that waits for its answer takes a little, once its open has left, if the peer knows credit and was
 * heard lately: what was written then reached nobody if the answer is TUNNEL_DECLINED; after another outcome than OPENED it may have. Told 0,
 * the asker gets TUNNEL_WRITABLE when it rises. Shares are dealt round robin, TUNNEL_DATA_MAX to each; who sent little lately comes first. */
size_t tunnel_writable(struct tunnel_channel *channel);

/* The header for @len data bytes (0 < @len <= tunnel_writable()), which the caller seals right now, the data right behind it. */
void tunnel_write(struct tunnel_channel *channel, size_t len, uint8_t header_out[TUNNEL_HEADER_BYTES], usec_t now_us);

/* Datagrams may go to this channel's other end as unordered messages, now: */
bool tunnel_unordered(const struct tunnel_channel *channel);

/* The message of one, written to @out; its length, or 0: it would be longer than @max, or tunnel_unordered() is false. */
size_t tunnel_unordered_message(struct tunnel_channel *channel, const struct iovec *datagram, uint8_t *out, size_t max);

/* An unordered message from the peer. */
void tunnel_receive_unordered(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);

/* Datagrams, @count of them in one go, each at most TUNNEL_DATAGRAM_MAX bytes; copied. Only when tunnel_writable() is not 0, which
 * then need not cover them: what there is no room for leaves next, in front of all others. Or when tunnel_unordered(): then they wait
 * for room in the stream, which no TUNNEL_WRITABLE tells, and the newest are dropped when too many do. */
void tunnel_send(struct tunnel_channel *channel, const struct iovec *datagrams, size_t count, usec_t now_us);

/* No more data from us; never overtakes what was written. */
void tunnel_end(struct tunnel_channel *channel, usec_t now_us);

/* Gives up: the peer sees a reset. The channel is gone, no event follows. */
void tunnel_abort(struct tunnel_channel *channel, usec_t now_us);

/* The next bytes from the peer where they lie, until the next call on the tunnel; returns how many, 0 for none now. *@ended_out:
 * nothing will ever follow these. */
size_t tunnel_peek(const struct tunnel_channel *channel, const uint8_t **bytes_out, bool *ended_out);

/* @len of them are done with: the peer may send as many more. */
void tunnel_consume(struct tunnel_channel *channel, size_t len, usec_t now_us);

/* The peer's end was passed on: with our own tunnel_end() the channel may now finish. Once, after everything was consumed. */
void tunnel_consume_end(struct tunnel_channel *channel, usec_t now_us);

/* The next datagrams from the peer, at most @max, where they lie; returns how many. The first @count of them are done with. */
size_t tunnel_datagrams(const struct tunnel_channel *channel, struct iovec *out, size_t max);
void tunnel_datagrams_done(struct tunnel_channel *channel, size_t count, usec_t now_us);

/* The connection below is gone: every channel ends in TUNNEL_REFUSED or TUNNEL_CLOSED with TUNNEL_LOST. */
void tunnel_disconnect(struct tunnel *tunnel, usec_t now_us);

struct tunnel_stats {
        uint32_t channels;              /* with those that only wait for the peer's last word */
        uint32_t frames_ignored;        /* unknown, malformed or out of place */
        uint64_t datagrams_dropped;     /* received, and nobody read them or those before them; to be sent, and too many waited */
        size_t queued_bytes;            /* received, not yet consumed */
        bool extended;                  /* the peer has sent HGX, */
        bool unordered;                 /* and takes datagrams beside the stream */
        int64_t skew_ms;                /* the peer's clock, as hello told it, minus ours: one that is behind may have told ours back */
};

void tunnel_stats(const struct tunnel *tunnel, struct tunnel_stats *out);

#endif
