/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_dht.h"

#include <string.h>

#include "conf_host.h"

struct into {
        struct conf_dht *dht;
        struct conf_dht_draft *draft;
};

/* The public HyperDHT: hyperdht lib/constants.js BOOTSTRAP_NODES. */
void conf_dht_defaults(struct conf *conf)
{
        static const struct conf_bootstrap nodes[] = {
                { "88.99.3.86", "node1.hyperdht.org", 49737 },
                { "142.93.90.113", "node2.hyperdht.org", 49737 },
                { "138.68.147.8", "node3.hyperdht.org", 49737 },
        };

        conf->bootstrap = nodes;
        conf->bootstrap_count = sizeof(nodes) / sizeof(nodes[0]);
}

static const char *make_node(struct conf_read *read, const char *text, void *entry_out, const void *list, size_t count)
{
        struct conf_bootstrap *node = entry_out;
        struct conf_host_port at;
        const char *expected = conf_host_port(text, &at);

        if (!expected)
                *node = (struct conf_bootstrap){ conf_value_copy(read, at.ip), conf_value_copy(read, at.host), at.port };
        return expected;
}

void conf_bootstrap_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        static const struct conf_texts nodes = { .max = CONF_BOOTSTRAP_MAX, .example = "192.0.2.1:49737",
                                                 .entry_bytes = sizeof(struct conf_bootstrap), .make = make_node };
        const struct conf_bootstrap *list = conf_value_texts(read, node, &nodes, &conf->bootstrap_count);

        conf->bootstrap = list ? list : conf->bootstrap;
}

static void read_persistent(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_bool(read, node, &((struct into *)into)->dht->persistent);
}

static void read_public(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char address[] = "IP:PORT with the IPv4 address where others reach this node, such as 192.0.2.1:49737";
        struct into *what = into;
        struct conf_host_port at;
        const char *text;
        uint8_t ip[4];

        what->draft->public_given = true;
        if (!conf_value_text(read, node, "192.0.2.1:49737", &text))
                return;
        if (conf_host_port(text, &at) || at.ip[0] || conf_host_ipv4(at.host, ip) || ip[0] == 0) {
                conf_value_wrong(read, node, address);
                return;
        }
        memcpy(what->dht->public_ip, ip, sizeof(ip));
        what->dht->public_port = at.port;
}

void conf_dht_read(struct conf_read *read, const struct conf_node *node, struct conf_dht_draft *draft, struct conf_dht *dht)
{
        static const struct conf_field fields[] = { { "persistent", read_persistent }, { "public", read_public }, { NULL, NULL } };
        struct into into = { dht, draft };

        draft->at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, "dht", fields, &into);
}

/* A node that listens on one address is reached there, unless something else was said. */
void conf_dht_finish(struct conf_read *read, const struct conf_dht_draft *draft, bool address_bad, struct conf *conf)
{
        struct conf_dht *dht = &conf->dht;

        if (!dht->persistent && draft->public_given)
                conf_warning(&read->report, draft->at.file, draft->at.at, "dht: public says nothing without persistent: true");
        if (!dht->persistent || draft->public_given || address_bad)
                return;
        if (conf->host[0] == 0 || conf->port == 0) {    /* 0.0.0.0/8 is nowhere: RFC 1122 3.2.1.3 */
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "dht: a persistent node must say where others reach it: public: IP:PORT, such as 192.0.2.1:49737");
                return;
        }
        memcpy(dht->public_ip, conf->host, sizeof(dht->public_ip));
        dht->public_port = conf->port;
}
