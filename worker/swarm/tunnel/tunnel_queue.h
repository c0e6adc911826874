/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of a channel that wait for their reader, in chunks that grow with what waits: an idle channel has none. One chunk is put by
 * for when there is no memory: it serves, piece by piece, those whose readers keep up. */
#ifndef HG_TUNNEL_QUEUE_H
#define HG_TUNNEL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tunnel_chunk;

/* All zero is empty. */
struct tunnel_queue {
        struct tunnel_chunk *first, *last;
        size_t len;
};

/* What is put by; all zero is nothing. */
struct tunnel_spare {
        struct tunnel_chunk *chunk;     /* NULL: in use, or not had yet */
};

/* False: no memory. */
bool tunnel_spare_fill(struct tunnel_spare *spare);
void tunnel_spare_free(struct tunnel_spare *spare);

/* Copies up to @len bytes to the end; returns how many. Fewer when there is no memory: then an empty queue takes @spare, if it is
 * there (NULL: it may not). */
size_t tunnel_queue_append(struct tunnel_queue *queue, const uint8_t *bytes, size_t len, struct tunnel_spare *spare);

/* The first contiguous bytes, valid until the next call on the queue. */
size_t tunnel_queue_peek(const struct tunnel_queue *queue, const uint8_t **bytes_out);

/* Takes @len bytes off the front, at most all there are. What was put by returns to @spare. */
void tunnel_queue_consume(struct tunnel_queue *queue, size_t len, struct tunnel_spare *spare);

#endif
