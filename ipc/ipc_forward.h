/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells a forward worker, and hears from it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_FORWARD_H
#define HG_IPC_FORWARD_H

#include <stdint.h>

#include "ipc_hosts.h"
#include "ipc_message.h"

enum {
        IPC_PATH_MAX = 128,             /* of what a check asks for, with its NUL */
        IPC_SWARMS_MAX = 64,            /* swarm workers */
};

/* What a service is told of its client in front of the bytes: the numbers are the versions of the PROXY protocol. */
enum ipc_proxy {
        IPC_PROXY_NONE,
        IPC_PROXY_V1,
        IPC_PROXY_V2,
};

/* Which provider of a gate gets its next client. */
enum ipc_policy {
        IPC_POLICY_ROUND_ROBIN,         /* one after the other */
        IPC_POLICY_LEAST_CONNECTIONS,   /* the one with fewest of this gate's */
        IPC_POLICY_SOURCE_HASH,         /* the same for each client's address */
        IPC_POLICY_FIRST,               /* the same for all */
        IPC_POLICIES,
};

/* How it is found out whether a service is there. */
enum ipc_health {
        IPC_HEALTH_NONE,
        IPC_HEALTH_TCP,                 /* it takes connections */
        IPC_HEALTH_HTTP,                /* it answers a request with such a status */
        IPC_HEALTHS,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* (conf) A listening socket, or with IPC_UDP a bound one that tells where each datagram was sent to. Clients for whom no provider is
 * found within @wait_ms are reset. A session of datagrams, or a connection, ends when it is silent for @idle_ms; 0: never. */
struct ipc_forward_listener {
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t wait_ms;
        uint32_t idle_ms;
        uint32_t policy;                /* enum ipc_policy */
};

/* (conf, after its listeners, with IPC_DUTY_HOSTS) What the gate of that number is, for messages. */
struct ipc_forward_host {
        struct ipc_host_port at;
        uint16_t number;
};

/* (conf) How many connections, or sessions of datagrams, each gate may have at a time, and how many of them one client; how many may come
 * a second, on average, in all and from one client. 0: no limit. A provider that does not answer within @open_ms (0: 15 s) has refused.
 * Who has a limit of bandwidth is one of @swarms workers', of the ids 1 and up, whether it is there now or not; 0: nobody says how many. */
struct ipc_forward_limits {
        uint32_t connections, connections_per_client;
        uint32_t rate, rate_per_client;         /* at most 1,000,000 */
        uint32_t open_ms;
        uint32_t swarms;                /* at most IPC_SWARMS_MAX */
};

/* (conf) Who comes to a gate for TCP from that network is a proxy, and begins with a PROXY header. */
struct ipc_forward_trusted {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d; beyond @bits all 0 */
        uint32_t bits;
};

/* (conf, and at any time) Clients from that address are let in by all gates until then, whatever ingress policies say, and
 * no limit of these is theirs. Between CONF_BEGIN and CONF_END: all there are; else one more, or another time for one of them. */
struct ipc_forward_allow {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint64_t until_ms;              /* since the epoch; 0: no longer */
};

/* (conf) Who may come to the gates, as this gateway has it: no provider lets anybody in whom it keeps out. A sealed memory file of so many
 * @rules (ipc_rule.h); 0, and no file: nobody. Without one of these everybody may come. */
struct ipc_forward_policy {
        uint32_t rules;
};

/* (conf) When the kernel asks who is silent whether it is still there: after @idle_s, then each @interval_s, and after @count questions
 * without an answer the connection fails. All 0: never. */
struct ipc_forward_keep_alive {
        uint32_t idle_s, interval_s, count;
};

/* At most once a second, when there is something new. */
struct ipc_forward_status {
        uint64_t datagrams_dropped;     /* of clients and for them, for want of room, since the last one of these */
        uint64_t ended[IPC_REASONS];    /* channels that ended for that reason, since then */
};

/* (conf) A service to connect to; @count addresses to try in order (0: the name is not resolved (yet)). */
struct ipc_forward_service {
        uint64_t service;               /* its name: ipc_service.h */
        uint16_t gate_port;
        uint16_t protocol;
        uint16_t service_port;
        uint16_t count;
        uint32_t idle_ms;               /* a session of datagrams that is silent for so long ends, or a connection; 0: never */
        uint8_t address[IPC_ADDRESSES_MAX][16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char host[IPC_NAME_MAX];        /* as configured, for messages of ours */
        char alias[IPC_NAME_MAX];       /* what peers are told instead of host and address; empty: nothing else */
        uint16_t local;                 /* 1: a unix socket, IPC_TCP, without address and port: it is asked for by SERVICE_DIAL */
        uint16_t proxy;                 /* enum ipc_proxy */
        uint16_t priority;              /* among those behind the gate port; 0: best */
        uint16_t health;                /* enum ipc_health, of IPC_TCP; then the rest is set: */
        uint16_t status_first, status_last;     /* both included */
        uint16_t rise, fall;            /* checks in a row */
        uint32_t interval_ms, timeout_ms;
        char path[IPC_PATH_MAX];        /* printable, without blanks */
};

/* Whether a service of the sender's is there, as its checks say: once it is known, and when that changes. The router worker is told of it,
 * who does not advertise what is not there. */
struct ipc_service_health {
        uint64_t service;               /* its name: ipc_service.h */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t there;                 /* 0 or 1 */
};

/* Nobody could be reached at the addresses of that service of the sender's: its name may stand for others by now. Once while it rests. */
struct ipc_service_fails {
        uint64_t service;               /* its name: ipc_service.h */
        uint16_t gate_port;
        uint16_t protocol;
        uint8_t pad[4];
};

/* Connect to that service of the sender's, which is local: whoever holds services can't reach a unix socket, lest it reaches all. Answered
 * by SERVICE_DIALLED with the same @swarm and @channel, which are the sender's to choose. */
struct ipc_service_dial {
        uint64_t channel;
        uint64_t service;               /* its name: ipc_service.h */
        uint32_t swarm;
        uint16_t gate_port;
        uint8_t pad[2];
};

/* The connection rides along, unless @error is none of 0: errno. */
struct ipc_service_dialled {
        uint64_t channel;
        uint32_t swarm;
        uint32_t error;
};

/* A socket for one client of that gate, whose datagrams, and nobody else's, come to it from then on instead of the gate's. Answered by
 * SESSION_DETACHED with the same @session, which is the sender's to choose. */
struct ipc_session_detach {
        uint64_t session;
        uint8_t remote_ip[16], local_ip[16];    /* IPv6, or IPv4 as ::ffff:a.b.c.d; @local: that the client sends to */
        uint32_t scope;                 /* of a link-local @remote_ip: its interface; else 0 */
        uint16_t remote_port;
        uint16_t gate_port;
};

/* The socket rides along, unless @error is none of 0: errno. */
struct ipc_session_detached {
        uint64_t session;
        uint32_t error;
        uint32_t pad;
};

#pragma GCC diagnostic pop

#endif
