/* SPDX-License-Identifier: BSD-3-Clause */
/* A header that came from a proxy, piece by piece: nothing of what comes behind counts, and what it says can be written again in both
 * versions and reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "forward_proxy.h"
#include "ipc_forward.h"
#include "ipc_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static bool same(const union socket_address *a, const union socket_address *b)
{
        return socket_address_len(a) == socket_address_len(b) && memcmp(a, b, socket_address_len(a)) == 0;
}

static void check_again(const struct proxy_header *header)
{
        for (uint32_t version = IPC_PROXY_V1; version <= IPC_PROXY_V2; version++) {
                struct proxy_header again;
                uint8_t out[PROXY_WRITE_MAX];
                size_t size = 0, written = proxy_write(version, header, out);

                demand(proxy_read(out, written, &again, &size) == PROXY_OK && size == written);
                if (version == IPC_PROXY_V1 && header->protocol == IPC_UDP)
                        demand(!again.named);
                else
                        demand(again.named == header->named);
                if (again.named)
                        demand(again.protocol == header->protocol && same(&again.source, &header->source) &&
                               same(&again.destination, &header->destination));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct proxy_header header, first;
        size_t size = 0, first_size = 0;
        enum proxy_verdict verdict = proxy_read(data, len, &header, &size), some = PROXY_MORE;

        for (size_t part = 0; part <= len && some == PROXY_MORE; part++)
                some = proxy_read(data, part, &first, &first_size);
        demand(some == verdict);
        if (verdict != PROXY_OK)
                return 0;
        demand(size <= len && size == first_size && size <= PROXY_READ_MAX && first.named == header.named);
        check_again(&header);
        return 0;
}
