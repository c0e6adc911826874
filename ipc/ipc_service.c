/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_service.h"

#include <stddef.h>
#include <string.h>

static uint64_t add(uint64_t name, const void *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                name = (name ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
        return name;
}

uint32_t ipc_server_name(const char *server)
{
        uint64_t name = add(UINT64_C(0xcbf29ce484222325), server, strlen(server));
        uint32_t folded = (uint32_t)(name ^ name >> 32);

        return !*server ? 0 : folded ? folded : 1;
}

uint64_t ipc_service_name(const char *host, uint16_t port, const char *tags)
{
        uint8_t big_endian[2] = { (uint8_t)(port >> 8), (uint8_t)port };
        uint64_t name = add(UINT64_C(0xcbf29ce484222325), host, strlen(host) + 1);

        name = add(name, big_endian, sizeof(big_endian));
        name = add(name, tags, strlen(tags));
        return name ? name : 1;
}
