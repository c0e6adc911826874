/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that streams give back the moment they are empty and take again a packet later: sizes are powers of two, some
 * of what is free is kept, last in first out, so that a busy stream keeps working in warm cache lines. */
#ifndef HG_UDX_POOL_H
#define HG_UDX_POOL_H

#include <stddef.h>

#define UDX_POOL_SMALLEST 512
#define UDX_POOL_CLASSES 16             /* 512 bytes .. 16 MiB */

struct udx_pool {
        void *free[UDX_POOL_CLASSES];   /* singly linked through their first word */
        size_t kept_bytes;
};

void udx_pool_init(struct udx_pool *pool);
void udx_pool_fini(struct udx_pool *pool);      /* frees what is kept; the pool stays usable */

/* What @bytes become: the next power of two, at least UDX_POOL_SMALLEST. At most 16 MiB can be asked for. */
size_t udx_pool_round(size_t bytes);

/* At least @bytes, uninitialised; NULL: no memory. */
void *udx_pool_take(struct udx_pool *pool, size_t bytes);

/* @bytes as it was asked for, or as rounded; NULL memory is fine. */
void udx_pool_give(struct udx_pool *pool, void *memory, size_t bytes);

#endif
