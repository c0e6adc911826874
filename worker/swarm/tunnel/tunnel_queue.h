/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of a channel that wait for their reader, in chunks that grow with what waits: an idle channel has none. */
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

/* Copies @len bytes to the end. False without memory: some of them may be in. */
bool tunnel_queue_append(struct tunnel_queue *queue, const uint8_t *bytes, size_t len);

/* The first contiguous bytes, valid until the next call on the queue. */
size_t tunnel_queue_peek(const struct tunnel_queue *queue, const uint8_t **bytes_out);

/* Takes @len bytes off the front, at most all there are. */
void tunnel_queue_consume(struct tunnel_queue *queue, size_t len);

#endif
