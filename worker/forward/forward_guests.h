/* SPDX-License-Identifier: BSD-3-Clause */
/* How many connections each client has at each gate. A client is an IPv4 address, or a network of 64 bits of IPv6: whoever has one of these
 * addresses has all of them. */
#ifndef HG_FORWARD_GUESTS_H
#define HG_FORWARD_GUESTS_H

#include "forward_socket.h"
#include "map.h"

struct guest;

struct guests {
        struct map all;                 /* by gate and address */
};

/* @key: 16 random bytes. */
void guests_init(struct guests *guests, const uint8_t key[16]);

/* All have left. */
void guests_fini(struct guests *guests);

/* One connection more; *@count_out: how many there are then. NULL: no memory. */
struct guest *guests_enter(struct guests *guests, uint16_t gate_port, uint16_t protocol, const union socket_address *remote,
                           uint32_t *count_out);

/* 16 bytes by which it is known whenever it comes. */
const uint8_t *guest_address(const struct guest *guest);

/* One less. NULL is fine. */
void guests_leave(struct guests *guests, struct guest *guest);

#endif
