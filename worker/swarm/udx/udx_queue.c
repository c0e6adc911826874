/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_queue.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"

enum {
        BLOCK_MAX = 256 * 1024,         /* four messages of the largest kind, or 200 packets */
        MOVE_MAX = 2048,                /* bytes worth copying to keep the queue contiguous */
};

void udx_queue_init(struct udx_queue *queue, struct udx_pool *pool)
{
        *queue = (struct udx_queue){ .pool = pool };
}

static void block_free(struct udx_queue *queue, struct udx_block *block)
{
        if (block)
                udx_pool_give(queue->pool, block, sizeof(*block) + block->capacity);
}

void udx_queue_fini(struct udx_queue *queue)
{
        for (struct udx_block *block = queue->head, *next; block; block = next) {
                next = block->next;
                block_free(queue, block);
        }
        block_free(queue, queue->fresh);
        udx_queue_init(queue, queue->pool);
}

/* Blocks grow with the queue: a quiet stream holds half a kilobyte, a busy one few and large blocks. */
static struct udx_block *block_new(struct udx_queue *queue, size_t len)
{
        size_t wanted = MIN(queue->kept_bytes, (size_t)BLOCK_MAX);
        size_t least = udx_pool_round(sizeof(struct udx_block) + len);
        size_t size = udx_pool_round(MAX(wanted, sizeof(struct udx_block) + len));
        struct udx_block *block = udx_pool_take(queue->pool, size);

        if (!block && size > least) {   /* memory is short: what must be said goes out all the same */
                size = least;
                block = udx_pool_take(queue->pool, size);
        }
        if (!block) {
                size = UDX_POOL_RESERVE;
                block = least <= size ? udx_pool_take_reserve(queue->pool, UDX_POOL_TO_SEND) : NULL;
        }
        if (!block)
                return NULL;
        *block = (struct udx_block){ .capacity = (uint32_t)(size - sizeof(*block)) };
        return block;
}

static struct udx_block *fresh_for(struct udx_queue *queue, size_t len)
{
        if (queue->fresh && queue->fresh->capacity < len) {
                block_free(queue, queue->fresh);
                queue->fresh = NULL;
        }
        if (!queue->fresh)
                queue->fresh = block_new(queue, len);
        return queue->fresh;
}

/* The only block, none of it cut yet and little in it: it moves along, so that small writes share packets with large ones. */
static bool moves_along(const struct udx_queue *queue)
{
        return queue->head && queue->head == queue->tail && queue->cursor == queue->head && queue->cursor_offset == 0 &&
               queue->head->used <= MOVE_MAX;
}

static bool enlarge_only_block(struct udx_queue *queue, size_t len)
{
        struct udx_block *old = queue->head, *block = block_new(queue, old->used + len);

        if (!block)
                return false;
        memcpy(block->bytes, old->bytes, old->used);
        block->used = old->used;
        queue->head = queue->tail = queue->cursor = block;
        block_free(queue, old);
        return true;
}

uint8_t *udx_queue_reserve(struct udx_queue *queue, size_t len)
{
        struct udx_block *block = queue->tail;

        queue->reserved = (uint32_t)len;
        if (block && block->capacity - block->used < len && moves_along(queue) && enlarge_only_block(queue, len))
                block = queue->tail;
        if (!block || block->capacity - block->used < len)
                block = fresh_for(queue, len);
        return block ? block->bytes + block->used : NULL;
}

static void link_fresh(struct udx_queue *queue)
{
        if (queue->tail)
                queue->tail->next = queue->fresh;
        else
                queue->head = queue->fresh;
        queue->tail = queue->fresh;
        queue->fresh = NULL;
}

void udx_queue_commit(struct udx_queue *queue, size_t len)
{
        struct udx_block *block = queue->tail;

        assert(len <= queue->reserved);
        if (!len)
                return;
        if (!block || block->capacity - block->used < queue->reserved) {
                link_fresh(queue);
                block = queue->tail;
        }
        if (!queue->cursor) {
                queue->cursor = block;
                queue->cursor_offset = block->used;
        }
        block->used += (uint32_t)len;
        queue->reserved = 0;
        queue->kept_bytes += len;
        queue->unsent_bytes += len;
}

size_t udx_queue_next_cut(const struct udx_queue *queue, size_t max)
{
        const struct udx_block *block = queue->cursor;
        size_t here = block ? block->used - queue->cursor_offset : 0;

        if (here < max && block && block->next)
                here += block->next->used;
        return MIN(here, max);
}

void udx_queue_cut(struct udx_queue *queue, size_t len, struct udx_slice *out)
{
        struct udx_block *block = queue->cursor;
        size_t here = block->used - queue->cursor_offset;

        *out = (struct udx_slice){ .block = block, .offset = queue->cursor_offset, .len = (uint16_t)len };
        queue->unsent_bytes -= len;
        queue->cursor_offset += (uint32_t)len;
        if (len < here)
                return;
        queue->cursor = block->next;
        queue->cursor_offset = (uint32_t)(len - here);
        if (queue->cursor && queue->cursor_offset == queue->cursor->used) {
                queue->cursor = queue->cursor->next;
                queue->cursor_offset = 0;
        }
}

unsigned udx_slice_iovec(const struct udx_slice *slice, struct iovec out[2])
{
        size_t here = MIN((size_t)slice->len, (size_t)(slice->block->used - slice->offset));

        out[0] = (struct iovec){ .iov_base = slice->block->bytes + slice->offset, .iov_len = here };
        if (here == slice->len)
                return 1;
        out[1] = (struct iovec){ .iov_base = slice->block->next->bytes, .iov_len = slice->len - here };
        return 2;
}

void udx_queue_release(struct udx_queue *queue, size_t len)
{
        assert(len <= queue->kept_bytes - queue->unsent_bytes);
        queue->kept_bytes -= len;
        while (len) {
                struct udx_block *block = queue->head;
                size_t here = MIN(len, (size_t)(block->used - block->released));

                block->released += (uint32_t)here;
                len -= here;
                if (block->released < block->used)
                        continue;
                queue->head = block->next;
                if (!queue->head)
                        queue->tail = NULL;
                block_free(queue, block);
        }
}
