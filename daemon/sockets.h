/* SPDX-License-Identifier: BSD-3-Clause */
/* Every socket of an instance is made here: UDP sockets for the swarm worker, listeners for gates. One table of options a kind. */
#ifndef HG_SOCKETS_H
#define HG_SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
        SOCKETS_PORT_FIRST = 49737,     /* where a node is looked for when no port is configured: dht.md 3.3 */
        SOCKETS_PORT_LAST = 49741,
        SOCKETS_UDP_BYTES = 4 * 1024 * 1024,    /* asked for; the kernel grants what it allows */
};

struct udp_made {
        int fd;                         /* the caller's, both */
        int strangers_fd;               /* on the same port, see sockets_divide(); -1: all comes to @fd */
        uint16_t port;
        uint8_t mark;
        uint32_t receive_bytes;         /* granted, as SO_RCVBUF reads it back */
        bool gso, gro;
};

/* A UDP port at @ip. @port 0: any. Packets leave with DF and are never fragmented: the stack probes for what fits. @mark: the highest
 * byte of the ids of streams, by which the port is divided; NULL: it is not. 0 or -errno. */
int sockets_udp(const uint8_t ip[4], uint16_t port, const uint8_t *mark, struct udp_made *made_out);

/* The same on the first free port of SOCKETS_PORT_FIRST..LAST, else on any. */
int sockets_udp_usual(const uint8_t ip[4], uint8_t mark, struct udp_made *made_out);

/* A TCP listener at @ip (IPv6, or IPv4 as ::ffff:a.b.c.d). What it accepts inherits no delay, keep-alive, and a linger of
 * zero: a connection that dies with its holder is reset, never ended as if all were well. 0 or -errno. */
int sockets_listener(const uint8_t ip[16], uint16_t port, int *fd_out);

/* A TCP listener there for our own answers: what it accepts ends in order when it is closed. 0 or -errno. */
int sockets_http(const uint8_t ip[16], uint16_t port, int *fd_out);

/* The same where one of those, @beside, has that port at another address and so is in the way: both listen until it is closed. Nobody but a
 * program of the same user could join them. 0 or -errno: then @beside is alone as before. */
int sockets_http_beside(const uint8_t ip[16], uint16_t port, int beside, int *fd_out);

/* A bound UDP socket there, for a gate: it tells where each datagram was sent to. What is longer than the path takes is cut into fragments,
 * here or by a router on the way (without DF): else it would be lost, and nobody told. 0 or -errno. */
int sockets_datagrams(const uint8_t ip[16], uint16_t port, int *fd_out);

/* Where a socket is bound. */
struct socket_place {
        uint8_t ip[16];
        uint16_t port;
        bool datagrams;                 /* UDP; else a TCP listener */
};

/* ::ffff:a.b.c.d is an address of IPv4. @scope: the interface of a link-local one, else 0. Returns the length. */
socklen_t sockets_put_address(struct sockaddr_storage *out, const uint8_t ip[16], uint16_t port, uint32_t scope);

/* Of a bound one, of either family. 0 or -errno. */
int sockets_place(int fd, struct socket_place *place_out);

/* As people write it: ::ffff:a.b.c.d is a.b.c.d. */
void sockets_print_address(const uint8_t ip[16], char text[INET6_ADDRSTRLEN]);

/* What @fd is: the kernel's word, nobody else's. NULL; or, in words that help, why it is neither a TCP listener nor a UDP socket that is
 * not connected, or takes more than what it is bound to. */
const char *sockets_look(int fd, struct socket_place *place_out);

/* A socket that sockets_look() finds good gets everything that the functions above set on a new one. 0 or -errno; @fd is still the caller's,
 * but where sockets_udp_again() succeeds: then it is in @made_out. What was divided is so again, by @mark. */
int sockets_listener_again(int fd);
int sockets_datagrams_again(int fd);
int sockets_udp_again(int fd, uint8_t mark, struct udp_made *made_out);

/* Why a port could not be bound, in words that help: @error is an errno. */
const char *sockets_refusal(int error);

#endif
