/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gateway says of its client: whatever is believed can be written again and reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "forward_metadata.h"
#include "ipc_channel.h"
#include "ipc_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same(const union socket_address *a, const union socket_address *b)
{
        return socket_address_len(a) == socket_address_len(b) && memcmp(a, b, socket_address_len(a)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        union socket_address source, gateway, source_again, gateway_again;
        struct metadata metadata = { .protocol = IPC_TCP };
        char out[IPC_METADATA_MAX], labels[IPC_CLIENT_LABELS_MAX];

        metadata_read_labels((const char *)data, len, labels);
        if (!ipc_labels_end(labels, sizeof(labels)))
                abort();
        if (!metadata_read((const char *)data, len, &source, &gateway))
                return 0;
        socket_address_widen(&source, &metadata.source);
        socket_address_widen(&gateway, &metadata.gateway);
        if (!metadata_read(out, metadata_write(&metadata, out), &source_again, &gateway_again) || !same(&source, &source_again) ||
            !same(&gateway, &gateway_again))
                abort();
        return 0;
}
