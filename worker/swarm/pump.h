/* SPDX-License-Identifier: BSD-3-Clause */
/* Between a local connection and its channel at the node: each byte one of them yields goes to the other, half-close
 * and reset included, with no queue of its own. Backpressure is the absence of reading: a full channel leaves the
 * bytes in the kernel's socket, a full socket leaves them in the channel's window. With datagrams it is the same, one by one, but
 * that what finds no room in a socket's buffer or in the channel is dropped there; and so is what a limit leaves no room for, where a stream
 * waits. */
#ifndef HG_SWARM_PUMP_H
#define HG_SWARM_PUMP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc_message.h"
#include "ipc_session.h"
#include "limiter.h"
#include "node.h"
#include "run_watch.h"

struct pump;

enum {
        PUMP_BATCH_MAX = IPC_SESSION_BATCH_MAX, /* datagrams in one system call */
        PUMP_BUFFER_BYTES = PUMP_BATCH_MAX * NODE_DATAGRAM_MAX, /* and as a stream, NODE_HEADROOM + NODE_WRITE_MAX */
};

enum pump_kind {
        PUMP_STREAM,
        PUMP_DATAGRAMS,         /* a connected UDP socket, to a service */
        PUMP_SESSION,           /* one end of a pair: see struct ipc_channel_open */
        PUMP_CLIENT,            /* a connected UDP socket, to a client of a gate: see struct ipc_channel_socket */
};

/* What all pumps of one node share. */
struct pump_room {
        struct ev_loop *loop;
        struct node *node;
        const struct now *now;  /* of this turn */
        uint8_t *buffer;        /* PUMP_BUFFER_BYTES: nothing stays in it between calls */
        uint64_t dropped;       /* datagrams that no socket took, or a limit */
        void (*broken)(struct pump *pump);
        struct watch watch;     /* of connections that are no longer read */
        struct limiter limiter;
        ev_timer turns;         /* of those that wait for it */
};

struct pump {
        struct pump_room *room;
        node_channel_id channel;
        enum pump_kind kind : 8;
        bool read_ended;        /* the local side sent its FIN, and node_end() was said */
        bool write_ended;       /* the peer's end was passed on as our FIN */
        bool refused;           /* nobody is at the port that its datagrams go to, the kernel heard */
        bool opening;           /* begun, and not started */
        uint16_t early_bytes;   /* of the connection, which are in its socket as well: gone to the peer before it answered */
        int fd;
        int next_fd;            /* of a session: takes the place of the pair as soon as that has ended; -1: none */
        uint32_t usual_bytes;   /* of the largest datagram read of late; 0: none yet */
        ev_io ready;            /* of what it waits for, to read and to write */
        uint64_t sent_bytes, received_bytes;    /* to the peer, from it */
        struct watched reset;   /* from then on until @write_ended: it is told of by no read */
        usec_t last_us;         /* when a byte or datagram last went either way */
        struct pump_front *front;       /* of each datagram for the local socket; NULL: nothing */
        struct pump_limit *limit;       /* NULL: none */
};

struct pump_front {
        size_t len;
        uint8_t bytes[];
};

struct pump_limit {
        struct pump *pump;
        struct limited limited;
};

static inline struct limited *pump_limited(const struct pump *pump)
{
        return pump->limit ? &pump->limit->limited : NULL;
}

/* @events: EV_READ, EV_WRITE. */
static inline bool pump_awaits(const struct pump *pump, int events)
{
        return ev_is_active(&pump->ready) && (pump->ready.events & events) == events;
}

/* @broken is called, last thing, when a local connection failed or a session ended: its channel has been aborted and its socket
 * closed; the owner frees the pump. @key: 16 random bytes. 0 or -errno. */
int pump_room_init(struct pump_room *room, struct ev_loop *loop, struct node *node, const struct now *now, const uint8_t key[16],
                   void (*broken)(struct pump *pump));
void pump_room_fini(struct pump_room *room);

/* Owns @fd from here on. Nothing moves yet. */
void pump_init(struct pump *pump, struct pump_room *room, node_channel_id channel, enum pump_kind kind, int fd);

/* From here on these bytes are in front of each datagram for the local socket. At most IPC_FRONT_MAX, and not said before. 0 or -ENOMEM. */
int pump_put_front(struct pump *pump, const void *bytes, size_t len);

/* From here on, and before it starts, it carries no more than that either, in the ways of which @ways has 1 << enum limiter_way. At most
 * LIMITER_BUCKETS of these. 0 or -ENOMEM. */
int pump_limit(struct pump *pump, const struct limiter_spec *spec, unsigned ways);

/* Of a stream without a limit whose peer has not answered yet: what its connection has may be on its way meanwhile, and stays where it is,
 * lest it is given back. May end in @broken. */
void pump_begin(struct pump *pump);

/* The channel is open in both worlds: bytes move. May end in @broken. */
void pump_start(struct pump *pump);

/* A session that has begun gets its client's own socket: see struct ipc_channel_socket. False: it is not to be had now, and @fd is still
 * the caller's. */
bool pump_replace(struct pump *pump, int fd);

/* The node said READABLE or WRITABLE. May end in @broken. */
void pump_receive(struct pump *pump);
void pump_send(struct pump *pump);

/* Gives the descriptor back as it came: the channel was refused before a byte moved. */
int pump_release(struct pump *pump);

/* Closes the connection: in order when @orderly, else with a reset that its owner sees. */
void pump_close(struct pump *pump, bool orderly);

#endif
