/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_packet.h"

#include "cleanup.h"

/* Blocks sit between header and payload when the data offset is set. libudx leaves it 0 and fills the whole body with them. */
static void find_sacks(struct udx_packet *packet, const uint8_t *body, size_t body_len)
{
        size_t span = packet->data_offset ? packet->data_offset : body_len;

        packet->sacks = body;
        packet->sack_count = (unsigned)MIN(span / UDX_SACK_BYTES, (size_t)UDX_SACK_MAX);
        if (!packet->data_offset && !(packet->type & (UDX_DATA | UDX_MESSAGE)))
                packet->payload_len = 0;
}

enum udx_verdict udx_packet_read(const void *bytes, size_t len, struct udx_packet *out)
{
        struct reader r = reader_over(bytes, len);
        uint8_t magic = read_u8(&r), version = read_u8(&r);
        struct udx_packet packet = { .type = read_u8(&r) };
        const uint8_t *body;

        packet.data_offset = read_u8(&r);
        packet.stream_id = read_u32le(&r);
        packet.window_bytes = read_u32le(&r);
        packet.seq = read_u32le(&r);
        packet.ack = read_u32le(&r);
        if (r.failed || magic != UDX_MAGIC || version != UDX_VERSION)
                return UDX_NOT_OURS;

        body = r.at;
        read_bytes(&r, packet.data_offset);
        if (r.failed)
                return UDX_MALFORMED;
        packet.payload = r.at;
        packet.payload_len = reader_left(&r);
        if (packet.type & UDX_SACK)
                find_sacks(&packet, body, packet.payload_len + packet.data_offset);
        *out = packet;
        return UDX_OK;
}

bool udx_packet_peek_id(const void *bytes, size_t len, uint32_t *id_out)
{
        struct reader r = reader_over(bytes, len);
        uint8_t magic = read_u8(&r), version = read_u8(&r);
        uint32_t id;

        read_u16le(&r);
        id = read_u32le(&r);
        if (magic != UDX_MAGIC || version != UDX_VERSION || len < UDX_HEADER_BYTES)
                return false;
        *id_out = id;
        return true;
}

void udx_header_write(struct writer *w, const struct udx_packet *packet)
{
        write_u8(w, UDX_MAGIC);
        write_u8(w, UDX_VERSION);
        write_u8(w, packet->type);
        write_u8(w, packet->data_offset);
        write_u32le(w, packet->stream_id);
        write_u32le(w, packet->window_bytes);
        write_u32le(w, packet->seq);
        write_u32le(w, packet->ack);
}

void udx_sack_write(struct writer *w, const struct udx_sack *sack)
{
        write_u32le(w, sack->start);
        write_u32le(w, sack->end);
}

struct udx_sack udx_packet_sack(const struct udx_packet *packet, unsigned index)
{
        struct reader r = reader_over(packet->sacks + (size_t)index * UDX_SACK_BYTES, UDX_SACK_BYTES);
        struct udx_sack sack = { .start = read_u32le(&r) };

        sack.end = read_u32le(&r);
        return sack;
}
