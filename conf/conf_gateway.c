/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_gateway.h"

#include <stdlib.h>
#include <string.h>

#include "conf_expose.h"
#include "conf_host.h"
#include "conf_ingress.h"
#include "conf_limits.h"
#include "conf_network.h"
#include "conf_peers.h"
#include "conf_tcp.h"

enum {
        SOCKET_MODE = 0660,
        ROUTE_FINDING_TIMEOUT_MS = 60000,       /* as the original */
        ROUTE_FINDING_TIMEOUT_MAX_MS = 3600000,
        ROUTES_PER_PEER_MAX = 256,              /* a provider advertises no more */
};

struct into {
        struct conf_gateway *gateway;
        struct conf_gateway_draft *draft;
};

static struct conf_gateway *gateway_of(void *into)
{
        return ((struct into *)into)->gateway;
}

static void default_listen(struct conf_gateway *gateway)
{
        static const struct conf_address loopback = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, "127.0.0.1", NULL };

        gateway->listen = &loopback;
        gateway->listen_count = 1;
}

void conf_gateway_defaults(struct conf_gateway *gateway)
{
        gateway->route_finding_timeout_ms = ROUTE_FINDING_TIMEOUT_MS;
        gateway->socket_mode = SOCKET_MODE;
        conf_tcp_defaults(&gateway->tcp);
        default_listen(gateway);
}

/* Of rwxrwxrwx, as chmod(1) takes it: 0660. To connect is to write. */
static void read_socket_mode(struct conf_read *read, const struct conf_node *node, void *into)
{
        const char *text;
        size_t len;

        if (!conf_value_text(read, node, "0660", &text))
                return;
        len = strspn(text, "01234567");
        if (len != 4 || text[len] || text[0] != '0')
                conf_value_wrong(read, node, "four octal digits, from 0000 to 0777, such as 0660");
        else
                gateway_of(into)->socket_mode = (uint32_t)strtoul(text, NULL, 8);
}

static void read_hosts(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char example[] = "unix:/run/hypergate/hosts/port.sock";
        const char *text, *path;

        if (!conf_value_text(read, node, example, &text))
                return;
        path = conf_host_path(text);
        if (!path || !strrchr(path, '/')[1])
                conf_value_wrong(read, node, "unix: and the whole path of a socket, of at most 107 bytes, such as "
                                 "unix:/run/hypergate/hosts/port.sock");
        else
                gateway_of(into)->hosts = conf_value_copy(read, path);
}

static bool has_address(const struct conf_address *list, size_t count, const struct conf_address *address)
{
        while (count > 0)
                if (conf_address_same(&list[--count], address))
                        return true;
        return false;
}

static const char *make_address(struct conf_read *read, const char *text, void *entry_out, const void *list, size_t count)
{
        struct conf_address *address = entry_out;
        const char *expected;

        address->path = conf_host_gate_path(text, &expected);
        if (!address->path)
                expected = conf_host_address(text, address->ip);
        if (!expected && has_address(list, count, address))
                expected = "each address once";
        if (expected)
                return expected;
        address->text = conf_value_copy(read, text);
        address->path = address->path ? address->text + (address->path - text) : NULL;
        return NULL;
}

static void read_listen(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const struct conf_texts addresses = { .max = CONF_LISTEN_MAX, .example = "127.0.0.1",
                                                     .none = "at least one address of this machine, such as 127.0.0.1",
                                                     .entry_bytes = sizeof(struct conf_address), .make = make_address };
        struct conf_gateway *gateway = gateway_of(into);
        const struct conf_address *list = conf_value_texts(read, node, &addresses, &gateway->listen_count);

        gateway->listen = list ? list : gateway->listen;
}

static void read_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway_draft *draft = ((struct into *)into)->draft;
        size_t before = draft->filters.count;
        uint32_t errors = read->report.error_count;

        conf_filters_read(read, node, &draft->filters);
        if (draft->filters.count == 0 && (node->kind != CONF_LIST || node->first) && read->report.error_count == errors)
                conf_error(&read->report, read->file, node->at,
                           "services: what it names lists no service: every service would pass; leave it out if that is meant");
        else if (node->kind == CONF_LIST && !node->first && before)
                conf_warning(&read->report, read->file, node->at,
                             "services: this takes away those of other files: every service passes");
        else if (node->kind == CONF_LIST && !node->first)
                conf_warning(&read->report, read->file, node->at,
                             "services: an empty list lets every service pass; leave it out to say so");
}

static void read_except(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway_draft *draft = ((struct into *)into)->draft;
        size_t before = draft->exceptions.count;

        draft->exceptions.keep_out = true;
        conf_exceptions_read(read, node, &draft->exceptions);
        if (node->kind == CONF_LIST && !node->first && before)
                conf_warning(&read->report, read->file, node->at,
                             "except: this takes away those of other files: they pass again");
}

static void read_route_finding_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = gateway_of(into);

        conf_value_whole(read, node, 0, ROUTE_FINDING_TIMEOUT_MAX_MS, ROUTE_FINDING_TIMEOUT_MS,
                         &gateway->route_finding_timeout_ms);
}

static void read_open_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_open_timeout_read(read, node, gateway_of(into));
}

static void read_route_expiration(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_route_expiration_read(read, node, gateway_of(into));
}

static void read_udp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_udp_timeout_read(read, node, &gateway_of(into)->udp_timeout_ms);
}

static void read_tcp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_tcp_timeout_read(read, node, &gateway_of(into)->tcp);
}

static void read_keep_alive(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_keep_alive_read(read, node, &gateway_of(into)->tcp);
}

static void read_trusted(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = gateway_of(into);

        conf_networks_read(read, node, &gateway->trusted, &gateway->trusted_count);
}

static void read_connections(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 1000, &gateway_of(into)->connections);
}

static void read_connections_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 50, &gateway_of(into)->connections_per_client);
}

static void read_routes_per_peer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, ROUTES_PER_PEER_MAX, 20, &gateway_of(into)->routes_per_peer);
}

static void read_connection_rate(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 100, &gateway_of(into)->connection_rate);
}

static void read_connection_rate_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CONNECTIONS_MAX, 5, &gateway_of(into)->connection_rate_per_client);
}

const char *const conf_filter_modes[] = { "any", "original", NULL };

static void read_filter_mode(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = gateway_of(into);
        unsigned mode;

        if (conf_value_choice(read, node, conf_filter_modes, &mode))
                gateway->filter_mode = (enum conf_filter_mode)mode;
}

static void read_policy(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = gateway_of(into);
        unsigned policy;

        if (conf_value_choice(read, node, conf_policies, &policy))
                gateway->policy = (enum conf_policy)policy;
}

static void read_ingress(struct conf_read *read, const struct conf_node *node, void *into)
{
        gateway_of(into)->ingress = conf_ingress_read(read, node);
}

static void read_allowed(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_allowed_read(read, node, &gateway_of(into)->allowed);
}

static void read_only_docker(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_docker_read(read, node, gateway_of(into));
}

static void read_only_published(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_published_read(read, node, gateway_of(into));
}

static void read_only_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_services_read(read, node, gateway_of(into));
}

void conf_gateway_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway_draft *draft,
                       struct conf_gateway *gateway)
{
        static const struct conf_field fields[] = {
                { "listen", read_listen },
                { "socketMode", read_socket_mode },
                { "hosts", read_hosts },
                { "services", read_services },
                { "except", read_except },
                { "exposeOnlyDocker", read_only_docker },
                { "exposeOnlyPublished", read_only_published },
                { "exposeOnlyServices", read_only_services },
                { "policy", read_policy },
                { "filterMode", read_filter_mode },
                { "allowPeers", read_allowed },
                { "ingressPolicy", read_ingress },
                { "routeFindingTimeoutMs", read_route_finding_timeout },
                { "openRequestTimeoutMs", read_open_timeout },
                { "routeExpirationMs", read_route_expiration },
                { "udpSocketTimeoutMs", read_udp_timeout },
                { "tcpSocketTimeoutMs", read_tcp_timeout },
                { "keepAlive", read_keep_alive },
                { "connections", read_connections },
                { "connectionsPerClient", read_connections_per_client },
                { "connectionRate", read_connection_rate },
                { "routesPerPeer", read_routes_per_peer },
                { "connectionRatePerClient", read_connection_rate_per_client },
                { "trustedProxies", read_trusted },
                { NULL, NULL },
        };
        struct into into = { gateway, draft };

        gateway->present = true;
        conf_value_map(read, node, "gateway", fields, &into);
}

void conf_gateway_finish(struct conf_read *read, const struct conf_gateway_draft *draft, struct conf_gateway *gateway)
{
        gateway->filters = draft->filters.list;
        gateway->filter_count = draft->filters.count;
        gateway->urls = conf_sources_urls(read, &draft->filters.urls, &gateway->url_count);
        gateway->exceptions = draft->exceptions.list;
        gateway->exception_count = draft->exceptions.count;
        conf_expose_finish(read, gateway);
}
