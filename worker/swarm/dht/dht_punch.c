/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_punch.h"

#include "wire.h"

enum { FLAG_PEER = 1 };

bool dht_punch_decode(const void *bytes, size_t len, struct dht_punch *out)
{
        struct reader r = reader_over(bytes, len);
        struct dht_punch punch = { .has_peer = wire_read_uint(&r) & FLAG_PEER };

        punch.mode = wire_read_uint(&r);
        punch.id = wire_read_uint(&r);
        punch.payload = wire_read_buffer(&r, &punch.payload_len);
        if (punch.has_peer)
                punch.peer = wire_read_addr(&r);
        if (!r.failed)
                *out = punch;
        return !r.failed;
}

void dht_punch_write(struct writer *w, const struct dht_punch *punch)
{
        wire_write_uint(w, punch->has_peer ? FLAG_PEER : 0);
        wire_write_uint(w, punch->mode);
        wire_write_uint(w, punch->id);
        wire_write_buffer(w, punch->payload, punch->payload_len);
        if (punch->has_peer)
                wire_write_addr(w, &punch->peer);
}
