/* SPDX-License-Identifier: BSD-3-Clause */
/* The story of each channel between the forward worker that brought its connection and the node that carries it. */
#ifndef HG_SWARM_CHANNELS_H
#define HG_SWARM_CHANNELS_H

#include "early.h"
#include "fingerprints.h"
#include "heap.h"
#include "holdings.h"
#include "ipc_channel.h"
#include "ipc_question.h"
#include "map.h"
#include "node.h"
#include "pump.h"
#include "run.h"
#include "shares.h"

struct channels {
        struct pump_room room;
        struct node *node;
        struct map by_id;               /* by node_channel_id */
        struct map by_number;           /* by how their forward workers know them */
        struct early early;             /* for whom there may be such a worker in a moment */
        struct heap idle;               /* of channels that end when they are silent */
        ev_timer idle_check;
        struct holdings holdings;
        struct worker_link *(*forward)(void *context, uint32_t id);        /* the link to that worker, or NULL */
        void (*full)(void *context, const uint8_t peer[NODE_KEY_BYTES]);        /* that peer is refused one more */
        void *context;
        struct shares shares;           /* of peers, in our services: */
        struct fingerprints *fingerprints;      /* of those that came to a service here */
        uint32_t per_peer;              /* at most; 0: no limit */
        uint64_t limited;               /* channels that were refused for that */
        uint64_t sent_bytes, received_bytes;    /* of channels that ended */
        bool leaving;                   /* peers are left: what ends with them ends because we do */
};

/* @forward finds the link to a forward worker; @full hears of each channel that is refused as @channels->per_peer says. Borrows @fingerprints.
 * 0 or -ENOMEM. */
int channels_init(struct channels *channels, struct ev_loop *loop, struct node *node, const struct now *now, const uint8_t map_key[16],
                  struct fingerprints *fingerprints, struct worker_link *(*forward)(void *context, uint32_t id),
                  void (*full)(void *context, const uint8_t peer[NODE_KEY_BYTES]), void *context);

/* Resets every connection that is left. */
void channels_fini(struct channels *channels);

/* From forward worker @from. CHANNEL_OPEN and CHANNEL_READY bring @fd, which is ours from here on. */
void channels_hold(struct channels *channels, uint32_t from, const struct ipc_service_held *held);
void channels_leave(struct channels *channels, uint32_t from, const struct ipc_service_held *held);
void channels_open(struct channels *channels, uint32_t from, const struct ipc_channel_open *open, int fd);
void channels_ready(struct channels *channels, uint32_t from, const struct ipc_channel_ready *ready, int fd);
void channels_refuse(struct channels *channels, uint32_t from, const struct ipc_channel_refused *refuse);

/* CHANNEL_SOCKET: @fd is ours from here on. */
void channels_socket(struct channels *channels, uint32_t from, const struct ipc_channel_socket *socket, int fd);

/* CHANNEL_END of a channel of @from's that runs: its peer sees it closed. */
void channels_end(struct channels *channels, uint32_t from, const struct ipc_channel *end);

/* The same messages when @fd is one that is not to be kept: a connection that goes back to wait for better times, and a
 * channel that is refused. */
void channels_decline(struct channels *channels, uint32_t from, uint64_t number, int fd);
void channels_ready_declined(struct channels *channels, uint32_t from, uint64_t number, int fd);

/* The worker died or was replaced: what it holds is void, what it was asked is refused; what runs goes on without it, but for
 * sessions of datagrams. */
void channels_forget(struct channels *channels, uint32_t forward);

/* Takes the node's NODE_CHANNEL_* events. */
void channels_event(struct channels *channels, const struct node_event *event);

/* What people are told of each, the question but: at most @max; returns how many there are. */
size_t channels_list(const struct channels *channels, struct ipc_swarm_channel *out, size_t max);

/* Bytes of all channels, running ones included. */
void channels_bytes(const struct channels *channels, uint64_t *sent_out, uint64_t *received_out);

#endif
