/* SPDX-License-Identifier: BSD-3-Clause */
/* A node of the HyperDHT: knows other nodes, asks them, serves them, keeps servers reachable, carries handshakes.
 *
 * Bytes in, bytes out. A turn: dht_receive() for what UDX declined, dht_advance(), dht_event() until false, dht_transmit()
 * until false; dht_deadline() says when to come again. Nothing calls back. Wire and behaviour: HyperDHT 6.34, dht-rpc 6.27. Like HyperDHT
 * it has nothing to do with four test nodes that strayed into the public network: dht_welcome() in dht_private.h. */
#ifndef HG_DHT_H
#define HG_DHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "rpc.h"
#include "usec.h"

enum {
        DHT_KEY_BYTES = 32,
        DHT_SECRET_KEY_BYTES = 64,      /* Ed25519, seed and public key, as libsodium has it */
        DHT_TARGET_BYTES = 32,
        DHT_K = 20,                     /* nodes a query converges on */
        DHT_RELAYS_MAX = 3,             /* nodes a server is announced at */
        DHT_NOISE_MAX = 1024,           /* longer handshake messages are dropped unread */
        DHT_PEER_RELAYS_MAX = 8,        /* relay addresses of a record we look at */
        DHT_KNOWN_MAX = 64,             /* nodes to begin with, beside bootstrap nodes */
        DHT_SIGHTINGS_MAX = 16,
};

struct dht;
struct dht_query;
struct dht_handshake;
struct dht_listener;

struct dht_config {
        struct random random;
        uint32_t server_socket, client_socket;
        uint16_t server_port;           /* where the server socket is bound */
        bool persistent;                /* serve under @public_addr from the start: a bootstrap node. The others serve once
                                         * strangers have reached them at one address for 20 minutes */
        struct addr public_addr;
};

/* 0 or -ENOMEM. Acts at its first dht_advance(). */
int dht_new(struct dht **dht_out, const struct dht_config *config, const struct now *now);
void dht_free(struct dht *dht);

/* The nodes to ask when we know too few (resolved; copied, replaces the former). May come late or change. Where one of them
 * has a private or reserved address, the network is taken for a private one and such addresses are believed. 0 or -ENOMEM. */
int dht_set_bootstrap(struct dht *dht, const struct addr *addrs, size_t count, const struct now *now);

/* Nodes that were there when we last ran (of dht_known(); copied, at most DHT_KNOWN_MAX, replaces the former): asked beside the
 * bootstrap nodes while we know nobody, and believed no more than anybody who is named to us. */
void dht_set_known(struct dht *dht, const struct addr *addrs, size_t count, const struct now *now);

/* Nodes worth to be remembered, those heard last first; returns how many. */
size_t dht_known(const struct dht *dht, struct addr *out, size_t max);

/* We slept, or all our addresses are others now: forget what was learned about our own address, announce anew, and serve no one
 * before we were there for an hour. */
void dht_wake(struct dht *dht, const struct now *now);

/* Some of our addresses came or went: the same, but who serves goes on as long as others see it where it was. */
void dht_look_around(struct dht *dht, const struct now *now);

/* --- The turn --- */

/* A datagram that is no UDX packet. Returns what became of it, for the counters. */
enum rpc_verdict dht_receive(struct dht *dht, uint32_t socket, const struct addr *from, const void *bytes, size_t len,
                             const struct now *now);
void dht_advance(struct dht *dht, const struct now *now);
usec_t dht_deadline(const struct dht *dht);     /* on now.mono_us */
bool dht_transmit(struct dht *dht, struct rpc_send *out);

/* --- Queries: walk the network towards a target --- */

enum dht_operation {
        DHT_FIND_NODE,          /* only the walk */
        DHT_FIND_PEER,          /* target: hash of a public key, dht_target(). DHT_PEER_FOUND per node that is its relay */
        DHT_LOOKUP,             /* target: a topic. DHT_PEER_LISTED per record */
        DHT_ANNOUNCE,           /* looks up, then puts our record at the nearest nodes */
        DHT_UNANNOUNCE,         /* looks up and withdraws our record wherever it is listed, or may be hidden by others */
};

struct dht_query_spec {
        enum dht_operation operation;
        const uint8_t *target;
        const uint8_t *secret_key;      /* (un)announce: whose record; copied, wiped at the end */
        const struct addr *relays;      /* announce: relay addresses to list in the record, at most DHT_PEER_RELAYS_MAX; copied */
        size_t relay_count;
        bool clear;                     /* announce: withdraw old records first: JavaScript nodes keep the old one otherwise */
        const struct addr *seeds;       /* nodes to ask first: the `closest` of the last query for this target; copied */
        size_t seed_count;
        unsigned retries;               /* per node; 0: RPC_RETRIES_QUERY */
        void *context;                  /* handed back in its events */
};

/* Starts a query; its results come as events while it runs, DHT_QUERY_DONE last, then the handle is gone. NULL: no memory. */
struct dht_query *dht_query(struct dht *dht, const struct dht_query_spec *spec, const struct now *now)
        __attribute__((warn_unused_result));

/* Stops it where it is: no event of it follows, the handle is gone. */
void dht_query_cancel(struct dht *dht, struct dht_query *query, const struct now *now);

/* BLAKE2b-256 of a public key: under which its server is found. */
void dht_target(const uint8_t public_key[DHT_KEY_BYTES], uint8_t target_out[DHT_TARGET_BYTES]);

/* We hold the announcement of @target ourselves: @relay_out is where its server is reached. No query finds that. */
bool dht_forward_of(const struct dht *dht, const uint8_t target[DHT_TARGET_BYTES], struct addr *relay_out);

/* --- Servers of this process --- */

/* Keeps the holder of @secret_key (copied) findable: announced at DHT_RELAYS_MAX nodes, checked every few seconds, moved when
 * our address or a relay changes. From now on its handshakes come as DHT_HANDSHAKE. NULL: no memory, or it listens already. */
struct dht_listener *dht_listen(struct dht *dht, const uint8_t secret_key[DHT_SECRET_KEY_BYTES], void *context,
                                const struct now *now) __attribute__((warn_unused_result));

/* Withdraws the announcements; DHT_UNLISTENED follows (within seconds, answered or not), then the handle is gone. Handshakes
 * end at once. @keep: leave them, a successor takes over; then nothing follows and the handle is gone at once. */
void dht_unlisten(struct dht *dht, struct dht_listener *listener, bool keep, const struct now *now);

struct dht_relay {
        struct addr relay;              /* a node that forwards handshakes to us */
        struct addr peer;               /* us, as it sees us */
};

/* The relays confirmed by now, at most DHT_RELAYS_MAX; returns how many. */
size_t dht_listener_relays(const struct dht_listener *listener, struct dht_relay out[DHT_RELAYS_MAX]);

/* Asks the relays of all listeners now, not at their next time, whether they see us where they did. Seldom, however often called. */
void dht_check_relays(struct dht *dht, const struct now *now);

/* Whether @addr is a relay of this or one of the last two cycles: only those may vouch for a client. */
bool dht_listener_is_relay(const struct dht_listener *listener, const struct addr *addr);

/* --- Handshakes: PEER_HANDSHAKE, whose contents are the peer's business --- */

enum dht_mode {
        DHT_FROM_CLIENT,
        DHT_FROM_SERVER,
        DHT_FROM_RELAY,
        DHT_FROM_SECOND_RELAY,
        DHT_REPLY,
};

/* Where the answer to a handshake must go. By value; keep it as long as you like. */
struct dht_inbound {
        uint32_t socket;                /* it came by; the answer leaves here, or where you set it to */
        uint16_t tid;
        enum dht_mode mode;             /* from client (direct), from relay or from second relay */
        struct addr from;               /* source of the datagram: the client or the relay */
        struct addr client;             /* the client, as its relay (or we) see it */
        struct addr second;             /* from second relay: the relay the client asked */
        struct addr to;                 /* us, as the sender of the datagram sees us */
        uint8_t target[DHT_TARGET_BYTES];
};

/* Answers with the responder's Noise message. */
void dht_handshake_reply(struct dht *dht, const struct dht_inbound *inbound, const void *noise, size_t len,
                         const struct now *now);

/* Carries the initiator's Noise message (copied) to the server of @target through @relay (or to the server itself).
 * Ends in one DHT_HANDSHAKE_ANSWERED or DHT_HANDSHAKE_FAILED; then the handle is gone. NULL: no memory. */
struct dht_handshake *dht_handshake_send(struct dht *dht, const struct addr *relay, const uint8_t target[DHT_TARGET_BYTES],
                                         const void *noise, size_t len, void *context, const struct now *now)
        __attribute__((warn_unused_result));
void dht_handshake_cancel(struct dht *dht, struct dht_handshake *handshake);

/* --- Hole punching: PEER_HOLEPUNCH, sealed from one end to the other --- */

struct dht_punch_spec {
        struct addr relay;              /* who carries it */
        struct addr server;             /* and where to: the server, as that relay sees it */
        const uint8_t *target;
        uint64_t id;                    /* by which the server knows the handshake it belongs to */
        const void *payload;            /* copied */
        size_t len;
        bool eager;                     /* asks again soon and often: a server that hears it twice must not mind */
        void *context;
};

/* Carries a payload to a server and its answer back. Ends in one DHT_PUNCH_ANSWERED or DHT_PUNCH_FAILED, then the handle is gone;
 * dht_handshake_cancel() before. NULL: no memory. */
struct dht_handshake *dht_punch_send(struct dht *dht, const struct dht_punch_spec *spec, const struct now *now)
        __attribute__((warn_unused_result));

/* Answers DHT_PUNCH, from the socket that @inbound names: where that socket is, the client's relay tells it. */
void dht_punch_reply(struct dht *dht, const struct dht_inbound *inbound, const void *payload, size_t len);

/* --- Whether somebody is there --- */

/* Asks one node (PING), by the server socket (@by_server) or by the one that requests leave by. Ends in one DHT_PONG or DHT_PING_FAILED, then the handle is gone;
 * dht_handshake_cancel() before. NULL: no memory. */
struct dht_handshake *dht_ping(struct dht *dht, const struct addr *node, bool by_server, void *context, const struct now *now)
        __attribute__((warn_unused_result));

/* --- Events --- */

enum dht_event_kind {
        DHT_BOOTSTRAPPED,               /* we know the network, or are its first node */
        DHT_ADDRESS_CHANGED,            /* what others see as our address; see dht_public_addr() */
        DHT_PEER_FOUND,                 /* query; from: a relay of that key; to: as it sees us; public_key, relays of its record */
        DHT_PEER_LISTED,                /* query; from: who lists it; public_key, relays: a record of the topic; bump */
        DHT_QUERY_DONE,                 /* query; closest: nodes nearest the target; asked, replies, accepted, hops */
        DHT_RELAYS_CHANGED,             /* listener: confirmed relays are others now */
        DHT_MOVED,                      /* to: where a relay of a listener's sees us now, and did not before */
        DHT_HEARD_AGAIN,                /* somebody answers, and nobody did for some seconds: an outage of ours is over */
        DHT_UNLISTENED,                 /* listener */
        DHT_HANDSHAKE,                  /* listener; inbound, noise: answer with dht_handshake_reply(), or not at all */
        DHT_HANDSHAKE_ANSWERED,         /* handshake; from: the relay; server, relayed, to, noise */
        DHT_HANDSHAKE_FAILED,           /* handshake; from: the relay; timed_out, or it knows no such server */
        DHT_PUNCH,                      /* listener; inbound (relayed), punch_id, noise: the payload */
        DHT_PUNCH_ANSWERED,             /* handshake; from: the relay; server, to, noise: the payload */
        DHT_PUNCH_FAILED,               /* handshake; from: the relay; timed_out, or the answer was none */
        DHT_PONG,                       /* handshake; from; to: us, as it sees us; sends: how often it was asked */
        DHT_PING_FAILED,                /* handshake; from: who did not answer */
};

struct dht_event {
        enum dht_event_kind kind;
        void *context;                  /* of the query, listener or handshake */
        struct dht_query *query;
        struct dht_listener *listener;
        struct dht_handshake *handshake;
        struct addr from, to;
        uint8_t public_key[DHT_KEY_BYTES];
        struct addr relays[DHT_PEER_RELAYS_MAX];
        size_t relay_count;
        uint64_t bump;                  /* milliseconds since the epoch, 0: none */
        struct addr closest[DHT_K];
        size_t closest_count;
        unsigned asked, replies;        /* nodes; those that answered */
        unsigned accepted;              /* (un)announce: nodes that took the record (out) */
        unsigned hops;                  /* nodes on the way to the nearest one, itself included */
        unsigned sends;
        struct dht_inbound inbound;
        uint64_t punch_id;
        struct addr server;             /* the server, as its relay sees it, or the relay itself */
        bool relayed;                   /* false: @from is the server */
        bool timed_out;
        const uint8_t *noise;           /* valid until the next call into the dht */
        size_t noise_len;
};

/* Drained until false. */
bool dht_event(struct dht *dht, struct dht_event *out);

/* --- What we know about ourselves --- */

/* Our address as others see it; port 0: they see different ports. False: unknown. */
bool dht_public_addr(const struct dht *dht, struct addr *out);

/* Our address where strangers may reach us without a relay; false: not known to be open. */
bool dht_open_addr(const struct dht *dht, struct addr *out);

/* The socket requests leave by and relays know us by. */
uint32_t dht_socket(const struct dht *dht);

/* What an answer said about that socket's address. */
struct dht_sighting {
        struct addr witness, seen;
};

/* As many hosts as a judgement needs have answered since that socket was another one, or there is nobody else to ask. */
bool dht_is_surveyed(const struct dht *dht);

/* Whether strangers reach the server socket has been tried out. What leaves by that socket before spoils it: who is sent to gets in. */
bool dht_is_probed(const struct dht *dht);

/* The last ones, latest last, without what the same witness just said again; returns how many. */
size_t dht_sightings(const struct dht *dht, struct dht_sighting out[DHT_SIGHTINGS_MAX]);

/* The table is empty, or nobody in it has answered for a while: it is kept for the time after an outage. */
bool dht_is_alone(const struct dht *dht, const struct now *now);

struct dht_stats {
        size_t nodes;                   /* in the routing table */
        bool bootstrapped, persistent, firewalled;
        size_t queries, listeners, listeners_announced;
        size_t records, forwards, values;       /* held for others */
        struct rpc_stats rpc;
};

void dht_stats(const struct dht *dht, struct dht_stats *out);

#endif
