/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands between CONF_BEGIN and CONF_END, built aside. */
#ifndef HG_ROUTER_CONF_H
#define HG_ROUTER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_router.h"
#include "router_advert.h"

enum { ROUTER_CONF_MAX = 2 * 16384 + 256 };     /* filters of all kinds, and gates */

struct router_conf {
        bool open;                      /* between the two */
        uint32_t roles;                 /* or of enum ipc_instance_role */
        uint32_t gates_per_peer;        /* 0: as many as there may be */
        bool every_filter;
        uint32_t expiry_ms;             /* of routes; 0: as long as usual */
        bool hosts;                     /* of services are wanted by name, too */
        struct advert_route services[ADVERT_ROUTES_MAX];
        bool withheld[ADVERT_ROUTES_MAX];       /* services that are not there now */
        size_t service_count;
        struct policy *policy;          /* of the services to come, held */
        size_t surplus;                 /* services beyond, which are not advertised */
        struct ipc_router_filter *filters;
        size_t filter_count, filter_room;
        struct ipc_router_gate *gates;
        size_t gate_count, gate_room;
        struct ipc_router_host *held;   /* hosts by name */
        size_t held_count, held_room;
};

/* Starts over; zeroed memory is an empty one. */
void router_conf_begin(struct router_conf *conf);
void router_conf_fini(struct router_conf *conf);

/* 0; -EPROTO: not what the table says it is; -ENOSPC or -ENOMEM; -EILSEQ: a service whose names JSON can't carry. */
int router_conf_roles(struct router_conf *conf, const struct ipc_router_roles *roles);
int router_conf_service(struct router_conf *conf, const struct ipc_router_service *service);
int router_conf_policy(struct router_conf *conf, struct policy *policy);        /* of the services to come; NULL: everybody may use them */
int router_conf_filter(struct router_conf *conf, const struct ipc_router_filter *filter);
int router_conf_gate(struct router_conf *conf, const struct ipc_router_gate *gate);
int router_conf_host(struct router_conf *conf, const struct ipc_router_host *host);

/* Whether it is what the table says it is. */
bool router_conf_host_good(const struct ipc_router_host *host);

#endif
