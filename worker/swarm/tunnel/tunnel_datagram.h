/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams of a channel that wait for their reader, the oldest first. */
#ifndef HG_TUNNEL_DATAGRAM_H
#define HG_TUNNEL_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
        TUNNEL_DATAGRAMS_MAX = 512 * 1024,      /* of one channel, what keeping each costs included; newer ones are dropped */
        TUNNEL_DATAGRAM_COST = 64,              /* of keeping one, at least as much as it is */
};

struct tunnel_datagram {
        struct tunnel_datagram *next;
        size_t len;
        uint8_t bytes[];
};

/* All zero is empty. */
struct tunnel_datagram_queue {
        struct tunnel_datagram *first, *last;
        size_t bytes;                   /* costs included */
};

static inline void tunnel_datagram_push(struct tunnel_datagram_queue *queue, struct tunnel_datagram *datagram)
{
        datagram->next = NULL;
        if (queue->last)
                queue->last->next = datagram;
        else
                queue->first = datagram;
        queue->last = datagram;
        queue->bytes += datagram->len + TUNNEL_DATAGRAM_COST;
}

/* There must be one. */
static inline struct tunnel_datagram *tunnel_datagram_pop(struct tunnel_datagram_queue *queue)
{
        struct tunnel_datagram *first = queue->first;

        queue->first = first->next;
        if (!first->next)
                queue->last = NULL;
        queue->bytes -= first->len + TUNNEL_DATAGRAM_COST;
        return first;
}

#endif
