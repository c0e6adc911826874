/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port helper and who started it say to each other, each in one packet of a SOCK_SEQPACKET unix socket. A helper lives in the network
 * of a container of its own, where it is a host of that name: it opens the ports it is asked for there, and hands them over.
 *
 *      HELLO   helper  which host it is
 *      BIND    other   open that port at that address
 *      BOUND   helper  the socket rides along, unless there is an error
 *
 * All numbers are little-endian. A packet begins with PORT_MAGIC and its kind; one that is longer or shorter than its kind is none. */
#ifndef HG_PORT_TALK_H
#define HG_PORT_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_MAGIC 0x31706768u          /* "hgp1" */

enum {
        PORT_HOST_MAX = 254,            /* with its NUL: RFC 1035 2.3.4 */
        PORT_PACKET_MAX = 4 + 1 + 1 + PORT_HOST_MAX,
};

enum port_kind {
        PORT_HELLO = 1,
        PORT_BIND,
        PORT_BOUND,
};

struct port_said {
        enum port_kind kind;
        char host[PORT_HOST_MAX];       /* HELLO: host_name_good() */
        uint32_t number;                /* BIND: of whoever asks, BOUND: the same */
        bool datagrams;                 /* BIND: UDP, else a TCP listener */
        uint16_t port;                  /* BIND: not 0 */
        uint8_t ip[16];                 /* BIND: IPv6, or IPv4 as ::ffff:a.b.c.d; all 0 behind that: every address */
        uint32_t error;                 /* BOUND: 0, or errno */
};

/* False: it is none of these. */
bool port_read(const void *packet, size_t len, struct port_said *out);

/* Writes a good one; returns its length. */
size_t port_write(const struct port_said *said, uint8_t packet[PORT_PACKET_MAX]);

#endif
