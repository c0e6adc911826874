/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_relay.h"

#include "conf_limits.h"
#include "conf_peers.h"

static const char key_example[] = "64 characters 0-9 a-f, the key that a relay logs at its start";

static void read_open(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_bool(read, node, &((struct conf_relay *)into)->anybody);
}

static void read_connections(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 100, &((struct conf_relay *)into)->connections);
}

static void read_connections_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 10, &((struct conf_relay *)into)->connections_per_client);
}

static void read_bytes_per_second(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, CONF_RELAY_RATE_MIN, UINT32_MAX, 10000000, &((struct conf_relay *)into)->bytes_per_second);
}

static void read_bytes_per_second_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, CONF_RELAY_RATE_MIN, UINT32_MAX, 1000000,
                         &((struct conf_relay *)into)->bytes_per_second_per_client);
}

void conf_relay_read(struct conf_read *read, const struct conf_node *node, struct conf_relay *relay)
{
        static const struct conf_field fields[] = {
                { "open", read_open },
                { "connections", read_connections },
                { "connectionsPerClient", read_connections_per_client },
                { "bytesPerSecond", read_bytes_per_second },
                { "bytesPerSecondPerClient", read_bytes_per_second_per_client },
                { NULL, NULL },
        };

        if (node->kind != CONF_MAP && !conf_value_is_empty(node)) {
                *relay = (struct conf_relay){ .present = false };
                conf_value_bool(read, node, &relay->present);
                relay->never = !relay->present;
                return;
        }
        relay->present = true;
        relay->never = false;
        conf_value_map(read, node, "relay", fields, relay);
}

void conf_relays_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        if (node->kind == CONF_LIST && !node->first)
                conf->relay_count = 0;
        conf_keys_read(read, node, key_example, conf->relays, CONF_RELAYS_MAX, &conf->relay_count);
}
