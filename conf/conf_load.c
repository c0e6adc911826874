/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conf.h"
#include "conf_docker.h"
#include "conf_expose.h"
#include "conf_host.h"
#include "conf_keep.h"
#include "conf_ingress.h"
#include "conf_layers.h"
#include "conf_limits.h"
#include "conf_network.h"
#include "conf_path.h"
#include "conf_peers.h"
#include "conf_policies.h"
#include "conf_relay.h"
#include "conf_site.h"
#include "conf_secret.h"
#include "conf_services.h"
#include "conf_tcp.h"

enum {
        ADDRESSES_MAX = 64,             /* to listen on; bootstrap nodes */
        SOCKET_MODE = 0660,
        LOG_INFO_LEVEL = 6,
        LOG_DEBUG_LEVEL = 7,
        ROUTE_FINDING_TIMEOUT_MS = 60000,       /* as the original */
        ROUTE_FINDING_TIMEOUT_MAX_MS = 3600000,
        UDP_TIMEOUT_MS = 3600000,               /* as the original */
        CONNECTIONS_MAX = 65536,
        ROUTES_PER_PEER_MAX = 256,              /* a provider advertises no more */
        UDP_TIMEOUT_MIN_MS = 1000,
        UDP_TIMEOUT_MAX_MS = 24 * 3600000,
};

/* Lists of services, filters and exceptions at their longest, each text as long as it may be; of each file its name, paths in it, and lists of
 * addresses and peers. */
static const size_t image_reserve =
        3 * CONF_SERVICES_MAX * (sizeof(struct conf_service) + CONF_HOST_MAX + CONF_TAGS_MAX + CONF_HEALTH_PATH_MAX + 64) +
        (CONF_FILES_MAX + 2) * CONF_ONLY_HOSTS_MAX * (CONF_HOST_MAX + 64) +
        (CONF_FILES_MAX + 16) * (5 * (CONF_PATH_MAX + 64) + 4 * ADDRESSES_MAX * (CONF_HOST_MAX + 256)) + 65536;

/* What conf_free() must know stands in front. */
struct image {
        size_t mapped_len;
        struct conf conf;
};

/* What is known of the configuration while its file is read. */
struct draft {
        struct conf *conf;
        const struct conf_file *file;   /* the first one */
        const char **files;
        struct conf_services services;
        struct conf_filters filters, exceptions;
        struct conf_place dht_at, identity_at;
        struct conf_node secret;        /* secretFile in @secret_from, the last that has it; NULL: none is good */
        const struct conf_file *secret_from;
        struct conf_places places;
        struct conf_site_draft site[CONF_SITES];
        struct conf_docker_draft docker;
        bool seen, secret_given, public_given, address_bad;
};

static const char *image_text(struct conf_read *read, const char *text)
{
        return conf_arena_text(&read->image, text, strlen(text));
}

/* Which one it is, is known when all files are; their trees are gone by then. */
static void read_secret_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        char path[CONF_PATH_MAX];
        const char *name;

        draft->secret_given = true;
        if (!conf_value_text(read, node, "/etc/hypergate/router1.key", &name) || !conf_path(read, node, name, path))
                return;
        draft->conf->secret_file = image_text(read, path);
        draft->secret = (struct conf_node){ .kind = CONF_QUOTED, .at = node->at, .key = "secretFile", .text = image_text(read, name) };
        draft->secret_from = read->file;
}

static void read_state_directory(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        char path[CONF_PATH_MAX];
        const char *name;

        if (conf_value_text(read, node, "/var/lib/hypergate/router1", &name) && conf_path(read, node, name, path))
                draft->conf->state_directory = image_text(read, path);
}

static void read_ca_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        char path[CONF_PATH_MAX];
        const char *name;

        if (conf_value_text(read, node, "/etc/hypergate/ca.pem", &name) && conf_path(read, node, name, path))
                draft->conf->ca_file = image_text(read, path);
}

static void read_port(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        uint32_t port;

        if (conf_value_whole(read, node, 0, UINT16_MAX, 49737, &port))
                draft->conf->port = (uint16_t)port;
        else
                draft->address_bad = true;
}

static void read_host(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        const char *text, *expected = NULL;
        bool good = conf_value_text(read, node, "0.0.0.0", &text);

        if (good && (expected = conf_host_ipv4(text, draft->conf->host)))
                good = conf_value_wrong(read, node, expected);
        draft->address_bad |= !good;
}

static void read_bootstrap(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        const struct conf_node *entry;
        struct conf_bootstrap *list;
        uint32_t count, kept = 0;

        if (!conf_value_list(read, node, ADDRESSES_MAX, &entry, &count))
                return;
        list = conf_arena_take(&read->image, count * sizeof(*list));
        for (; count > 0; count--, entry = entry->next) {
                struct conf_host_port at;
                const char *text, *expected;

                if (!conf_value_text(read, entry, "192.0.2.1:49737", &text))
                        continue;
                expected = conf_host_port(text, &at);
                if (expected)
                        conf_value_wrong(read, entry, expected);
                else
                        list[kept++] = (struct conf_bootstrap){ image_text(read, at.ip), image_text(read, at.host), at.port };
        }
        draft->conf->bootstrap = list;
        draft->conf->bootstrap_count = kept;
}

const char *const conf_log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };

static void read_identity(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const words[] = { "persistent", "ephemeral", NULL };
        struct draft *draft = into;
        unsigned index;

        draft->identity_at = (struct conf_place){ read->file, node->at };
        if (conf_value_choice(read, node, words, &index))
                draft->conf->identity = index == 0 ? CONF_IDENTITY_PERSISTENT : CONF_IDENTITY_EPHEMERAL;
}

static void read_log_level(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        unsigned index;

        if (conf_value_choice(read, node, conf_log_levels, &index))
                draft->conf->log_level = CONF_LOG_LEVEL_FIRST + (int)index;
}

static void read_log_channels(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_value_bool(read, node, &draft->conf->log_channels);
}

static void read_provider_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_services_read(read, node, &((struct draft *)into)->services);
}

static void read_udp_timeout(struct conf_read *read, const struct conf_node *node, uint32_t *into)
{
        conf_value_whole(read, node, UDP_TIMEOUT_MIN_MS, UDP_TIMEOUT_MAX_MS, UDP_TIMEOUT_MS, into);
}

static void read_provider_udp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        read_udp_timeout(read, node, &((struct draft *)into)->conf->provider.udp_timeout_ms);
}

static void read_provider_tcp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_tcp_timeout_read(read, node, &((struct draft *)into)->conf->provider.tcp);
}

static void read_provider_keep_alive(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_keep_alive_read(read, node, &((struct draft *)into)->conf->provider.tcp);
}

static void read_provider_allowed(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_allowed_read(read, node, &((struct draft *)into)->conf->provider.allowed);
}

static void read_connections_per_peer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONNECTIONS_MAX, 1000, &((struct draft *)into)->conf->provider.connections_per_peer);
}

static void read_provider_ingress(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        bool several = read->file->sheet && node->kind == CONF_LIST;    /* as the original's command line has them */

        draft->conf->provider.ingress = several ? conf_policies_read(read, node, &draft->services.urls) : conf_ingress_read(read, node);
}

static void read_provider(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const struct conf_field fields[] = {
                { "services", read_provider_services },
                { "allowPeers", read_provider_allowed },
                { "ingressPolicy", read_provider_ingress },
                { "connectionsPerPeer", read_connections_per_peer },
                { "udpSocketTimeoutMs", read_provider_udp_timeout },
                { "tcpSocketTimeoutMs", read_provider_tcp_timeout },
                { "keepAlive", read_provider_keep_alive },
                { NULL, NULL },
        };
        struct draft *draft = into;

        draft->conf->provider.present = true;
        conf_value_map(read, node, "provider", fields, draft);
}

static bool has_address(const struct conf_address *list, uint32_t count, const struct conf_address *address)
{
        while (count > 0)
                if (conf_address_same(&list[--count], address))
                        return true;
        return false;
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
                ((struct draft *)into)->conf->gateway.socket_mode = (uint32_t)strtoul(text, NULL, 8);
}

static void read_hosts(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char example[] = "unix:/run/hypergate/hosts/port.sock";
        const char *text, *path;

        if (!conf_value_text(read, node, example, &text))
                return;
        path = conf_host_path(text);
        if (!path || !strrchr(path, '/')[1])
                conf_value_wrong(read, node, "unix: and the whole path of a socket, of at most 107 bytes, such as unix:/run/hypergate/hosts/port.sock");
        else
                ((struct draft *)into)->conf->gateway.hosts = image_text(read, path);
}

static void read_listen(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = &((struct draft *)into)->conf->gateway;
        const struct conf_node *entry;
        struct conf_address *list;
        uint32_t count, kept = 0;

        if (!conf_value_list(read, node, ADDRESSES_MAX, &entry, &count))
                return;
        if (count == 0)
                conf_value_wrong(read, node, "at least one address of this machine, such as 127.0.0.1");
        list = conf_arena_take(&read->image, count * sizeof(*list));
        for (; count > 0; count--, entry = entry->next) {
                struct conf_address address = { .ip = { 0 } };
                const char *text, *expected;

                if (!conf_value_text(read, entry, "127.0.0.1", &text))
                        continue;
                address.path = conf_host_gate_path(text, &expected);
                if (!address.path)
                        expected = conf_host_address(text, address.ip);
                if (!expected && has_address(list, kept, &address))
                        expected = "each address once";
                if (expected) {
                        conf_value_wrong(read, entry, expected);
                        continue;
                }
                address.text = image_text(read, text);
                address.path = address.path ? address.text + (address.path - text) : NULL;
                list[kept++] = address;
        }
        gateway->listen = list;
        gateway->listen_count = kept;
}

static void read_gateway_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
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
        struct draft *draft = into;
        size_t before = draft->exceptions.count;

        draft->exceptions.keep_out = true;
        conf_exceptions_read(read, node, &draft->exceptions);
        if (node->kind == CONF_LIST && !node->first && before)
                conf_warning(&read->report, read->file, node->at,
                             "except: this takes away those of other files: they pass again");
}

static void read_route_finding_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = &((struct draft *)into)->conf->gateway;

        conf_value_whole(read, node, 0, ROUTE_FINDING_TIMEOUT_MAX_MS, ROUTE_FINDING_TIMEOUT_MS,
                         &gateway->route_finding_timeout_ms);
}

static void read_open_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_open_timeout_read(read, node, ((struct draft *)into)->conf);
}

static void read_route_expiration(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_route_expiration_read(read, node, ((struct draft *)into)->conf);
}

static void read_gateway_udp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        read_udp_timeout(read, node, &((struct draft *)into)->conf->gateway.udp_timeout_ms);
}

static void read_gateway_tcp_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_tcp_timeout_read(read, node, &((struct draft *)into)->conf->gateway.tcp);
}

static void read_gateway_keep_alive(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_keep_alive_read(read, node, &((struct draft *)into)->conf->gateway.tcp);
}

static void read_trusted(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = &((struct draft *)into)->conf->gateway;

        conf_networks_read(read, node, &gateway->trusted, &gateway->trusted_count);
}

static void read_connections(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONNECTIONS_MAX, 1000, &((struct draft *)into)->conf->gateway.connections);
}

static void read_connections_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONNECTIONS_MAX, 50, &((struct draft *)into)->conf->gateway.connections_per_client);
}

static void read_routes_per_peer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, ROUTES_PER_PEER_MAX, 20, &((struct draft *)into)->conf->gateway.routes_per_peer);
}

static void read_connection_rate(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONNECTIONS_MAX, 100, &((struct draft *)into)->conf->gateway.connection_rate);
}

static void read_connection_rate_per_client(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONNECTIONS_MAX, 5, &((struct draft *)into)->conf->gateway.connection_rate_per_client);
}

const char *const conf_filter_modes[] = { "any", "original", NULL };

static void read_filter_mode(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = &((struct draft *)into)->conf->gateway;
        unsigned mode;

        if (conf_value_choice(read, node, conf_filter_modes, &mode))
                gateway->filter_mode = (enum conf_filter_mode)mode;
}

static void read_policy(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_gateway *gateway = &((struct draft *)into)->conf->gateway;
        unsigned policy;

        if (conf_value_choice(read, node, conf_policies, &policy))
                gateway->policy = (enum conf_policy)policy;
}

static void read_gateway_ingress(struct conf_read *read, const struct conf_node *node, void *into)
{
        ((struct draft *)into)->conf->gateway.ingress = conf_ingress_read(read, node);
}

static void read_gateway_allowed(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_allowed_read(read, node, &((struct draft *)into)->conf->gateway.allowed);
}

static void read_only_docker(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_docker_read(read, node, &((struct draft *)into)->conf->gateway);
}

static void read_only_published(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_published_read(read, node, &((struct draft *)into)->conf->gateway);
}

static void read_only_services(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_expose_services_read(read, node, &((struct draft *)into)->conf->gateway);
}

static void read_gateway(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const struct conf_field fields[] = {
                { "listen", read_listen },
                { "socketMode", read_socket_mode },
                { "hosts", read_hosts },
                { "services", read_gateway_services },
                { "except", read_except },
                { "exposeOnlyDocker", read_only_docker },
                { "exposeOnlyPublished", read_only_published },
                { "exposeOnlyServices", read_only_services },
                { "policy", read_policy },
                { "filterMode", read_filter_mode },
                { "allowPeers", read_gateway_allowed },
                { "ingressPolicy", read_gateway_ingress },
                { "routeFindingTimeoutMs", read_route_finding_timeout },
                { "openRequestTimeoutMs", read_open_timeout },
                { "routeExpirationMs", read_route_expiration },
                { "udpSocketTimeoutMs", read_gateway_udp_timeout },
                { "tcpSocketTimeoutMs", read_gateway_tcp_timeout },
                { "keepAlive", read_gateway_keep_alive },
                { "connections", read_connections },
                { "connectionsPerClient", read_connections_per_client },
                { "connectionRate", read_connection_rate },
                { "routesPerPeer", read_routes_per_peer },
                { "connectionRatePerClient", read_connection_rate_per_client },
                { "trustedProxies", read_trusted },
                { NULL, NULL },
        };
        struct draft *draft = into;

        draft->conf->gateway.present = true;
        conf_value_map(read, node, "gateway", fields, draft);
}

static void read_persistent(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_value_bool(read, node, &draft->conf->dht.persistent);
}

static void read_public(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char address[] = "IP:PORT with the IPv4 address where others reach this node, such as 192.0.2.1:49737";
        struct draft *draft = into;
        struct conf_host_port at;
        const char *text;
        uint8_t ip[4];

        draft->public_given = true;
        if (!conf_value_text(read, node, "192.0.2.1:49737", &text))
                return;
        if (conf_host_port(text, &at) || at.ip[0] || conf_host_ipv4(at.host, ip) || ip[0] == 0) {
                conf_value_wrong(read, node, address);
                return;
        }
        memcpy(draft->conf->dht.public_ip, ip, sizeof(ip));
        draft->conf->dht.public_port = at.port;
}

static void read_dht(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const struct conf_field fields[] = { { "persistent", read_persistent }, { "public", read_public }, { NULL, NULL } };
        struct draft *draft = into;

        draft->dht_at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, "dht", fields, draft);
}

static void read_peers(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_peers_read(read, node, ((struct draft *)into)->conf);
}

static void read_relay(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_relay_read(read, node, &((struct draft *)into)->conf->relay);
}

static void read_resolver(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_site_read(read, node, CONF_SITE_RESOLVER, &draft->site[CONF_SITE_RESOLVER], draft->conf);
}

static void read_unlimited(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_site_read(read, node, CONF_SITE_UNLIMITED, &draft->site[CONF_SITE_UNLIMITED], draft->conf);
}

static void read_docker(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_docker_read(read, node, &draft->docker, &draft->conf->docker);
}

static void read_relays(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_relays_read(read, node, ((struct draft *)into)->conf);
}

static void read_cores(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CORES_MAX, 1, &((struct draft *)into)->conf->cores);
}

static void read_stats_interval(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_stats_interval_read(read, node, ((struct draft *)into)->conf);
}

static void read_channel_buffer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_channel_buffer_read(read, node, ((struct draft *)into)->conf);
}

static void read_peer_buffer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_peer_buffer_read(read, node, ((struct draft *)into)->conf);
}

static void read_root(struct conf_read *read, const struct conf_node *root, void *context)
{
        static const struct conf_field fields[] = {
                { "secretFile", read_secret_file },
                { "provider", read_provider },
                { "gateway", read_gateway },
                { "dht", read_dht },
                { "relay", read_relay },
                { "relays", read_relays },
                { "fingerprintResolver", read_resolver },
                { "unlimited", read_unlimited },
                { "docker", read_docker },
                { "bootstrap", read_bootstrap },
                { "peers", read_peers },
                { "host", read_host },
                { "port", read_port },
                { "cores", read_cores },
                { "stateDirectory", read_state_directory },
                { "identity", read_identity },
                { "caFile", read_ca_file },
                { "logLevel", read_log_level },
                { "logChannels", read_log_channels },
                { "statsIntervalMs", read_stats_interval },
                { "maxBufferPerChannel", read_channel_buffer },
                { "maxBufferPerPeer", read_peer_buffer },
                { "channelTimeoutPollMs", conf_limits_pass_over, .unnamed = true },
                { "findRouteRetryMinMs", conf_limits_pass_over, .unnamed = true },
                { "findRouteRetryMaxMs", conf_limits_pass_over, .unnamed = true },
                { "peerStaleMs", conf_limits_pass_over, .unnamed = true },
                { "peerRefreshMs", conf_limits_pass_over, .unnamed = true },
                { "peerRefreshWaitMs", conf_limits_pass_over, .unnamed = true },
                { "include", conf_layers_pass_over },
                { NULL, NULL },
        };

        struct draft *draft = context;

        draft->seen = draft->seen || root->kind == CONF_MAP;
        draft->files[draft->conf->file_count++] = read->file->name;
        conf_places_note(&draft->places, read->file, root);
        conf_value_map(read, root, "the configuration", fields, context);
}

/* The public HyperDHT: hyperdht lib/constants.js BOOTSTRAP_NODES. */
static void default_bootstrap(struct conf_read *read, struct conf *conf)
{
        static const struct conf_bootstrap nodes[] = {
                { "88.99.3.86", "node1.hyperdht.org", 49737 },
                { "142.93.90.113", "node2.hyperdht.org", 49737 },
                { "138.68.147.8", "node3.hyperdht.org", 49737 },
        };

        conf->bootstrap = nodes;
        conf->bootstrap_count = sizeof(nodes) / sizeof(nodes[0]);
}

static void default_listen(struct conf_gateway *gateway)
{
        static const struct conf_address loopback = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, "127.0.0.1", NULL };

        gateway->listen = &loopback;
        gateway->listen_count = 1;
}

/* The first of several, as systemd.exec(5) has it; NULL: none. */
static const char *first_directory(struct conf_read *read, const char *directories)
{
        size_t len = directories ? strcspn(directories, ":") : 0;

        return len > 0 && len < CONF_PATH_MAX ? conf_arena_text(&read->image, directories, len) : NULL;
}

static void set_defaults(struct conf_read *read, struct draft *draft)
{
        struct conf *conf = draft->conf;

        conf->name = conf_path_stem(read, read->source->path);
        conf->log_level = LOG_INFO_LEVEL;
        conf->cores = 1;
        conf->gateway.route_finding_timeout_ms = ROUTE_FINDING_TIMEOUT_MS;
        conf_limits_defaults(conf);
        conf->gateway.udp_timeout_ms = conf->provider.udp_timeout_ms = UDP_TIMEOUT_MS;
        conf->gateway.socket_mode = SOCKET_MODE;
        conf_tcp_defaults(&conf->gateway.tcp);
        conf_tcp_defaults(&conf->provider.tcp);
        default_bootstrap(read, conf);
        default_listen(&conf->gateway);
        conf->state_directory = first_directory(read, read->source->state_directory);
        conf->runtime_directory = first_directory(read, read->source->runtime_directory);
}

/* A node that listens on one address is reached there, unless something else was said. */
static void finish_dht(struct conf_read *read, struct draft *draft)
{
        struct conf *conf = draft->conf;
        struct conf_dht *dht = &conf->dht;

        if (!dht->persistent && draft->public_given)
                conf_warning(&read->report, draft->dht_at.file, draft->dht_at.at,
                             "dht: public says nothing without persistent: true");
        if (!dht->persistent || draft->public_given || draft->address_bad)
                return;
        if (conf->host[0] == 0 || conf->port == 0) {    /* 0.0.0.0/8 is nowhere: RFC 1122 3.2.1.3 */
                conf_error(&read->report, draft->dht_at.file, draft->dht_at.at,
                           "dht: a persistent node must say where others reach it: public: IP:PORT, such as 192.0.2.1:49737");
                return;
        }
        memcpy(dht->public_ip, conf->host, sizeof(dht->public_ip));
        dht->public_port = conf->port;
}

static void finish_identity(struct conf_read *read, const struct draft *draft)
{
        if (draft->conf->identity == CONF_IDENTITY_PERSISTENT && !draft->conf->state_directory)
                conf_error(&read->report, draft->identity_at.file, draft->identity_at.at,
                           "identity: a persistent one needs a folder to be kept in: %s, such as /var/lib/hypergate/router1",
                           read->source->notify_socket ? "StateDirectory=NAME in the unit, or stateDirectory: PATH" : "stateDirectory: PATH");
}

static void finish_secret(struct conf_read *read, struct draft *draft, bool needed)
{
        struct conf *conf = draft->conf;

        read->file = draft->secret_from;
        if (draft->secret_from)
                conf->has_secret = conf_secret_find(read, read->file, &draft->secret, true, conf);
        else if (!draft->secret_given)
                conf->has_secret = conf_secret_find(read, draft->file, NULL, needed, conf);
        read->file = NULL;
}

/* Roles that are there and let all come do so with these, too. */
static bool may_come(const struct conf *conf, const uint8_t key[CONF_KEY_BYTES])
{
        const struct { bool present; const struct conf_keys *allowed; } roles[] = {
                { conf->provider.present, &conf->provider.allowed }, { conf->gateway.present, &conf->gateway.allowed },
        };
        bool any = false;

        for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
                any = any || roles[i].present;
                if (roles[i].present && (!roles[i].allowed->count || conf_keys_have(roles[i].allowed, key)))
                        return true;
        }
        return !any;
}

static void finish_peers(struct conf_read *read, const struct draft *draft)
{
        const struct conf *conf = draft->conf;

        for (size_t i = 0; i < conf->peer_count; i++)
                if (!may_come(conf, conf->peers[i].key))
                        conf_warning(&read->report, draft->file, CONF_WHOLE_FILE,
                                     "peers: the one at %s:%u is not among allowPeers: it is not dialled", conf->peers[i].host,
                                     conf->peers[i].port);
}

/* What can be said only when all files are known. */
static void finish(struct conf_read *read, struct draft *draft)
{
        struct conf *conf = draft->conf;
        bool has_role = conf->provider.present || conf->gateway.present || (conf->relay.present && !conf->relay.anybody);

        finish_dht(read, draft);
        finish_peers(read, draft);
        finish_identity(read, draft);
        conf_docker_finish(read, &draft->docker, conf);
        for (enum conf_site_kind kind = 0; kind < CONF_SITES && !read->source->without_secret; kind++)
                conf_site_finish(read, &draft->site[kind], kind, conf);
        if (!has_role && !conf->dht.persistent && !conf->relay.present && !read->source->without_role)
                conf_error(&read->report, draft->file, CONF_WHOLE_FILE,
                           "nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}");
        if (conf->provider.service_count + read->source->added_count > CONF_SERVICES_MAX)
                conf_error(&read->report, draft->file, CONF_WHOLE_FILE,
                           "more than %d services with the %zu that were added while it runs: remove some of these, or of those in the files",
                           CONF_SERVICES_MAX, read->source->added_count);
        if (!read->source->without_secret)
                finish_secret(read, draft, has_role);
        if (read->source->running && read->report.error_count == 0)
                conf_keep(read, draft->file, &draft->places, conf);
}

static const char *const *keep_urls(struct conf_read *read, const struct conf_urls *urls, size_t *count_out)
{
        const char **list = conf_arena_take(&read->image, (urls->count + 1) * sizeof(*list));

        memcpy(list, urls->list, urls->count * sizeof(*list));
        *count_out = urls->count;
        return list;
}

static void load_all(struct conf_read *read, struct conf *conf)
{
        struct draft draft = { .conf = conf };

        set_defaults(read, &draft);
        draft.files = conf_arena_take(&read->image, (CONF_FILES_MAX + 1) * sizeof(*draft.files));
        draft.file = conf_layers_read(read, read_root, &draft);
        conf->files = draft.files;
        conf->provider.services = draft.services.list;
        conf->provider.service_count = draft.services.count;
        conf->gateway.filters = draft.filters.list;
        conf->gateway.filter_count = draft.filters.count;
        conf->provider.urls = keep_urls(read, &draft.services.urls, &conf->provider.url_count);
        conf->gateway.urls = keep_urls(read, &draft.filters.urls, &conf->gateway.url_count);
        conf->gateway.exceptions = draft.exceptions.list;
        conf->gateway.exception_count = draft.exceptions.count;
        conf_expose_finish(read, &conf->gateway);
        if (read->source->verbose)
                conf->log_level = LOG_DEBUG_LEVEL;
        if (draft.seen)
                finish(read, &draft);
}

static const struct conf_complaint no_memory_complaint = { .file = "hypergate", .text = "no memory to read a configuration" };
static const struct conf_complaints no_memory = { .list = &no_memory_complaint, .count = 1, .error_count = 1 };

/* Read-only from here on. */
static int seal(struct conf_read *read, struct image *image)
{
        int error = conf_arena_trim(&read->image);

        image->mapped_len = read->image.reserved;
        return error < 0 ? error : conf_arena_protect(&read->image);
}

static void wipe_secrets(struct conf *conf)
{
        explicit_bzero(conf->secret, sizeof(conf->secret));
        explicit_bzero(conf->previous, sizeof(conf->previous));
        explicit_bzero(conf->resolver.auth, sizeof(conf->resolver.auth));
        explicit_bzero(conf->unlimited.auth, sizeof(conf->unlimited.auth));
}

static void drop(struct conf_arena *arena, struct image *image)
{
        wipe_secrets(&image->conf);
        conf_arena_fini(arena);
}

enum conf_verdict conf_load(const struct conf_source *source, struct conf **conf_out, struct conf_complaints *complaints_out)
{
        struct conf_read read = { .source = source };
        struct conf_report *report = &read.report;
        struct image *image;

        assert(source->path);
        if (conf_report_init(report) < 0) {
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        if (conf_arena_init(&read.image, image_reserve) < 0) {
                conf_arena_fini(&report->arena);
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        image = conf_arena_take(&read.image, sizeof(*image));
        load_all(&read, &image->conf);
        conf_report_finish(report, complaints_out);
        if (report->error_count > 0) {
                drop(&read.image, image);
                return CONF_BAD;
        }
        if (seal(&read, image) < 0) {
                drop(&read.image, image);
                conf_complaints_fini(complaints_out);
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        *conf_out = &image->conf;
        return CONF_GOOD;
}

void conf_free(struct conf *conf)
{
        struct image *image = conf ? (struct image *)(void *)((char *)conf - offsetof(struct image, conf)) : NULL;
        size_t len = image ? image->mapped_len : 0;

        if (!conf)
                return;
        if (mprotect(image, len, PROT_READ | PROT_WRITE) == 0)
                wipe_secrets(conf);
        munmap(image, len);
}

void conf_source_environment(struct conf_source *source)
{
        const struct { const char *name, **value; } variables[] = {
                { "HYPERGATE_ROUTER", &source->router_secret },
                { "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH", &source->resolver_auth },
                { "HYPERGATE_UNLIMITED_SECRET", &source->unlimited_secret },
                { "CREDENTIALS_DIRECTORY", &source->credentials_directory },
                { "NOTIFY_SOCKET", &source->notify_socket },
                { "STATE_DIRECTORY", &source->state_directory },
                { "RUNTIME_DIRECTORY", &source->runtime_directory },
        };

        for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
                if (!*variables[i].value)
                        *variables[i].value = secure_getenv(variables[i].name);
}
