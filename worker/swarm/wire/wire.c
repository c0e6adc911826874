/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

enum {
        UINT_16 = 0xfd,
        UINT_32 = 0xfe,
        UINT_64 = 0xff,
};

uint64_t wire_read_uint(struct reader *r)
{
        uint8_t first = read_u8(r);
        uint64_t value;

        switch (first) {
        case UINT_16:
                value = read_u16le(r);
                break;
        case UINT_32:
                value = read_u32le(r);
                break;
        case UINT_64:
                value = read_u64le(r);
                break;
        default:
                value = first;
        }
        if (value > WIRE_UINT_MAX)
                read_fail(r);
        return r->failed ? 0 : value;
}

size_t wire_uint_bytes(uint64_t value)
{
        return value < UINT_16 ? 1 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : 9;
}

void wire_write_uint(struct writer *w, uint64_t value)
{
        switch (wire_uint_bytes(value)) {
        case 1:
                write_u8(w, (uint8_t)value);
                break;
        case 3:
                write_u8(w, UINT_16);
                write_u16le(w, (uint16_t)value);
                break;
        case 5:
                write_u8(w, UINT_32);
                write_u32le(w, (uint32_t)value);
                break;
        default:
                w->failed = w->failed || value > WIRE_UINT_MAX;
                write_u8(w, UINT_64);
                write_u64le(w, value);
        }
}

size_t wire_read_count(struct reader *r, size_t element_bytes)
{
        uint64_t count = wire_read_uint(r);

        if (count > reader_left(r) / element_bytes)
                read_fail(r);
        return r->failed ? 0 : (size_t)count;
}

const uint8_t *wire_read_buffer(struct reader *r, size_t *len_out)
{
        size_t len = wire_read_count(r, 1);
        const uint8_t *bytes = read_bytes(r, len);

        *len_out = bytes ? len : 0;
        return bytes;
}

void wire_write_buffer(struct writer *w, const void *bytes, size_t len)
{
        wire_write_uint(w, len);
        write_bytes(w, bytes, len);
}

struct addr wire_read_addr(struct reader *r)
{
        struct addr addr;

        read_copy(r, addr.ip, sizeof(addr.ip));
        addr.port = read_u16le(r);
        return addr;
}

void wire_write_addr(struct writer *w, const struct addr *addr)
{
        write_bytes(w, addr->ip, sizeof(addr->ip));
        write_u16le(w, addr->port);
}
