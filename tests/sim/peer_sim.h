/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that dial each other over a network in memory, with a DHT that is no more than a directory: it carries handshakes
 * through the relays it is told of, and does to them what a test wants. An application at each end of each connection writes
 * a known pattern and checks what it reads. */
#ifndef HG_PEER_SIM_H
#define HG_PEER_SIM_H

#include "net.h"
#include "peer.h"

enum {
        PEER_SIM_NODES = 8,
        PEER_SIM_CONNS = 512,
        PEER_SIM_RELAYS = 4,
        PEER_SIM_HEADROOM = 16,
        PEER_SIM_SOCKETS = 1000,        /* the first number of a socket that was given */
};

/* What a relay does with handshakes. */
enum peer_sim_relay {
        PEER_SIM_HONEST,
        PEER_SIM_DEAD,          /* nobody is there */
        PEER_SIM_IGNORANT,      /* answers that it knows no such server */
        PEER_SIM_FORGING,       /* flips a bit of the answer */
        PEER_SIM_INVENTING,     /* answers by itself, with noise */
        PEER_SIM_SPOILING,      /* flips a bit of the question */
        PEER_SIM_IMPOSTOR,      /* lets the test answer: impostor */
};

struct peer_sim_end {
        struct conn *conn;              /* NULL: freed, or never there */
        bool accepted;                  /* we did not dial it */
        uint64_t to_write, written, read;
        bool end_after, ended;          /* end when all is written; has */
        bool wrong;                     /* a byte was not the expected one */
        bool at_end, closed;
        bool end_arrived;
        bool reads;
        enum peer_reason reason;
        size_t too_long_bytes;          /* of a frame that it ended with */
        usec_t opened_us, closed_us;
        unsigned readable_events, writable_events;
        struct addr remote;
        uint8_t remote_key[PEER_KEY_BYTES];
};

/* What a directory entry of a server is. */
struct peer_sim_entry {
        struct addr relays[PEER_SIM_RELAYS];
        enum peer_sim_relay behaviour[PEER_SIM_RELAYS];
        usec_t delay_us[PEER_SIM_RELAYS];       /* on top of the directory's */
        size_t relay_count;
        bool direct;                    /* the first of them is the server itself */
        bool listed;                    /* FIND_PEER finds it */
};

struct peer_sim_node {
        struct peer_sim *sim;
        unsigned index;
        struct udx_mux *mux;
        struct dht *dht;
        struct peer_set *set;
        unsigned socket;                /* endpoint; server and client socket in one */
        struct addr addr;               /* where it is on the network */
        struct addr seen;               /* as others see it: @addr, or something of a NAT before it that nobody passes */
        struct addr forward;            /* where it would pass on handshakes for whoever it dials; port 0: it would not */
        uint8_t sighted;                /* by so many nodes; at first by enough for it to know its NAT */
        bool random_nat;                /* each of them sees it at another port */
        bool open;                      /* it knows that it is reachable */
        const uint8_t *relay_through;   /* its dials name this blind relay */
        uint64_t relay_rate_per_host;   /* of a relay */
        const uint8_t *relay_proof;     /* and show that they may; of a relay: what it demands */
        struct addr only_from;          /* until then nobody else gets through to it */
        usec_t only_until_us;
        bool filtered;                  /* a firewall before it lets only those in who were sent to before */
        struct addr sent_to[64];
        unsigned sent_to_count;
        uint8_t secret_key[PEER_SECRET_KEY_BYTES];
        struct peer_listener *listener;
        struct peer_sim_entry entry;
        struct peer_sim_end end[PEER_SIM_CONNS];
        unsigned end_count;
        unsigned connected, accepted, failed, knocks, unlistened;
        enum peer_failure failure;      /* of the last that failed */
        usec_t dialled_us, took_us;     /* the last dial: its start, how long until it was over */
        void *context;                  /* of the last event of a dial */
        peer_knock_id knock;
        bool admits;                    /* answers knocks at once with yes */
        bool trusts;                    /* connections as soon as they are there */
        bool lacks_sockets;             /* there are no more when it wants some */
        uint32_t sockets;               /* that it was given; what they send leaves from its address all the same */
        uint64_t udx_in, udx_out;
};

struct peer_sim {
        struct net *net;
        struct peer_sim_node node[PEER_SIM_NODES];
        unsigned node_count;
        struct dht_handshake *handshakes;       /* all that are on their way */
        uint16_t last_tid;
        usec_t relay_us;                /* one way of a handshake */
        usec_t query_us;                /* until FIND_PEER finds something, and once more until it is done */
        unsigned repeats;               /* each handshake arrives so many times more */
        unsigned handshakes_sent, queries, answers;
        uint8_t question[DHT_NOISE_MAX];        /* the last one sent */
        size_t question_len;
        size_t (*impostor)(void *context, const uint8_t *question, size_t len, uint8_t answer_out[DHT_NOISE_MAX]);
        void *impostor_context;
};

struct peer_sim *peer_sim_new(uint64_t seed, const struct net_link *link);
void peer_sim_free(struct peer_sim *sim);
void peer_sim_freep(struct peer_sim **sim);
struct now peer_sim_now(const struct peer_sim *sim);

/* A node at @addr that sees itself as not open; with local address @addr if that is private. */
struct peer_sim_node *peer_sim_add(struct peer_sim *sim, const struct addr *addr);

/* It listens, found through two honest relays. */
void peer_sim_listen(struct peer_sim_node *node, bool ask);
/* It is a blind relay, found through two honest nodes. */
void peer_sim_relay(struct peer_sim_node *node, unsigned pairs, uint64_t bytes_per_s);
const uint8_t *peer_sim_key(const struct peer_sim_node *node);

/* Two nodes with public addresses that know nothing about being open; the second listens, and may ask about who knocks. */
struct peer_sim *peer_sim_pair(uint64_t seed, const struct net_link *link);
struct peer_sim *peer_sim_pair_that_asks(uint64_t seed, const struct net_link *link);

/* Starts a dial from @from to @to through the first @known relays of its entry, as a lookup would have found them. */
struct peer_dial *peer_sim_dial(struct peer_sim_node *from, const struct peer_sim_node *to, size_t known);

void peer_sim_settle(struct peer_sim *sim);
void peer_sim_run(struct peer_sim *sim, usec_t us);

/* The application there writes @bytes more, then ends if it shall. */
void peer_sim_write(struct peer_sim_end *end, uint64_t bytes, bool end_after);

/* Injects a datagram at @node as if from @from. */
void peer_sim_inject(struct peer_sim_node *node, const struct addr *from, const void *bytes, size_t len);

#endif
