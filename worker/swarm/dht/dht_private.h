/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the node, its queries, listeners and handshakes, and who calls whom. Nobody else
 * includes it. */
#ifndef HG_DHT_PRIVATE_H
#define HG_DHT_PRIVATE_H

#include "dht.h"
#include "dht_carrier.h"
#include "dht_id.h"
#include "dht_passage.h"
#include "dht_punch.h"
#include "dht_record.h"
#include "dht_sampler.h"
#include "dht_store.h"
#include "dht_table.h"
#include "dht_vault.h"
#include "heap.h"
#include "list.h"

/* The external commands. hyperdht lib/constants.js COMMANDS. */
enum dht_command {
        DHT_PEER_HANDSHAKE,
        DHT_PEER_HOLEPUNCH,
        DHT_COMMAND_FIND_PEER,
        DHT_COMMAND_LOOKUP,
        DHT_COMMAND_ANNOUNCE,
        DHT_COMMAND_UNANNOUNCE,
        DHT_MUTABLE_PUT,
        DHT_MUTABLE_GET,
        DHT_IMMUTABLE_PUT,
        DHT_IMMUTABLE_GET,
};

/* What a request of ours is for: the kind it carries through rpc. */
enum dht_ask {
        DHT_ASK_VISIT,          /* context: the query */
        DHT_ASK_COMMIT,         /* the query */
        DHT_ASK_CHECK,          /* none: found by its request */
        DHT_ASK_HINT,           /* none */
        DHT_ASK_PROBE,          /* none: found by its request */
        DHT_ASK_RELAY,          /* the listener */
        DHT_ASK_HANDSHAKE,      /* the handshake */
        DHT_ASK_PUNCH,          /* the handshake, too */
        DHT_ASK_PING,           /* and here */
        DHT_ASK_SURVEY,
        DHT_ASKS
};

enum dht_due_kind {
        DHT_DUE_TICK,
        DHT_DUE_BOOTSTRAP,
        DHT_DUE_QUERY,
        DHT_DUE_LISTENER,
        DHT_DUE_PONG,
        DHT_DUES
};

/* A deadline of something, in dht->dues. */
struct dht_due {
        struct heap_entry entry;
        enum dht_due_kind kind;
};

/* An event the caller has not drained yet. */
struct dht_news {
        struct list entry;
        struct dht_event event;
        uint8_t noise[];
};

/* --- Queries --- */

enum dht_purpose {
        DHT_FOR_CALLER,
        DHT_FOR_TABLE,          /* bootstrap and refresh */
        DHT_FOR_LISTENER,
};

enum dht_query_phase {
        DHT_QUERY_HELD,         /* until we know the network */
        DHT_QUERY_WALKING,
        DHT_QUERY_COMMITTING,
        DHT_QUERY_OVER,         /* its end is an event that the caller has not drained */
};

enum dht_visit_state {
        DHT_VISIT_PENDING,
        DHT_VISIT_ASKED,
        DHT_VISIT_SLOW,         /* no answer to the first send: it keeps no slot any more */
        DHT_VISIT_DONE,
        DHT_VISIT_DOWN,
        DHT_VISIT_LEFT,         /* not asked, or not waited for: others were nearer */
};

enum dht_commit_state {
        DHT_COMMIT_NONE,
        DHT_COMMIT_WITHDRAWING,
        DHT_COMMIT_ANNOUNCING,
        DHT_COMMIT_SETTLED,
};

enum { DHT_REFERRERS_MAX = 4 };

/* A node that a query has heard of. */
struct dht_visit {
        struct addr addr, to;           /* @to: us, as it sees us */
        uint8_t id[DHT_ID_BYTES];
        uint8_t token[RPC_TOKEN_BYTES];
        bool has_token, retried;
        bool detour;                    /* asked though others are nearer */
        enum dht_visit_state state;
        enum dht_commit_state commit;
        struct rpc_request *request;    /* of the visit, later of the commit */
        usec_t asked_us;
        uint8_t hops;                   /* from those we knew before */
        unsigned referrer_count;
        uint16_t referrers[DHT_REFERRERS_MAX];
};

struct dht_query {
        struct list entry;              /* dht->queries */
        struct dht_due due;             /* patience with slow nodes, or with the network when held */
        enum dht_purpose purpose;
        enum dht_operation operation;
        enum dht_query_phase phase;
        uint8_t target[DHT_ID_BYTES];
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        struct addr relays[DHT_PEER_RELAYS_MAX];
        size_t relay_count;
        bool clear, background, table_used;
        bool anew;                      /* begins with its seeds and bootstrap nodes, not with the table */
        unsigned retries;
        unsigned enough, enough_bits;   /* answers of so many nodes that share so many bits with the target will do; 0: there is no enough */
        unsigned detour_bits;           /* a detour was made when so many were shared, and one: not again for as few */
        void *context;                  /* the caller's, or the listener */
        struct dht_news *done;          /* caller's queries: made at the start, so that the end can't fail */
        struct dht_visit *visits;
        size_t visit_count, visit_capacity;
        uint16_t closest[DHT_K];        /* visits that answered, nearest first */
        size_t closest_count;
        unsigned in_flight, slow, successes, errors, committing, accepted;
        usec_t asked_us;                /* the last visit */
        usec_t slowest_us;              /* answer to a first send */
};

struct dht_query *dht_query_start(struct dht *dht, const struct dht_query_spec *spec, enum dht_purpose purpose,
                                  const struct now *now);
void dht_query_open(struct dht *dht, struct dht_query *query, const struct now *now);
void dht_query_free(struct dht *dht, struct dht_query *query);
void dht_query_due(struct dht *dht, struct dht_due *due, const struct now *now);
void dht_query_visited(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_query_committed(struct dht *dht, const struct rpc_event *event, const struct now *now);

/* The nodes it has heard of. Added unless known, unwelcome, farther than DHT_K that answered (but as a detour), or too many: NULL. */
struct dht_visit *dht_visit_add(struct dht *dht, struct dht_query *query, const struct addr *addr);
struct dht_visit *dht_visit_add_detour(struct dht *dht, struct dht_query *query, const struct addr *addr);
struct dht_visit *dht_visit_find(struct dht_query *query, const struct addr *addr);
struct dht_visit *dht_visit_of_request(struct dht_query *query, const struct rpc_request *request);
struct dht_visit *dht_visit_nearest(struct dht_query *query);                   /* of those to be asked; NULL: none */
size_t dht_visits_pending(const struct dht_query *query);
bool dht_visit_is_closer(const struct dht_query *query, const uint8_t id[DHT_ID_BYTES]);

/* A walk that seems to have gone astray gets others to ask: true. */
bool dht_detour(struct dht *dht, struct dht_query *query);

/* The second half of a query: signs and sends, and takes the answers. */
void dht_commit_withdraw(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct now *now);
void dht_commit_begin(struct dht *dht, struct dht_query *query, const struct now *now);
void dht_query_finish(struct dht *dht, struct dht_query *query, const struct now *now);

/* Sends a signed ANNOUNCE or UNANNOUNCE to the node of @visit_id. NULL like rpc_request(). */
struct dht_claim_spec {
        enum dht_claim claim;
        const uint8_t *target, *secret_key, *node_id, *token;
        const struct addr *relays;
        size_t relay_count;
        struct addr to;
        unsigned retries;
        enum dht_ask ask;
        void *context;
};

struct rpc_request *dht_claim_send(struct dht *dht, const struct dht_claim_spec *spec, const struct now *now);

/* --- Listeners --- */

enum { DHT_LISTENER_SLOTS = 12 };       /* three confirmed, three joining, the rest leaving */

enum dht_listener_phase {
        DHT_LISTENER_WAITING,           /* for the network */
        DHT_LISTENER_WALKING,
        DHT_LISTENER_ANNOUNCING,
        DHT_LISTENER_KEEPING,
        DHT_LISTENER_WITHDRAWING,
        DHT_LISTENER_OVER,              /* its end is an event that the caller has not drained */
};

enum dht_slot_state {
        DHT_SLOT_FREE,
        DHT_SLOT_JOINING,               /* announced to, unconfirmed */
        DHT_SLOT_CONFIRMED,
        DHT_SLOT_LEAVING,               /* to be withdrawn from */
};

enum dht_slot_request {
        DHT_SLOT_IDLE,
        DHT_SLOT_ANNOUNCE,
        DHT_SLOT_KEEP,                  /* FIND_PEER of ourselves: path open, record there, fresh token */
        DHT_SLOT_FETCH,                 /* the same for a token to withdraw with */
        DHT_SLOT_UNANNOUNCE,
};

/* A relay, or what is or was one. */
struct dht_slot {
        enum dht_slot_state state;
        enum dht_slot_request doing;
        struct rpc_request *request;
        struct addr addr, peer;         /* @peer: us, as it sees us */
        uint8_t id[DHT_ID_BYTES];
        uint8_t token[RPC_TOKEN_BYTES];
        bool has_token, retried, chosen; /* @chosen: by the walk of this cycle */
        usec_t token_us;                /* when it came */
        usec_t renewed_us;              /* last announced because it saw us elsewhere */
        usec_t kept_us;                 /* last asked whether it has us; 0: never */
        unsigned tries;                 /* leaving */
        usec_t again_us;
};

struct dht_listener {
        struct list entry;              /* dht->listeners */
        struct dht_due due;
        enum dht_listener_phase phase;
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        uint8_t target[DHT_ID_BYTES];
        void *context;
        struct dht_query *walk;
        struct dht_news *done;
        struct dht_slot slots[DHT_LISTENER_SLOTS];
        struct addr closest[DHT_K];     /* of the last walk */
        size_t closest_count;
        struct addr vouching[3][DHT_RELAYS_MAX];        /* relays of this and the last two cycles; port 0: none */
        struct dht_relay published[DHT_RELAYS_MAX];
        size_t published_count;
        unsigned failures;              /* cycles in a row with fewer than DHT_RELAYS_MAX relays */
        bool cut_off;                   /* nobody answered the last walk */
        bool outdated;                  /* our address changed during this cycle: the next one follows at once */
        usec_t keep_us, cycle_us;       /* when the next relay is asked, and the next cycle begins */
};

void dht_listener_network(struct dht *dht, const struct now *now);      /* it is there, or we are elsewhere in it: announce anew */
void dht_listener_heard(struct dht *dht, bool ends_silence, const struct now *now);     /* somebody answered us */
void dht_listener_walked(struct dht *dht, struct dht_query *query, const struct now *now);
void dht_listener_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_listener_due(struct dht *dht, struct dht_due *due, const struct now *now);
void dht_listener_free(struct dht *dht, struct dht_listener *listener);
struct dht_listener *dht_listener_of(const struct dht *dht, const uint8_t target[DHT_ID_BYTES]);

/* The relays: their slots and requests. */
struct dht_slot *dht_slot_find(struct dht_listener *listener, const struct addr *addr);
struct dht_slot *dht_slot_take(struct dht *dht, struct dht_listener *listener, const struct addr *addr);
struct dht_slot *dht_slot_of_request(struct dht_listener *listener, const struct rpc_request *request);
void dht_slot_announce(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now);
void dht_slot_keep(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now);
void dht_slot_withdraw(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now);
void dht_slot_clear(struct dht *dht, struct dht_slot *slot);

/* --- Handshakes, and the punches that may follow --- */

/* A message of either kind on its way to a server. */
struct dht_handshake {
        struct list entry;              /* dht->handshakes */
        void *context;
        struct rpc_request *request;    /* NULL: its end is an event that the caller has not drained */
        struct dht_news *done;
};

void dht_handshake_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_handshake_serve(struct dht *dht, const struct rpc_event *event, const struct now *now);
struct dht_handshake *dht_handshake_start(struct dht *dht, const struct rpc_request_spec *spec, enum dht_event_kind failed,
                                          void *context, const struct now *now);
void dht_handshake_end(struct dht *dht, const struct rpc_event *event, struct dht_news *news);

void dht_ping_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);

void dht_punch_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_punch_serve(struct dht *dht, const struct rpc_event *event, const struct now *now);

/* Passing on what is for somebody else's server. */
void dht_relay_handshake(struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier, const struct now *now);
void dht_relay_punch(struct dht *dht, const struct rpc_event *event, const struct dht_punch *punch, const struct now *now);

/* --- Upkeep of the table --- */

enum {
        DHT_CHECKS_MAX = 10,            /* nodes that may be down: dht-rpc index.js */
        DHT_SWAPS_MAX = 3,              /* nodes whose place another one wants */
        DHT_NEWCOMERS_MAX = 8,          /* nodes that only asked us something yet */
        DHT_CHECK_SLOTS = DHT_CHECKS_MAX + DHT_SWAPS_MAX + DHT_NEWCOMERS_MAX,
        DHT_SAMPLED_MAX = 8,
        DHT_HELPERS_MAX = 5,
};

enum dht_check_kind {
        DHT_CHECK_NODE,
        DHT_CHECK_SWAP,
        DHT_CHECK_NEWCOMER,
        DHT_CHECK_KINDS
};

/* A ping that decides over a place in the table. */
struct dht_check {
        enum dht_check_kind kind;
        struct rpc_request *request;    /* NULL: this slot is free */
        uint8_t id[DHT_ID_BYTES];       /* who is asked */
        bool witnessed;                 /* it has not answered, and another one is asked whether anybody does */
        usec_t asked_us;
        struct addr rival;              /* swap: who gets its place */
};

struct dht_upkeep {
        struct dht_due due;
        uint32_t tick, refresh_ticks;
        unsigned hollow;                /* buckets up to here were looked at in this round */
        uint32_t hollow_tick;           /* the next round */
        usec_t ticked_boot_us;          /* to notice sleep */
        usec_t answered_us;             /* when anybody last answered us */
        size_t unanswered;              /* nodes in a row that did not, since then */
        unsigned hints;                 /* sent in this tick */
        struct dht_check checks[DHT_CHECK_SLOTS];
        usec_t newcomer_us[256];        /* by a hash of the /24: when one of it was last pinged */
        struct addr sampled[DHT_SAMPLED_MAX];   /* nodes without an id that told us our address */
        size_t sampled_count;
        struct {
                uint8_t net[3];
                uint32_t tick;
        } nets[DHT_SAMPLES];            /* the /24s that last told us, and when */
        size_t net_next;
        uint32_t resampled;             /* tick */
};

/* What others see of the socket in use, for whoever wants to judge the NAT in front of it. */
void dht_sighting_note(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_sighting_forget(struct dht *dht);      /* another socket, or another network */

/* Whether that is enough to judge by. */
enum {
        DHT_WITNESSES = 4,              /* on different hosts: hyperdht lib/nat.js _minSamples */
        DHT_SURVEYED_MAX = 12,
};

struct dht_survey {
        bool begun;
        struct addr heard[DHT_WITNESSES], asked[DHT_SURVEYED_MAX];      /* since it began */
        size_t heard_count, asked_count, running;
        usec_t again_us;
};

void dht_survey_begin(struct dht *dht, const struct now *now);          /* nothing that was said holds any more */
void dht_survey_walked(struct dht *dht, const struct now *now);         /* everybody is known that will be soon */
void dht_survey_contradicted(struct dht *dht, const struct addr *witness, const struct now *now);       /* it saw us elsewhere before */
void dht_survey_hear(struct dht *dht, const struct addr *witness);
void dht_survey_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);

void dht_upkeep_begin(struct dht *dht, const struct now *now);
void dht_upkeep_due(struct dht *dht, struct dht_due *due, const struct now *now);
void dht_upkeep_heard(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_upkeep_checked(struct dht *dht, const struct rpc_event *event, const struct now *now);
void dht_upkeep_doubt(struct dht *dht, const struct addr *addr, const struct now *now);         /* somebody says it is down */
void dht_upkeep_missed(struct dht *dht, const struct addr *addr, const struct now *now);        /* it let us wait: is it down? */
void dht_upkeep_silent(struct dht *dht, const struct addr *addr, usec_t asked_us);              /* it has not answered at all */

/* Counts who answers and who doesn't. True: this one ends a silence. */
bool dht_upkeep_count(struct dht *dht, const struct rpc_event *event, const struct now *now);

/* Nobody of those we know answers any more: it is us who is cut off, or the network is another one now. */
bool dht_upkeep_cut_off(const struct dht *dht, const struct now *now);
void dht_upkeep_refresh(struct dht *dht, const uint8_t target[DHT_ID_BYTES], const struct now *now);   /* a walk there */
bool dht_upkeep_is_walking(const struct dht *dht);       /* one of these, or the first one */
void dht_upkeep_resample(struct dht *dht);      /* our address may be another: let every node tell it again */
void dht_hollow_tick(struct dht *dht, const struct now *now);   /* asks for nodes of a bucket that should have more */
void dht_upkeep_hint(struct dht *dht, const struct addr *to, const struct addr *down, const struct now *now);

/* --- Bootstrap, and whether strangers reach our server socket --- */

struct dht_bootstrap {
        struct dht_due due;
        struct addr *addrs;
        size_t count;
        struct addr known[DHT_KNOWN_MAX];
        size_t known_count;
        struct dht_query *walk;         /* the first ones */
        unsigned attempts;
};

void dht_bootstrap_begin(struct dht *dht, const struct now *now);
void dht_bootstrap_again(struct dht *dht, const struct now *now);      /* unless it runs: nobody we know is there */
void dht_bootstrap_heard(struct dht *dht, const struct now *now);
void dht_bootstrap_walked(struct dht *dht, struct dht_query *query, const struct now *now);
void dht_bootstrap_due(struct dht *dht, struct dht_due *due, const struct now *now);

struct dht_probe {
        struct {
                struct rpc_request *request;
                struct addr addr;
        } helpers[DHT_HELPERS_MAX];
        size_t asked, running, reached;
        struct dht_sampler sampler;     /* of the answers that reached the server socket */
        usec_t again_us;                /* when to try again */
};

void dht_probe_begin(struct dht *dht, const struct now *now);
void dht_probe_tick(struct dht *dht, const struct now *now);
void dht_probe_answered(struct dht *dht, const struct rpc_event *event, const struct now *now);

/* --- Ephemeral or persistent --- */

struct dht_standing {
        struct addr addr;               /* where strangers reach us, unchanged since we know; port 0: not known to be open */
        uint32_t ticks, patience;       /* left until that is for long enough; and how long that is */
};

void dht_standing_begin(struct dht *dht);
void dht_standing_tick(struct dht *dht, const struct now *now);
void dht_standing_lose(struct dht *dht);        /* we may be elsewhere now, behind another firewall */

/* --- Answers that wait: DELAYED_PING --- */

struct dht_pong {
        struct list entry;              /* dht->pongs */
        struct dht_due due;
        uint32_t socket;
        struct addr to;
        uint16_t tid;
};

void dht_pong_due(struct dht *dht, struct dht_due *due, const struct now *now);
void dht_pong_free(struct dht *dht, struct dht_pong *pong);

/* --- The node --- */

struct dht {
        struct random random;
        uint32_t server_socket, client_socket;
        uint16_t server_port;
        bool appointed;                 /* persistent for good, under a configured address */
        bool persistent, firewalled, bootstrapped, private_network;
        struct addr public_addr;        /* persistent: that of @id */
        uint8_t id[DHT_ID_BYTES];       /* the table's; others know it while we are persistent */
        struct rpc *rpc;
        struct dht_table *table;
        struct dht_store *store;        /* since first persistent; served only while we are */
        struct dht_vault *vault;
        struct dht_passages *passages;
        struct dht_sampler sampler;
        struct dht_upkeep upkeep;
        struct dht_bootstrap bootstrap;
        struct dht_probe probe;
        struct dht_standing standing;
        struct heap dues;
        struct list queries, listeners, handshakes, pongs;
        size_t pong_count;
        struct dht_sighting sightings[DHT_SIGHTINGS_MAX];
        size_t sighting_count;
        struct dht_survey survey;
        struct list news;
        size_t news_count;
        struct dht_news *told;          /* the last one drained: its noise is the caller's until the next call */
};

void dht_serve(struct dht *dht, const struct rpc_event *event, const struct now *now);

/* An address that nobody has on the internet: a network that begins at one is a private one. */
bool dht_is_bogon(const struct addr *addr);

/* Whether anything may be sent there, or learned of: no bogons, unless the network is a private one. */
bool dht_usable(const struct dht *dht, const struct addr *addr);

/* Whether a node there may be asked or taken into the table. Not, for good, four that HyperDHT 6.34 skips (index.js filterNode(), whose
 * only reason is: test nodes that got mixed into the public network by accident, until they are updated): they would take places of
 * nodes that serve, and no JavaScript node asks or names them. A constant, as there: whoever runs this can't know better. */
bool dht_welcome(const struct dht *dht, const struct addr *addr);

/* Whether two addresses count as one network, whose words count once; on a private network all are different. */
bool dht_same_net(const struct dht *dht, const struct addr *a, const struct addr *b);

/* The nodes we know nearest to @target, to be told to others. */
size_t dht_closer(const struct dht *dht, const uint8_t *target, struct addr out[DHT_K]);

void dht_due_set(struct dht *dht, struct dht_due *due, usec_t when_us);

/* A blank event with room for @noise_len bytes; NULL: no memory. */
struct dht_news *dht_news_new(enum dht_event_kind kind, void *context, const void *noise, size_t noise_len);

/* Queues @news (taken). What strangers cause is dropped when too much is queued. */
void dht_news_push(struct dht *dht, struct dht_news *news);
void dht_news_push_bounded(struct dht *dht, struct dht_news *news);

/* Drops what is queued about a handle. */
void dht_news_drop(struct dht *dht, const void *handle);

#endif
