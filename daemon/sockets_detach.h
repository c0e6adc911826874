/* SPDX-License-Identifier: BSD-3-Clause */
/* One client of a gate for datagrams gets a socket of its own, on the gate's very port, while the gate goes on for all others. */
#ifndef HG_SOCKETS_DETACH_H
#define HG_SOCKETS_DETACH_H

#include <stdint.h>

/* Between whom datagrams go; the port of ours is the gate's. */
struct socket_ends {
        uint8_t remote_ip[16], local_ip[16];    /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint32_t scope;                 /* of a link-local @remote_ip: its interface; else 0 */
        uint16_t remote_port;
};

/* @gate_fd, which was bound with SO_REUSEPORT, is alone from now on, and the one of all that will share its port who gets what is for none
 * that is connected. 0 or -errno. */
int sockets_lead(int gate_fd);

/* A UDP socket between those @ends, beside @gate_fd, which is bound to @local_ip or to all addresses: from then on the kernel gives it what
 * that client sends, and nothing of anybody else's at any time, though for a moment it is bound and not connected. Nobody loses anything by
 * it, nor is anything overtaken, but at a gate that others bound, while it shares its port for the first time. 0 or -errno; -EADDRINUSE:
 * that socket is not ours alone to share (a socket unit's); -EADDRNOTAVAIL: this machine would answer from another address than the client
 * asks. */
int sockets_detach(int gate_fd, const struct socket_ends *ends, int *fd_out);

#endif
