/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider, each on a street of its own that leads to the public network, or both behind one router, with DHT nodes
 * out there. */
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
        STREET_BY_HOST,         /* a port of its own for each remote host, at random; hosts we have sent to get in */
        STREET_SYMMETRIC,       /* a port of its own for each remote, at random */
        STREET_CARRIER,         /* a cone behind a symmetric one */
        STREET_KINDS
};

extern const char *const street_names[STREET_KINDS];

/* What both are behind. Where no inner address answers, only those out there are left. */
enum street_router {
        STREET_HOME,                    /* a cone */
        STREET_HAIRPIN_HOME,
        STREET_SYMMETRIC_HOME,
        STREET_GUESTS,                  /* a cone, in whose network nobody reaches anybody */
        STREET_HAIRPIN_GUESTS,
        STREET_HAIRPIN_FULL_CONE,       /* the same, and everybody gets in */
        STREET_SYMMETRIC_GUESTS,        /* leads back, too, but neither knows where to */
        STREET_ONE_CARRIER,             /* a home with a cone of its own each, behind one more */
        STREET_HAIRPIN_CARRIER,
        STREET_TWINS,                   /* the same, and the inner address of the other is one's own as well */
        STREET_SYMMETRIC_CARRIER,       /* leads back, too */
        STREET_ROUTERS
};

extern const char *const street_router_names[STREET_ROUTERS];

struct street {
        struct node_sim *sim;
        struct node_sim_host *provider, *gateway;
        struct node_sim_channel *channel;
        bool random;                    /* a NAT in front of one of them gives each remote another port */
        enum node_failure verdict;      /* what they find out; NODE_REACHED: they meet */
        usec_t both_us;                 /* since when both are there */
};

struct street street_new(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway);

/* The same where there are only so many DHT nodes beside the bootstrap node. */
struct street street_new_sparse(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway,
                                size_t nodes);

/* Both behind one router. */
struct street street_new_router(uint64_t seed, const struct net_link *link, enum street_router router);
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

/* One of the two has found out that they can't meet, and why: how soon; USEC_NEVER: neither has. */
usec_t street_known_us(const struct street *street);

/* Both leave; what they held while they tried to meet is gone half a minute later: sockets, dials, sessions, punches, timers. */
bool street_is_clean(struct street *street);

/* A NAT on that street gives each remote another port. */
bool street_is_random(enum street_kind kind);

/* The physics of it: neither of two random ones can tell the other where it will be. */
bool street_is_passable(enum street_kind provider, enum street_kind gateway);

#endif
