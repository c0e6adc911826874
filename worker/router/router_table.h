/* SPDX-License-Identifier: BSD-3-Clause */
/* Route table of a gateway: who offers what, which of it we want, and hence which gates are to be open.
 *
 * A peer is one at one of our swarm workers (struct ipc_via): who is connected to two of them is two here, as each connection ends for itself.
 * A peer's advertisement is complete: it replaces what that peer said before, and all of it expires together unless
 * repeated. Whoever holds the secret may offer what he likes, so gates are shared out: each peer has a bound, and when all are
 * taken, one that nobody offers any more closes for a new one, else one of whoever has most; what finds no place is looked at
 * again when its peer repeats itself. Changes are drained with route_table_event(); only the difference to what was drained before comes out, so
 * that a service withdrawn and offered again in one turn is no news at all. */
#ifndef HG_ROUTER_TABLE_H
#define HG_ROUTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "list.h"
#include "map.h"
#include "router_advert.h"
#include "usec.h"

#define ROUTE_EXPIRY_US SECONDS(120)            /* Hypergate: ROUTE_EXPIRATION_MS; providers repeat every 5 to 30 s */
#define ROUTE_GATE_LINGER_US SECONDS(30)        /* from the last route's end to the gate's: a provider may just restart */
#define ROUTE_GATE_ADOPTED_US SECONDS(60)       /* the same for one found open when we started: two rounds of advertisements */

enum {
        ROUTE_TABLE_MAX = 65536,                /* routes of all peers together */
        ROUTE_PEERS_MAX = 4096,
        ROUTE_GATES_MAX = 4096,                 /* open at a time: as many as the supervisor opens */
        ROUTE_GATES_PER_PEER = 256,             /* of these behind one peer, with those that linger after it, unless fewer may be */
        ROUTE_LOW_PORTS = 1024,                 /* gate ports below are opened only where a filter names them, or their host alone */
};

enum route_event_kind {
        ROUTE_OFFERED,          /* @via serves the gate, by @service and with @priority; again when one of these is another */
        ROUTE_WITHDRAWN,        /* no longer */
        ROUTE_GATE_WANTED,      /* the gate shall be open */
        ROUTE_GATE_DONE,        /* no longer */
        ROUTE_LOW_PORT,         /* @gate_port is offered, below ROUTE_LOW_PORTS and not named by a filter; said once a port */
};

struct route_event {
        enum route_event_kind kind;
        uint16_t gate_port, protocol;
        struct ipc_via via;
        uint64_t service;               /* see struct route_offer */
        uint32_t name;
        uint16_t priority;
        const struct policy *policy;    /* NULL: everybody may come */
};

struct route_gate;
struct route_peer;

/* One peer's offer for one gate and one name of TLS clients, however many services stand behind it. */
struct route_offer {
        struct list of_gate, of_peer, dirty;
        struct route_gate *gate;
        struct route_peer *owner;       /* NULL: gone, and that is still to be told */
        struct ipc_via via;
        uint32_t name;          /* see struct ipc_route */
        unsigned routes;        /* that pass the filters; 0: going */
        uint64_t service, told_service; /* the first one's name (ipc_service.h) if others of this peer at the gate will not do; 0: any will */
        struct policy *policy, *told_policy;    /* who may come, held: of the first one, which then is named if others have another */
        uint16_t priority, told_priority;       /* the best of its services, as a filter or the peer says; 0: best */
        bool told;              /* the last event said it is there */
};

struct route_table {
        struct map peers, gates;
        struct heap expiries, closings;         /* peers; gates that linger */
        struct list dirty_offers, dirty_gates;
        struct ipc_router_filter *filters;
        size_t filter_count, routes;
        unsigned per_peer;                      /* gates behind one peer, at most */
        bool selective;                         /* what no filter lets through stays out: some are no exceptions */
        bool every;                             /* all of these must match, as the original has it (hypergate.md 12) */
        usec_t expiry_us;                       /* of what is not repeated, from the next time it is; at first ROUTE_EXPIRY_US */
        size_t wanted;                          /* gates that shall be open */
        uint8_t low_seen[ROUTE_LOW_PORTS / 8], low_told[ROUTE_LOW_PORTS / 8];
        bool low_dirty;
        uint64_t version;                       /* counts what route_table_each() may tell otherwise now */
};

/* One service of one peer, as the filters let it through. */
struct route_service {
        struct ipc_via via;
        const char *host;               /* as its peer says it: anything that is no longer than a host's name */
        uint16_t service_port, protocol, gate_port, priority;
        uint64_t name;                  /* ipc_service.h */
        struct policy *policy;          /* who may use it; NULL: everybody */
};

/* @map_key: 16 random bytes. Without filters everything passes, but for low ports. */
void route_table_init(struct route_table *table, const uint8_t map_key[16]);
void route_table_fini(struct route_table *table);

/* Replaces the filters by @count copied ones and looks at every route again; gates whose port none of them lets through don't linger. 0 or
 * -ENOMEM. */
int route_table_filter(struct route_table *table, const struct ipc_router_filter *filters, size_t count, usec_t now_us);

/* From the next route_table_filter() on so many gates at most are behind one peer, 1 to ROUTE_GATES_PER_PEER, as at first; who has more then
 * loses what it offered last. */
void route_table_limit(struct route_table *table, unsigned per_peer);

/* Whether a route that passes matches every filter but exceptions, not any; from the next route_table_filter() on. */
void route_table_filter_mode(struct route_table *table, bool every);

/* @via's complete list, from now on for @expiry_us. 0, -ENOSPC or -ENOMEM: some routes did not fit, or found no gate. */
int route_table_merge(struct route_table *table, const struct ipc_via *via, const struct advert *advert, usec_t now_us);

/* @via is gone, and its routes with it; all of that swarm worker's; all. */
void route_table_drop(struct route_table *table, const struct ipc_via *via, usec_t now_us);
void route_table_drop_swarm(struct route_table *table, uint32_t swarm, usec_t now_us);
void route_table_drop_all(struct route_table *table, usec_t now_us);

/* The gate is open already, from before our time: not news when wanted, and to be closed when nobody wants it. 0 or -ENOMEM. */
int route_table_adopt(struct route_table *table, uint16_t gate_port, uint16_t protocol, usec_t now_us);

/* Expires what is due by now; when that is the next time. */
void route_table_advance(struct route_table *table, usec_t now_us);
usec_t route_table_deadline(const struct route_table *table);

bool route_table_event(struct route_table *table, struct route_event *out);

/* For people: an offer that has been told. */
struct route_told {
        uint16_t gate_port, protocol;
        uint32_t routes;
        struct ipc_via via;
        uint16_t priority;
};

/* All services, in no order; gates, and shares of them, do not matter. */
void route_table_each(struct route_table *table, void (*found)(void *context, const struct route_service *service), void *context);

/* At most @max; returns how many there are. */
size_t route_table_told(const struct route_table *table, struct route_told *out, size_t max);

/* Walks the offers of a gate that have been told (see route_table_event): NULL yields the first, the last yields NULL. */
const struct route_offer *route_table_next(const struct route_table *table, uint16_t gate_port, uint16_t protocol,
                                           const struct route_offer *after);

#endif
