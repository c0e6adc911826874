/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel_client.h"

#include <stdlib.h>
#include <string.h>

struct channel_client {
        uint8_t ip[16];
        uint16_t port;
        char labels[];                  /* each ends with NUL, the last one with two */
};

static size_t labels_size(const char *labels)
{
        const char *end = labels;

        while (*end)
                end += strlen(end) + 1;
        return (size_t)(end - labels) + 1;
}

struct channel_client *channel_client_new(const struct ipc_client *said)
{
        size_t size = labels_size(said->labels);
        struct channel_client *client = said->known ? malloc(sizeof(*client) + size) : NULL;

        if (!client)
                return NULL;
        memcpy(client->ip, said->ip, sizeof(said->ip));
        client->port = said->port;
        memcpy(client->labels, said->labels, size);
        return client;
}

void channel_client_free(struct channel_client *client)
{
        free(client);
}

struct ipc_client channel_client_told(const struct channel_client *client)
{
        struct ipc_client told = { .known = client != NULL };

        if (!client)
                return told;
        memcpy(told.ip, client->ip, sizeof(told.ip));
        told.port = client->port;
        memcpy(told.labels, client->labels, labels_size(client->labels));
        return told;
}
