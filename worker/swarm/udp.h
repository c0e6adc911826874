/* SPDX-License-Identifier: BSD-3-Clause */
/* The node's UDP sockets: datagrams in by the GRO batch, out by the GSO run. The supervisor made and bound them; this
 * only reads and writes. */
#ifndef HG_SWARM_UDP_H
#define HG_SWARM_UDP_H

#include <stdbool.h>
#include <stdint.h>

#include "node.h"

enum {
        UDP_SOCKETS_OWN = 2,            /* the server and the client socket */
        UDP_SOCKETS_MAX = UDP_SOCKETS_OWN + NODE_SOCKETS_MAX,
        UDP_RECEIVE_BYTES = 65536,      /* a whole GRO batch: the kernel never joins more than an IP packet's length */
        UDP_SINGLE_MAX = 2048,          /* what a JavaScript peer's receive buffer holds: dht.md 2.1 */
        UDP_BATCH_MAX = UDP_RECEIVE_BYTES / UDP_SINGLE_MAX,
};

struct udp_socket {
        int fd;                         /* -1: none */
        int strangers_fd;               /* what came to the same port for no stream of ours; -1: that comes by @fd */
        bool pieces;                    /* it is set to send what may be cut on its way: udp_send() */
        bool gso;                       /* the kernel and the path take UDP_SEGMENT, as far as we know */
        uint32_t drops, strangers_drops;        /* by the kernel, as it said last (SO_RXQ_OVFL, socket(7)) */
};

struct udp {
        struct udp_socket sockets[UDP_SOCKETS_MAX];
        uint8_t *buffer;                /* UDP_RECEIVE_BYTES */
        struct iovec received[UDP_BATCH_MAX];   /* what the last datagrams out point at */
        struct {                        /* one run that the kernel would not take yet */
                struct datagram datagram;
                struct iovec iov;
                uint8_t *bytes;         /* NULL: nothing held */
        } held;
        uint64_t oversized;             /* datagrams dropped for their length */
        uint64_t closed_drops, closed_strangers_drops;  /* of sockets that are closed */
};

/* 0 or -ENOMEM. */
int udp_init(struct udp *udp);
void udp_fini(struct udp *udp);

/* Takes @fd as socket @number, closing the one before it. */
void udp_take_socket(struct udp *udp, unsigned number, int fd, bool gso);

/* The same for strangers: after udp_take_socket(), see sockets_divide() in the supervisor. */
void udp_take_strangers(struct udp *udp, unsigned number, int fd);

/* The number under which @fd was taken, which is free otherwise; -1: all are taken, and @fd is still the caller's. */
int udp_add_socket(struct udp *udp, int fd, bool gso);

/* Closes it, and drops what is held for it. */
void udp_close_socket(struct udp *udp, unsigned number);

/* The next batch of socket @number; its bytes are valid until the next call. False when there is none now. A batch
 * to be ignored comes as len 0. */
bool udp_receive(struct udp *udp, unsigned number, struct datagram *out);

/* The next datagrams of strangers to socket @number, at most @max (<= UDP_BATCH_MAX), valid until the next call: how many; 0: there are
 * none now. */
size_t udp_receive_strangers(struct udp *udp, unsigned number, struct datagram *out, size_t max);

/* What the kernel dropped unread, of streams for want of room, of strangers for that or because it was nonsense; as far as it has
 * told: with each datagram it says how many were dropped before. */
uint64_t udp_stream_drops(const struct udp *udp);
uint64_t udp_stranger_drops(const struct udp *udp);

enum udp_sent {
        UDP_SENT,
        UDP_LOST,       /* the wire refused it, errno says why; it counts as lost on the way */
        UDP_HELD,       /* the socket is full: a copy is kept, udp_resume() sends it; give nothing more until then */
};

/* Sockets come with DF set and path MTU left to us (IP_PMTUDISC_PROBE); a datagram that may be cut into fragments leaves without. */
enum udp_sent udp_send(struct udp *udp, const struct datagram *datagram);

/* The socket whose fullness we wait for, or -1. */
int udp_held_socket(const struct udp *udp);

/* Tries again what is held; true when nothing is held any more. */
bool udp_resume(struct udp *udp);

#endif
