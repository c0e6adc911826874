/* SPDX-License-Identifier: BSD-3-Clause */
/* How many connections each client has at each gate, and how fast they come. A client is an IPv4 address, or a network of 64 bits of IPv6: whoever has one of these
 * addresses has all of them. */
#ifndef HG_FORWARD_GUESTS_H
#define HG_FORWARD_GUESTS_H

#include "rate.h"
#include "forward_socket.h"
#include "list.h"
#include "map.h"

enum { GUESTS_GONE_MAX = 8192 };        /* clients without a connection whose rate is remembered; the one that left first is forgotten */

struct guest;

struct guests {
        struct map all;                 /* by gate and address */
        struct list gone;               /* without any connection, until their rate rests: who left first is first */
        size_t gone_count;
};

/* @key: 16 random bytes. */
void guests_init(struct guests *guests, const uint8_t key[16]);

/* All have left. */
void guests_fini(struct guests *guests);

/* One connection more; *@count_out: how many there are then. NULL: no memory. */
struct guest *guests_enter(struct guests *guests, uint16_t gate_port, uint16_t protocol, const union socket_address *remote,
                           usec_t now_us, uint32_t *count_out);

/* Of its connections, those that went included. */
struct rate *guest_rate(struct guest *guest);

/* 16 bytes by which it is known whenever it comes. */
const uint8_t *guest_address(const struct guest *guest);

/* One less. NULL is fine. */
void guests_leave(struct guests *guests, struct guest *guest);

#endif
