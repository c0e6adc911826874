/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP connections on their way to the swarm worker. */
#ifndef HG_FORWARD_SOCKET_H
#define HG_FORWARD_SOCKET_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* Large enough for both, and a tenth of sockaddr_storage. */
union socket_address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

/* Whoever holds the last copy of @fd and closes or dies resets it, unless that was undone: an end nobody meant must not look
 * like one. Small writes leave at once, and a host that vanished is noticed in two minutes. 0 or -errno. */
int socket_prepare(int fd);

/* IPv6 or ::ffff:a.b.c.d, and the length of what was written. */
socklen_t socket_address_from(const uint8_t ip[16], uint16_t port, union socket_address *out);

/* The address as sockaddr_storage, for the wide functions of metadata. */
void socket_address_widen(const union socket_address *address, struct sockaddr_storage *out);

#endif
