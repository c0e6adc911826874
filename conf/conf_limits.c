/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_limits.h"

#include <string.h>

enum {
        LIMIT_MAX_MS = 86400000,
        STATS_INTERVAL_MS = 600000,             /* these five as the original */
        STATS_INTERVAL_MIN_MS = 1000,
        UDP_TIMEOUT_MS = 3600000,
        UDP_TIMEOUT_MIN_MS = 1000,
        OPEN_TIMEOUT_MS = 15000,
        OPEN_TIMEOUT_MIN_MS = 1000,
        OPEN_TIMEOUT_MAX_MS = 3600000,
        ROUTE_EXPIRATION_MS = 120000,
        ROUTE_EXPIRATION_MIN_MS = 60000,        /* providers repeat what they offer every 5 to 30 s */
        BUFFER_MIN_BYTES = 64 * 1024,           /* a frame, and some more */
        BUFFER_MAX_BYTES = 64 * 1024 * 1024,    /* a window does not grow beyond */
        PEER_BUFFER_BYTES = 96 * 1024 * 1024,
        PEER_BUFFER_MIN_BYTES = 4 * 1024 * 1024,
        PEER_BUFFER_MAX_BYTES = 1024 * 1024 * 1024,
};

/* The examples are the original's defaults. */
static const struct limit {
        const char *key;
        uint32_t example_ms;
        const char *reason;
} limits[] = {
        { "channelTimeoutPollMs", 60000, "nobody has to look for what was silent for too long: it ends when its time is up" },
        { "findRouteRetryMinMs", 100, "nobody has to look for a provider again and again: a client that waits gets one as soon as it is there" },
        { "findRouteRetryMaxMs", 600, "nobody has to look for a provider again and again: a client that waits gets one as soon as it is there" },
        { "peerStaleMs", 900000, "a peer that is silent is asked, and one that does not answer is dropped within seconds" },
        { "peerRefreshMs", 5000, "peers are told of services when these change, and again every 30 s" },
        { "peerRefreshWaitMs", 100, "peers are told of services independently of each other" },
};

static const struct limit *find(const char *key)
{
        size_t i = 0;

        while (i + 1 < sizeof(limits) / sizeof(limits[0]) && strcmp(limits[i].key, key) != 0)
                i++;
        return &limits[i];
}

void conf_limits_pass_over(struct conf_read *read, const struct conf_node *node, void *into)
{
        const struct limit *limit = find(node->key);
        uint32_t ms;

        if (conf_value_whole(read, node, 0, LIMIT_MAX_MS, limit->example_ms, &ms))
                conf_warning(&read->report, read->file, node->at, "%s: this limit of the original has no effect here: %s", limit->key,
                             limit->reason);
}

void conf_limits_defaults(struct conf *conf)
{
        conf->stats_interval_ms = STATS_INTERVAL_MS;
        conf->channel_buffer_bytes = BUFFER_MAX_BYTES;
        conf->peer_buffer_bytes = PEER_BUFFER_BYTES;
        conf->gateway.udp_timeout_ms = conf->provider.udp_timeout_ms = UDP_TIMEOUT_MS;
        conf->gateway.open_timeout_ms = OPEN_TIMEOUT_MS;
        conf->gateway.route_expiration_ms = ROUTE_EXPIRATION_MS;
}

void conf_stats_interval_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        if (node->kind == CONF_PLAIN && strcmp(node->text, "0") == 0)
                conf->stats_interval_ms = 0;
        else
                conf_value_whole(read, node, STATS_INTERVAL_MIN_MS, LIMIT_MAX_MS, STATS_INTERVAL_MS, &conf->stats_interval_ms);
}

void conf_channel_buffer_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        conf_value_whole(read, node, BUFFER_MIN_BYTES, BUFFER_MAX_BYTES, 8388608, &conf->channel_buffer_bytes);
}

void conf_peer_buffer_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        conf_value_whole(read, node, PEER_BUFFER_MIN_BYTES, PEER_BUFFER_MAX_BYTES, 33554432, &conf->peer_buffer_bytes);
}

void conf_udp_timeout_read(struct conf_read *read, const struct conf_node *node, uint32_t *out)
{
        conf_value_whole(read, node, UDP_TIMEOUT_MIN_MS, LIMIT_MAX_MS, UDP_TIMEOUT_MS, out);
}

void conf_open_timeout_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway)
{
        conf_value_whole(read, node, OPEN_TIMEOUT_MIN_MS, OPEN_TIMEOUT_MAX_MS, OPEN_TIMEOUT_MS, &gateway->open_timeout_ms);
}

void conf_route_expiration_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway)
{
        conf_value_whole(read, node, ROUTE_EXPIRATION_MIN_MS, LIMIT_MAX_MS, ROUTE_EXPIRATION_MS, &gateway->route_expiration_ms);
}
