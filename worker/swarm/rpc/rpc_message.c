/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_message.h"

#include <sodium.h>

#include "bytes.h"
#include "wire.h"

enum {
        VERSION = 3,
        HEAD_REQUEST = RPC_TYPE_REQUEST << 4 | VERSION,
        HEAD_RESPONSE = RPC_TYPE_RESPONSE << 4 | VERSION,
};

enum {
        HAS_ID = 0x01,
        HAS_TOKEN = 0x02,
        INTERNAL = 0x04,                /* requests */
        HAS_CLOSER = 0x04,              /* responses */
        HAS_TARGET = 0x08,              /* requests */
        HAS_ERROR = 0x08,               /* responses */
        HAS_VALUE = 0x10,
        FLAGS_ONE_BYTE_MAX = 0xfc,      /* readers take the flags for a variable integer: from here on it would be a longer one */
};

static void read_request(struct reader *r, uint8_t flags, struct rpc_message *m)
{
        m->internal = flags & INTERNAL;
        m->command = wire_read_uint(r);
        if (flags & HAS_TARGET)
                m->target = read_bytes(r, RPC_TARGET_BYTES);
}

static void read_response(struct reader *r, uint8_t flags, struct rpc_message *m)
{
        if (flags & HAS_CLOSER) {
                m->closer_count = wire_read_count(r, RPC_ADDR_BYTES);
                m->closer = read_bytes(r, m->closer_count * RPC_ADDR_BYTES);
        }
        if (flags & HAS_ERROR)
                m->error = wire_read_uint(r);
}

bool rpc_message_read(const void *bytes, size_t len, struct rpc_message *out)
{
        struct reader r = reader_over(bytes, len);
        struct rpc_message m = { 0 };
        uint8_t head = read_u8(&r), flags = read_u8(&r);

        if ((head != HEAD_REQUEST && head != HEAD_RESPONSE) || flags > FLAGS_ONE_BYTE_MAX)
                return false;
        m.type = head == HEAD_REQUEST ? RPC_TYPE_REQUEST : RPC_TYPE_RESPONSE;
        m.tid = read_u16le(&r);
        m.to = wire_read_addr(&r);
        if (flags & HAS_ID)
                m.id = read_bytes(&r, RPC_ID_BYTES);
        if (flags & HAS_TOKEN)
                m.token = read_bytes(&r, RPC_TOKEN_BYTES);
        if (m.type == RPC_TYPE_REQUEST)
                read_request(&r, flags, &m);
        else
                read_response(&r, flags, &m);
        if (flags & HAS_VALUE)
                m.value = wire_read_buffer(&r, &m.value_len);
        if (r.failed)
                return false;
        *out = m;
        return true;
}

static uint8_t flags_of(const struct rpc_message *m)
{
        uint8_t flags = (m->id ? HAS_ID : 0) | (m->token ? HAS_TOKEN : 0) | (m->value ? HAS_VALUE : 0);

        if (m->type == RPC_TYPE_REQUEST)
                return flags | (m->internal ? INTERNAL : 0) | (m->target ? HAS_TARGET : 0);
        return flags | (m->closer_count ? HAS_CLOSER : 0) | (m->error ? HAS_ERROR : 0);
}

static void write_request(struct writer *w, const struct rpc_message *m)
{
        wire_write_uint(w, m->command);
        if (m->target)
                write_bytes(w, m->target, RPC_TARGET_BYTES);
}

static void write_response(struct writer *w, const struct rpc_message *m)
{
        if (m->closer_count) {
                wire_write_uint(w, m->closer_count);
                write_bytes(w, m->closer, m->closer_count * RPC_ADDR_BYTES);
        }
        if (m->error)
                wire_write_uint(w, m->error);
}

size_t rpc_message_write(const struct rpc_message *m, void *out, size_t max)
{
        struct writer w = writer_over(out, max);

        write_u8(&w, m->type == RPC_TYPE_REQUEST ? HEAD_REQUEST : HEAD_RESPONSE);
        write_u8(&w, flags_of(m));
        write_u16le(&w, m->tid);
        wire_write_addr(&w, &m->to);
        if (m->id)
                write_bytes(&w, m->id, RPC_ID_BYTES);
        if (m->token)
                write_bytes(&w, m->token, RPC_TOKEN_BYTES);
        if (m->type == RPC_TYPE_REQUEST)
                write_request(&w, m);
        else
                write_response(&w, m);
        if (m->value)
                wire_write_buffer(&w, m->value, m->value_len);
        return w.failed ? 0 : writer_len(&w);
}

struct addr rpc_message_closer(const struct rpc_message *message, size_t index)
{
        struct reader r = reader_over(message->closer + index * RPC_ADDR_BYTES, RPC_ADDR_BYTES);

        return wire_read_addr(&r);
}

void rpc_node_id(const struct addr *addr, uint8_t id_out[RPC_ID_BYTES])
{
        uint8_t bytes[RPC_ADDR_BYTES];
        struct writer w = writer_over(bytes, sizeof(bytes));

        wire_write_addr(&w, addr);
        crypto_generichash(id_out, RPC_ID_BYTES, bytes, sizeof(bytes), NULL, 0);
}
