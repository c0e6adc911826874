/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the route table share. Nobody else includes it. */
#ifndef HG_ROUTER_TABLE_STATE_H
#define HG_ROUTER_TABLE_STATE_H

#include "ipc_route.h"
#include "router_table.h"

enum { ROUTE_RULES_PER_PEER = 65 * 256 };        /* of all its policies, 3 MB: as many as a provider of ours can say */

struct route_peer {
        struct map_entry by_via;
        struct heap_entry expiry;
        struct list routes, offers;
        struct list lingering;          /* gates that it offered last */
        unsigned held;                  /* gates it offers, and those */
        struct ipc_via via;
};

struct route_gate {
        struct map_entry by_port;
        struct heap_entry closing;      /* in the heap while open and offered by nobody */
        struct list offers, dirty;
        struct list of_holder;          /* holder->lingering */
        struct route_peer *holder;      /* while it lingers: whose share it counts for, as long as that is there */
        uint16_t port, protocol;
        unsigned offered;               /* offers with routes */
        bool wanted, told;              /* told: the last event said it is wanted */
};

/* One service of one peer. @offer: NULL while the filters keep it out, or no gate is left for it. */
struct route {
        struct list of_peer;
        struct route_offer *offer;
        uint16_t gate_port, service_port, protocol;
        uint16_t said_priority, priority;       /* by the peer; in effect */
        uint32_t name;                  /* ipc_server_name() of whom it is for; 0: of nobody by name */
        bool repeated;                  /* while merging: the new list has it too */
        struct policy *policy;          /* who may use it, held */
        const char *host, *tags;        /* in @text */
        char text[];
};

/* router_table_gate.c: NULL: there is none; or no memory for one. */
struct route_gate *route_gate_find(const struct route_table *table, uint16_t port, uint16_t protocol);
struct route_gate *route_gate_get(struct route_table *table, uint16_t port, uint16_t protocol);
void route_gate_free(struct route_table *table, struct route_gate *gate);

/* An idle gate that nobody was told of goes at once. */
void route_gate_forget(struct route_table *table, struct route_gate *gate);

/* One of its offers came or, from @peer, went. The last one lingers, the first one takes effect at once. */
void route_gate_count(struct route_table *table, struct route_gate *gate, int change, struct route_peer *peer, usec_t now_us);

/* It counts for nobody's share any more. */
void route_gate_release(struct route_gate *gate);

/* Nobody offers @gate, or its time is over. */
void route_gate_close(struct route_table *table, struct route_gate *gate);

/* router_table_offer.c: @peer's offer that @route belongs to. NULL: there is none; or no memory for one. */
struct route_offer *route_offer_find(const struct route_peer *peer, const struct route *route);
struct route_offer *route_offer_new(struct route_table *table, struct route_peer *peer, const struct route *route);
void route_offer_free(struct route_table *table, struct route_offer *offer);

/* One route more or less behind @offer; an offer without any goes when its end is told, or now if its start never was. */
void route_offer_count(struct route_table *table, struct route_offer *offer, int change, usec_t now_us);

/* Says of each offer of @peer what its routes are now. */
void route_offers_describe(struct route_table *table, struct route_peer *peer);

/* router_table_filters.c: whether the filters let it through, with a priority, which then is @route->priority. */
bool route_admitted(struct route_table *table, struct route *route);

/* The same without a gate for it, for which low ports need a name; *@priority_out: that one. */
bool route_passes(const struct route_table *table, const struct route *route, uint16_t *priority_out);

/* Whether a filter lets through anything at all there, as the supervisor asks as well. */
bool route_gate_allowed(const struct route_table *table, const struct route_gate *gate);

/* router_table_share.c: takes from @peer what is more than its share. */
void route_share_trim(struct route_table *table, struct route_peer *peer, usec_t now_us);

/* Whether @peer may have one more gate, that of @route, for which another one may close. */
bool route_share_allows(struct route_table *table, const struct route_peer *peer, const struct route *route, usec_t now_us);

#endif
