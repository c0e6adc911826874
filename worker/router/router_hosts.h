/* SPDX-License-Identifier: BSD-3-Clause */
/* Services by the names of their hosts, as a virtual network has them: which port of which host is wanted, which forward worker holds it, and
 * which providers have it. What two providers call by the same host and port is the same service, whatever their gate ports are; two services
 * of one host and port of one provider, the better one.
 *
 * All of it is made anew from the route table when that has changed, and what is another than before is told. */
#ifndef HG_ROUTER_HOSTS_H
#define HG_ROUTER_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "ipc_hosts.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "list.h"
#include "map.h"
#include "router_table.h"
#include "usec.h"

#define ROUTER_HOSTS_US MSEC(50)                /* from a change of routes to what is told of it */
#define ROUTER_HOST_LINGER_US SECONDS(5)        /* from the last provider's end to the host's: it may just come back */
#define ROUTER_HOST_ADOPTED_US SECONDS(60)      /* the same for one that was there when we started */

enum { ROUTER_HOSTS_MAX = 4096 };       /* ports of all hosts together */

struct router_host {
        struct map_entry by_name;
        struct heap_entry closing;      /* while nobody offers it */
        struct list offers;
        struct ipc_host_port at;
        uint16_t number;                /* by which its forward worker knows it */
        uint32_t forward;               /* 0: nobody */
        bool wanted;                    /* the last we said was HOST_OPEN */
        bool listed;                    /* in the configuration being applied */
};

/* A provider that has it. */
struct router_host_offer {
        struct list in_host;
        struct ipc_via via;
        uint64_t service;
        struct policy *policy;          /* held */
        uint16_t gate_port, priority;
        bool seen;                      /* in the table that is being looked at */
        bool news;                      /* another than it was */
};

/* Whom changes are told. @there: it is so from now on, or no longer. */
struct router_hosts_told {
        void (*wanted)(void *context, const struct router_host *host, bool there);
        void (*offer)(void *context, const struct router_host *host, const struct router_host_offer *offer, bool there);
        void *context;
};

struct router_hosts {
        struct map map;
        struct heap closings;
        struct router_hosts_told told;
        bool on;                        /* somebody wants them */
        bool behind;                    /* it was switched on or off since the table was looked at */
        bool full;                      /* there were more than may be, when it was looked at */
        uint64_t version;               /* of the table that was looked at */
        usec_t looks_us;                /* when it is looked at; USEC_NEVER: it is as it was */
};

/* @map_key: 16 random bytes. */
void router_hosts_init(struct router_hosts *hosts, const uint8_t map_key[16], const struct router_hosts_told *told);
void router_hosts_fini(struct router_hosts *hosts);

/* Whether there shall be any. */
void router_hosts_switch(struct router_hosts *hosts, bool on);

/* NULL: neither wanted nor held. */
struct router_host *router_hosts_find(const struct router_hosts *hosts, const struct ipc_host_port *at);

/* That worker holds it now, and is told of its offers; the one before it, that it has none. 0 or -ENOMEM. */
int router_hosts_hold(struct router_hosts *hosts, const struct ipc_router_host *said);

/* It was there when we started: it is wanted for some time at least. 0 or -ENOMEM. */
int router_hosts_adopt(struct router_hosts *hosts, const struct ipc_host_port *at, usec_t now_us);

/* Tells what has changed in @table, if it is time to, and what has become due. True: there are more than may be, which had not been so. */
bool router_hosts_advance(struct router_hosts *hosts, struct route_table *table, usec_t now_us);
usec_t router_hosts_deadline(const struct router_hosts *hosts);

/* Walks all, as map_walk() does: NULL is the first; the current one may go if the next was taken before. */
struct router_host *router_hosts_next(const struct router_hosts *hosts, const struct router_host *host);

#endif
