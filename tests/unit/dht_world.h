/* SPDX-License-Identifier: BSD-3-Clause */
/* One node that asks, in virtual time, among nodes that answer as each test wants: honest ones, liars, silent ones. */
#ifndef HG_DHT_WORLD_H
#define HG_DHT_WORLD_H

#include "cleanup.h"
#include "dht.h"
#include "test.h"

enum { SERVER = 1, CLIENT = 2, SERVER_PORT = 49737, CLIENT_PORT = 50000, ASKED_MAX = 4096, EVENTS_MAX = 1024, CLOSER_MAX = 40 };

/* A request the node sent. */
struct asked {
        struct addr to;
        uint32_t socket;
        uint8_t bytes[512];
        struct rpc_message message;
};

struct world;

/* What a node of the world does about a request; fills in @out (its id and tid are set), or stays silent. */
typedef bool answer_fn(struct world *w, const struct asked *asked, struct rpc_message *out);

struct world {
        struct dht *dht;
        struct now now;
        uint64_t seed;
        answer_fn *answers;
        struct addr seen_as;            /* what the world says the node's address is; port 0: true */
        uint32_t pongs_by;              /* socket by which answers to PING_NAT come */
        struct asked asked[ASKED_MAX];
        size_t asked_count, answered_count;
        struct dht_event events[EVENTS_MAX];
        size_t event_count;
        uint8_t closer[CLOSER_MAX * RPC_ADDR_BYTES], token[RPC_TOKEN_BYTES], value[512];
};

struct world *world_new(answer_fn *answers, const struct addr *bootstrap);
void world_free(struct world **w);

#define WORLD(name, answers, bootstrap) cleanup_with(world_free) struct world *name = world_new(answers, bootstrap)

/* Lets @us pass; every answer comes a millisecond after its request. */
void world_run(struct world *w, usec_t us);

/* The last event of that kind, or NULL; and how many there were. */
const struct dht_event *world_last(const struct world *w, enum dht_event_kind kind);
size_t world_count(const struct world *w, enum dht_event_kind kind);

/* Requests of a command since @from; to @to only, unless NULL. */
size_t world_sent(const struct world *w, size_t from, bool internal, uint64_t command, const struct addr *to);

/* Node @number, each in a /24 of its own; number 0 is the one to begin with. */
struct addr world_addr(unsigned number);
const struct addr *world_boot(void);

/* An answer names @addrs. */
void world_name(struct world *w, struct rpc_message *out, const struct addr *addrs, size_t n);

/* Thirty nodes that all know each other. */
bool world_honest(struct world *w, const struct asked *asked, struct rpc_message *out);

/* The node's own key pair. */
void world_key(uint8_t secret_key[64]);

#endif
