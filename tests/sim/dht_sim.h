/* SPDX-License-Identifier: BSD-3-Clause */
/* A network of DHT nodes, each with two sockets, that keep what they were told in order. */
#ifndef HG_DHT_SIM_H
#define HG_DHT_SIM_H

#include "dht.h"
#include "heap.h"
#include "list.h"
#include "net.h"

enum { DHT_SIM_NODES_MAX = 40000, DHT_SIM_NOISE_MAX = 64 };

struct dht_sim_event {
        usec_t at_us;
        struct dht_event event;         /* its noise leads into @noise */
        uint8_t noise[DHT_SIM_NOISE_MAX];
};

struct dht_sim_node {
        struct dht *dht;                /* NULL: dead */
        struct heap_entry due;          /* sim->dues, when it wants its next turn */
        struct list touched;            /* sim->touched: something came in since its last turn */
        bool persistent;
        struct addr addr;               /* of its server socket */
        unsigned server, client;        /* endpoints of the network, and its sockets */
        const struct random *random;
        struct dht_sim_event *events;
        size_t event_count, event_capacity;
        uint64_t received;              /* datagrams */
};

struct dht_sim {
        struct net *net;
        struct net_link link;           /* of every socket */
        struct addr bootstrap[3];       /* what new nodes are given */
        size_t bootstrap_count;
        bool one_lan;                   /* all nodes in one private network; else each in a public /24 of its own */
        struct heap dues;
        struct list touched;
        unsigned count;
        struct dht_sim_node nodes[DHT_SIM_NODES_MAX];
};

struct dht_sim *dht_sim_new(uint64_t seed, const struct net_link *link);
void dht_sim_free(struct dht_sim *sim);
void dht_sim_freep(struct dht_sim **sim);

/* The address the node of that number has or will have. */
struct addr dht_sim_addr(const struct dht_sim *sim, unsigned node);

/* A new node; it starts now. Returns its number. */
unsigned dht_sim_add(struct dht_sim *sim, bool persistent);

/* Nothing from strangers reaches its server socket any more: what a firewall does. Best before it starts to run. */
void dht_sim_firewall(struct dht_sim *sim, unsigned node);

/* It is gone at once, without a word; or it comes (back) at the same address, knowing nothing. */
void dht_sim_kill(struct dht_sim *sim, unsigned node);
void dht_sim_start(struct dht_sim *sim, unsigned node);

struct now dht_sim_now(const struct dht_sim *sim);

/* Lets @us of virtual time pass. */
void dht_sim_run(struct dht_sim *sim, usec_t us);

/* Until @node was told @kind (counting from its event @from) or @limit_us passed; the event or NULL. */
const struct dht_sim_event *dht_sim_wait(struct dht_sim *sim, unsigned node, enum dht_event_kind kind, size_t from,
                                         usec_t limit_us);

/* Forgets what @node was told so far. */
void dht_sim_forget(struct dht_sim *sim, unsigned node);

/* Events of that kind from its event @from on. */
size_t dht_sim_events(const struct dht_sim *sim, unsigned node, enum dht_event_kind kind, size_t from);

/* The key pair number @number, as DHT secret key; its public half is the second. */
void dht_sim_key(unsigned number, uint8_t secret_key_out[DHT_SECRET_KEY_BYTES]);

#endif
