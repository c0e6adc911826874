/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stream has to send: bytes in blocks that stay where they were written until they are acknowledged, so that a
 * packet, first sent or resent, is a header and a pointer. */
#ifndef HG_UDX_QUEUE_H
#define HG_UDX_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "udx_pool.h"

struct udx_block {
        struct udx_block *next;
        uint32_t capacity, used, released;      /* @released: bytes at the front that were acknowledged */
        uint8_t bytes[];
};

/* The bytes of one packet. They start in @block and may go on in the block after it, never further. */
struct udx_slice {
        struct udx_block *block;
        uint32_t offset;
        uint16_t len;
};

struct udx_queue {
        struct udx_pool *pool;
        struct udx_block *head, *tail;          /* oldest kept byte, newest */
        struct udx_block *cursor;               /* holds the next byte to cut; NULL: all are cut */
        struct udx_block *fresh;                /* reserved in, not yet part of the queue */
        uint32_t cursor_offset;
        uint32_t reserved;
        size_t kept_bytes, unsent_bytes;
};

void udx_queue_init(struct udx_queue *queue, struct udx_pool *pool);
void udx_queue_fini(struct udx_queue *queue);

/* Room for @len contiguous bytes, NULL: no memory. Then how many of them were filled. */
uint8_t *udx_queue_reserve(struct udx_queue *queue, size_t len);
void udx_queue_commit(struct udx_queue *queue, size_t len);

/* How many bytes (at most @max) the next cut will take. */
size_t udx_queue_next_cut(const struct udx_queue *queue, size_t max);

/* Cuts the next packet's bytes off: exactly what udx_queue_next_cut() said, @len > 0. */
void udx_queue_cut(struct udx_queue *queue, size_t len, struct udx_slice *out);

/* Fills one or two and returns how many. */
unsigned udx_slice_iovec(const struct udx_slice *slice, struct iovec out[2]);

/* The oldest @len kept bytes, all cut before, won't be needed again. */
void udx_queue_release(struct udx_queue *queue, size_t len);

#endif
