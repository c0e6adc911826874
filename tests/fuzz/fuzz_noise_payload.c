/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshake payloads: what is read can be written, fits where it must, and reads the same again. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "noise_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t rewrite(const uint8_t *bytes, size_t len, uint8_t out[NOISE_PAYLOAD_MAX])
{
        struct reader r = reader_over(bytes, len);
        struct writer w = writer_over(out, NOISE_PAYLOAD_MAX);
        struct noise_payload payload;

        if (!noise_payload_read(&r, &payload))
                return 0;
        assert(payload.address_count <= NOISE_ADDRESSES_MAX && payload.address6_count <= NOISE_ADDRESSES6_MAX);
        assert(payload.relay_count <= NOISE_RELAYS_MAX && payload.relay_address_count <= NOISE_RELAYS_MAX);
        if (payload.version != NOISE_PAYLOAD_VERSION)
                assert(!payload.error && !payload.address_count && !payload.has_udx);
        noise_payload_write(&w, &payload);
        assert(!w.failed);
        return writer_len(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        uint8_t once[NOISE_PAYLOAD_MAX], twice[NOISE_PAYLOAD_MAX];
        size_t once_len = rewrite(bytes, len, once);

        if (once_len)
                assert(rewrite(once, once_len, twice) == once_len && memcmp(once, twice, once_len) == 0);
        return 0;
}
