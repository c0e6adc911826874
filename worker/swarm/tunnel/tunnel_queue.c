/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define CHUNK_MIN 2048          /* a short request fits with its neighbours */
#define CHUNK_MAX 65536         /* one large write to a socket */

struct tunnel_chunk {
        struct tunnel_chunk *next;
        uint32_t start, end, size;      /* what waits is bytes[start..end) */
        uint8_t bytes[];
};

/* As much again as waits already: memory stays within twice the bytes, and few chunks make many bytes. */
static struct tunnel_chunk *chunk_add(struct tunnel_queue *queue, size_t len)
{
        size_t size = MIN(MAX(MAX(queue->len, len), (size_t)CHUNK_MIN), (size_t)CHUNK_MAX);
        struct tunnel_chunk *chunk = malloc(sizeof(*chunk) + size);

        if (!chunk)
                return NULL;
        *chunk = (struct tunnel_chunk){ .size = (uint32_t)size };
        if (queue->last)
                queue->last->next = chunk;
        else
                queue->first = chunk;
        queue->last = chunk;
        return chunk;
}

bool tunnel_queue_append(struct tunnel_queue *queue, const uint8_t *bytes, size_t len)
{
        while (len) {
                struct tunnel_chunk *chunk = queue->last;
                size_t n;

                if (!chunk || chunk->end == chunk->size)
                        chunk = chunk_add(queue, len);
                if (!chunk)
                        return false;
                n = MIN(len, (size_t)(chunk->size - chunk->end));
                memcpy(chunk->bytes + chunk->end, bytes, n);
                chunk->end += (uint32_t)n;
                queue->len += n;
                bytes += n;
                len -= n;
        }
        return true;
}

size_t tunnel_queue_peek(const struct tunnel_queue *queue, const uint8_t **bytes_out)
{
        const struct tunnel_chunk *chunk = queue->first;

        if (!chunk)
                return 0;
        *bytes_out = chunk->bytes + chunk->start;
        return chunk->end - chunk->start;
}

void tunnel_queue_consume(struct tunnel_queue *queue, size_t len)
{
        assert(len <= queue->len);
        queue->len -= len;
        while (len) {
                struct tunnel_chunk *chunk = queue->first;
                size_t n = MIN(len, (size_t)(chunk->end - chunk->start));

                chunk->start += (uint32_t)n;
                len -= n;
                if (chunk->start < chunk->end)
                        return;
                queue->first = chunk->next;
                if (!queue->first)
                        queue->last = NULL;
                free(chunk);
        }
}
