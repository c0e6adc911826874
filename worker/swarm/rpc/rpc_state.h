/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the rpc, its requests, and the steps between them. Nobody else includes it. */
#ifndef HG_RPC_STATE_H
#define HG_RPC_STATE_H

#include "heap.h"
#include "list.h"
#include "map.h"
#include "rpc.h"
#include "rpc_limit.h"
#include "rpc_output.h"
#include "rpc_rtt.h"
#include "rpc_token.h"
#include "rpc_window.h"

enum { RPC_REQUESTS_MAX = 4096 };       /* ours, out or waiting */

enum rpc_request_state {
        RPC_WAITING,            /* for the congestion window, before a first or a further send; no timer runs */
        RPC_OUT,                /* sent; the timer runs */
        RPC_OVER,               /* timed out; here until the caller has been told */
};

struct rpc_request {
        struct list all;                /* rpc->all */
        struct map_entry by_tid;        /* rpc->by_tid, unless RPC_OVER */
        struct list waiting;            /* rpc->waiting, while RPC_WAITING */
        struct heap_entry timer;        /* rpc->timers, while RPC_OUT */
        struct list news;               /* rpc->news: slow or over, and the caller has not been told */
        enum rpc_request_state state;
        uint16_t tid;
        unsigned sends, retries;
        bool urgent, far, eager;
        usec_t sent_us;                 /* the last time */
        unsigned kind;
        void *context;
        struct rpc_datagram datagram;   /* the same bytes each time */
        uint8_t bytes[];
};

struct rpc {
        struct random random;
        uint32_t server_socket, client_socket;
        bool firewalled, has_id;
        uint8_t id[RPC_ID_BYTES];
        struct list all, waiting, news;
        struct rpc_request *told;       /* the last whose end was told: until the next one, no other has its address */
        size_t count, out;              /* requests: all but those over; sent and unanswered ones */
        struct map by_tid;              /* by tid and remote */
        struct heap timers;
        struct rpc_window window;
        struct rpc_rtt rtt;
        struct rpc_tokens tokens;
        struct rpc_limit limit;
        struct rpc_output output;
        struct rpc_stats stats;
};

/* The id that datagrams leaving by @socket carry, or NULL. dht-rpc lib/io.js: only a persistent node's server socket. */
const uint8_t *rpc_id_for(const struct rpc *rpc, uint32_t socket);

/* The request that went out under @tid to @remote; NULL: none waits for an answer. */
struct rpc_request *rpc_request_find(const struct rpc *rpc, uint16_t tid, const struct addr *remote);

/* It is over and that is being told: it leaves all queues, and is freed when the next one is. */
void rpc_request_told(struct rpc *rpc, struct rpc_request *request);

/* Its answer is here: the same, and the window has room for another. */
void rpc_request_answered(struct rpc *rpc, struct rpc_request *request, usec_t now_us);

/* Frees it wherever it is. */
void rpc_request_free(struct rpc *rpc, struct rpc_request *request);

#endif
