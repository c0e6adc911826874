/* SPDX-License-Identifier: BSD-3-Clause */
/* One channel: how it is found, what the forward worker that brought its connection is told, and how it ends, by itself when it is
 * silent. */
#ifndef HG_SWARM_CHANNEL_H
#define HG_SWARM_CHANNEL_H

#include "channel_client.h"
#include "channels.h"

enum channel_state {
        CHANNEL_OPENING,        /* gateway: asked the peer, the connection waits untouched */
        CHANNEL_ASKED,          /* provider: asked a forward worker, no connection yet */
        CHANNEL_RUNNING,
};

struct channel {
        struct map_entry by_id, by_number;
        struct pump pump;               /* its descriptor is valid in all states but ASKED */
        struct heap_entry idle;
        usec_t idle_us;                 /* 0: it may be silent as long as it likes */
        enum channel_state state;
        uint16_t protocol, gate_port;
        struct share *share;            /* of that peer; NULL: it came to a gate here */
        bool incoming;                  /* the peer wants a service of ours */
        uint32_t forward;               /* who brought it; 0: died meanwhile */
        uint64_t number;                /* how that worker knows it */
        usec_t since_us;
        struct channel_client *client;  /* NULL: it is not known who that is */
        struct fingerprint *fingerprint;        /* the same, for a service that asks; NULL: none does */
};

struct channels *channels_of(const struct channel *channel);

/* NULL: there is none. */
struct channel *channel_find(const struct channels *channels, node_channel_id id);

/* The one that @from knows by that number, and that runs. */
struct channel *channel_find_running(const struct channels *channels, uint32_t from, uint64_t number);

/* NULL: no memory, and @fd stays the caller's; else it is the channel's. */
struct channel *channel_new(struct channels *channels, enum channel_state state, node_channel_id id, uint16_t protocol, uint32_t forward,
                            uint64_t number, int fd);

/* Its connection is closed, or somebody else's by now. */
void channel_free(struct channel *channel);

/* Tells the worker that brought it, if it still lives. False: nobody was told. */
bool channel_tell(const struct channel *channel, enum ipc_type type, const void *payload, int fd);
void channel_tell_opened(struct channel *channel);

/* From now on bytes go both ways. */
void channel_run(struct channel *channel);

/* It is not silent now, and how long it may be is set. */
void channel_mind_silence(struct channel *channel);

/* Of the timer for all that may not be silent for ever. */
void channels_on_silence(struct ev_loop *loop, ev_timer *timer, int events);

/* It ran and is over; its connection is closed already. */
void channel_conclude(struct channel *channel, enum ipc_reason reason);

/* One that runs, for both its ends. */
void channel_cut(struct channel *channel, enum ipc_reason reason);

#endif
