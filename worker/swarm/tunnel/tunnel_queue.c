/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define CHUNK_MIN 2048          /* a short request fits with its neighbours */
#define CHUNK_MAX 65536         /* one large write to a socket */
#define SPARE_BYTES 16384
#define MUCH 32768              /* who has that many waiting leaves some memory to others */

struct tunnel_chunk {
        struct tunnel_chunk *next;
        uint32_t start, end, size;      /* what waits is bytes[start..end) */
        uint8_t bytes[];
};

static struct tunnel_chunk *chunk_new(size_t size)
{
        struct tunnel_chunk *chunk = malloc(sizeof(*chunk) + size);

        if (chunk)
                *chunk = (struct tunnel_chunk){ .size = (uint32_t)size };
        return chunk;
}

bool tunnel_spare_fill(struct tunnel_spare *spare)
{
        if (!spare->chunk)
                spare->chunk = chunk_new(SPARE_BYTES);
        return spare->chunk;
}

void tunnel_spare_free(struct tunnel_spare *spare)
{
        free(spare->chunk);
        spare->chunk = NULL;
}

static bool leaves_some(void)
{
        void *volatile some = malloc(CHUNK_MAX);        /* or the compiler sees that nobody uses it */
        bool left = some;

        free(some);
        return left;
}

/* Where memory is short, a smaller one does; the last of it is not for who has much. */
static struct tunnel_chunk *chunk_of_about(size_t size, bool has_much)
{
        struct tunnel_chunk *chunk = chunk_new(size);

        if (chunk && has_much && !leaves_some()) {
                free(chunk);
                return NULL;
        }
        while (!chunk && size > CHUNK_MIN && !has_much) {
                size = MAX(size / 2, (size_t)CHUNK_MIN);
                chunk = chunk_new(size);
        }
        return chunk;
}

/* As much again as waits already: memory stays within twice the bytes, and few chunks make many bytes. */
static struct tunnel_chunk *chunk_add(struct tunnel_queue *queue, size_t len, struct tunnel_spare *spare)
{
        size_t size = MIN(MAX(MAX(queue->len, len), (size_t)CHUNK_MIN), (size_t)CHUNK_MAX);
        struct tunnel_chunk *chunk = chunk_of_about(size, queue->len >= MUCH);

        if (!chunk && spare && !queue->len) {
                chunk = spare->chunk;
                spare->chunk = NULL;
        }
        if (!chunk)
                return NULL;
        if (queue->last)
                queue->last->next = chunk;
        else
                queue->first = chunk;
        queue->last = chunk;
        return chunk;
}

size_t tunnel_queue_append(struct tunnel_queue *queue, const uint8_t *bytes, size_t len, struct tunnel_spare *spare)
{
        size_t before = queue->len;

        while (len) {
                struct tunnel_chunk *chunk = queue->last;
                size_t n;

                if (!chunk || chunk->end == chunk->size)
                        chunk = chunk_add(queue, len, spare);
                if (!chunk)
                        break;
                n = MIN(len, (size_t)(chunk->size - chunk->end));
                memcpy(chunk->bytes + chunk->end, bytes, n);
                chunk->end += (uint32_t)n;
                queue->len += n;
                bytes += n;
                len -= n;
        }
        return queue->len - before;
}

static void chunk_free(struct tunnel_chunk *chunk, struct tunnel_spare *spare)
{
        if (spare->chunk || chunk->size != SPARE_BYTES) {
                free(chunk);
                return;
        }
        *chunk = (struct tunnel_chunk){ .size = SPARE_BYTES };
        spare->chunk = chunk;
}

size_t tunnel_queue_peek(const struct tunnel_queue *queue, const uint8_t **bytes_out)
{
        const struct tunnel_chunk *chunk = queue->first;

        if (!chunk)
                return 0;
        *bytes_out = chunk->bytes + chunk->start;
        return chunk->end - chunk->start;
}

void tunnel_queue_consume(struct tunnel_queue *queue, size_t len, struct tunnel_spare *spare)
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
                chunk_free(chunk, spare);
        }
}
