/* SPDX-License-Identifier: BSD-3-Clause */
/* Punch payloads: what is read can be written, fits where it must, and reads the same again; and nothing opens that was not sealed. */
#include <assert.h>
#include <string.h>

#include "nat_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t rewrite(const uint8_t *bytes, size_t len, uint8_t out[NAT_PAYLOAD_MAX])
{
        struct reader r = reader_over(bytes, len);
        struct writer w = writer_over(out, NAT_PAYLOAD_MAX);
        struct nat_payload payload;

        if (!nat_payload_read(&r, &payload))
                return 0;
        assert(payload.address_count <= NAT_ADDRESSES_MAX);
        nat_payload_write(&w, &payload);
        assert(!w.failed);
        return writer_len(&w);
}

static void fill(void *context, void *out, size_t len)
{
        memset(out, 3, len);
}

/* What was sealed opens, with the right secret, and is what it was; a token is of that address alone. */
static void seal(const uint8_t *bytes, size_t len)
{
        static const struct random random = { fill, NULL };
        struct reader r = reader_over(bytes, len);
        uint8_t secret[NAT_SECRET_BYTES], sealed[NAT_SEALED_MAX], hash[NAT_HASH_BYTES] = { 5 }, token[2][NAT_TOKEN_BYTES];
        struct nat_payload payload, again;
        size_t sealed_len;

        if (!nat_payload_read(&r, &payload))
                return;
        nat_secret(hash, secret);
        sealed_len = nat_seal(secret, &random, &payload, sealed);
        assert(nat_open(secret, sealed, sealed_len, &again) && again.address_count == payload.address_count);
        secret[0] ^= 1;
        assert(!nat_open(secret, sealed, sealed_len, &again));
        nat_token(secret, &payload.remote, token[0]);
        payload.remote.ip[0] ^= 1;
        nat_token(secret, &payload.remote, token[1]);
        assert(memcmp(token[0], token[1], NAT_TOKEN_BYTES) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        static const uint8_t secret[NAT_SECRET_BYTES] = { 1 };
        uint8_t once[NAT_PAYLOAD_MAX], twice[NAT_PAYLOAD_MAX];
        size_t once_len = rewrite(bytes, len, once);
        struct nat_payload payload;

        if (once_len)
                assert(rewrite(once, once_len, twice) == once_len && memcmp(once, twice, once_len) == 0);
        assert(!nat_open(secret, bytes, len, &payload));
        seal(bytes, len);
        return 0;
}
