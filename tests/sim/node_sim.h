/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole nodes on the network that exists only in memory: DHT nodes, gateways and providers with a small application in each. Every
 * node runs the turn that the real driver runs. */
#ifndef HG_NODE_SIM_H
#define HG_NODE_SIM_H

#include "list.h"
#include "map.h"
#include "net.h"
#include "node.h"

enum {
        NODE_SIM_HOSTS = 256,
        NODE_SIM_PEERS = 128,           /* a host's application remembers */
        NODE_SIM_ATTEMPTS = 32,         /* and of attempts to reach some */
        NODE_SIM_SERVER = 0,            /* socket numbers of a node */
        NODE_SIM_CLIENT = 1,
        NODE_SIM_SOCKETS = 2,           /* any more are numbered from here on */
        NODE_SIM_SOCKETS_MAX = 2 + 512,
        NODE_SIM_BURST = 512,           /* sockets that are granted in 10 s: daemon/swarm_sockets.h */
};

/* What a provider does with a channel, by its gate port. All other ports are refused. */
enum node_sim_service {
        NODE_SIM_ECHO = 7,              /* sends back what comes, ends when the gateway has ended */
        NODE_SIM_SINK = 9,              /* reads all, then ends */
        NODE_SIM_LATE = 10,             /* reads all; after the gateway's end it answers with as many bytes of its own */
        NODE_SIM_FLOOD = 19,            /* sends a megabyte at once and ends, whatever comes */
        NODE_SIM_SILENT = 20,           /* never answers the open */
        NODE_SIM_DEAF = 21,             /* accepts, and reads nothing */
        NODE_SIM_DATAGRAMS = 53,        /* sends each datagram back */
        NODE_SIM_GAME = 54,             /* and these are small; */
        NODE_SIM_VIDEO = 55,            /* or 1,200 and 1,400 bytes long */
};

struct node_sim;
struct node_sim_host;

enum node_sim_fate {
        NODE_SIM_PENDING,
        NODE_SIM_OPEN,
        NODE_SIM_REFUSED,
        NODE_SIM_CLOSED,
};

/* One end of a channel. What is sent is a pattern of the channel's own; what is received is hashed. */
enum { NODE_SIM_DATAGRAMS_MAX = 16384 };        /* of a channel */

struct node_sim_channel {
        struct list in_host;
        struct map_entry by_id;
        struct node_sim_host *host;
        node_channel_id id;
        unsigned service;
        uint64_t named;                 /* at a provider: which of several services the gateway means */
        enum node_sim_fate fate;
        enum node_reason reason;
        char text[NODE_TEXT_MAX + 1];
        uint64_t to_send, sent, received;
        uint64_t sent_hash, received_hash;
        bool end_after, ended, remote_ended;
        bool reads;
        bool datagrams;                 /* then @to_send, @sent and @received count them; */
        bool game;                      /* none is empty, or too long to go beside the stream, */
        bool video;                     /* but on some paths; */
        usec_t every_us;                /* one is said; */
        uint64_t tag;                   /* whose they are; */
        uint8_t seen[NODE_SIM_DATAGRAMS_MAX / 8];       /* which of them came, by number; */
        usec_t latest_us;               /* and the longest that an echo took */
        usec_t opened_us, over_us, remote_ended_us;
};

struct node_sim_peer {
        uint8_t key[NODE_KEY_BYTES];
        enum node_role role;
        bool up, leaves;                /* and has said that it leaves */
        bool left;                      /* as it went down last, it had */
        unsigned ups, downs, adverts;
        char advert[64];                /* the last one, as text */
};

/* What became of an attempt to reach a peer. */
struct node_sim_attempt {
        uint8_t key[NODE_KEY_BYTES];
        struct node_attempt what;
        usec_t over_us;
};

/* What lives in a host in the place of a node of ours: the calls are those of node.h, its turn is node_advance() with all events. */
struct node_sim_guest {
        void (*receive)(void *self, const struct datagram *in, const struct now *now);
        void (*turn)(void *self, const struct now *now);
        bool (*transmit)(void *self, struct datagram *out, const struct now *now);
        usec_t (*deadline)(const void *self);
        void (*free)(void *self);
        void *self;
};

struct node_sim_host {
        struct node_sim *sim;
        struct node *node;              /* NULL: dead, not born, or there is: */
        struct node_sim_guest guest;
        struct addr addr;
        struct net_nat *nat;            /* in front of it; NULL: it is on the public network */
        unsigned endpoints[NODE_SIM_SOCKETS_MAX];       /* by socket; UINT_MAX: closed */
        size_t socket_count;            /* open ones beside the first two */
        size_t granted;                 /* of them, since @granted_us */
        usec_t granted_us;
        uint16_t next_port;
        const struct random *random;
        bool stopped;                   /* its process gets no turn, and what comes is lost */
        bool cut_off;                   /* nothing of its sockets', later ones included, gets anywhere */
        usec_t say_us;                  /* when its channels say more; USEC_NEVER: they wait for the node */
        struct list channels;           /* all there ever were */
        struct map by_id;
        struct node_sim_peer peers[NODE_SIM_PEERS];
        size_t peer_count;
        struct node_sim_attempt attempts[NODE_SIM_ATTEMPTS];    /* the latest ones: in the order of their end */
        size_t attempt_count;
        unsigned moves[2];              /* of its connections: from a relay to a direct way, and back */
        usec_t first_advert_us, first_up_us, left_us;
        unsigned mistakes;              /* events that contradict each other */
};

/* Whose an endpoint is. */
struct node_sim_socket {
        struct node_sim_host *host;
        unsigned number;
};

struct node_sim {
        struct net *net;
        struct node_sim_host hosts[NODE_SIM_HOSTS];
        size_t host_count;
        struct node_sim_socket *sockets;        /* by endpoint */
        size_t socket_count;
        uint8_t first_octet;            /* of addresses outside NATs: 10, a private network, or one that is none */
        usec_t due_us[NODE_SIM_HOSTS];  /* when each wants its next turn; 0: something came in since the last; USEC_NEVER: dead */
        struct addr bootstrap;
        struct node_router router;      /* of hosts that join from now on */
        uint64_t map_key[2];
        struct net_link link;           /* of hosts added from now on */
        bool dht_persistent;            /* so they are DHT nodes that others know, as host 0 */
        usec_t slept_us;                /* all machines together, while no clock but the one that counts sleep went on */
        size_t receive_bytes;           /* of their sockets; 0: the node's default */
};

/* A network with one bootstrap node, host 0: one of private addresses, or one like the internet, with NATs in it. */
struct node_sim *node_sim_new(uint64_t seed, const struct net_link *link);
struct node_sim *node_sim_new_internet(uint64_t seed, const struct net_link *link);
void node_sim_free(struct node_sim *sim);
void node_sim_freep(struct node_sim **sim);

/* A host with a node that knows the bootstrap node, at an address of its own. */
struct node_sim_host *node_sim_add(struct node_sim *sim);

/* The same in the network behind @nat: 192.168/16, those of one NAT in one /24, the first of any at .2. */
struct node_sim_host *node_sim_add_behind(struct node_sim *sim, struct net_nat *nat);

/* A host with @guest in it, which goes with the sim, behind @nat or (NULL) none. */
struct node_sim_host *node_sim_add_guest(struct node_sim *sim, struct net_nat *nat, const struct node_sim_guest *guest);

/* Many plain DHT nodes. */
void node_sim_add_dht(struct node_sim *sim, size_t count);

/* Its node joins the router under an identity made from @identity. A provider advertises "identity N". */
void node_sim_join(struct node_sim_host *host, enum node_role role, uint8_t identity);
void node_sim_seed(enum node_role role, uint8_t identity, uint8_t seed_out[NODE_KEY_BYTES]);
void node_sim_key(enum node_role role, uint8_t identity, uint8_t key_out[NODE_KEY_BYTES]);
struct now node_sim_now(const struct node_sim *sim);

/* Dies without a word; or is cut off from the network and put back. */
void node_sim_kill(struct node_sim_host *host);
void node_sim_set_up(struct node_sim_host *host, bool up);

/* Its interfaces have those addresses now, as its node is told. Where it is in the network does not change. */
void node_sim_set_local(struct node_sim_host *host, const struct addr *addrs, size_t count);

/* A new life at the same address; it has to join again. */
void node_sim_revive(struct node_sim_host *host);

void node_sim_leave(struct node_sim_host *host, usec_t limit_us);

/* Lets @us of virtual time pass. */
void node_sim_run(struct node_sim *sim, usec_t us);

/* Runs until @done says so or @limit_us have passed; returns how long it took. */
usec_t node_sim_run_until(struct node_sim *sim, bool (*done)(void *context), void *context, usec_t limit_us);

/* The peer with that identity, as far as the host has heard of it, or NULL. */
struct node_sim_peer *node_sim_peer(struct node_sim_host *host, enum node_role role, uint8_t identity);
bool node_sim_is_up(struct node_sim_host *host, enum node_role role, uint8_t identity);
size_t node_sim_ups(const struct node_sim_host *host);          /* peers that are up */

/* Opens a channel and sends @bytes in it; NULL: the node said no. It lives until the host does. */
struct node_sim_channel *node_sim_open(struct node_sim_host *host, uint8_t provider, unsigned service, uint64_t bytes,
                                       bool end_after);

/* The same for @count datagrams, one @every_us, which a provider of NODE_SIM_DATAGRAMS, _GAME or _VIDEO sends back; and its end. */
struct node_sim_channel *node_sim_open_datagrams(struct node_sim_host *host, uint8_t provider, unsigned service, uint64_t count,
                                                 usec_t every_us);
void node_sim_close(struct node_sim_channel *channel);

/* Opened, and over in order, with everything that was sent come back. */
bool node_sim_echoed(const struct node_sim_channel *channel);

#endif
