/* SPDX-License-Identifier: BSD-3-Clause */
/* The header that a proxy puts in front of a connection's bytes, or of a datagram, to tell whose they are: versions 1 and 2 of
 * https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt ("the specification" below). */
#ifndef HG_FORWARD_PROXY_H
#define HG_FORWARD_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward_socket.h"

enum {
        PROXY_V1_MAX = 107,             /* with its CRLF: section 2.1 */
        PROXY_V2_FIXED = 16,            /* signature, command, family, length: section 2.2 */
        PROXY_WRITE_MAX = PROXY_V1_MAX, /* ours has no TLVs, with which a larger one would begin */
        PROXY_READ_MAX = 4096,          /* with TLVs; what is longer is no header to us */
};

struct proxy_header {
        bool named;                     /* false: the proxy itself is meant, or nobody it can name; then no more is set */
        uint16_t protocol;              /* enum ipc_protocol */
        union socket_address source, destination;       /* IPv4, or IPv6 */
};

enum proxy_verdict {
        PROXY_OK,
        PROXY_MORE,                     /* so far it is the beginning of one */
        PROXY_BAD,
};

/* By @version, enum ipc_proxy, the other two: its length. Addresses that are no more than one IPv4 and one IPv6 are both told as IPv6, and
 * ::ffff:a.b.c.d is a.b.c.d where both may be. Version 1 names no datagrams. */
size_t proxy_write(uint32_t version, const struct proxy_header *header, uint8_t out[PROXY_WRITE_MAX]);

/* A header at the beginning of @bytes, and *@size_out, how many of them it takes. */
enum proxy_verdict proxy_read(const uint8_t *bytes, size_t len, struct proxy_header *out, size_t *size_out);

#endif
