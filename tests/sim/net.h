/* SPDX-License-Identifier: BSD-3-Clause */
/* A network that exists only in memory, with a clock of its own: endpoints have addresses, links between them delay, lose, repeat,
 * reorder and queue. One seed decides everything, so a run can be repeated; a hash over all that happened shows that it was.
 *
 * Who simulates does: net_run_to() the next thing due, hand net_receive() to the nodes until false, let them net_send(). */
#ifndef HG_SIM_NET_H
#define HG_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "nat_box.h"
#include "random.h"
#include "usec.h"

struct net;
struct net_nat;

/* One direction of a path. Zero is a perfect one. Chances are in millionths. */
struct net_link {
        usec_t delay_us;
        usec_t jitter_us;               /* uniform on top; keeps order unless @reorder */
        bool reorder;                   /* jitter may let packets overtake */
        uint32_t loss_ppm, duplicate_ppm, corrupt_ppm;
        uint32_t drop_nth, drop_count;  /* drops @drop_count (0 means 1) packets from the @drop_nth (from 1) on; 0: none */
        uint64_t bits_per_s;            /* 0: infinite */
        size_t queue_bytes;             /* what waits for the wire, beyond it packets are dropped; 0: infinite */
        size_t mtu_bytes;               /* IP packets that are larger vanish, but those that may be cut: a black hole; 0: none are */
        bool whole;                     /* those too */
        bool (*drops)(void *context, const uint8_t *bytes, size_t len);         /* drops what it says; NULL: nothing */
        void (*changes)(void *context, uint8_t *bytes, size_t len);             /* as it likes; NULL: nothing */
        void *context;
};

struct net_packet {
        unsigned endpoint;              /* who receives it */
        struct addr from, to;
        const uint8_t *bytes;           /* valid until the next call of net_receive() or net_send() */
        size_t len;
};

struct net_totals {
        uint64_t sent, delivered, lost, duplicated, queue_drops, unreachable, filtered;
        uint64_t bytes_sent;
        uint64_t too_long, cut;         /* for a link's MTU: vanished (and lost), went on in fragments */
};

struct net *net_new(uint64_t seed);
void net_free(struct net *net);

/* A new endpoint at @addr (unique in its network); numbers count from 0. */
unsigned net_endpoint_add(struct net *net, const struct addr *addr);

/* The same in the network behind @nat, which begins with its first endpoint. */
unsigned net_endpoint_add_behind(struct net *net, const struct addr *addr, struct net_nat *nat);

/* Its socket is closed: what comes for it vanishes, and its address is free. The number stays taken. */
void net_endpoint_remove(struct net *net, unsigned endpoint);

/* A NAT whose outer side is in the public network, or behind @outer. Lives as long as the network. */
struct net_nat *net_nat_add(struct net *net, const uint8_t outer_ip[4], const struct nat_box_kind *kind, struct net_nat *outer);
struct nat_box *net_nat_box(struct net_nat *nat);
struct addr net_endpoint_addr(const struct net *net, unsigned endpoint);

/* Takes an endpoint off the network, or puts it back: what is sent to it vanishes. */
void net_endpoint_set_up(struct net *net, unsigned endpoint, bool up);

/* The link for all that leaves @from, or only for what goes from @from to @to (which wins). What is on its way stays so. What an
 * endpoint behind a NAT loses does not even open that. */
void net_link_set(struct net *net, unsigned from, const struct net_link *link);
void net_link_set_between(struct net *net, unsigned from, unsigned to, const struct net_link *link);

/* What @blocks says vanishes on its way through the public network; @from and @to as they are there. NULL: nothing. */
void net_block(struct net *net, bool (*blocks)(void *context, const struct addr *from, const struct addr *to), void *context);

/* How long what is sent from there now would wait for the wire. */
usec_t net_queue_us(const struct net *net, unsigned from);

usec_t net_now(const struct net *net);

/* When the next packet arrives; USEC_NEVER: none is on its way. */
usec_t net_deadline(const struct net *net);

/* Lets time pass; never beyond what net_deadline() says before that was received. */
void net_run_to(struct net *net, usec_t when_us);

/* A packet that has arrived by now; false when there is none. */
bool net_receive(struct net *net, struct net_packet *out);

void net_send(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len);

/* The same with so few hops to live that it opens the NATs before the sender, and never gets through the public network. */
void net_send_short(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len);

/* The same without DF: what is too long for a link goes on in fragments, each of which can be lost. */
void net_send_pieces(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len);

/* Seeded: one per purpose, so that what one node draws does not disturb another. Lives as long as the network. */
const struct random *net_random(struct net *net);

/* Mixes something that happened above the network into the hash. */
void net_note(struct net *net, const void *bytes, size_t len);

/* Over every packet sent, its fate and its arrival, in order. */
uint64_t net_hash(const struct net *net);

const struct net_totals *net_totals(const struct net *net);

#endif
