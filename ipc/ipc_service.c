/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_service.h"

#include <string.h>

#include "ipc_hash.h"

uint32_t ipc_server_name(const char *server)
{
        uint64_t name = ipc_hash(IPC_HASH_BEGIN, server, strlen(server));
        uint32_t folded = (uint32_t)(name ^ name >> 32);

        return !*server ? 0 : folded ? folded : 1;
}

uint64_t ipc_service_name(const char *host, uint16_t port, const char *tags)
{
        uint8_t big_endian[2] = { (uint8_t)(port >> 8), (uint8_t)port };
        uint64_t name = ipc_hash(IPC_HASH_BEGIN, host, strlen(host) + 1);

        name = ipc_hash(name, big_endian, sizeof(big_endian));
        name = ipc_hash(name, tags, strlen(tags));
        return name ? name : 1;
}
