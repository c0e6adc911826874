/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_provider.h"

#include "conf_ingress.h"
#include "conf_limits.h"
#include "conf_peers.h"
#include "conf_policies.h"
#include "conf_tcp.h"

struct into {
        struct conf_provider *provider;
        struct conf_services *services;
};

static struct conf_provider *provider_of(void *into)
{
        return ((struct into *)into)->provider;
}

static void read_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_services_read(read, node, ((struct into *)into)->services);
}

static void read_udp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_udp_timeout_read(read, node, &provider_of(into)->udp_timeout_ms);
}

static void read_tcp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_tcp_timeout_read(read, node, &provider_of(into)->tcp);
}

static void read_keep_alive(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_keep_alive_read(read, node, &provider_of(into)->tcp);
}

static void read_allowed(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_allowed_read(read, node, &provider_of(into)->allowed);
}

static void read_connections_per_peer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 1000, &provider_of(into)->connections_per_peer);
}

static void read_ingress(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct into *what = into;
        bool several = read->file->sheet && node->kind == CONF_LIST;    /* as the original's command line has them */

        what->provider->ingress = several ? conf_policies_read(read, node, &what->services->urls) : conf_ingress_read(read, node);
}

void conf_provider_read(struct conf_read *read, const struct conf_node *node, struct conf_services *services,
                        struct conf_provider *provider)
{
        static const struct conf_field fields[] = {
                { "services", read_services },
                { "allowPeers", read_allowed },
                { "ingressPolicy", read_ingress },
                { "connectionsPerPeer", read_connections_per_peer },
                { "udpSocketTimeoutMs", read_udp_timeout },
                { "tcpSocketTimeoutMs", read_tcp_timeout },
                { "keepAlive", read_keep_alive },
                { NULL, NULL },
        };
        struct into into = { provider, services };

        provider->present = true;
        conf_value_map(read, node, "provider", fields, &into);
}

void conf_provider_finish(struct conf_read *read, const struct conf_services *services, struct conf_provider *provider)
{
        provider->services = services->list;
        provider->service_count = services->count;
        provider->urls = conf_sources_urls(read, &services->urls, &provider->url_count);
}
