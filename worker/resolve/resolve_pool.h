/* SPDX-License-Identifier: BSD-3-Clause */
/* getaddrinfo() blocks: a few threads ask, and the loop goes on. A slow name holds one thread, never the others. */
#ifndef HG_RESOLVE_POOL_H
#define HG_RESOLVE_POOL_H

#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>

#include "ipc_message.h"
#include "ipc_resolve.h"
#include "list.h"
#include "usec.h"

enum {
        RESOLVE_THREADS_MAX = 8,
        RESOLVE_QUEUE_MAX = 64,         /* questions that wait for a thread; the supervisor asks fewer at a time */
};

struct resolve_pool {
        pthread_mutex_t lock;           /* over all below but the loop's own */
        pthread_cond_t work;
        struct list asked, answered;
        unsigned asked_count, thread_count, idle_count;
        usec_t busy_since_us[RESOLVE_THREADS_MAX];      /* CLOCK_MONOTONIC; 0: idle */
        bool ended;
        struct ev_loop *loop;
        ev_async wake;
        void (*on_answer)(void *context, const struct ipc_resolve_answer *answer);
        void *context;
};

/* @on_answer is called from @loop. Starts no thread yet: they come with the first questions, behind the wall. */
void resolve_pool_init(struct resolve_pool *pool, struct ev_loop *loop,
                       void (*on_answer)(void *context, const struct ipc_resolve_answer *answer), void *context);

/* Threads that still ask are left behind and touch nothing any more; the struct must outlive them. */
void resolve_pool_fini(struct resolve_pool *pool);

/* Every question is answered, in no order; with EAI_AGAIN at once when too many wait. */
void resolve_pool_ask(struct resolve_pool *pool, const struct ipc_resolve_ask *ask);

/* Since when all threads have been busy with names that don't come back; USEC_NEVER: not so. */
usec_t resolve_pool_stuck_since(struct resolve_pool *pool);

/* Those of @found, by turns of each family; how many. Also what tests call. */
uint16_t resolve_put_addresses(uint8_t out[IPC_ADDRESSES_MAX][16], const struct addrinfo *found);

/* One look-up, right now; also what tests call. */
void resolve_look_up(const struct ipc_resolve_ask *ask, struct ipc_resolve_answer *answer_out);

#endif
