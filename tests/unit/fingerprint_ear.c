/* SPDX-License-Identifier: BSD-3-Clause */
#include "fingerprint_ear.h"

#include "test.h"

void hears_connection(struct inside *inside, const struct ipc_fingerprint *expected)
{
        const struct ipc_fingerprint *heard;
        struct ipc_received message;

        check(inside_receive(inside, IPC_ADMIN, &message) && message.type == IPC_FINGERPRINT_SET);
        heard = IPC_PAYLOAD(&message, struct ipc_fingerprint);
        check(heard->channel == expected->channel && heard->swarm == 1);
        check(heard->gate_port == expected->gate_port && heard->idle_ms == expected->idle_ms);
        check_bytes(&heard->tuple, &expected->tuple, sizeof(heard->tuple));
        check_equal(heard->metadata_len, expected->metadata_len);
        check_bytes(heard->metadata, expected->metadata, heard->metadata_len);
        ipc_received_fini(&message);
}

void hears_end(struct inside *inside, uint64_t channel, const struct ipc_tuple *tuple)
{
        const struct ipc_fingerprint_drop *heard;
        struct ipc_received message;

        check(inside_receive(inside, IPC_ADMIN, &message) && message.type == IPC_FINGERPRINT_DROP);
        heard = IPC_PAYLOAD(&message, struct ipc_fingerprint_drop);
        check(heard->channel == channel && heard->swarm == 1);
        check_bytes(&heard->tuple, tuple, sizeof(*tuple));
        ipc_received_fini(&message);
}
