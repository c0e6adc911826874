/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_talk.h"

#include <assert.h>
#include <string.h>

#include "bytes.h"
#include "host_name.h"

enum { ERROR_MAX = 4095 };

static bool read_host(struct reader *r, char host[PORT_HOST_MAX])
{
        uint8_t len = read_u8(r);

        if (len >= PORT_HOST_MAX)
                return false;
        read_copy(r, host, len);
        return !r->failed && strlen(host) == len && host_name_good(host);
}

static bool read_bind(struct reader *r, struct port_said *said)
{
        uint8_t datagrams;

        said->number = read_u32le(r);
        datagrams = read_u8(r);
        said->port = read_u16le(r);
        read_copy(r, said->ip, sizeof(said->ip));
        said->datagrams = datagrams == 1;
        return datagrams <= 1 && said->port != 0;
}

static bool read_bound(struct reader *r, struct port_said *said)
{
        said->number = read_u32le(r);
        said->error = read_u32le(r);
        return said->error <= ERROR_MAX;
}

bool port_read(const void *packet, size_t len, struct port_said *out)
{
        struct reader r = reader_over(packet, len);
        bool ours = read_u32le(&r) == PORT_MAGIC;
        struct port_said said = { .kind = (enum port_kind)read_u8(&r) };
        bool good = ours && (said.kind == PORT_HELLO ? read_host(&r, said.host) :
                             said.kind == PORT_BIND  ? read_bind(&r, &said) :
                             said.kind == PORT_BOUND && read_bound(&r, &said));

        if (!good || r.failed || reader_left(&r))
                return false;
        *out = said;
        return true;
}

size_t port_write(const struct port_said *said, uint8_t packet[PORT_PACKET_MAX])
{
        struct writer w = writer_over(packet, PORT_PACKET_MAX);

        write_le(&w, PORT_MAGIC, 4);
        write_u8(&w, (uint8_t)said->kind);
        switch (said->kind) {
        case PORT_HELLO:
                write_u8(&w, (uint8_t)strlen(said->host));
                write_bytes(&w, said->host, strlen(said->host));
                break;
        case PORT_BIND:
                write_u32le(&w, said->number);
                write_u8(&w, said->datagrams);
                write_u16le(&w, said->port);
                write_bytes(&w, said->ip, sizeof(said->ip));
                break;
        case PORT_BOUND:
                write_u32le(&w, said->number);
                write_u32le(&w, said->error);
                break;
        }
        assert(!w.failed);
        return writer_len(&w);
}
