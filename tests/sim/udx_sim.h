/* SPDX-License-Identifier: BSD-3-Clause */
/* Two muxes, a stream from one to the other, an application at each end that writes a known pattern and checks what it reads. */
#ifndef HG_UDX_SIM_H
#define HG_UDX_SIM_H

#include "net.h"
#include "udx.h"

enum udx_sim_side { A, B };

struct udx_sim_end {
        struct udx_mux *mux;
        struct udx_stream *stream;      /* NULL once freed */
        unsigned socket;                /* endpoint on the network */
        const struct random *random;
        uint64_t to_write, written;     /* what the application has to say */
        bool end_after;                 /* then it ends */
        bool reads;                     /* false: it leaves what arrives */
        uint64_t read;
        bool wrong;                     /* a byte was not the one expected */
        bool remote_ended, closed;
        enum udx_reason reason;
        usec_t closed_us;
        unsigned path_events, message_events, writable_events, largest_burst;
        uint64_t runs, packets;
};

struct udx_sim {
        struct net *net;
        struct udx_sim_end end[2];
        struct addr addr[2];
};

/* Both ends connected, ids and all randomness from @seed, @link in both directions. */
struct udx_sim *udx_sim_new(uint64_t seed, const struct net_link *link);

/* The same, but nobody is connected yet. */
struct udx_sim *udx_sim_new_apart(uint64_t seed, const struct net_link *link);
void udx_sim_connect(struct udx_sim *sim, enum udx_sim_side side);

/* Both ends may find out what the path carries; and what @side has found it to carry. */
void udx_sim_let_datagrams_grow(struct udx_sim *sim);
size_t udx_sim_datagram_bytes(const struct udx_sim *sim, enum udx_sim_side side);
void udx_sim_free(struct udx_sim *sim);
void udx_sim_freep(struct udx_sim **sim);

/* One direction only. */
void udx_sim_set_link(struct udx_sim *sim, enum udx_sim_side from, const struct net_link *link);

/* The application there writes @bytes more as space permits, and may end after them. */
void udx_sim_write(struct udx_sim *sim, enum udx_sim_side side, uint64_t bytes);
void udx_sim_end(struct udx_sim *sim, enum udx_sim_side side);

/* Lets both ends act now: applications, events, transmission. */
void udx_sim_settle(struct udx_sim *sim);

/* Lets @us of virtual time pass. */
void udx_sim_run(struct udx_sim *sim, usec_t us);

/* Runs until @side has read @bytes in all, or @limit_us passed; returns how long it took. */
usec_t udx_sim_run_until_read(struct udx_sim *sim, enum udx_sim_side side, uint64_t bytes, usec_t limit_us);

/* Everything @side was sent was read, right. */
bool udx_sim_delivered(const struct udx_sim *sim, enum udx_sim_side side);

/* Sends a forged packet to @side as if from @from. */
void udx_sim_inject(struct udx_sim *sim, enum udx_sim_side side, const struct addr *from, const void *bytes, size_t len);

#endif
