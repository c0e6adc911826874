/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_payload.h"

#include <sodium.h>

#include "wire.h"

enum {
        IS_CONNECTED = 0x01,
        IS_PUNCHING = 0x02,
        HAS_ADDRESSES = 0x04,
        HAS_REMOTE = 0x08,
        HAS_TOKEN = 0x10,
        HAS_REMOTE_TOKEN = 0x20,

        NONCE_BYTES = crypto_secretbox_NONCEBYTES,
};

_Static_assert((int)NAT_SEAL_BYTES == (int)crypto_secretbox_NONCEBYTES + (int)crypto_secretbox_MACBYTES, "nat_payload.h");

/* NS_PEER_HOLEPUNCH: BLAKE2b-256 of BLAKE2b-256("hyperswarm/dht") and the command, 1. hyperdht lib/constants.js. */
static const uint8_t holepunch_namespace[32] = {
        0xf1, 0x19, 0x1c, 0xd5, 0xe6, 0x7b, 0x10, 0xb5, 0x4a, 0x50, 0x70, 0x33, 0x28, 0x0e, 0xd1, 0xff,
        0x0e, 0x12, 0x27, 0x82, 0x68, 0xd5, 0x67, 0x9c, 0x8f, 0x93, 0xd4, 0x17, 0x21, 0x0d, 0x16, 0x8b,
};

static void read_addresses(struct reader *r, struct nat_payload *payload)
{
        size_t count = wire_read_count(r, WIRE_ADDR_BYTES);

        for (size_t i = 0; i < count; i++) {
                struct addr addr = wire_read_addr(r);

                if (i < NAT_ADDRESSES_MAX)
                        payload->addresses[payload->address_count++] = addr;
        }
}

bool nat_payload_read(struct reader *r, struct nat_payload *payload_out)
{
        uint64_t flags = wire_read_uint(r);
        struct nat_payload payload = {
                .connected = flags & IS_CONNECTED,
                .punching = flags & IS_PUNCHING,
                .has_addresses = flags & HAS_ADDRESSES,
                .has_remote = flags & HAS_REMOTE,
                .has_token = flags & HAS_TOKEN,
                .has_remote_token = flags & HAS_REMOTE_TOKEN,
        };

        payload.error = wire_read_uint(r);
        payload.firewall = wire_read_uint(r);
        payload.round = wire_read_uint(r);
        if (payload.has_addresses)
                read_addresses(r, &payload);
        if (payload.has_remote)
                payload.remote = wire_read_addr(r);
        if (payload.has_token)
                read_copy(r, payload.token, sizeof(payload.token));
        if (payload.has_remote_token)
                read_copy(r, payload.remote_token, sizeof(payload.remote_token));
        if (!r->failed)
                *payload_out = payload;
        return !r->failed;
}

void nat_payload_write(struct writer *w, const struct nat_payload *payload)
{
        wire_write_uint(w, (payload->connected ? IS_CONNECTED : 0) | (payload->punching ? IS_PUNCHING : 0) |
                           (payload->has_addresses ? HAS_ADDRESSES : 0) | (payload->has_remote ? HAS_REMOTE : 0) |
                           (payload->has_token ? HAS_TOKEN : 0) | (payload->has_remote_token ? HAS_REMOTE_TOKEN : 0));
        wire_write_uint(w, payload->error);
        wire_write_uint(w, payload->firewall);
        wire_write_uint(w, payload->round);
        if (payload->has_addresses) {
                wire_write_uint(w, payload->address_count);
                for (size_t i = 0; i < payload->address_count; i++)
                        wire_write_addr(w, &payload->addresses[i]);
        }
        if (payload->has_remote)
                wire_write_addr(w, &payload->remote);
        if (payload->has_token)
                write_bytes(w, payload->token, sizeof(payload->token));
        if (payload->has_remote_token)
                write_bytes(w, payload->remote_token, sizeof(payload->remote_token));
}

void nat_secret(const uint8_t hash[NAT_HASH_BYTES], uint8_t secret_out[NAT_SECRET_BYTES])
{
        crypto_generichash(secret_out, NAT_SECRET_BYTES, holepunch_namespace, sizeof(holepunch_namespace), hash, NAT_HASH_BYTES);
}

size_t nat_seal(const uint8_t secret[NAT_SECRET_BYTES], const struct random *random, const struct nat_payload *payload,
                uint8_t out[NAT_SEALED_MAX])
{
        uint8_t plain[NAT_PAYLOAD_MAX];
        struct writer w = writer_over(plain, sizeof(plain));

        nat_payload_write(&w, payload);
        random_fill(random, out, NONCE_BYTES);
        crypto_secretbox_easy(out + NONCE_BYTES, plain, writer_len(&w), out, secret);
        return writer_len(&w) + NAT_SEAL_BYTES;
}

bool nat_open(const uint8_t secret[NAT_SECRET_BYTES], const uint8_t *sealed, size_t len, struct nat_payload *payload_out)
{
        uint8_t plain[NAT_OPEN_MAX];
        struct reader r;

        if (len < NAT_SEAL_BYTES || len > NAT_OPEN_MAX ||
            crypto_secretbox_open_easy(plain, sealed + NONCE_BYTES, len - NONCE_BYTES, sealed, secret) != 0)
                return false;
        r = reader_over(plain, len - NAT_SEAL_BYTES);
        return nat_payload_read(&r, payload_out);
}

void nat_token(const uint8_t local_secret[NAT_SECRET_BYTES], const struct addr *addr, uint8_t token_out[NAT_TOKEN_BYTES])
{
        char text[ADDR_HOST_TEXT_MAX];
        size_t len = addr_host_text(addr, text);

        crypto_generichash(token_out, NAT_TOKEN_BYTES, (const uint8_t *)text, len, local_secret, NAT_SECRET_BYTES);
}
