/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_carrier.h"

#include "wire.h"

enum {
        FLAG_PEER = 1,
        FLAG_RELAY = 2,
};

bool dht_carrier_decode(const void *bytes, size_t len, struct dht_carrier *out)
{
        struct reader r = reader_over(bytes, len);
        uint64_t flags = wire_read_uint(&r);
        struct dht_carrier carrier = { .mode = wire_read_uint(&r), .has_peer = flags & FLAG_PEER, .has_relay = flags & FLAG_RELAY };

        carrier.noise = wire_read_buffer(&r, &carrier.noise_len);
        if (carrier.has_peer)
                carrier.peer = wire_read_addr(&r);
        if (carrier.has_relay)
                carrier.relay = wire_read_addr(&r);
        if (!r.failed)
                *out = carrier;
        return !r.failed;
}

void dht_carrier_write(struct writer *w, const struct dht_carrier *carrier)
{
        wire_write_uint(w, (carrier->has_peer ? FLAG_PEER : 0) | (carrier->has_relay ? FLAG_RELAY : 0));
        wire_write_uint(w, carrier->mode);
        wire_write_buffer(w, carrier->noise, carrier->noise_len);
        if (carrier->has_peer)
                wire_write_addr(w, &carrier->peer);
        if (carrier->has_relay)
                wire_write_addr(w, &carrier->relay);
}
