/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections on their way to the swarm worker, and addresses. */
#ifndef HG_FORWARD_SOCKET_H
#define HG_FORWARD_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ipc_fingerprint.h"
#include "ipc_forward.h"

/* Large enough for both, and a tenth of sockaddr_storage. */
union socket_address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

enum { SOCKET_DATAGRAM_MAX = 65507 };   /* what UDP over IPv4 carries */

/* Whoever holds the last copy of @fd and closes or dies resets it, unless that was undone: an end nobody meant must not look
 * like one. Small writes leave at once, and a host that vanished is noticed as @keep says. 0 or -errno. */
int socket_prepare(int fd, const struct ipc_forward_keep_alive *keep);

/* Room for datagrams, on a UDP socket or one end of a pair: those that come at once while their reader is busy. */
void socket_prepare_datagrams(int fd);

/* Of a UDP socket of that @family: what is longer than the path takes is cut into fragments, here or by a router on the way. By default
 * Linux sends it with DF: it is lost, and whoever says so, rightly or not, has the next send fail (EMSGSIZE). */
void socket_let_fragment(int fd, int family);

/* IPv6 or ::ffff:a.b.c.d, and the length of what was written. */
socklen_t socket_address_from(const uint8_t ip[16], uint16_t port, union socket_address *out);

/* Of the address alone, without port: IPv4 as ::ffff:a.b.c.d. */
void socket_address_ip(const union socket_address *address, uint8_t ip_out[16]);
uint16_t socket_address_port(const union socket_address *address);
socklen_t socket_address_len(const union socket_address *address);

/* Both ends of @fd, a socket of enum ipc_protocol @protocol that is connected to @remote. False: *@out stays as it was. */
bool socket_tuple(int fd, const union socket_address *remote, uint16_t protocol, struct ipc_tuple *out);

/* The address as sockaddr_storage, for the wide functions of metadata. */
void socket_address_widen(const union socket_address *address, struct sockaddr_storage *out);

#endif
