/* SPDX-License-Identifier: BSD-3-Clause */
/* The router worker: what we offer, who offers what to us, and who has to know. Everything it knows hangs here. */
#ifndef HG_ROUTER_PROCESS_H
#define HG_ROUTER_PROCESS_H

#include "ipc_router.h"
#include "router_advert.h"
#include "router_complaints.h"
#include "router_conf.h"
#include "router_gates.h"
#include "router_hosts.h"
#include "router_offers.h"
#include "router_table.h"
#include "run.h"

/* From the first swarm worker's introduction until what it told about its peers counts as all there is: until then forward
 * workers go on with the routes they had from the router worker before us. */
#define ROUTER_ADVERTISE_US MSEC(50)     /* from the first service that goes or comes to what is said of all */
#define ROUTER_SETTLE_US SECONDS(1)

#define ROUTER_STATUS_US SECONDS(1)              /* from one status to the next */

struct router {
        struct worker worker;
        struct router_conf conf;
        bool configured;                /* once, at least */
        uint32_t roles;
        struct router_offers offers;
        size_t surplus;                 /* services beyond those */
        usec_t advertises_us;           /* when what is there now is said; USEC_NEVER: it is */
        char *advert;                   /* what we offer, NULL: never a provider */
        size_t advert_len;
        struct route_table table;
        struct router_gates gates;
        struct router_hosts hosts;
        struct advert heard;            /* the advertisement being merged */
        usec_t settles_us;              /* see ROUTER_SETTLE_US; USEC_NEVER: no swarm worker seen yet; 0: settled */
        uint64_t generation;            /* of full tables sent to forward workers */
        ev_timer due;
        struct router_complaints complaints;
        struct ipc_router_status more;  /* counted since the supervisor was told */
        usec_t status_us;               /* it is not told again before this */
};

/* @key: 16 random bytes for the maps. The worker has begun. */
void router_init(struct router *router, const uint8_t key[16]);
void router_fini(struct router *router);

/* router_handlers.c: what others say. */
extern const struct worker_handlers router_handlers;

/* router_tell.c: what others are told. Their link may be missing: then they learn it when they are introduced. */
void router_advertise(struct router *router);                   /* to all swarm workers, if it is another one than before */
void router_tell_advert(struct router *router);                 /* to all swarm workers */
void router_tell_advert_to(struct router *router, struct worker_link *swarm);
void router_tell_gate(struct router *router, uint16_t gate_port, uint16_t protocol, bool open);
void router_tell_gates(struct router *router);
void router_tell_route(struct router *router, uint32_t forward, const struct route_event *event);      /* of an offer */
/* All offers of a gate that just got this holder (@offered), or just lost it. */
void router_tell_routes(struct router *router, uint32_t forward, uint16_t gate_port, uint16_t protocol, bool offered);
/* What is wrong with an advertisement of @peer's, for people; or nothing, if they know. */
void router_tell_complaint(struct router *router, const uint8_t peer[IPC_KEY_BYTES], const struct router_reading *reading, usec_t now_us);
void router_tell_status(struct router *router, usec_t now_us);  /* if there is something new, and it is time */
void router_tell_hosts(struct router *router);                  /* all that are wanted */
/* router_hosts_told: of a host that is wanted or no longer, and of an offer of one. */
void router_tell_host(void *context, const struct router_host *host, bool wanted);
void router_tell_host_offer(void *context, const struct router_host *host, const struct router_host_offer *offer, bool there);
/* The whole table, for a new link. */
void router_tell_all_routes(struct router *router, struct worker_link *forward);

/* Passes on what changed in the table by @now_us, and arms the timer for what comes next: the end of every handler. */
void router_settle(struct router *router, usec_t now_us);

#endif
