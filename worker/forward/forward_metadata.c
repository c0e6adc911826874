/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_metadata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Address texts hold hex digits, dots and colons only: nothing to escape in JSON. */
struct endpoint {
        char ip[INET6_ADDRSTRLEN], raw[INET6_ADDRSTRLEN];
        uint16_t port;
};

static struct endpoint endpoint_of(const struct sockaddr_storage *addr)
{
        const struct sockaddr_in *v4 = (const void *)addr;
        const struct sockaddr_in6 *v6 = (const void *)addr;
        struct endpoint endpoint = { .ip = "" };
        bool mapped;

        if (addr->ss_family == AF_INET) {
                inet_ntop(AF_INET, &v4->sin_addr, endpoint.raw, sizeof(endpoint.raw));
                memcpy(endpoint.ip, endpoint.raw, sizeof(endpoint.ip));
                endpoint.port = ntohs(v4->sin_port);
        } else if (addr->ss_family == AF_INET6) {
                mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
                inet_ntop(AF_INET6, &v6->sin6_addr, endpoint.raw, sizeof(endpoint.raw));
                inet_ntop(mapped ? AF_INET : AF_INET6, v6->sin6_addr.s6_addr + (mapped ? 12 : 0), endpoint.ip,
                          sizeof(endpoint.ip));
                endpoint.port = ntohs(v6->sin6_port);
        }
        return endpoint;
}

size_t metadata_write(const struct metadata *metadata, char out[IPC_METADATA_MAX])
{
        struct endpoint source = endpoint_of(&metadata->source), gateway = endpoint_of(&metadata->gateway);
        char id[2 * METADATA_ID_BYTES + 1];
        int len;

        for (size_t i = 0; i < METADATA_ID_BYTES; i++)
                snprintf(id + 2 * i, 3, "%02x", metadata->id[i]);
        len = snprintf(out, IPC_METADATA_MAX,
                       "{\"id\":\"%s\",\"openedAt\":%" PRIu64 ",\"protocol\":\"%s\",\"gatePort\":%u,\"channelPort\":%" PRIu32
                       ",\"source\":{\"ip\":\"%s\",\"ipRaw\":\"%s\",\"port\":%u}"
                       ",\"gateway\":{\"ip\":\"%s\",\"ipRaw\":\"%s\",\"port\":%u}}",
                       id, metadata->opened_at_ms, metadata->protocol == IPC_UDP ? "udp" : "tcp", metadata->gate_port,
                       metadata->channel_port, source.ip, source.raw, source.port, gateway.ip, gateway.raw, gateway.port);
        assert(len > 0 && len < IPC_METADATA_MAX);
        return (size_t)len;
}

void metadata_address_text(const struct sockaddr_storage *addr, char out[METADATA_ADDRESS_TEXT_MAX])
{
        struct endpoint endpoint = endpoint_of(addr);

        if (strchr(endpoint.ip, ':'))
                snprintf(out, METADATA_ADDRESS_TEXT_MAX, "[%s]:%u", endpoint.ip, endpoint.port);
        else
                snprintf(out, METADATA_ADDRESS_TEXT_MAX, "%s:%u", endpoint.ip, endpoint.port);
}
