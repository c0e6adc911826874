/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that streams give back the moment they are empty and take again a packet later: sizes are powers of two, some
 * of what is free is kept, last in first out, so that a busy stream keeps working in warm cache lines. And two blocks are put by: so
 * that a message whose sender was told that there is room finds it, and that a message which comes can be received, though memory has
 * run out meanwhile. */
#ifndef HG_UDX_POOL_H
#define HG_UDX_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define UDX_POOL_SMALLEST 512
#define UDX_POOL_CLASSES 19             /* 512 bytes .. 128 MiB */
#define UDX_POOL_RESERVE (128 * 1024)   /* a block for the longest message */

enum udx_pool_use {
        UDX_POOL_TO_SEND,
        UDX_POOL_TO_RECEIVE,
        UDX_POOL_USES,
};

struct udx_pool {
        void *free[UDX_POOL_CLASSES];   /* singly linked through their first word */
        size_t kept_bytes;
        void *reserve[UDX_POOL_USES];   /* NULL: in use, or not had yet */
};

void udx_pool_init(struct udx_pool *pool);
void udx_pool_fini(struct udx_pool *pool);      /* frees all of it; the pool stays usable */

/* Frees what is kept. What is put by stays; it costs no page before it is used. */
void udx_pool_trim(struct udx_pool *pool);

/* What @bytes become: the next power of two, at least UDX_POOL_SMALLEST. At most 128 MiB can be asked for: a window of 64 MiB, see udx_assembly.c. */
size_t udx_pool_round(size_t bytes);

/* At least @bytes, uninitialised; NULL: no memory. */
void *udx_pool_take(struct udx_pool *pool, size_t bytes);

/* The same, if it leaves UDX_POOL_RESERVE bytes to others: for who has enough to go on without. */
void *udx_pool_take_sparing(struct udx_pool *pool, size_t bytes);

/* What was put by, UDX_POOL_RESERVE bytes, for who can't do without; NULL: it is in use. */
void *udx_pool_take_reserve(struct udx_pool *pool, enum udx_pool_use use);

/* Nothing is put by to send, and nothing can be: what is not begun yet should wait. Ask again soon: it is tried anew each time. */
bool udx_pool_short(struct udx_pool *pool);

/* @bytes as it was asked for, or as rounded; NULL memory is fine. */
void udx_pool_give(struct udx_pool *pool, void *memory, size_t bytes);

#endif
