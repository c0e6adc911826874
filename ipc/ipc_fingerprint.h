/* SPDX-License-Identifier: BSD-3-Clause */
/* What an admin worker is told of connections to services, for those services to ask it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_FINGERPRINT_H
#define HG_IPC_FINGERPRINT_H

#include <stdint.h>

#include "ipc_message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* The two ends of a connection to a service, as the provider's own socket has them. Addresses are IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct ipc_tuple {
        uint8_t local_ip[16], remote_ip[16];
        uint16_t local_port, remote_port;
        uint16_t protocol;              /* enum ipc_protocol */
        uint16_t pad;
};

/* Channel @channel of swarm worker @swarm is a connection to a service with these ends, and its gateway said @metadata of the client, which is
 * JSON or not: as it came. In the place of what had the same ends before. Who makes the connection says so first, before the service can ask;
 * then it is the swarm worker's word that counts. */
struct ipc_fingerprint {
        uint64_t channel;
        struct ipc_tuple tuple;
        uint32_t idle_ms;               /* it ends when it is silent for so long; 0: it need not */
        uint32_t metadata_len;
        uint32_t swarm;                 /* id of that worker */
        uint16_t gate_port;
        uint8_t pad[2];
        char metadata[IPC_METADATA_MAX];
};

/* No longer, if what has these ends still is that channel and the sender was the last to say so. */
struct ipc_fingerprint_drop {
        uint64_t channel;
        struct ipc_tuple tuple;
        uint32_t swarm;
        uint32_t pad;
};

#pragma GCC diagnostic pop

#endif
