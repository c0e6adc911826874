/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_tcp.h"

enum {
        TIMEOUT_MIN_MS = 1000,
        TIMEOUT_MAX_MS = 30 * 24 * 3600 * 1000U,
        KEEP_IDLE_S = 60,               /* then a host that vanished is found out within two minutes */
        KEEP_INTERVAL_S = 10,
        KEEP_COUNT = 6,
        KEEP_S_MAX = 32767,             /* tcp(7): MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of the kernel, */
        KEEP_COUNT_MAX = 127,           /* MAX_TCP_KEEPCNT */
};

static void keep_alive_defaults(struct conf_tcp *tcp)
{
        tcp->keep_idle_s = KEEP_IDLE_S;
        tcp->keep_interval_s = KEEP_INTERVAL_S;
        tcp->keep_count = KEEP_COUNT;
}

void conf_tcp_defaults(struct conf_tcp *tcp)
{
        *tcp = (struct conf_tcp){ .timeout_ms = 0 };
        keep_alive_defaults(tcp);
}

void conf_tcp_timeout_read(struct conf_read *read, const struct conf_node *node, struct conf_tcp *tcp)
{
        conf_value_whole(read, node, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, 3600000, &tcp->timeout_ms);
}

static void read_idle(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, KEEP_S_MAX, KEEP_IDLE_S, &((struct conf_tcp *)into)->keep_idle_s);
}

static void read_interval(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, KEEP_S_MAX, KEEP_INTERVAL_S, &((struct conf_tcp *)into)->keep_interval_s);
}

static void read_count(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, KEEP_COUNT_MAX, KEEP_COUNT, &((struct conf_tcp *)into)->keep_count);
}

void conf_keep_alive_read(struct conf_read *read, const struct conf_node *node, struct conf_tcp *tcp)
{
        static const struct conf_field fields[] = {
                { "idleSeconds", read_idle },
                { "intervalSeconds", read_interval },
                { "count", read_count },
                { NULL, NULL },
        };
        bool wanted = true;

        if (node->kind != CONF_MAP && !conf_value_is_empty(node) && !conf_value_bool(read, node, &wanted))
                return;
        keep_alive_defaults(tcp);
        if (!wanted)
                tcp->keep_idle_s = tcp->keep_interval_s = tcp->keep_count = 0;
        else if (node->kind == CONF_MAP)
                conf_value_map(read, node, "keepAlive", fields, tcp);
}

bool conf_tcp_same(const struct conf_tcp *a, const struct conf_tcp *b)
{
        return a->timeout_ms == b->timeout_ms && a->keep_idle_s == b->keep_idle_s && a->keep_interval_s == b->keep_interval_s &&
               a->keep_count == b->keep_count;
}
