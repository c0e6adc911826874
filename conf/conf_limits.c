/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_limits.h"

#include <string.h>

enum { LIMIT_MAX_MS = 86400000 };

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
