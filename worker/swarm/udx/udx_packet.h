/* SPDX-License-Identifier: BSD-3-Clause */
/* One UDX packet: a 20-byte little-endian header, SACK blocks or padding, payload. Sequence numbers count packets. */
#ifndef HG_UDX_PACKET_H
#define HG_UDX_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define UDX_MAGIC 0xff
#define UDX_VERSION 1
#define UDX_HEADER_BYTES 20
#define UDX_SACK_BYTES 8
#define UDX_SACK_MAX 50                 /* blocks libudx sends at most, and we read at most */
#define UDX_PAYLOAD_BASE 1152           /* what fits an IPv4 packet of 1,200 bytes as libudx counts it: 48 bytes apart */
#define UDX_PACKET_BASE (UDX_HEADER_BYTES + UDX_PAYLOAD_BASE)   /* passes any path */
#define UDX_DATAGRAM_MAX 1472           /* nobody sends a longer one: libudx cuts what it receives at 2,048 */
#define UDX_PAYLOAD_MAX (UDX_DATAGRAM_MAX - UDX_HEADER_BYTES)
#define UDX_PADDING_MAX 255             /* zeros between header and payload: the data offset is one byte */

enum udx_type {                         /* bits; none: a pure ACK */
        UDX_DATA = 0x01,
        UDX_END = 0x02,
        UDX_SACK = 0x04,
        UDX_MESSAGE = 0x08,
        UDX_DESTROY = 0x10,
        UDX_HEARTBEAT = 0x20,
};

/* What became of a datagram. All but UDX_OK and UDX_NOT_OURS mean counted and dropped. */
enum udx_verdict {
        UDX_OK,
        UDX_NOT_OURS,           /* no UDX packet, or for no stream of ours: a DHT message shares this socket */
        UDX_MALFORMED,          /* the data offset points past the end */
        UDX_HELD,               /* for a stream that is not connected yet: kept until it is */
        UDX_HELD_FULL,          /* the same, but enough are kept already */
        UDX_WRONG_REMOTE,       /* from an address this stream does not talk to */
        UDX_WRONG_ACK,          /* acknowledges what was never sent */
        UDX_OUT_OF_WINDOW,      /* seq too far ahead, or a DESTROY or END outside the window */
        UDX_NO_ROOM,            /* no buffer space; not acknowledged, so it will come again */
        UDX_LATE,               /* for a stream that is closed; answered from its record */
        UDX_VERDICTS
};

struct udx_sack {
        uint32_t start, end;    /* end is exclusive */
};

struct udx_packet {
        uint8_t type;           /* enum udx_type bits; unknown ones are kept */
        uint8_t data_offset;
        uint32_t stream_id;     /* the receiver's local id */
        uint32_t window_bytes;  /* how much more the sender of this packet will take beyond @ack */
        uint32_t seq;
        uint32_t ack;           /* next packet expected */
        const uint8_t *payload;
        size_t payload_len;
        const uint8_t *sacks;   /* @sack_count blocks of UDX_SACK_BYTES where they lie */
        unsigned sack_count;    /* at most UDX_SACK_MAX */
};

/* Sequence numbers wrap: positive when @a is after @b. */
static inline int32_t udx_seq_diff(uint32_t a, uint32_t b)
{
        return (int32_t)(a - b);
}

/* Reads one datagram of @len bytes; @out points into it. UDX_OK, UDX_NOT_OURS or UDX_MALFORMED (@out untouched but for UDX_OK). */
enum udx_verdict udx_packet_read(const void *bytes, size_t len, struct udx_packet *out);

/* The id a datagram is for, without reading the rest; false when it is no UDX packet. */
bool udx_packet_peek_id(const void *bytes, size_t len, uint32_t *id_out);

/* Writes the header and, for a SACK, nothing else: blocks follow by udx_sack_write(), the payload by the caller. */
void udx_header_write(struct writer *w, const struct udx_packet *packet);
void udx_sack_write(struct writer *w, const struct udx_sack *sack);

/* Block @index (< sack_count) of a packet that was read. */
struct udx_sack udx_packet_sack(const struct udx_packet *packet, unsigned index);

#endif
