/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the peer room share with each other and with nobody else. */
#ifndef HG_PEER_PRIVATE_H
#define HG_PEER_PRIVATE_H

#include "heap.h"
#include "list.h"
#include "map.h"
#include "nat_punch.h"
#include "noise.h"
#include "noise_payload.h"
#include "peer.h"
#include "relay_client.h"
#include "relay_pairing.h"
#include "secret.h"

enum {
        PEER_ANSWER_MAX = NOISE_PAYLOAD_MAX + NOISE_SECOND_BYTES,
        PEER_QUESTION_MAX = NOISE_PAYLOAD_MAX + NOISE_FIRST_BYTES,
        PEER_DIAL_RELAYS_MAX = 24,      /* nodes one dial asks at most: all that are nearest, and some that were known */
        PEER_WAYS_MAX = 6,              /* addresses one dial tries */
        PEER_OWN_MAX = PEER_LOCAL_MAX + 1,
};

enum peer_source_kind {
        PEER_SOURCE_CONN,
        PEER_SOURCE_DIAL,
        PEER_SOURCE_SESSION,
        PEER_SOURCE_LISTENER,
        PEER_SOURCE_PUNCH,
        PEER_SOURCE_DETOUR,
        PEER_SOURCE_RELAY,
};

/* Whatever has events to report or a deadline to meet. */
struct peer_source {
        enum peer_source_kind kind;
        struct peer_set *set;
        struct list ready;              /* in the set's while @events */
        unsigned events;                /* bits by enum peer_event_kind; the lowest is reported first */
        struct heap_entry timer;
};

enum conn_state {
        CONN_REACHING,                  /* no path yet, or a guess */
        CONN_OPEN,                      /* the peer's header frame was here */
        CONN_CLOSED,
};

/* For the rest of a frame, of which the length is not authenticated. */
struct conn_wait {
        usec_t since_us;                /* no progress since */
        unsigned turns;                 /* of conn_advance() meanwhile; 0: it does not wait */
        uint64_t frame_at, received;    /* bytes in front of the frame, and all of them then */
};

struct conn {
        struct peer_source source;
        struct list all;
        enum conn_state state;
        void *context;
        struct peer_dial *dial;         /* who made it, until its user has it: one of these */
        struct peer_session *session;   /* until it is open */
        struct peer_listener *listener;
        struct peer_detour *detour;     /* over a relay, tried or used; NULL: none */
        struct peer_detour *control_of; /* what it talks to a relay for */
        struct peer_client *served;     /* whom it comes from, as ours is the relay */
        struct udx_stream *stream;
        uint32_t remote_id;
        struct secret secret;
        bool initiator;
        bool keyed, greeted;            /* @secret is ready; our header frame is on its way */
        bool remote_ended, broken;
        bool trusted;                   /* conn_trust() */
        bool owns_socket;               /* @socket was got for this peer, and goes back with the connection */
        uint32_t socket;
        enum peer_reason reason;
        size_t too_long_bytes;          /* a frame that was refused for its length; 0: none */
        uint8_t header[SECRET_HEADER_BYTES];
        uint8_t local_key[CONN_KEY_BYTES], remote_key[CONN_KEY_BYTES];
        size_t window_bytes;            /* for the peer, once it is trusted */
        size_t taken_bytes;             /* frames at the head of the stream up to and with that of the opened message */
        size_t plain_at, plain_bytes;   /* what is left of it, from the head */
        bool partial;                   /* the frame at the head is not whole, when last looked at */
        struct conn_wait wait;
        usec_t begun_us;                /* incoming: when its handshake was answered */
        struct peer_attempt attempt;    /* incoming: what it took */
        usec_t follow_us;               /* incoming, by chance: until then the client may choose another hole that is open; 0: no more */
        usec_t written_us, opened_us;
        usec_t heard_us;                /* bytes came, and were acknowledged */
        usec_t used_us;                 /* when it first was, conn_is_used() */
        uint64_t bytes_in, bytes_out, messages_in, messages_out;
};

#define PEER_STRUGGLE_US SECONDS(1)     /* two that show one address to all meet in a tenth of that, if they do at once */

/* A node asked to carry our handshake. */
struct peer_dial_relay {
        struct addr addr;
        struct dht_handshake *handshake;        /* NULL: not asked yet, or done with */
        usec_t asked_us;
};

struct peer_way {
        uint32_t socket;
        struct addr remote;
};

/* A socket that nobody needs any more; @due_us: when what its streams still had to say has left. */
struct peer_released {
        uint32_t socket;
        bool spare;                     /* no stream used it: until then the next punch may have it */
        usec_t due_us;
};

/* What it takes to punch holes by a handshake, once or again. */
struct peer_punch_plan {
        enum nat_role role;
        uint8_t hash[NAT_HASH_BYTES];
        uint64_t id;                    /* by which the server knows it */
        uint32_t socket;                /* whose address the peer knows */
        struct addr remote;             /* the peer, as its relay sees it */
        const struct peer_listener *listener;   /* responder: to compare with alone */
        uint8_t target[DHT_TARGET_BYTES];       /* initiator, from here on */
        struct addr relay;              /* that carried the handshake */
        struct noise_relay server_relay;        /* the server's choice */
};

/* The way of a connection over a blind relay. */
struct peer_detour {
        struct peer_source source;
        struct list all;
        struct conn *conn;              /* NULL: gone, but for its last words */
        struct peer_dial *dial;         /* to the relay */
        struct conn *control;           /* what came of it */
        uint8_t key[PEER_KEY_BYTES];    /* the relay's */
        struct addr client_host;        /* who named the relay, or was told it; 0: we dialled */
        struct relay_client client;
        struct peer_way ways[PEER_WAYS_MAX];    /* direct ones, to be looked at again */
        unsigned way_count, probes;
        usec_t probe_us;
        usec_t leave_us;                /* a direct way is used: whether it works both ways is seen then */
        bool proven;                    /* it does, and then the relay is let go of */
        struct peer_way direct;         /* proven: that way */
        usec_t look_us;                 /* while the relay stands by: when it is looked whether that way is alive */
        usec_t news_from_us;            /* from then on what comes by the relay was not on its way before, */
        bool drained;                   /* and it is then */
        usec_t still_us;                /* since then nothing was acknowledged */
        uint64_t acked_bytes;
        unsigned turns;                 /* from one to the other since */
        bool has_plan;
        struct peer_punch_plan plan;    /* for punching again */
        usec_t again_us;
        unsigned agains;
        struct peer_punch *punch;       /* goes on while the relay is used; NULL: none, or over */
};

struct peer_detour_spec {
        bool initiator;
        const uint8_t *key, *token;
};

/* Of a dial or a session; or what was one, and now goes over a relay. */
struct peer_punch {
        struct peer_source source;
        struct list all;
        struct peer_dial *dial;         /* one of these */
        struct peer_session *session;
        struct peer_detour *detour;
        struct peer_punch_plan plan;
        struct nat_punch nat;
        struct dht_handshake *carried;  /* dial: a round on its way */
        bool failed;                    /* and whom it works for knows */
        usec_t heard_us;                /* session: when the client's last round came; 0: none has */
        bool by_own_relay;              /* it goes by the plan's @relay */
};

enum peer_dial_state {
        PEER_DIAL_SAME,                 /* in the table: this event means nothing here */
        PEER_DIAL_FINDING,              /* nodes that know it are sought and asked */
        PEER_DIAL_REACHING,             /* it answered; we try its addresses, or it calls */
        PEER_DIAL_UP,                   /* done, to be reported */
        PEER_DIAL_OVER,                 /* failed, to be reported */
        PEER_DIAL_STATES
};

struct peer_dial {
        struct peer_source source;
        struct list all;
        enum peer_dial_state state;
        enum peer_failure failure;
        void *context;
        struct noise noise;
        uint8_t question[PEER_QUESTION_MAX];
        size_t question_len;
        uint8_t target[DHT_TARGET_BYTES], remote_key[PEER_KEY_BYTES];
        bool claimed_open;
        unsigned parallel;
        struct dht_query *query;
        usec_t query_us;                /* it starts then; USEC_NEVER: it has */
        struct peer_dial_relay relays[PEER_DIAL_RELAYS_MAX];
        unsigned relay_count, asked;
        struct conn *conn;
        struct peer_way caller;         /* who called before the answer came; port 0: nobody */
        struct peer_way ways[PEER_WAYS_MAX];
        unsigned way_count, way, way_tries;
        bool certain;                   /* the first is open for us, if there is no other */
        bool called;                    /* the first is where it speaks from */
        bool waits;                     /* only the detour is left */
        struct peer_detour *detour;     /* it is to a relay, for that */
        bool has_relay_through;         /* the client's offer */
        uint8_t relay_key[PEER_KEY_BYTES], relay_token[RELAY_TOKEN_BYTES];
        struct peer_punch *punch;       /* NULL: none is needed, or it is over */
        struct peer_attempt attempt;    /* so far */
        usec_t begun_us;
        usec_t way_us;                  /* the next way is due; USEC_NEVER: this one stays */
        usec_t limit_us;
        struct addr next_relays[DHT_PEER_RELAYS_MAX];
        size_t next_relay_count;
};

/* Where a handshake comes from: whom we would rather do without first. */
enum peer_trust {
        PEER_STRANGER,
        PEER_RELAYED,                   /* through a relay of ours, which is work for who has none */
        PEER_KNOWN,                     /* from the host of a peer that has proved itself lately */
        PEER_TRUSTS
};

struct peer_budget {
        unsigned left;                  /* handshakes that may be computed now */
        usec_t earned_us;
};

struct peer_known {
        struct addr host;
        usec_t until_us;                /* 0: nobody */
};

enum peer_session_state {
        PEER_SESSION_ASKING,            /* is the client welcome? */
        PEER_SESSION_REACHING,          /* answered; its header frame is awaited */
        PEER_SESSION_DONE,              /* only the answer is remembered, for repeats */
};

/* A client's handshake. */
struct peer_session {
        struct peer_source source;
        struct list all;                /* by age */
        struct map_entry entry;         /* by @question */
        enum peer_session_state state;
        enum peer_trust trust;
        peer_knock_id id;
        struct peer_listener *listener;
        struct conn *conn;              /* reaching */
        struct peer_punch *punch;       /* reaching; NULL: none is needed, or it is over */
        struct noise noise;             /* asking */
        struct noise_payload payload;
        struct dht_inbound inbound;     /* the first one */
        struct dht_inbound again[DHT_RELAYS_MAX];       /* its repeats, to be answered too */
        unsigned again_count;
        unsigned probes;                /* sent to open the way */
        usec_t probe_us, limit_us;
        uint8_t relay_token[RELAY_TOKEN_BYTES];         /* ours */
        uint8_t answer[PEER_ANSWER_MAX];
        size_t answer_len;
        size_t question_len;
        uint8_t question[];
};

struct peer_listener {
        struct peer_source source;
        struct list all;
        struct dht_listener *dht_listener;
        void *context;
        bool ask, closing;
        bool forgotten;                 /* nobody hears of its end */
        bool has_relay_through;         /* offered to clients that can't reach us directly */
        bool has_proof, always_offers;
        uint8_t relay_key[PEER_KEY_BYTES], relay_proof[PEER_PROOF_BYTES];
        uint8_t secret_key[PEER_SECRET_KEY_BYTES];
};

struct peer_set {
        struct random random;
        struct udx_mux *udx;
        struct dht *dht;
        uint32_t server_socket;
        struct addr server_local;
        struct cipher *cipher;
        size_t receive_limit_bytes;
        struct addr local[PEER_LOCAL_MAX];
        size_t local_count;
        struct list dials, conns, listeners, sessions, punches, detours;
        size_t detour_count;
        uint8_t detour_secret_key[PEER_SECRET_KEY_BYTES];       /* as whom we come to relays */
        struct peer_relay *relay;       /* our own role; NULL: not ours */
        struct nat_gate gate;
        size_t sockets_wanted, sockets_asked;   /* to be asked for; asked for, and not there yet */
        usec_t sockets_again_us;                /* there were none: not asked for before */
        size_t sockets_out;             /* there, until their end has been told */
        struct peer_released released[PEER_SOCKETS_MAX];        /* to be told */
        size_t released_count;
        struct map questions;           /* sessions by the client's handshake message */
        struct list ready;
        struct heap timers;
        peer_knock_id last_knock;
        usec_t now_us;                  /* of the last call that told */
        size_t dial_count, session_count, conn_count;
        struct peer_budget budgets[PEER_TRUSTS];
        struct peer_known known[PEER_KNOWN_MAX];
        usec_t ground_moves_us;         /* before that, no change of our address is a reason to punch again */
        struct peer_stats stats;
};

/* peer_set.c */
void peer_source_init(struct peer_source *source, enum peer_source_kind kind, struct peer_set *set);
void peer_source_fini(struct peer_source *source);
void peer_source_report(struct peer_source *source, enum peer_event_kind kind);

/* peer_guard.c */
void peer_guard_init(struct peer_set *set);
void peer_guard_remember(struct peer_set *set, const struct addr *host, usec_t now_us);
enum peer_trust peer_guard_trust(const struct peer_listener *listener, const struct dht_inbound *inbound, usec_t now_us);
bool peer_guard_affords(struct peer_set *set, enum peer_trust trust, usec_t now_us);
void peer_guard_spend(struct peer_set *set, enum peer_trust trust);

/* peer_address.c */
size_t peer_own_addresses(const struct peer_set *set, struct addr out[PEER_OWN_MAX]);
bool peer_is_own_host(const struct peer_set *set, const struct addr *addr);
bool peer_is_among(const struct addr *addr, const struct addr *addrs, size_t count);
const struct addr *peer_match_address(const struct addr *mine, size_t mine_count, const struct addr *theirs, size_t theirs_count);
const struct addr *peer_first_public(const struct addr *addrs, size_t count);

/* conn.c */
int conn_new(struct peer_set *set, bool initiator, const uint8_t local_key[CONN_KEY_BYTES], struct conn **conn_out);
void conn_set_keys(struct conn *conn, const struct noise_session *session, uint32_t remote_id);
void conn_reach(struct conn *conn, const struct peer_way *way, usec_t now_us);
void conn_probe(struct conn *conn);
void conn_lose(struct conn *conn);
void conn_greet(struct conn *conn);
void conn_break_off(struct conn *conn);
void conn_open_or_break(struct conn *conn);     /* the next message, when there is one */
void conn_udx_event(struct conn *conn, const struct udx_event *event, const struct now *now);
void conn_take_waiting(struct conn *conn, const struct now *now);
void conn_follow(struct conn *conn, usec_t until_us);
void conn_tell(struct conn *conn, enum peer_event_kind kind, struct peer_event *out);

/* conn_clock.c */
void conn_arm(struct conn *conn);
void conn_advance(struct conn *conn, usec_t now_us);

/* peer_dial.c: what its connection, the DHT and time have to tell it */
void peer_dial_arm(struct peer_dial *dial, const struct now *now);
void peer_dial_fail(struct peer_dial *dial, enum peer_failure failure, const struct now *now);
void peer_dial_opened(struct peer_dial *dial, const struct now *now);
void peer_dial_lost(struct peer_dial *dial, enum peer_failure failure, const struct now *now);
void peer_dial_dht_event(struct peer_dial *dial, const struct dht_event *event, const struct now *now);
void peer_dial_advance(struct peer_dial *dial, const struct now *now);
void peer_dial_tell(struct peer_dial *dial, struct peer_event *out);
void peer_dial_free(struct peer_dial *dial);

/* peer_attempt.c */
void peer_attempt_punch(struct peer_attempt *attempt, const struct peer_punch *punch);
void peer_attempt_meet(struct peer_attempt *attempt, const struct conn *conn);

/* peer_find.c */
void peer_find_again(struct peer_dial *dial, const struct now *now);                 /* from the start */
void peer_find_start(struct peer_dial *dial, const struct peer_dial_spec *spec, const struct now *now);
void peer_find_add(struct peer_dial *dial, const struct addr *addr);
bool peer_find(struct peer_dial *dial, const struct now *now);
void peer_find_over(struct peer_dial *dial, const struct dht_handshake *handshake);
void peer_find_stop(struct peer_dial *dial, const struct now *now);
usec_t peer_find_deadline(const struct peer_dial *dial, usec_t now_us);

/* peer_reach.c */
bool peer_offers_punch(const struct noise_payload *payload);
void peer_reach_plan(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload);
void peer_reach_start(struct peer_dial *dial, const struct now *now);
void peer_reach_advance(struct peer_dial *dial, const struct now *now);
void peer_reach_called(struct peer_dial *dial, const struct peer_way *way, const struct now *now);
void peer_reach_relayed(struct peer_dial *dial, const struct peer_way *way, const struct now *now);
void peer_reach_alone(struct peer_dial *dial, const struct now *now);
void peer_reach_heard(struct peer_dial *dial, const struct peer_way *way, const struct now *now);
void peer_reach_punch_failed(struct peer_dial *dial, enum nat_failure failure, const struct now *now);

/* peer_session.c */
void peer_session_start(struct peer_listener *listener, const struct dht_event *event, const struct now *now);
void peer_session_called(struct peer_session *session, const struct peer_way *way, const struct now *now);
void peer_session_relayed(struct peer_session *session, const struct peer_way *way, const struct now *now);
void peer_session_opened(struct peer_session *session, const struct now *now);
void peer_session_asked(struct peer_session *session, const struct now *now);
void peer_session_punching(struct peer_session *session, usec_t until_us);
void peer_session_punch_failed(struct peer_session *session, const struct now *now);
void peer_session_stop_punch(struct peer_session *session, const struct now *now);
void peer_session_advance(struct peer_session *session, const struct now *now);
void peer_session_tell(struct peer_session *session, struct peer_event *out);
void peer_session_free(struct peer_session *session);

/* peer_progress.c */
bool peer_session_struggles(const struct peer_session *session, const struct now *now);

/* peer_punch.c */
enum nat_class peer_own_class(const struct peer_set *set);
void peer_punch_dial(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload,
                     const uint8_t hash[NAT_HASH_BYTES], const struct now *now);
void peer_punch_session(struct peer_session *session, const uint8_t hash[NAT_HASH_BYTES], const struct now *now);
void peer_punch_dht_event(struct peer_punch *punch, const struct dht_event *event, const struct now *now);
void peer_punch_asked(struct peer_punch *punch, const struct dht_event *event, const struct now *now);
void peer_punch_advance(struct peer_punch *punch, const struct now *now);
bool peer_punch_again(struct peer_detour *detour, const struct now *now);
struct peer_punch *peer_punch_find(struct peer_set *set, const struct peer_listener *listener, uint64_t id, const struct now *now);
void peer_punch_free(struct peer_punch *punch, struct conn *met);      /* @met: the connection it led to, or NULL */
void peer_punch_met(struct conn *conn, const struct now *now);          /* that connection is open: other punches with its peer end */
void peer_release_socket(const struct conn *conn, usec_t linger_us);     /* it is freed: its own goes back, or to who goes by it, too */
bool peer_change_socket(struct conn *conn, uint32_t socket);
usec_t peer_socket_deadline(const struct peer_set *set);

/* peer_detour.c */
void peer_detour_begin(struct conn *conn, const struct peer_detour_spec *spec, const struct now *now);
void peer_detour_free(struct peer_detour *detour);
unsigned peer_detour_count(const struct peer_set *set, const struct addr *client_host);
void peer_detour_leave(struct peer_detour *detour);
void peer_detour_event(struct peer_detour *detour, const struct peer_event *event, const struct now *now);
void peer_detour_advance(struct peer_detour *detour, const struct now *now);
void peer_detour_remember(struct conn *conn, const struct peer_way *ways, unsigned count);
bool peer_detour_punch(struct conn *conn, struct peer_punch *punch);
void peer_detour_punch_failed(struct peer_detour *detour);
struct peer_detour *peer_detour_find(struct peer_set *set, const struct peer_listener *listener, uint64_t id, usec_t now_us);
void peer_detour_ground_moved(struct peer_set *set, const struct now *now);
void peer_detour_heard(struct peer_detour *detour, const struct peer_way *way);
void peer_detour_opened(struct conn *conn);
void peer_detour_called(struct conn *conn, const struct peer_way *way, const struct now *now);
bool peer_detour_is_trying(const struct conn *conn);
bool peer_detour_is_used(const struct conn *conn);
bool peer_detour_is_way(const struct conn *conn, const struct peer_way *way);
uint32_t peer_detour_remote_id(const struct conn *conn, const struct peer_way *way);

/* peer_relay.c */
bool peer_is_of_relay(struct peer_source *source);
void peer_relay_event(struct peer_relay *relay, const struct peer_event *event, const struct now *now);
void peer_relay_advance(struct peer_relay *relay, const struct now *now);
void peer_relay_free(struct peer_relay *relay);

/* peer_listener.c */
void peer_listener_tell(struct peer_listener *listener, enum peer_event_kind kind, struct peer_event *out);
void peer_listener_free(struct peer_listener *listener);

#endif
