/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A sanitizer can watch only memory that is really freed. */
#if defined(__SANITIZE_ADDRESS__)
enum { KEPT_MAX = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { KEPT_MAX = 0 };
#else
enum { KEPT_MAX = 4 << 20 };
#endif
#else
enum { KEPT_MAX = 4 << 20 };            /* a window's worth; the rest goes back to the allocator */
#endif

void udx_pool_init(struct udx_pool *pool)
{
        *pool = (struct udx_pool){ .kept_bytes = 0 };
}

static void let_go(struct udx_pool *pool)
{
        for (size_t i = 0; i < UDX_POOL_CLASSES; i++) {
                for (void *at = pool->free[i], *next; at; at = next) {
                        memcpy(&next, at, sizeof(next));
                        free(at);
                }
                pool->free[i] = NULL;
        }
        pool->kept_bytes = 0;
}

void udx_pool_fini(struct udx_pool *pool)
{
        let_go(pool);
        for (size_t i = 0; i < UDX_POOL_USES; i++)
                free(pool->reserve[i]);
        udx_pool_init(pool);
}

void udx_pool_trim(struct udx_pool *pool)
{
        let_go(pool);
}

static unsigned class_of(size_t bytes)
{
        unsigned class = 0;

        if (bytes > UDX_POOL_SMALLEST)
                class = (unsigned)(64 - __builtin_clzll((unsigned long long)bytes - 1)) - 9;
        assert(class < UDX_POOL_CLASSES);
        return class;
}

size_t udx_pool_round(size_t bytes)
{
        return (size_t)UDX_POOL_SMALLEST << class_of(bytes);
}

void *udx_pool_take(struct udx_pool *pool, size_t bytes)
{
        unsigned class = class_of(bytes);
        void *memory = pool->free[class];

        if (!memory) {
                memory = malloc((size_t)UDX_POOL_SMALLEST << class);
                if (!memory) {          /* what is kept is of other sizes */
                        let_go(pool);
                        memory = malloc((size_t)UDX_POOL_SMALLEST << class);
                }
                return memory;
        }
        memcpy(&pool->free[class], memory, sizeof(memory));
        pool->kept_bytes -= (size_t)UDX_POOL_SMALLEST << class;
        return memory;
}

void *udx_pool_take_sparing(struct udx_pool *pool, size_t bytes)
{
        bool kept = pool->free[class_of(bytes)];
        void *memory = udx_pool_take(pool, bytes);
        void *volatile left = memory && !kept ? malloc(UDX_POOL_RESERVE) : NULL;        /* or the compiler sees that nobody uses it */

        if (memory && !kept && !left) {
                free(memory);
                memory = NULL;
        }
        free(left);
        return memory;
}

void *udx_pool_take_reserve(struct udx_pool *pool, enum udx_pool_use use)
{
        void *memory = pool->reserve[use];

        pool->reserve[use] = NULL;
        return memory;
}

static bool put_by(struct udx_pool *pool, enum udx_pool_use use)
{
        void **reserve = &pool->reserve[use];

        if (!*reserve)
                *reserve = malloc(UDX_POOL_RESERVE);
        if (!*reserve && pool->kept_bytes) {
                let_go(pool);
                *reserve = malloc(UDX_POOL_RESERVE);
        }
        return *reserve;
}

bool udx_pool_short(struct udx_pool *pool)
{
        bool sends = put_by(pool, UDX_POOL_TO_SEND);

        (void)put_by(pool, UDX_POOL_TO_RECEIVE);
        return !sends;
}

void udx_pool_give(struct udx_pool *pool, void *memory, size_t bytes)
{
        unsigned class = class_of(bytes);
        size_t size = (size_t)UDX_POOL_SMALLEST << class;

        for (size_t i = 0; i < UDX_POOL_USES; i++)
                if (size == UDX_POOL_RESERVE && !pool->reserve[i]) {
                        pool->reserve[i] = memory;
                        return;
                }
        if (!memory || pool->kept_bytes + size > KEPT_MAX) {
                free(memory);
                return;
        }
        memcpy(memory, &pool->free[class], sizeof(memory));
        pool->free[class] = memory;
        pool->kept_bytes += size;
}
