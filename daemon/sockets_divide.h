/* SPDX-License-Identifier: BSD-3-Clause */
/* One UDP port, two sockets: the kernel puts what belongs to streams of ours into one and what strangers may say into the other, and
 * drops the rest where it arrives. However much strangers send, the streams' packets never wait behind theirs, nor are dropped for
 * want of room, and what is nothing of the protocol wakes nobody. */
#ifndef HG_SOCKETS_DIVIDE_H
#define HG_SOCKETS_DIVIDE_H

#include <stdint.h>

/* Divides the port of @strangers_fd, which is bound, with @streams_fd, which is not yet: it gets the UDX packets (transport.md,
 * "UDX") whose stream id has @mark for its highest byte, @strangers_fd all else of which the first byte and the length are right for
 * the DHT or a probe (dht.md 2, connect.md 1). Another program can take part only as the same user and with SO_REUSEPORT.
 * 0 or -errno: then @streams_fd is good for nothing, and @strangers_fd as it was but for a filter. */
int sockets_divide(int strangers_fd, int streams_fd, uint8_t mark);

#endif
