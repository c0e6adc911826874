/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the node, its identities, its links to peers and their channels. Nobody else includes it. */
#ifndef HG_NODE_STATE_H
#define HG_NODE_STATE_H

#include "dht.h"
#include "heap.h"
#include "list.h"
#include "map.h"
#include "node.h"
#include "peer.h"
#include "swarm.h"
#include "tunnel.h"
#include "udx.h"

enum node_link_state {
        NODE_LINK_DIALLING,     /* no connection yet */
        NODE_LINK_GREETING,     /* one, and both say hello in it */
        NODE_LINK_UP,           /* the peer is one of ours */
        NODE_LINK_PARTING,      /* cut off from the peer; what happened in it is being told */
        NODE_LINK_LINGERING,    /* told; only what we sent and our end are still on their way */
};

/* That the peer still hears us. The ground has moved: pings are sent, and unless one is acknowledged in time it does not. */
struct node_proof {
        unsigned pings;                 /* sent; 0: nobody asks */
        usec_t due_us;                  /* of the next, or of the verdict */
        uint64_t acked;                 /* bytes that were when the second one left */
};

/* Whether anything we send is acknowledged. */
struct node_watch {
        usec_t due_us;                  /* it is looked at again; USEC_NEVER: nothing is under way */
        uint64_t acked;                 /* bytes that were, when last looked at */
        unsigned still;                 /* looks in a row without news */
};

/* A connection that the peer has begun while we dial it: open, and nothing is said in it. */
struct node_suitor {
        struct conn *conn;              /* NULL: none */
        struct addr addr;
        struct node_attempt attempt;
        usec_t until_us;                /* it waits no longer for the dial */
};

/* One peer under one identity: a dial, then a connection with a tunnel in it. */
struct node_link {
        struct node *node;
        struct node_join *join;
        struct swarm_peer *peer;        /* NULL from PARTING on */
        struct peer_dial *dial;         /* DIALLING */
        struct node_suitor suitor;      /* DIALLING */
        struct conn *conn;              /* NULL: none, or none any more; DIALLING: open, beside a suitor */
        struct tunnel *tunnel;
        struct list in_links;           /* node->links, or node->parting */
        struct list in_active;          /* node->active: to be looked at */
        struct list in_unflushed;       /* node->unflushed: its tunnel may have something to send */
        struct list in_flying;          /* node->flying: bytes are on their way */
        struct list in_sated;           /* node->sated: there is more to read, next turn */
        struct heap_entry timer;
        struct list channels;
        enum node_link_state state;
        enum node_role role;            /* the peer's, from UP on */
        struct tunnel_relay relay;      /* what the peer says about relays */
        bool told_up;
        bool doubted;                   /* there were several secrets when it began */
        bool starved;                   /* nothing is under way, and there is no memory to send anything */
        bool finished;                  /* the connection is closed; what it still holds can be read */
        size_t unacked_bytes;           /* when last looked at */
        size_t window_bytes;            /* its share of what the sockets hold */
        bool leaves;                    /* the peer said so */
        size_t too_long_bytes;          /* of what it sent, and the connection ended with; 0: it did not */
        usec_t drain_us;                /* we leave, and its channels may finish until then; USEC_NEVER: we stay */
        usec_t linger_us;               /* LINGERING, or on the way there: until then */
        struct node_proof proof;
        bool named_relay;               /* its dial did */
        uint8_t relay_key[NODE_KEY_BYTES];      /* of the relay that it came up over */
        usec_t relayed_us;              /* it goes over a relay, which may vanish: that it has not is to be proved then; NEVER: it does not */
        struct node_watch watch;
        uint8_t key[NODE_KEY_BYTES];
        struct addr addr;
        struct node_attempt attempt;    /* that led to the connection */
};

struct node_channel {
        struct map_entry by_id;
        struct list in_link;
        struct node_link *link;
        struct tunnel_channel *tunnel_channel;
        node_channel_id id;
        bool opening;                   /* asked for by us, unanswered */
};

/* One identity at the topic of one secret of the router. */
struct node_topic {
        struct node_join *join;
        struct dht_query *query;
};

/* One identity. */
struct node_join {
        struct node *node;              /* NULL: not joined in this role */
        enum node_role role;
        struct swarm *swarm;
        struct peer_listener *listener; /* NULL once withdrawn */
        struct node_topic topics[TUNNEL_ROUTERS_MAX];
        uint8_t secret_key[PEER_SECRET_KEY_BYTES];
};

/* Who may meet one of our identities. */
struct node_allowed {
        size_t count;                   /* 0: anybody who knows the router */
        uint8_t keys[NODE_ALLOWED_MAX][NODE_KEY_BYTES];
};

enum { NODE_REPORTS_MAX = 16 };        /* attempts that wait to be told; further ones are not */

struct node_report {
        enum node_event_kind kind;      /* NODE_ATTEMPT, NODE_MOVED */
        uint8_t key[NODE_KEY_BYTES];
        enum node_role role;            /* ours */
        struct addr addr;
        struct node_attempt attempt;
};

/* As a relay, and through relays. */
struct node_relays {
        bool runs;                      /* we are one, by @spec */
        bool asked;                     /* a peer wanted one */
        bool offered;                   /* and was told of us */
        struct node_relay_spec spec;
        uint8_t own_key[NODE_KEY_BYTES];
        uint8_t keys[NODE_RELAYS_MAX][NODE_KEY_BYTES];
        size_t key_count;
        unsigned turn;                  /* of these keys: after each failure the next one's */
        usec_t trouble_until_us;        /* peers were not reached, so there is need for one */
        usec_t look_us, retry_us;
        bool retries;                   /* there is one for those whose dials failed without */
        uint8_t lost_key[NODE_KEY_BYTES];       /* of the relay with which a peer was lost last */
        usec_t lost_until_us;           /* another one is better */
        uint64_t detours_failed, expired;       /* peer_stats, when last looked at */
};

/* What somebody wants to know. */
struct node_question {
        struct list in_node;            /* node->questions */
        struct node *node;
        uint64_t number;
        struct dht_query *scan;         /* either of them */
        struct dht_handshake *ping;
        usec_t asked_us;
        uint8_t (*keys)[NODE_KEY_BYTES];        /* found so far, NODE_FOUND_MAX */
        size_t key_count;
};

enum { NODE_FOUND_MAX = 1024 };         /* of one question; further ones are not told */

enum node_leaving {
        NODE_STAYS,
        NODE_LEAVES,
        NODE_HAS_LEFT,          /* and has said so */
};

struct node {
        struct node_config config;
        struct tunnel_routers routers;  /* a number of a list is that of a topic, too */
        uint8_t proofs[TUNNEL_ROUTERS_MAX][NODE_PROOF_BYTES];   /* of being a peer of these, to relays */
        unsigned router_order[NODE_ROUTERS_MAX];        /* those that are held, newest first */
        size_t router_count;
        struct now now;                 /* of the last call that told */
        struct udx_mux *mux;
        struct dht *dht;
        struct peer_set *peers;
        struct node_join joins[NODE_ROLES];
        struct list links, parting, active, unflushed, flying, sated;
        size_t fed_bytes;               /* to tunnels, in this turn */
        struct heap timers;             /* of links */
        struct map channels;
        node_channel_id next_channel;
        uint32_t peer_counts[NODE_ROLES];
        size_t window_bytes;            /* the next link's */
        size_t window_sum_bytes;        /* of all links */
        bool fresh;                     /* something came in, or time passed, since events were drained */
        enum node_leaving leaving;
        usec_t leave_us;                /* at the latest */
        usec_t turned_boot_us;          /* when it last had a turn, to notice sleep */
        struct addr local[PEER_LOCAL_MAX];
        size_t local_count;
        struct addr home[PEER_LOCAL_MAX];       /* the same, but for what it was when there was no network at all */
        size_t home_count;
        struct node_relays relays;
        uint8_t *advert;
        size_t advert_len;
        struct node_report reports[NODE_REPORTS_MAX];   /* oldest first */
        size_t report_count;
        struct node_allowed allowed[NODE_ROLES];
        uint32_t channel_buffer_bytes, peer_buffer_bytes;
        struct node_appointed appointed[NODE_APPOINTED_MAX];
        size_t appointed_count;
        struct list questions, answers; /* open ones; what is not told yet */
        struct node_answer *told;       /* whose addresses the last event points at */
        struct iovec iov;               /* of the datagram handed out last */
        uint64_t datagrams_in, datagrams_out, datagrams_dropped, unsent;
        uint64_t channel_datagrams_dropped;     /* by tunnels that are gone */
};

/* node_ask.c */
bool node_ask_dht_event(struct node *node, const struct dht_event *event);      /* false: it is none of ours */
bool node_ask_event(struct node *node, struct node_event *out);
void node_ask_fini(struct node *node);

/* node_join.c */
int node_join_init(struct node_join *join, struct node *node, enum node_role role, const uint8_t seed[NODE_KEY_BYTES]);
void node_join_fini(struct node_join *join);
int node_join_appoint(struct node_join *join);          /* tells its swarm all that are */
void node_join_work(struct node_join *join);            /* what its swarm wants done */
void node_join_leave(struct node_join *join);
void node_join_leave_topic(struct node_join *join, unsigned number);
void node_join_abandon_topic(struct node_join *join, unsigned number);          /* one that is being left: at once */
bool node_join_has_left(const struct node_join *join);
bool node_join_is_announced(const struct node_join *join);      /* at any of its topics */
void node_join_dht_event(struct node_topic *topic, const struct dht_event *event);
void node_join_peer_event(struct node_join *join, const struct peer_event *event);

/* node_allow.c: who may meet us */
bool node_allows(const struct node_join *join, const uint8_t key[NODE_KEY_BYTES]);

/* node_router.c: the secrets of the router */
void node_router_join(struct node_join *join);          /* the topics of all */
void node_router_hello(struct node_link *link, struct tunnel_config *config);   /* which of them it is for, and when */
unsigned node_router_newest(const struct node *node, unsigned of);      /* of 1 << number; TUNNEL_ROUTERS_MAX: none of these is held */
bool node_router_doubted(const struct node_link *link);         /* a peer that proves itself by none may do so by another one soon */
bool node_router_outdated(const struct node_link *link);        /* its peer has not proven the newest */

/* node_link.c */
struct node_link *node_link_new(struct node_join *join, const uint8_t key[NODE_KEY_BYTES]);      /* DIALLING; NULL: no memory */
void node_link_connected(struct node_link *link);       /* its dial led to its connection */
void node_link_greet(struct node_link *link, struct conn *conn, const struct addr *addr);
void node_link_dial(struct node_join *join, const struct swarm_task *task);
uint64_t node_link_dropped(const struct node_link *link);       /* datagrams by its tunnel */
void node_link_free(struct node_link *link);            /* says nothing to anybody but the peer */
void node_link_peer_event(struct node_link *link, const struct peer_event *event);
void node_link_cut(struct node_link *link, enum swarm_end end, bool gently);
void node_link_leave(struct node_link *link, usec_t drain_us);  /* at the latest */
void node_link_touch(struct node_link *link);
void node_link_flush(struct node_link *link);
bool node_link_event(struct node_link *link, struct node_event *out);           /* of an active one; it may be parting after */
bool node_link_part(struct node_link *link, struct node_event *out);            /* false: nothing more, it may be gone */
void node_link_due(struct node_link *link);
struct node_link *node_link_find(const struct node *node, enum node_role own_role, const uint8_t key[NODE_KEY_BYTES]);
void node_link_arm(struct node_link *link);
bool node_link_lives(const struct node_link *link);     /* GREETING or UP */

/* node_feed.c */
void node_link_deal_windows(struct node *node);         /* a link has its own, or is gone: the next one's */
void node_link_next_turn(struct node *node);            /* those that had their share of the last one go on */
void node_link_feed(struct node_link *link);            /* gives its tunnel what has come, as far as that takes it and its turn goes */

/* node_suitor.c */
void node_link_awaited(struct node_join *join, const uint8_t key[NODE_KEY_BYTES]);       /* it may come in, and we may be dialling it */
void node_link_accepted(struct node_join *join, const struct peer_event *event);
bool node_link_outdoes_suitor(struct node_link *link, const struct peer_event *event);  /* its dial ended; false: there is no more to do */
void node_link_take_suitor(struct node_link *link);     /* in the place of its dial; @link is gone */
bool node_link_suitor_event(struct node_link *link, const struct peer_event *event);    /* false: it is about none */

/* node_hearing.c */
void node_link_ping(struct node_link *link);
void node_link_prove(struct node_link *link);           /* the path to its peer may be gone: it has to show that it is not */
void node_link_moved(struct node_link *link);           /* the same, as a NAT between us and others maps elsewhere now */
void node_link_over_relay(struct node_link *link);      /* which may vanish */
void node_link_watch(struct node_link *link);           /* something may be under way */
void node_link_hear(struct node_link *link);            /* what is due of the two */
usec_t node_link_hearing_deadline(const struct node_link *link);

/* node_attempt.c */
void node_attempt_dial(struct node_link *link, const struct peer_event *event);         /* it is over */
void node_attempt_cancel(struct node_link *link, enum node_failure failure);            /* or is not needed any more */
void node_attempt_keep(struct node_link *link, const struct peer_event *event);         /* over, and whether it was needed is not told yet */
void node_attempt_outdone(struct node_link *link);      /* it was not */
struct node_attempt node_attempt_of_peer(const struct peer_event *event);               /* who was let in */
void node_attempt_proven(struct node_link *link);       /* what it led to is a peer of ours: strangers are not told of */
void node_attempt_forbidden(struct node_join *join, const uint8_t key[NODE_KEY_BYTES], const struct addr *addr);       /* a peer's own */
void node_attempt_moved(struct node_link *link, const struct peer_event *event);
bool node_attempt_event(struct node *node, struct node_event *out);

/* node_relay.c */
void node_relay_prove(struct node *node);               /* by other routers */
void node_relay_name(const struct node *node, struct peer_dial_spec *spec);     /* whom a dial names, if anybody */
bool node_relay_helps(const struct node *node, const uint8_t key[NODE_KEY_BYTES]);      /* a dial of that peer would name one */
void node_relay_failed(struct node_link *link, enum peer_failure failure);      /* its dial */
void node_relay_lost(struct node *node, const uint8_t key[NODE_KEY_BYTES]);     /* and a peer with it */
void node_relay_look(struct node *node);
void node_relay_told(struct node_link *link, const struct tunnel_relay *relay); /* by its peer */
void node_relay_init(struct node *node);
void node_relay_stats(const struct node *node, struct node_stats *out);
void node_relay_fini(struct node *node);

/* node_channel.c */
bool node_channel_event(struct node_link *link, const struct tunnel_event *event, struct node_event *out);
bool node_channel_lose(struct node_link *link, struct node_event *out);         /* one that is left on a dead link */
void node_channel_free(struct node_channel *channel);

#endif
