/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is there, and what each offers: what the swarm worker and the router worker say to each other, and the router worker to the forward
 * workers. Payloads of rows of ipc_message.h. */
#ifndef HG_IPC_ROUTE_H
#define HG_IPC_ROUTE_H

#include <stdint.h>

#include "ipc_message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* A peer, and by which swarm worker: the same key may be connected to several of them. */
struct ipc_via {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t swarm;                 /* id of that worker */
};

/* An authenticated peer came or went, or leaves: what runs with it goes on then, and nothing new begins. All present ones are told again on
 * a new link. */
struct ipc_peer {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t role;                  /* the peer's: enum ipc_instance_role */
};

/* The peer's newest advertisement, unread; the fd is a sealed memfd of @len bytes. */
struct ipc_peer_advert {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t len;
};

/* The peer said in @len bytes what it offers, more than are passed on: what it said before counts. */
struct ipc_peer_advert_long {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t len;
        uint32_t most;                  /* not 0: the connection ended with that message, unread, which may have so many at most; fewer, but
                                         * for want of room */
};

/* What every gateway peer shall be told, now and when it comes; sealed memfd of @len bytes. */
struct ipc_advertise {
        uint32_t len;
};

/* @peer offers @gate_port. Between ROUTES_BEGIN and ROUTES_END: the complete table; else one change. Set again with another @service, it
 * is that from now on. */
struct ipc_route {
        uint8_t peer[IPC_KEY_BYTES];
        uint64_t service;               /* the one that is wanted of those it has there (ipc_service.h); 0: any */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t swarm;                 /* id of the worker that is connected to it */
        uint16_t priority;              /* 0: best */
        uint16_t rules;                 /* ROUTE_SET: who may come, a sealed memory file of so many (ipc_rule.h); 0: everybody, and no file */
        uint32_t name;                  /* ipc_server_name() of what TLS clients ask for there; 0: it is for all others. To a worker with
                                         * IPC_DUTY_HOSTS, whose routes are for all: the gate port by which the peer has it */
};

#pragma GCC diagnostic pop

#endif
