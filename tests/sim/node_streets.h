/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider, each on a street of its own that leads to the public network, with DHT nodes there. */
#ifndef HG_NODE_STREETS_H
#define HG_NODE_STREETS_H

#include "node_sim.h"

enum street_kind {
        STREET_OPEN,            /* an address of its own, no NAT */
        STREET_FULL_CONE,       /* one mapping for all, and everybody gets in */
        STREET_HOST_CONE,       /* hosts we have sent to get in */
        STREET_CONE,            /* hosts and ports we have sent to: what most routers do */
        STREET_JEALOUS,         /* the same, and who knocks too early spoils it: Linux routers that do not drop */
        STREET_SCATTERED,       /* one mapping for all at a port that is not the inner one */
        STREET_DOUBLE,          /* a cone behind a cone */
        STREET_FORGETFUL,       /* mappings live for 20 s */
        STREET_SYMMETRIC,       /* a port of its own for each remote, at random */
        STREET_CARRIER,         /* a cone behind a symmetric one */
        STREET_KINDS
};

extern const char *const street_names[STREET_KINDS];

struct street {
        struct node_sim *sim;
        struct node_sim_host *provider, *gateway;
        struct node_sim_channel *channel;
};

struct street street_new(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway);

/* The same where there are only so many DHT nodes beside the bootstrap node. */
struct street street_new_sparse(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway,
                                size_t nodes);
void street_free(struct street *street);

/* Who is there first. */
enum street_start {
        STREET_PROVIDER_FIRST,  /* for 5 s: the gateway dials */
        STREET_GATEWAY_FIRST,   /* for 5 s: the provider dials */
        STREET_AT_ONCE,         /* within @skew_us of each other: both dial */
        STREET_STARTS
};

/* Both join; how long it took from the second on until they know each other, or @limit_us. */
usec_t street_meet_from(struct street *street, enum street_start start, usec_t skew_us, usec_t limit_us);

/* The same with the provider first. */
usec_t street_meet(struct street *street, usec_t limit_us);

/* Both processes were started this moment, and know nothing but their bootstrap node; @running: the gateway's has been there for more
 * than a minute. */
usec_t street_meet_new(struct street *street, bool running, usec_t limit_us);
bool street_met(void *street);

/* 100 kB go from the gateway to the provider and back, whole. */
bool street_echoes(struct street *street);

/* One of the two has found out that they can't meet, and why. */
bool street_knows_impossible(void *street);

/* Both leave; what they held while they tried to meet is gone half a minute later: sockets, dials, sessions, punches, timers. */
bool street_is_clean(struct street *street);

/* The physics of it: neither of two symmetric ones can tell the other where it will be. */
bool street_is_passable(enum street_kind provider, enum street_kind gateway);

#endif
