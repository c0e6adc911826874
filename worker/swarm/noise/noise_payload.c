/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise_payload.h"

#include <assert.h>

#include "wire.h"

enum {
        HAS_HOLEPUNCH = 0x01,
        HAS_ADDRESSES = 0x02,
        HAS_ADDRESSES6 = 0x04,
        HAS_UDX = 0x08,
        HAS_SECRET_STREAM = 0x10,
        HAS_RELAY_THROUGH = 0x20,
        HAS_RELAY_ADDRESSES = 0x40,

        UDX_REUSABLE_SOCKET = 0x01,     /* of the udx features */
};

/* The first @max of the list; the others are read and dropped. */
static size_t read_addrs(struct reader *r, struct addr *out, size_t max)
{
        size_t count = wire_read_count(r, WIRE_ADDR_BYTES);

        for (size_t i = 0; i < count; i++) {
                struct addr addr = wire_read_addr(r);

                if (i < max)
                        out[i] = addr;
        }
        return count < max ? count : max;
}

static void write_addrs(struct writer *w, const struct addr *addrs, size_t count)
{
        wire_write_uint(w, count);
        for (size_t i = 0; i < count; i++)
                wire_write_addr(w, &addrs[i]);
}

static void read_holepunch(struct reader *r, struct noise_payload *payload)
{
        size_t count;

        payload->has_holepunch = true;
        payload->holepunch_id = wire_read_uint(r);
        count = wire_read_count(r, 2 * WIRE_ADDR_BYTES);
        for (size_t i = 0; i < count; i++) {
                struct noise_relay relay;

                relay.relay = wire_read_addr(r);
                relay.peer = wire_read_addr(r);
                if (i < NOISE_RELAYS_MAX)
                        payload->relays[payload->relay_count++] = relay;
        }
}

static void write_holepunch(struct writer *w, const struct noise_payload *payload)
{
        wire_write_uint(w, payload->holepunch_id);
        wire_write_uint(w, payload->relay_count);
        for (size_t i = 0; i < payload->relay_count; i++) {
                wire_write_addr(w, &payload->relays[i].relay);
                wire_write_addr(w, &payload->relays[i].peer);
        }
}

static void read_addresses6(struct reader *r, struct noise_payload *payload)
{
        size_t count = wire_read_count(r, WIRE_ADDR6_BYTES);

        for (size_t i = 0; i < count; i++) {
                struct noise_addr6 addr;

                read_copy(r, addr.ip, sizeof(addr.ip));
                addr.port = read_u16le(r);
                if (i < NOISE_ADDRESSES6_MAX)
                        payload->addresses6[payload->address6_count++] = addr;
        }
}

static void write_addresses6(struct writer *w, const struct noise_payload *payload)
{
        wire_write_uint(w, payload->address6_count);
        for (size_t i = 0; i < payload->address6_count; i++) {
                write_bytes(w, payload->addresses6[i].ip, sizeof(payload->addresses6[i].ip));
                write_u16le(w, payload->addresses6[i].port);
        }
}

static void read_udx(struct reader *r, struct noise_payload *payload)
{
        uint64_t id;

        payload->has_udx = true;
        payload->udx_version = wire_read_uint(r);
        payload->udx_reusable_socket = wire_read_uint(r) & UDX_REUSABLE_SOCKET;
        id = wire_read_uint(r);
        if (id > UINT32_MAX)
                read_fail(r);
        payload->udx_id = (uint32_t)id;
        payload->udx_seq = wire_read_uint(r);
}

static void write_udx(struct writer *w, const struct noise_payload *payload)
{
        wire_write_uint(w, NOISE_PAYLOAD_VERSION);
        wire_write_uint(w, payload->udx_reusable_socket ? UDX_REUSABLE_SOCKET : 0);
        wire_write_uint(w, payload->udx_id);
        wire_write_uint(w, payload->udx_seq);
}

static void read_relay_through(struct reader *r, struct noise_payload *payload)
{
        payload->has_relay_through = true;
        payload->relay_through_version = wire_read_uint(r);
        payload->relay_through_flags = wire_read_uint(r);
        read_copy(r, payload->relay_through_key, sizeof(payload->relay_through_key));
        read_copy(r, payload->relay_through_token, sizeof(payload->relay_through_token));
}

static void write_relay_through(struct writer *w, const struct noise_payload *payload)
{
        wire_write_uint(w, NOISE_PAYLOAD_VERSION);
        wire_write_uint(w, 0);
        write_bytes(w, payload->relay_through_key, sizeof(payload->relay_through_key));
        write_bytes(w, payload->relay_through_token, sizeof(payload->relay_through_token));
}

static void read_parts(struct reader *r, uint64_t flags, struct noise_payload *payload)
{
        if (flags & HAS_HOLEPUNCH)
                read_holepunch(r, payload);
        if (flags & HAS_ADDRESSES)
                payload->address_count = read_addrs(r, payload->addresses, NOISE_ADDRESSES_MAX);
        if (flags & HAS_ADDRESSES6)
                read_addresses6(r, payload);
        if (flags & HAS_UDX)
                read_udx(r, payload);
        payload->has_secret_stream = flags & HAS_SECRET_STREAM;
        if (payload->has_secret_stream)
                payload->secret_stream_version = wire_read_uint(r);
        if (flags & HAS_RELAY_THROUGH)
                read_relay_through(r, payload);
        payload->has_relay_addresses = flags & HAS_RELAY_ADDRESSES;
        if (payload->has_relay_addresses)
                payload->relay_address_count = read_addrs(r, payload->relay_addresses, NOISE_RELAYS_MAX);
}

bool noise_payload_read(struct reader *r, struct noise_payload *payload_out)
{
        struct noise_payload payload = { .version = wire_read_uint(r) };

        if (!r->failed && payload.version == NOISE_PAYLOAD_VERSION) {
                uint64_t flags = wire_read_uint(r);

                payload.error = wire_read_uint(r);
                payload.firewall = wire_read_uint(r);
                read_parts(r, flags, &payload);
        }
        if (r->failed)
                return false;
        *payload_out = payload;
        return true;
}

/* An empty list of addresses is no list, but an empty one of relays is: as JavaScript has it. */
static uint64_t flags_of(const struct noise_payload *payload)
{
        return (payload->has_holepunch ? HAS_HOLEPUNCH : 0) | (payload->address_count ? HAS_ADDRESSES : 0) |
               (payload->address6_count ? HAS_ADDRESSES6 : 0) | (payload->has_udx ? HAS_UDX : 0) |
               (payload->has_secret_stream ? HAS_SECRET_STREAM : 0) | (payload->has_relay_through ? HAS_RELAY_THROUGH : 0) |
               (payload->has_relay_addresses ? HAS_RELAY_ADDRESSES : 0);
}

void noise_payload_write(struct writer *w, const struct noise_payload *payload)
{
        uint64_t flags = flags_of(payload);

        assert(payload->relay_count <= NOISE_RELAYS_MAX && payload->relay_address_count <= NOISE_RELAYS_MAX);
        assert(payload->address_count <= NOISE_ADDRESSES_MAX && payload->address6_count <= NOISE_ADDRESSES6_MAX);
        wire_write_uint(w, NOISE_PAYLOAD_VERSION);
        wire_write_uint(w, flags);
        wire_write_uint(w, payload->error);
        wire_write_uint(w, payload->firewall);
        if (flags & HAS_HOLEPUNCH)
                write_holepunch(w, payload);
        if (flags & HAS_ADDRESSES)
                write_addrs(w, payload->addresses, payload->address_count);
        if (flags & HAS_ADDRESSES6)
                write_addresses6(w, payload);
        if (flags & HAS_UDX)
                write_udx(w, payload);
        if (flags & HAS_SECRET_STREAM)
                wire_write_uint(w, NOISE_PAYLOAD_VERSION);
        if (flags & HAS_RELAY_THROUGH)
                write_relay_through(w, payload);
        if (flags & HAS_RELAY_ADDRESSES)
                write_addrs(w, payload->relay_addresses, payload->relay_address_count);
}
