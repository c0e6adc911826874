/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells the router worker, and hears from it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_ROUTER_H
#define HG_IPC_ROUTER_H

#include <stdint.h>

#include "ipc_hosts.h"
#include "ipc_message.h"

enum {
        IPC_TAGS_MAX = 512,
        IPC_PRIORITY_MAX = 255,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* (conf) */
struct ipc_router_roles {
        uint32_t roles;                 /* or of enum ipc_instance_role */
        uint32_t gates_per_peer;        /* a gateway opens for each provider; 0: as many as there may be */
        uint32_t every_filter;          /* 1: a route passes if it matches all filters, not any */
        uint32_t expiry_ms;             /* of routes that their provider does not repeat; 0: 120 s */
        uint32_t hosts;                 /* 1: hosts of services are wanted by name, too (HOST_OPEN) */
};

/* (conf) A service of this provider. Strings end with NUL. */
struct ipc_router_service {
        uint16_t gate_port;
        uint16_t service_port;
        uint16_t protocol;              /* enum ipc_protocol */
        char host[IPC_NAME_MAX];        /* as peers are told */
        char tags[IPC_TAGS_MAX];        /* words separated by blanks; empty: none */
        char sni[IPC_NAME_MAX];         /* what TLS clients ask for; empty: whatever others do not have */
        uint16_t priority;              /* 0: best, to IPC_PRIORITY_MAX */
        uint16_t withheld;              /* 1: it is not there now (see ROUTER_HEALTH) */
};

/* (conf) Who may use the services that follow, until the next one of these: a sealed memory file (ipc_rule.h). 0: everybody, and no file. */
struct ipc_router_policy {
        uint32_t len;
};

enum ipc_filter_field {
        IPC_FILTER_GATE_PORT = 1,
        IPC_FILTER_SERVICE_PORT = 2,
        IPC_FILTER_PROTOCOL = 4,
        IPC_FILTER_HOST = 8,
        IPC_FILTER_TAGS = 16,
        IPC_FILTER_EXCEPT = 32,         /* what matches the others is kept out, whatever other filters let through */
        IPC_FILTER_ONLY = 64,           /* what matches none of these is kept out, too; a host in one names its low gate ports */
};

/* (conf) What a gateway may open: a route passes if any filter matches in all of its @fields; none but of the last two kinds:
 * everything. */
struct ipc_router_filter {
        uint32_t fields;                /* or of enum ipc_filter_field */
        uint16_t gate_port, gate_port_last;             /* both included */
        uint16_t service_port, service_port_last;
        uint16_t protocol;
        char host[IPC_NAME_MAX];
        char tags[IPC_TAGS_MAX];
        int16_t priority;               /* of what matches, whatever its provider says; -1: what that says */
        uint8_t pad[2];
};

/* (conf, and at any time) The gate is held by forward worker @forward; 0: by none. The router sends that worker its routes. */
struct ipc_router_gate {
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t forward;
};

/* The router wants this port open, or no longer. Repeating is harmless. */
struct ipc_gate {
        uint16_t gate_port;
        uint16_t protocol;
};

/* (conf, and at any time) That port is held by forward worker @forward, which has IPC_DUTY_HOSTS and knows it by @number; 0: by none. The
 * router sends that worker its routes, with @number in place of the gate port. */
struct ipc_router_host {
        struct ipc_host_port at;
        uint16_t number;
        uint32_t forward;
};

/* At most once a second, when there is something new. */
struct ipc_router_status {
        uint64_t adverts_dropped;       /* of providers, that could not be read, since the last one of these */
};

#pragma GCC diagnostic pop

#endif
