/* SPDX-License-Identifier: BSD-3-Clause */
/* Dials and accepts peers by their public keys: where DHT, Noise, secret stream and UDX meet (connect.md; hyperdht 6.34
 * lib/connect.js, lib/server.js).
 *
 * Servers that are open or asked without a relay are called, clients that are get called; those on the same host or the same LAN are
 * looked for there; for all others both sides punch (nat_punch.h), and what each knows of its NAT is in the handshake already: where
 * both are consistent, the first packet gets through, before any round of punching is over.
 *
 * Who drains what: all streams of the UDX mux are ours, and peer_event() drains its events. DHT events are drained by the caller,
 * who offers each to peer_dht_event() first; transmit of both is the caller's. A turn:
 *
 *      receive: udx_mux_receive() or dht_receive(), or peer_receive_probe() for a single byte
 *      udx_mux_advance(), dht_advance(), peer_advance()
 *      until neither has more: dht_event() -> peer_dht_event(), and what it declines to others; peer_event()
 *      dht_transmit(), peer_transmit(), udx_mux_transmit()
 *
 * with peer_deadline() among the deadlines. Nothing calls back. */
#ifndef HG_PEER_H
#define HG_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "conn.h"
#include "dht.h"
#include "nat_payload.h"
#include "random.h"
#include "udx.h"
#include "usec.h"

struct peer_set;
struct peer_listener;
struct peer_dial;

typedef uint64_t peer_knock_id;         /* never 0, never used twice */

enum {
        PEER_KEY_BYTES = 32,
        PEER_SECRET_KEY_BYTES = 64,             /* Ed25519, seed and public key */
        PEER_PROOF_BYTES = 32,                  /* relay_token.h */
        PEER_PROOFS_MAX = 4,
        PEER_LOCAL_MAX = 8,                     /* local addresses told to others */
        PEER_SESSIONS_MAX = 256,                /* handshakes of strangers under way; the oldest gives way */
        PEER_KNOWN_MAX = 128,                   /* hosts of peers that have proved themselves: their handshakes go first */
        PEER_SESSIONS_PER_HOST = 16,            /* of these from one client's host, unless it is this one */
        PEER_SESSIONS_PER_RELAY = 64,           /* and through one relay's */
        PEER_DETOURS_MAX = 128,                 /* connections over relays at a time, tried ones included */
        PEER_DETOURS_PER_HOST = 16,             /* of these to relays that clients from one host, as seen by theirs, have named */
        PEER_SOCKETS_MAX = 512,                 /* beside the node's two: of one punch, and of connections they led to */
};

#define PEER_HANDSHAKE_US SECONDS(10)           /* server: from the first handshake message to the client's header; a client that says
                                                 * it is open, and is not known here, has half of it */
#define PEER_ROUNDS_US SECONDS(30)              /* server: the same, but since the last round of a client that waits to punch; at most
                                                 * so long in all */
#define PEER_REMEMBER_US SECONDS(10)            /* server: repeats of a finished handshake are known that long */
#define PEER_REACH_US SECONDS(10)               /* client: from the server's answer to its header, whoever calls whom */

struct peer_config {
        struct random random;
        struct udx_mux *udx;                    /* borrowed, both, for the life of the set */
        struct dht *dht;
        uint32_t server_socket;
        struct addr server_local;               /* where it is bound; 0.0.0.0 for any */
        struct cipher *cipher;                  /* borrowed, too; NULL: libsodium's */
        size_t receive_limit_bytes;             /* window of each connection, once trusted; 0: UDX's default */
};

/* 0 or -ENOMEM. */
int peer_set_new(struct peer_set **set_out, const struct peer_config *config);

/* Frees it with its dials, listeners (nothing is withdrawn) and connections. Before the mux and the dht. NULL is fine. */
void peer_set_free(struct peer_set *set);

/* Hosts of our interfaces (ports are ignored, the first PEER_LOCAL_MAX are kept; copied): told to peers, tried by those nearby. */
void peer_set_local_addresses(struct peer_set *set, const struct addr *addrs, size_t count);

/* Window of each connection dialled or asked for from now on, in place of the configured one. */
void peer_set_receive_limit(struct peer_set *set, size_t receive_limit_bytes);

/* Our NAT gives each remote another port, as far as we know: whoever is behind such a one, too, can't be reached directly. */
bool peer_is_random(const struct peer_set *set);

/* What the NAT in front of us is like, as far as others have told by now. */
enum nat_class peer_nat(const struct peer_set *set);

/* --- Accepting --- */

struct peer_listen_spec {
        const uint8_t *secret_key;              /* PEER_SECRET_KEY_BYTES; copied, wiped at the end */
        bool ask;                               /* every client is announced as PEER_KNOCK; otherwise all are welcome */
        void *context;
};

/* Keeps the identity findable and accepts who dials it. 0, -EEXIST (it listens already) or -ENOMEM. */
int peer_listen(struct peer_set *set, const struct peer_listen_spec *spec, struct peer_listener **listener_out,
                const struct now *now);

/* Handshakes under way end, connections stay. PEER_UNLISTENED follows once the announcement is withdrawn (or that failed, within
 * seconds); then the handle is gone. */
void peer_unlisten(struct peer_listener *listener, const struct now *now);

const uint8_t *peer_listener_key(const struct peer_listener *listener);

/* Addresses through which it is reached now, for topic records: its own first if strangers reach that, then its relays'; at most
 * DHT_RELAYS_MAX; returns how many. */
size_t peer_listener_relays(const struct peer_listener *listener, struct addr out[DHT_RELAYS_MAX]);

/* From now on clients that do not reach us directly are told to meet us at the blind relay with @key, by tokens made with @proof
 * (PEER_PROOF_BYTES; NULL: of chance alone); NULL: no more. Unless @always, only those whose NAT gives each remote another port. Whatever
 * relay a client names is used in any case. Both are copied. */
void peer_listener_relay_through(struct peer_listener *listener, const uint8_t *key, const uint8_t *proof, bool always);

/* The answer to PEER_KNOCK; no answer within PEER_HANDSHAKE_US is a no, and one that comes later is ignored. Who is not welcome
 * hears nothing. */
void peer_admit(struct peer_set *set, peer_knock_id knock, bool welcome, const struct now *now);

/* A client with @key has been answered within the last @within_us, is not here yet, and may still come: not both NATs give each remote
 * another port. */
bool peer_listener_awaits(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], usec_t within_us,
                          const struct now *now);

/* Such a client punches holes with us now, which it has proved: a dial of our own would do the same once more. */
bool peer_listener_punches(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], const struct now *now);

/* Such a client and we look for each other and no relay was named: nothing has come through for longer than where it is easy. And the
 * keys of all such clients, at most @max; returns how many. */
bool peer_listener_struggles(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], const struct now *now);
size_t peer_listener_struggling(const struct peer_listener *listener, uint8_t (*out)[PEER_KEY_BYTES], size_t max, const struct now *now);

/* --- Dialling --- */

struct peer_dial_spec {
        const uint8_t *secret_key;              /* PEER_SECRET_KEY_BYTES: as whom we come; not kept */
        const uint8_t *remote_key;              /* PEER_KEY_BYTES; copied */
        const struct addr *relays;              /* of a lookup's record, asked first; copied, at most DHT_PEER_RELAYS_MAX */
        size_t relay_count;
        const uint8_t *relay_through;           /* key of a blind relay to be tried beside all direct ways; copied; NULL: none but one
                                                 * that the server names */
        const uint8_t *relay_proof;             /* PEER_PROOF_BYTES, by which that relay knows its own; copied; NULL: it asks for none */
        void *context;
};

/* Starts a dial; ends in exactly one PEER_CONNECTED or PEER_DIAL_FAILED, then the handle is gone. 0, -ENOMEM, or -EINVAL: nobody
 * can hold @remote_key. */
int peer_dial(struct peer_set *set, const struct peer_dial_spec *spec, struct peer_dial **dial_out, const struct now *now);

/* The network is back after an outage: what has not been answered is asked again, at once. */
void peer_dial_again(struct peer_dial *dial, const struct now *now);

/* Stops it: no event of it follows, the handle is gone. */
void peer_dial_cancel(struct peer_dial *dial, const struct now *now);

/* The same for what we began. */
bool peer_dial_struggles(const struct peer_dial *dial, const struct now *now);

/* Or for anybody, on either side: a relay would be welcome. */
bool peer_struggles(const struct peer_set *set, const struct now *now);

/* Its handshake has left, so that the peer may take it up at any time; and it is known to open nothing without a punch, which is not
 * over. */
bool peer_dial_is_asked(const struct peer_dial *dial);
bool peer_dial_punches(const struct peer_dial *dial);

/* And one of the NATs gives each remote another port. An original punches so with one at a time, for 35 s if nothing comes through, and
 * with nobody in the 20 s after that: whether we still do or not. */
bool peer_dial_bets(const struct peer_dial *dial);

/* What it has taken so far. */
struct peer_attempt peer_dial_attempt(const struct peer_dial *dial, const struct now *now);

enum peer_failure {
        PEER_NOT_FOUND,         /* no DHT node knows it: PEER_NOT_FOUND */
        PEER_UNANSWERED,        /* some do, but no handshake came back: it is dead, or we are not welcome: PEER_CONNECTION_FAILED */
        PEER_INCOMPATIBLE,      /* another version, or no UDX: SERVER_INCOMPATIBLE, SERVER_ERROR */
        PEER_REFUSED,           /* it answered with an error: SERVER_ERROR */
        PEER_UNREACHED,         /* it answered, but no packet came through where one should */
        PEER_NEEDS_PUNCH,       /* it answered, but both of us are behind NATs that only punching would open, and it offers none */
        PEER_PUNCH_UNANSWERED,  /* it offered to punch, and then said nothing more: HOLEPUNCH_ABORTED, here and below */
        PEER_PUNCH_REFUSED,     /* it gave up, or does not punch after all: REMOTE_NOT_HOLEPUNCHING */
        PEER_PUNCH_BUSY,        /* others were punching all the time, here or there */
        PEER_PUNCH_UNDECIDED,   /* too few nodes to learn what one of the NATs is like: HOLEPUNCH_PROBE_TIMEOUT */
        PEER_PUNCH_IMPOSSIBLE,  /* both NATs give each remote another port: HOLEPUNCH_DOUBLE_RANDOMIZED_NATS */
        PEER_PUNCH_SHUT,        /* both punched, and nothing came through */
        PEER_BROKEN,            /* what came through was not the peer's */
        PEER_NO_MEMORY,
        PEER_FAILURES
};

/* Its punch is over and nothing came through, why: what it still waits for was on its way by then. */
bool peer_dial_is_vain(const struct peer_dial *dial, enum peer_failure *failure_out);

/* How a peer was reached. */
enum peer_path {
        PEER_PATH_NONE,         /* not at all */
        PEER_PATH_DIRECT,       /* one of us at an address where strangers get through, or which it had opened for the other */
        PEER_PATH_NEAR,         /* on the same machine or network */
        PEER_PATH_PUNCHED,      /* through both NATs, each of which shows one address to all */
        PEER_PATH_CHANCE,       /* and one of which shows each remote another port */
        PEER_PATH_RELAY,        /* over a blind relay */
        PEER_PATHS
};

/* What it took to reach a peer, or to find out that it can't be reached. */
struct peer_attempt {
        enum peer_path path;
        unsigned rounds;                        /* of punching: asked, or that the client asked */
        enum nat_class own_nat, remote_nat;     /* as far as that told; unknown without */
        usec_t took_us;                         /* from the dial, or from the client's handshake */
};

/* --- Being a blind relay for others --- */

struct peer_relay_spec {
        const uint8_t *secret_key;              /* PEER_SECRET_KEY_BYTES; copied: by its public key clients find it */
        const uint8_t (*proofs)[PEER_PROOF_BYTES];      /* it serves whoever was told a token made with one of these */
        size_t proof_count;                     /* at most PEER_PROOFS_MAX; 0: everybody */
        unsigned pairs;                         /* of connections at a time; 0: RELAY_PAIRS_MAX */
        unsigned per_host;                      /* ends of these from one host; 0: RELAY_PER_HOST_MAX */
        uint64_t bytes_per_s;                   /* in all; 0: as many as come */
        uint64_t bytes_per_s_per_host;          /* from and to one host */
};

/* Serves as one, or changes the limits of what runs; reports nothing. 0, -EEXIST (the key is listened to already) or -ENOMEM. */
int peer_relay_start(struct peer_set *set, const struct peer_relay_spec *spec, const struct now *now);
void peer_relay_stop(struct peer_set *set, const struct now *now);

struct peer_relay_stats {
        bool found;                             /* clients find it: it is announced */
        size_t clients, waiting, pairs;
        uint64_t made, refused, packets, bytes, dropped;
        uint64_t unproven;                      /* tokens of those it does not serve */
};

/* False: we are none. */
bool peer_relay_stats(const struct peer_set *set, struct peer_relay_stats *out);

/* --- The turn --- */

/* Offers a DHT event. False: it is not ours. */
bool peer_dht_event(struct peer_set *set, const struct dht_event *event, const struct now *now);

/* A datagram of one byte, which is neither UDX's nor the DHT's. */
void peer_receive_probe(struct peer_set *set, uint32_t socket, const struct addr *from, const struct now *now);

struct peer_probe {
        uint32_t socket;
        struct addr to;
        bool short_lived;                       /* to leave with an IP TTL of PEER_SHORT_TTL: it opens our NAT, and does not arrive */
};

#define PEER_SHORT_TTL 5                        /* hyperdht lib/holepuncher.js HOLEPUNCH_TTL */

/* The next datagram of one zero byte to be sent; drained until false. */
bool peer_transmit(struct peer_set *set, struct peer_probe *out);

/* Asked for once a turn: how many more sockets would help; 0: none, or they were asked for already. And one that was added and is not
 * needed any more; false: none is. */
size_t peer_sockets_wanted(struct peer_set *set);
bool peer_socket_done(struct peer_set *set, uint32_t *socket_out, const struct now *now);

/* Such a socket, of any port, under a number that is used nowhere; and that no further ones come for now: fewer do as well. */
void peer_add_socket(struct peer_set *set, uint32_t socket, const struct now *now);
void peer_no_sockets(struct peer_set *set, const struct now *now);

void peer_advance(struct peer_set *set, const struct now *now);
usec_t peer_deadline(const struct peer_set *set);       /* on now.mono_us */

enum peer_event_kind {
        PEER_CONNECTED,         /* context: the dial's; conn: yours from now on, its context is still NULL */
        PEER_DIAL_FAILED,       /* context: the dial's; failure */
        PEER_ACCEPTED,          /* listener, context: the listener's; conn: yours from now on */
        PEER_KNOCK,             /* listener, context: the listener's; knock, remote_key, remote: peer_admit() */
        PEER_RELAYS_CHANGED,    /* listener, context: the listener's; see peer_listener_relays() */
        PEER_UNLISTENED,        /* listener (gone), context: the listener's */
        PEER_CONN_MOVED,        /* conn, context: the connection's, here and below. It has left its relay, which attempt's @path tells, for
                                 * @remote, or come back to it */
        PEER_CONN_READABLE,     /* conn_peek() has more, or conn_at_end() */
        PEER_CONN_UNORDERED,    /* conn_receive_unordered() may have some */
        PEER_CONN_WRITABLE,     /* conn_room_bytes() has grown after it was little */
        PEER_CONN_ENDED,        /* what we sent and our conn_end() have arrived; the peer may go on */
        PEER_CONN_CLOSED,       /* reason; last event of it: conn_free() it. What arrived before stays readable until then */
};

enum peer_reason {
        PEER_CONN_DONE,         /* both sides ended, all was acknowledged */
        PEER_CONN_RESET,        /* the peer cut it off, or had to be: what it holds of ours is damaged */
        PEER_CONN_TIMED_OUT,    /* nobody answers any more */
        PEER_CONN_BROKEN,       /* a frame was forged, out of order, cut short, or its rest never comes: nothing can be
                                 * trusted from there on */
        PEER_CONN_TOO_LONG,     /* the same: it says that its length is frame_bytes, which is more than we take */
};

struct peer_event {
        enum peer_event_kind kind;
        void *context;
        struct conn *conn;
        struct peer_listener *listener;
        peer_knock_id knock;
        enum peer_failure failure;
        enum peer_reason reason;
        size_t frame_bytes;
        uint8_t remote_key[PEER_KEY_BYTES];     /* connected, failed, accepted, knock */
        struct addr remote;                     /* connected, accepted: where it is; knock: as its relay sees it */
        struct peer_attempt attempt;            /* connected, failed, accepted */
        struct addr relays[DHT_PEER_RELAYS_MAX];        /* connected: where it says it is reached next time */
        size_t relay_count;
};

/* Drained until false. */
bool peer_event(struct peer_set *set, struct peer_event *out, const struct now *now);

struct peer_stats {
        size_t dials, sessions, conns;
        size_t half_open;                       /* dials, sessions, punches, and what waits for its time or to be told */
        size_t sockets;                         /* of those that were added */
        uint64_t dials_connected, dials_failed[PEER_FAILURES];
        uint64_t handshakes;                    /* taken from strangers, repeats not counted */
        uint64_t repeated;                      /* answered again from memory */
        uint64_t undecryptable, unwelcome, limited, expired;    /* and what became of those that led nowhere */
        uint64_t answers_forged;                /* to our dials */
        uint64_t detours_paired, detours_failed;        /* over relays: met, given up */
        uint64_t detours_left, detours_returned;        /* left for a direct way, and come back to as that died */
        uint64_t punched_again;                         /* for connections over relays */
};

void peer_stats(const struct peer_set *set, struct peer_stats *out);

#endif
