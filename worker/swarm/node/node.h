/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocol stack as one thing: a node of the DHT that joins routers, finds peers, and carries channels to them.
 *
 * Bytes in, bytes out, time as an argument: it owns no socket, no clock, no log and no global. Nothing calls back: what
 * shall be sent is drained with node_transmit(), what happened with node_event(), and node_deadline() says when to come
 * again. Sockets are numbers that mean something to the caller. One thread.
 *
 * A turn: node_receive() and node_advance(), act on node_event() until false, then node_transmit() until false. */
#ifndef HG_NODE_H
#define HG_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "addr.h"
#include "random.h"
#include "usec.h"

struct node;
struct cipher;

enum {
        NODE_KEY_BYTES = 32,
        NODE_AUTH_KEY_BYTES = 64,
        NODE_HEADROOM = 16,             /* writable bytes in front of what node_write() is given */
        NODE_WRITE_MAX = 63330,         /* more than this per call is cut */
        NODE_TEXT_MAX = 253,            /* error text of a refusal: hypergate.md 2 */
        NODE_ROUTERS_MAX = 4,
        NODE_KNOWN_MAX = 64,
        NODE_PROOF_BYTES = 32,
        NODE_RELAYS_MAX = 8,
        NODE_SOCKETS_MAX = 512,         /* added ones there are at a time */
        NODE_DATAGRAM_MAX = 65507,      /* bytes of one that a channel carries */
        NODE_APPOINTED_MAX = 64,
        NODE_ALLOWED_MAX = 256,
        NODE_MESSAGE_MAX = 2 * 1024 * 1024,     /* bytes of one from a peer, sealed; a longer one ends the connection */
        NODE_QUESTIONS_MAX = 32,        /* open at a time */
        NODE_SIGHTINGS_MAX = 16,
        NODE_OWN_RELAYS_MAX = 3,
};

enum node_protocol {
        NODE_TCP = 0,
        NODE_UDP = 1,
};

enum node_role {
        NODE_GATEWAY,
        NODE_PROVIDER,
        NODE_ROLES,
};

struct node_config {
        struct random random;
        uint32_t server_socket;         /* its port is what is announced */
        uint32_t client_socket;         /* queries leave here while we may be firewalled */
        struct addr server_local;       /* where the server socket is bound; 0.0.0.0 for any */
        bool persistent;                /* serve the DHT under @public_addr from the start */
        struct addr public_addr;
        size_t receive_bytes;           /* a socket's granted receive buffer: bounds the sum of windows; 0: 4 MiB */
        bool marks_streams;             /* see udx_mux_mark() */
        uint8_t stream_mark;
        struct cipher *cipher;          /* see cipher.h; borrowed for the node's life. NULL: libsodium's */
};

/* One packet, or a run of equal-sized ones (the last may be shorter) to or from one remote. */
struct datagram {
        uint32_t socket;
        struct addr remote;
        const struct iovec *iov;        /* valid until the next call into the node */
        unsigned iov_len;
        size_t len;                     /* of all iov together */
        uint16_t segment_bytes;         /* 0 or >= len: a single packet */
        uint8_t ttl;                    /* out: hops it may live; 0: as many as usual */
        bool pieces;                    /* out: it may be cut into IP fragments on its way */
};

/* 0 or -ENOMEM. @now: the node starts to act at its first node_advance(). */
int node_new(struct node **node_out, const struct node_config *config, const struct now *now);
void node_free(struct node *node);

/* Replaces the bootstrap nodes (resolved; may come late or change) or the local interface addresses (ports are ours). Copied. */
int node_set_bootstrap(struct node *node, const struct addr *addrs, size_t count, const struct now *now);
int node_set_local_addresses(struct node *node, const struct addr *addrs, size_t count, const struct now *now);

/* Nodes that were there when we last ran (at most NODE_KNOWN_MAX; copied): tried beside the bootstrap nodes. And those that are
 * there now, to be remembered; returns how many. */
void node_set_known(struct node *node, const struct addr *addrs, size_t count, const struct now *now);
size_t node_known(const struct node *node, struct addr *out, size_t max);

struct node_appointed {
        uint8_t key[NODE_KEY_BYTES];
        struct addr addr;
};

/* Peers whose addresses are known (copied, at most NODE_APPOINTED_MAX): dialled there by every identity, with or without a DHT. Added to
 * those that were appointed before; a key's address may be another one. 0, -E2BIG or -ENOMEM. */
int node_appoint(struct node *node, const struct node_appointed *peers, size_t count, const struct now *now);

/* Who may meet our identity of @role, from now on, whether that has joined or will: keys (copied, at most NODE_ALLOWED_MAX); none: whoever
 * knows the router. Others are not dialled, and get no answer to their handshakes, as if nobody were here; with those that are up it ends
 * as with a secret that counts no more. */
void node_allow(struct node *node, enum node_role role, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now);

/* What may be received and not handed on, of a channel and of all of a connection, for connections to come; 0: as usual. */
void node_limit_buffers(struct node *node, uint32_t channel_bytes, uint32_t peer_bytes);

/* A router, as its members know it. */
struct node_router {
        uint8_t public_key[NODE_KEY_BYTES];     /* the topic */
        uint8_t auth_key[NODE_AUTH_KEY_BYTES];  /* keys hello */
};

/* The router, newest secret first (copied, at most NODE_ROUTERS_MAX). While that is exchanged for another one there are several, and a
 * peer that knows any of these is one of ours, once: under the same identity it is found at each of their topics, and what it has
 * proven by one it proves by another as soon as it can. Which is not among them any more is left, with the peers that have proven
 * nothing else. 0, -E2BIG. */
int node_set_routers(struct node *node, const struct node_router *routers, size_t count, const struct now *now);

/* Joins the router in one role under an identity of its own: announces, looks up and connects. Once per role. @seed: Ed25519 seed of the
 * identity, copied. 0, -EEXIST, -ENOMEM. */
int node_join(struct node *node, enum node_role role, const uint8_t seed[NODE_KEY_BYTES], const struct now *now);

/* Leaves all: unannounces, tells the peers, ends what it can in order. Channels with peers of our kind, which open no further ones then,
 * may finish for most of @limit_us; the others are cut off at once. NODE_LEFT follows, at the latest after @limit_us. */
void node_leave(struct node *node, usec_t limit_us, const struct now *now);

/* What a provider tells every gateway peer, now and when it comes. Copied. 0 or -ENOMEM, -EMSGSIZE above 256 KiB. */
int node_advertise(struct node *node, const void *bytes, size_t len, const struct now *now);

/* Blind relays carry what two peers, both behind NATs that give each remote another port, can't send each other directly. They see
 * nothing but its ciphertext, where it comes from and where it goes.
 *
 * As one: for peers of the router and those whom they bring, once it is joined, or for @anybody who knows the public key of @seed. */
enum node_relay_mode {
        NODE_RELAY_ON_DEMAND,   /* once a peer of the router asks for one, and if strangers reach us: as long as nothing else is said */
        NODE_RELAY_ALWAYS,
        NODE_RELAY_NEVER,
};

struct node_relay_spec {
        enum node_relay_mode mode;
        uint8_t seed[NODE_KEY_BYTES];           /* Ed25519 */
        bool anybody;
        unsigned connections, connections_per_host;     /* at a time; 0: the default */
        uint64_t bytes_per_s, bytes_per_s_per_host;     /* in all, and from and to one host; 0: as many as come */
};

/* Other limits for the same seed change nothing for who is served already. 0, -EEXIST (the key is an identity of ours) or -ENOMEM. */
int node_relay(struct node *node, const struct node_relay_spec *spec, const struct now *now);

/* Through one of them, or of those that peers are, where that is needed; copied. 0, or -E2BIG above NODE_RELAYS_MAX. */
int node_use_relays(struct node *node, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now);

/* @in lies in one piece: iov_len is 1. */
void node_receive(struct node *node, const struct datagram *in, const struct now *now);
void node_advance(struct node *node, const struct now *now);
usec_t node_deadline(const struct node *node);
bool node_transmit(struct node *node, struct datagram *out, const struct now *now);

/* After NODE_SOCKETS_WANTED: another socket, bound like the server socket but at any port, under a number that no other has; and
 * that no further ones come for now. Fewer than wanted, or none, do as well: some peers are reached less surely. */
void node_add_socket(struct node *node, uint32_t socket, const struct now *now);
void node_no_sockets(struct node *node, const struct now *now);

/* The wire refused the last datagram: too large (EMSGSIZE: shorter ones are sent from now on) or gone. Loss recovery does the rest;
 * counted. */
void node_unsent(struct node *node, const struct datagram *out, int error);

/* Frees the memory that is kept for what comes next: for a caller who sees that all is quiet. */
void node_trim(struct node *node);

/* How a peer was reached. */
enum node_path {
        NODE_PATH_NONE,         /* not at all */
        NODE_PATH_DIRECT,       /* one of us at an address where strangers get through, or which it had opened for the other */
        NODE_PATH_NEAR,         /* on the same machine or network */
        NODE_PATH_PUNCHED,      /* through both NATs, each of which shows one address to all */
        NODE_PATH_CHANCE,       /* and one of which shows each remote another port */
        NODE_PATH_RELAY,        /* over a blind relay */
        NODE_PATHS
};

/* How a NAT treats a socket behind it. */
enum node_nat {
        NODE_NAT_UNKNOWN,
        NODE_NAT_OPEN,
        NODE_NAT_CONSISTENT,    /* one address for all remotes */
        NODE_NAT_RANDOM,        /* another port for each */
        NODE_NATS
};

/* Why a peer was not reached. */
enum node_failure {
        NODE_REACHED,                   /* it was */
        NODE_NOT_FOUND,                 /* no DHT node knows it */
        NODE_UNANSWERED,                /* some do, and none brought an answer: it is gone, or does not want us */
        NODE_INCOMPATIBLE,              /* it speaks another version */
        NODE_PEER_REFUSED,              /* it answered with an error */
        NODE_UNREACHED,                 /* it answered, and no packet got through where one should */
        NODE_NEEDS_PUNCH,               /* both are behind NATs, and it does not punch */
        NODE_PUNCH_UNANSWERED,          /* it wanted to punch, and then said nothing more */
        NODE_PUNCH_REFUSED,             /* it gave up */
        NODE_PUNCH_BUSY,                /* it, or we, punched with others all the time */
        NODE_PUNCH_UNDECIDED,           /* what one of the NATs is like did not show: too few nodes answered */
        NODE_PUNCH_IMPOSSIBLE,          /* both NATs give each remote another port */
        NODE_PUNCH_SHUT,                /* both punched, and nothing got through */
        NODE_PEER_BROKEN,               /* what got through was not the peer's */
        NODE_NO_MEMORY,
        NODE_CAME_FIRST,                /* the peer's own attempt is under way, and ours not needed */
        NODE_CANCELLED,                 /* we left, or had it otherwise meanwhile */
        NODE_NOT_ALLOWED,               /* it came, or was here, and node_allow() does not name it */
        NODE_FAILURES
};

/* What it took to reach a peer, or to find out that it can't be reached. */
struct node_attempt {
        enum node_failure failure;
        bool incoming;                  /* it was the peer's attempt; such ones that fail are told if it was not allowed to */
        enum node_path path;
        enum node_nat own_nat, peer_nat;        /* as far as the attempt told */
        unsigned rounds;                /* of hole punching */
        usec_t took_us;
};

enum node_event_kind {
        NODE_PEER_UP,           /* one of the other role is authenticated; peer, role (theirs), addr */
        NODE_PEER_DOWN,         /* all its channels have been closed before; peer, role; reason: NODE_REASON_PEER_LOST, _PEER_LEFT, or
                                 * _TOO_LONG: len */
        NODE_PEER_LEAVES,       /* it said so: nothing can be opened any more, and it advertises nothing; peer, role. Channels go on */
        NODE_ADVERT,            /* peer, bytes, len: valid until the next call; opaque here */
        NODE_ADVERT_LONG,       /* peer, len: one above 256 KiB, which was passed over */
        NODE_CHANNEL_ARRIVED,   /* a gateway peer wants gate_port/protocol, service; bytes, len: its metadata; answer accept or refuse */
        NODE_CHANNEL_OPENED,    /* our node_open() was confirmed */
        NODE_CHANNEL_REFUSED,   /* it was refused or timed out: reason, bytes, len: text; the channel id is gone */
        NODE_CHANNEL_READABLE,  /* node_peek() has more, or the peer's end; node_datagrams() has some */
        NODE_CHANNEL_WRITABLE,  /* node_writable() rose from zero */
        NODE_CHANNEL_CLOSED,    /* reason; the channel id is gone */
        NODE_LEFT,
        NODE_SOCKETS_WANTED,    /* count: to get through to a peer from behind a NAT that gives each remote another port */
        NODE_SOCKET_DONE,       /* socket: an added one is not needed any more; close it */
        NODE_ATTEMPT,           /* peer, attempt, role (ours); addr where it was reached, once it has proved itself. Of one that failed nothing is
                                 * proved: anybody may be listed as a peer */
        NODE_MOVED,             /* peer, addr, attempt's path: the connection to that peer has left its relay, or has come back to it */
        NODE_FOUND,             /* question, peer, addrs: somebody is announced on the topic, and can be reached through these nodes */
        NODE_PONG,              /* question, addr: us, as that node sees us; took_us since it was first asked, count: how often it was */
        NODE_ANSWERED,          /* question: no more follows; count: nodes that answered */
};

enum node_reason {
        NODE_REASON_DONE,       /* both directions ended in order and were acknowledged; datagrams: the peer closed it */
        NODE_REASON_RESET,      /* the peer aborted */
        NODE_REASON_PEER_LOST,
        NODE_REASON_PEER_LEFT,          /* the same, and it had said that it leaves */
        NODE_REASON_REFUSED,
        NODE_REASON_TIMED_OUT,
        NODE_REASON_NO_PEER,
        NODE_REASON_LIMIT,
        NODE_REASON_TOO_LONG,           /* it sent a message above NODE_MESSAGE_MAX; of fewer bytes: there was no room for it to be held whole */
};

typedef uint64_t node_channel_id;       /* never 0, never used twice */

struct node_event {
        enum node_event_kind kind;
        enum node_role role;
        enum node_reason reason;
        uint16_t gate_port, protocol;
        uint64_t service;               /* CHANNEL_ARRIVED: its name, 0: any behind that port */
        node_channel_id channel;
        uint8_t peer[NODE_KEY_BYTES];
        struct addr addr;
        const uint8_t *bytes;
        size_t len;
        uint32_t socket;
        size_t count;
        struct node_attempt attempt;
        uint64_t question;
        const struct addr *addrs;       /* valid until the next call */
        size_t addr_count;
        usec_t took_us;
};

/* Drained until false. */
bool node_event(struct node *node, struct node_event *out, const struct now *now);

/* As gateway: asks @peer to open @gate_port of @protocol. @metadata travels as it is (JSON for originals, may be empty). Ends in
 * NODE_CHANNEL_OPENED or NODE_CHANNEL_REFUSED, at the latest at now + @limit_us. 0, -ENOTCONN when the peer isn't up, -EBUSY
 * when it has too much unanswered, -EPROTONOSUPPORT, -EMSGSIZE (of the metadata), -ENOMEM. */
int node_open(struct node *node, const uint8_t peer[NODE_KEY_BYTES], uint16_t gate_port, uint16_t protocol,
              const void *metadata, size_t len, usec_t limit_us, node_channel_id *channel_out, const struct now *now);

/* Right after node_open(): which of the services is meant that the peer has behind that port, 0: any. For a peer of our kind; an original
 * chooses itself. */
void node_name_service(struct node *node, node_channel_id channel, uint64_t service);

/* Whose it is; all zero once it is gone. */
void node_channel_peer(const struct node *node, node_channel_id channel, uint8_t key_out[NODE_KEY_BYTES]);

/* As provider: answers NODE_CHANNEL_ARRIVED. The id of a channel that is gone meanwhile is ignored. */
void node_accept(struct node *node, node_channel_id channel, const struct now *now);
void node_refuse(struct node *node, node_channel_id channel, const char *text, size_t len, const struct now *now);

/* How many bytes node_write() would take now: what window, fairness and memory allow; 0 after node_end(). Before NODE_CHANNEL_OPENED that is
 * little or nothing (tunnel_writable()), and after NODE_REASON_REFUSED nobody has had it. */
size_t node_writable(const struct node *node, node_channel_id channel);

/* Sends @len bytes at @data, in front of which NODE_HEADROOM bytes are ours to overwrite. All or nothing: @len must
 * not exceed node_writable() of this channel, called right before. Encrypts from here straight into the send buffer. */
void node_write(struct node *node, node_channel_id channel, uint8_t *data, size_t len, const struct now *now);

/* On a channel of NODE_UDP, in place of node_write(), node_end(), node_peek() and node_consume(): datagrams of at most NODE_DATAGRAM_MAX
 * bytes, whole or not at all.
 *
 * Sends @count datagrams, copied. Only when node_writable() of this channel, called right before, is not 0; they may be more than
 * that, and then leave before all others. */
void node_send(struct node *node, node_channel_id channel, const struct iovec *datagrams, size_t count, const struct now *now);

/* The next ones from the peer, at most @max, valid until the next call into the node; returns how many. The first @count of them are
 * done with; what is never read is bounded, and the newest are dropped. */
size_t node_datagrams(struct node *node, node_channel_id channel, struct iovec *out, size_t max);
void node_datagrams_done(struct node *node, node_channel_id channel, size_t count, const struct now *now);

/* No more data in our direction; what was written arrives before it. */
void node_end(struct node *node, node_channel_id channel, const struct now *now);

/* Gives up: the peer sees a reset. The id is gone, no event follows. */
void node_abort(struct node *node, node_channel_id channel, const struct now *now);

/* The next bytes from the peer where they lie, valid until the next call into the node; 0 when there are none now.
 * @ended_out: nothing will ever follow these. */
size_t node_peek(struct node *node, node_channel_id channel, const uint8_t **bytes_out, bool *ended_out);

/* @len of the bytes peeked are done with (written to the service): the peer's window reopens. */
void node_consume(struct node *node, node_channel_id channel, size_t len, const struct now *now);

/* The peer's end was passed on (shutdown done): with our own node_end() the channel may now finish. */
void node_consume_end(struct node *node, node_channel_id channel, const struct now *now);

/* --- Questions of people who look for what is wrong --- */

/* Who is announced on @topic; each key is told once. NODE_ANSWERED ends it. @question: the caller's number, handed back. 0, -EBUSY (there
 * are NODE_QUESTIONS_MAX) or -ENOMEM. */
int node_scan(struct node *node, uint64_t question, const uint8_t topic[NODE_KEY_BYTES], const struct now *now);

/* Whether the DHT node at @addr is there, asked by the server socket (@by_server) or by the one that requests leave by: NODE_PONG if it
 * is, then NODE_ANSWERED, within seconds. As above, or -EAGAIN: by the server socket nobody is asked before it is known whether strangers
 * reach it, as who is sent to gets in. */
int node_ping(struct node *node, uint64_t question, const struct addr *addr, bool by_server, const struct now *now);

struct node_self {
        enum node_nat nat;
        bool settled;                   /* that is all that will be known of it: strangers have tried to reach us, enough nodes have told */
        bool persistent;                /* serves the DHT */
        struct addr public_addr;        /* as others see us; port 0: they see different ones; all zero: unknown */
        struct {
                struct addr witness, seen;
        } sightings[NODE_SIGHTINGS_MAX];        /* what the last ones said, latest last */
        size_t sighting_count;
        struct addr relays[NODE_ROLES][NODE_OWN_RELAYS_MAX];        /* nodes that carry handshakes to us, of each role */
        size_t relay_count[NODE_ROLES];
};

void node_self(const struct node *node, struct node_self *out);

/* A peer that is up. */
struct node_peer {
        uint8_t key[NODE_KEY_BYTES];
        enum node_role role;            /* theirs */
        struct addr addr;               /* its own, or that of the relay */
        struct node_attempt attempt;    /* how it was reached; its @path is what it is now: a relay may have been left */
        usec_t rtt_us;                  /* smoothed; 0: not known yet */
        usec_t up_us;                   /* for so long */
        uint64_t sent_bytes, received_bytes;    /* on its connection, sealing included */
        uint64_t packets_resent;
        size_t datagram_bytes;          /* longest of a service's that goes beside the stream as things are; 0: none does */
        int64_t skew_ms;                /* its clock minus ours, as hello told it */
        bool leaves;                    /* it has said so */
        bool outdated;                  /* it knows a previous secret of the router, and has not shown that it knows the newest */
};

/* At most @max; returns how many there are. */
size_t node_peers(const struct node *node, struct node_peer *out, size_t max, const struct now *now);

struct node_stats {
        uint32_t table_nodes;           /* DHT nodes known */
        bool bootstrapped;
        uint32_t announced;             /* joined identities with a confirmed announcement */
        uint32_t peers[NODE_ROLES];     /* authenticated, by their role */
        uint32_t channels;
        uint32_t half_open;             /* attempts to reach peers, and of peers to reach us, with all that these wait for */
        uint32_t sockets;               /* added ones that are not done with */
        struct addr public_addr;        /* as others see us; port 0: unknown */
        uint64_t datagrams_in, datagrams_out, datagrams_dropped, unsent;        /* of the sockets */
        uint64_t channel_datagrams_dropped;     /* from peers, and nobody read those before them; to peers, and too many waited */
        uint32_t relayed;               /* of the peers, through a relay */
        uint32_t outdated;              /* of the peers, see struct node_peer */
        bool relays;                    /* it is one: */
        uint32_t relay_connections;
        uint64_t relay_bytes;
};

void node_stats(const struct node *node, struct node_stats *out);

#endif
