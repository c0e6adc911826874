/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the local connections and the node's channels: each byte one of them yields goes to the other, half-close
 * and reset included, with no queue of its own. Backpressure is the absence of reading: a full channel leaves the
 * bytes in the kernel's socket, a full socket leaves them in the channel's window. */
#ifndef HG_SWARM_PUMP_H
#define HG_SWARM_PUMP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "map.h"
#include "node.h"

enum pump_reason {
        PUMP_DONE,              /* both directions ended in order */
        PUMP_LOCAL_RESET,       /* the local connection failed */
        PUMP_PEER_ENDED_IT,     /* see the node's reason */
};

/* One channel that runs. Embedded in whoever keeps its story. */
struct pump_channel {
        struct map_entry by_id;
        node_channel_id id;
        int fd;
        ev_io readable, writable;
        uint64_t sent_bytes, received_bytes;    /* to the peer, from it */
        struct pump *pump;
        bool read_ended;        /* the local side sent its FIN, and node_end() was said */
        bool write_ended;       /* the peer's end was passed on as our FIN */
};

struct pump {
        struct ev_loop *loop;
        struct node *node;
        struct map channels;            /* by node_channel_id */
        uint8_t *buffer;                /* NODE_HEADROOM + NODE_WRITE_MAX, shared by all: nothing stays in it */
        struct now now;                 /* of this turn; whoever enters refreshes it */
        void (*failed)(void *context, struct pump_channel *channel);
        void *context;
};

/* @failed is called when a local connection broke: the channel has been aborted at the node and stopped; its owner
 * frees it. 0 or -ENOMEM. */
int pump_init(struct pump *pump, struct ev_loop *loop, struct node *node, const uint8_t map_key[16],
              void (*failed)(void *context, struct pump_channel *channel), void *context);

/* No channel may be left. */
void pump_fini(struct pump *pump);

/* Names the channel, not moving anything yet: @fd is kept, and owned from here on. 0 or -ENOMEM (then @fd is not). */
int pump_add(struct pump *pump, struct pump_channel *channel, node_channel_id id, int fd);

/* The channel is open in both worlds: bytes move from now on. */
void pump_start(struct pump_channel *channel);

struct pump_channel *pump_find(const struct pump *pump, node_channel_id id);

/* The node said READABLE or WRITABLE. */
void pump_readable(struct pump_channel *channel);
void pump_writable(struct pump_channel *channel);

/* Takes the channel out and gives the descriptor back, untouched: it was refused before any byte moved. */
int pump_release(struct pump_channel *channel);

/* Takes the channel out and closes its connection: in order when @orderly, else with a reset that its owner sees. */
void pump_close(struct pump_channel *channel, bool orderly);

#endif
