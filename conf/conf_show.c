/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration written as what it was read from could have been. */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "conf_ingress.h"
#include "conf_path.h"
#include "conf_text.h"

static void put_key(FILE *out, const uint8_t key[CONF_KEY_BYTES])
{
        for (size_t i = 0; i < CONF_KEY_BYTES; i++)
                fprintf(out, "%02x", key[i]);
}

/* Of a list in a map at the left margin. */
static void put_entry(FILE *out, const char *text)
{
        fputs("    - ", out);
        conf_text_show(out, text);
        fputc('\n', out);
}

static void put_path(FILE *out, const char *key, const char *folder, const char *path)
{
        bool moved = folder && path && *path != '/';
        char whole[2 * CONF_PATH_MAX];

        if (!path)
                return;
        snprintf(whole, sizeof(whole), "%s%s%s", moved ? folder : "", moved ? "/" : "", path);
        fprintf(out, "%s: ", key);
        conf_text_show(out, whole);
        fputc('\n', out);
}

static const char *protocol_name(enum conf_protocol protocol)
{
        return protocol == CONF_UDP ? "udp" : "tcp";
}

static void put_health(FILE *out, const struct conf_health *health)
{
        fprintf(out, ", health: {type: %s, ", health->type == CONF_HEALTH_HTTP ? "http" : "tcp");
        if (health->type == CONF_HEALTH_HTTP) {
                fputs("path: ", out);
                conf_text_show(out, health->path);
                fprintf(out, ", status: %u-%u, ", health->status_first, health->status_last);
        }
        fprintf(out, "intervalMs: %u, timeoutMs: %u, rise: %u, fall: %u}", health->interval_ms, health->timeout_ms, health->rise, health->fall);
}

static void put_service(FILE *out, const struct conf_service *service)
{
        fprintf(out, "    - {gatePort: %u, serviceHost: ", service->gate_port);
        conf_text_show(out, service->host);
        if (service->alias) {
                fputs(", alias: ", out);
                conf_text_show(out, service->alias);
        }
        if (!conf_service_path(service))
                fprintf(out, ", servicePort: %u", service->service_port);
        fprintf(out, ", protocol: %s", protocol_name(service->protocol));
        if (service->proxy)
                fprintf(out, ", proxyProtocol: v%u", (unsigned)service->proxy);
        if (*service->tags) {
                fputs(", tags: ", out);
                conf_text_show(out, service->tags);
        }
        if (*service->sni) {
                fputs(", sni: ", out);
                conf_text_show(out, service->sni);
        }
        if (service->priority)
                fprintf(out, ", priority: %u", service->priority);
        if (service->health.type)
                put_health(out, &service->health);
        if (service->ingress) {
                fputs(", ingressPolicy: ", out);
                conf_ingress_show(out, service->ingress);
        }
        fprintf(out, "}         # %s:%u\n", service->file, service->line);
}

static void put_tcp(FILE *out, const struct conf_tcp *tcp)
{
        if (tcp->timeout_ms)
                fprintf(out, "  tcpSocketTimeoutMs: %u\n", tcp->timeout_ms);
        if (tcp->keep_idle_s)
                fprintf(out, "  keepAlive: {idleSeconds: %u, intervalSeconds: %u, count: %u}\n", tcp->keep_idle_s, tcp->keep_interval_s,
                        tcp->keep_count);
        else
                fputs("  keepAlive: false\n", out);
}

static void put_allowed(FILE *out, const struct conf_keys *allowed)
{
        if (allowed->count)
                fputs("  allowPeers:\n", out);
        for (size_t i = 0; i < allowed->count; i++) {
                fputs("    - \"", out);
                put_key(out, allowed->list[i]);
                fputs("\"\n", out);
        }
}

static void put_ingress(FILE *out, const struct conf_ingress *ingress)
{
        if (!ingress)
                return;
        fputs("  ingressPolicy: ", out);
        conf_ingress_show(out, ingress);
        fputc('\n', out);
}

static void put_urls(FILE *out, const char *const *urls, size_t count)
{
        for (size_t i = 0; i < count; i++)
                put_entry(out, urls[i]);
}

static void put_provider(FILE *out, const struct conf_provider *provider)
{
        fprintf(out, "provider:\n  udpSocketTimeoutMs: %u\n", provider->udp_timeout_ms);
        put_tcp(out, &provider->tcp);
        put_allowed(out, &provider->allowed);
        if (provider->connections_per_peer)
                fprintf(out, "  connectionsPerPeer: %u\n", provider->connections_per_peer);
        put_ingress(out, provider->ingress);
        fprintf(out, "  services:%s\n", provider->service_count || provider->url_count ? "" : " []");
        put_urls(out, provider->urls, provider->url_count);
        for (size_t i = 0; i < provider->service_count; i++)
                put_service(out, &provider->services[i]);
}

static const char *separator(bool *any)
{
        bool before = *any;

        *any = true;
        return before ? ", " : "";
}

static void put_ports(FILE *out, bool *any, const char *key, uint16_t first, uint16_t last)
{
        fprintf(out, "%s%s: %u", separator(any), key, first);
        if (last != first)
                fprintf(out, "-%u", last);
}

static void put_filter(FILE *out, const struct conf_filter *filter)
{
        bool any = false;

        fputs("    - {", out);
        if (filter->fields & CONF_FILTER_GATE_PORT)
                put_ports(out, &any, "gatePort", filter->gate_port, filter->gate_port_last);
        if (filter->fields & CONF_FILTER_HOST) {
                fprintf(out, "%sserviceHost: ", separator(&any));
                conf_text_show(out, filter->host);
        }
        if (filter->fields & CONF_FILTER_SERVICE_PORT)
                put_ports(out, &any, "servicePort", filter->service_port, filter->service_port_last);
        if (filter->fields & CONF_FILTER_PROTOCOL)
                fprintf(out, "%sprotocol: %s", separator(&any), protocol_name(filter->protocol));
        if (filter->fields & CONF_FILTER_TAGS) {
                fprintf(out, "%stags: ", separator(&any));
                conf_text_show(out, filter->tags);
        }
        if (filter->priority >= 0)
                fprintf(out, "%spriority: %d", separator(&any), filter->priority);
        if (filter->policy >= 0)
                fprintf(out, "%spolicy: %s", separator(&any), conf_policies[filter->policy]);
        fputs("}\n", out);
}

/* It stands for a URL. */
static bool is_pending(const struct conf_filter *filter)
{
        return filter->fields & CONF_FILTER_GATE_PORT && filter->gate_port > filter->gate_port_last;
}

static void put_only(FILE *out, const struct conf_gateway *gateway)
{
        fprintf(out, "  exposeOnlyDocker: %s\n  exposeOnlyPublished: %s\n", gateway->only_docker ? "true" : "false",
                gateway->only_published ? "true" : "false");
        if (gateway->only_host_count)
                fputs("  exposeOnlyServices:\n", out);
        for (size_t i = 0; i < gateway->only_host_count; i++)
                put_entry(out, gateway->only_hosts[i]);
}

static void put_gateway(FILE *out, const struct conf_gateway *gateway)
{
        fputs("gateway:\n  listen:\n", out);
        for (size_t i = 0; i < gateway->listen_count; i++)
                put_entry(out, gateway->listen[i].text);
        fprintf(out, "  socketMode: \"%04o\"\n", gateway->socket_mode);
        if (gateway->hosts && !gateway->hosts_own) {
                char text[CONF_SOCKET_PATH_MAX + sizeof("unix:")];

                snprintf(text, sizeof(text), "unix:%s", gateway->hosts);
                fputs("  hosts: ", out);
                conf_text_show(out, text);
                fputc('\n', out);
        }
        fprintf(out, "  routeFindingTimeoutMs: %u\n  udpSocketTimeoutMs: %u\n", gateway->route_finding_timeout_ms, gateway->udp_timeout_ms);
        fprintf(out, "  openRequestTimeoutMs: %u\n  routeExpirationMs: %u\n", gateway->open_timeout_ms, gateway->route_expiration_ms);
        put_tcp(out, &gateway->tcp);
        fprintf(out, "  policy: %s\n  filterMode: %s\n", conf_policies[gateway->policy], conf_filter_modes[gateway->filter_mode]);
        put_allowed(out, &gateway->allowed);
        put_ingress(out, gateway->ingress);
        if (gateway->connections)
                fprintf(out, "  connections: %u\n", gateway->connections);
        if (gateway->connections_per_client)
                fprintf(out, "  connectionsPerClient: %u\n", gateway->connections_per_client);
        if (gateway->routes_per_peer)
                fprintf(out, "  routesPerPeer: %u\n", gateway->routes_per_peer);
        if (gateway->connection_rate)
                fprintf(out, "  connectionRate: %u\n", gateway->connection_rate);
        if (gateway->connection_rate_per_client)
                fprintf(out, "  connectionRatePerClient: %u\n", gateway->connection_rate_per_client);
        if (gateway->trusted_count)
                fputs("  trustedProxies:\n", out);
        for (size_t i = 0; i < gateway->trusted_count; i++)
                put_entry(out, gateway->trusted[i].text);
        if (gateway->filter_count)
                fputs("  services:\n", out);
        put_urls(out, gateway->urls, gateway->url_count);
        for (size_t i = 0; i < gateway->filter_count; i++)
                if (!is_pending(&gateway->filters[i]))
                        put_filter(out, &gateway->filters[i]);
        put_only(out, gateway);
        if (gateway->exception_count)
                fputs("  except:\n", out);
        for (size_t i = 0; i < gateway->exception_count; i++)
                put_filter(out, &gateway->exceptions[i]);
}

/* What is 0 was not said. */
static void put_relay(FILE *out, const struct conf_relay *relay)
{
        const struct { const char *key; uint32_t value; } limits[] = {
                { "connections", relay->connections }, { "connectionsPerClient", relay->connections_per_client },
                { "bytesPerSecond", relay->bytes_per_second }, { "bytesPerSecondPerClient", relay->bytes_per_second_per_client },
        };

        if (relay->never)
                fputs("relay: false\n", out);
        if (!relay->present)
                return;
        fprintf(out, "relay:\n  open: %s\n", relay->anybody ? "true" : "false");
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
                if (limits[i].value)
                        fprintf(out, "  %s: %u\n", limits[i].key, limits[i].value);
}

static void put_site(FILE *out, const char *listen, const char *file_key, const struct conf_site *site, const char *folder)
{
        if (!conf_site_answers(site))
                return;
        fputs(listen, out);
        conf_text_show(out, site->text);
        fputc('\n', out);
        if (site->auth_file)
                fputs("  ", out);
        put_path(out, file_key, folder, site->auth_file);
}

static void put_docker(FILE *out, const struct conf *conf, const char *folder)
{
        const struct conf_docker *docker = &conf->docker;

        fputs("docker:\n  ", out);
        put_path(out, "socket", folder, docker->socket);
        fputs("  network:\n", out);
        for (size_t i = 0; i < docker->network_count; i++)
                put_entry(out, docker->networks[i]);
        fprintf(out, "  refreshTime: %u\n  readOnly: %s\n", docker->refresh_ms, docker->read_only ? "true" : "false");
        if (conf->gateway.present)
                fprintf(out, "  virtualNetwork: %s\n", docker->virtual_network ? "true" : "false");
        if (docker->image) {
                fputs("  image: ", out);
                conf_text_show(out, docker->image);
                fputc('\n', out);
        }
}

static void put_dht(FILE *out, const struct conf_dht *dht)
{
        const uint8_t *ip = dht->public_ip;

        fprintf(out, "dht:\n  persistent: %s\n", dht->persistent ? "true" : "false");
        if (dht->persistent)
                fprintf(out, "  public: \"%u.%u.%u.%u:%u\"\n", ip[0], ip[1], ip[2], ip[3], dht->public_port);
}

static void put_bootstrap(FILE *out, const struct conf *conf)
{
        fprintf(out, "bootstrap:%s\n", conf->bootstrap_count ? "" : " []");
        for (size_t i = 0; i < conf->bootstrap_count; i++) {
                const struct conf_bootstrap *node = &conf->bootstrap[i];

                fprintf(out, "  - \"%s%s%s:%u\"\n", node->ip, *node->ip ? "@" : "", node->host, node->port);
        }
}

static void put_peers(FILE *out, const struct conf *conf)
{
        fprintf(out, "peers:%s\n", conf->peer_count ? "" : " []");
        for (size_t i = 0; i < conf->peer_count; i++) {
                fputs("  - \"", out);
                put_key(out, conf->peers[i].key);
                fprintf(out, "@%s:%u\"\n", conf->peers[i].host, conf->peers[i].port);
        }
}

static void put_relays(FILE *out, const struct conf *conf)
{
        fprintf(out, "relays:%s\n", conf->relay_count ? "" : " []");
        for (size_t i = 0; i < conf->relay_count; i++) {
                fputs("  - \"", out);
                put_key(out, conf->relays[i]);
                fputs("\"\n", out);
        }
}

bool conf_show(const struct conf *conf, const char *folder, FILE *out)
{
        for (size_t i = 0; i < conf->file_count; i++)
                fprintf(out, "# %s\n", conf->files[i]);
        put_path(out, "secretFile", folder, conf->secret_file);
        if (conf->provider.present)
                put_provider(out, &conf->provider);
        if (conf->gateway.present)
                put_gateway(out, &conf->gateway);
        put_relay(out, &conf->relay);
        put_relays(out, conf);
        put_site(out, "fingerprintResolver:\n  listen: ", "basicAuthFile", &conf->resolver, folder);
        put_site(out, "unlimited:\n  listen: ", "tokenSecretFile", &conf->unlimited, folder);
        if (conf->docker.present)
                put_docker(out, conf, folder);
        put_peers(out, conf);
        put_bootstrap(out, conf);
        put_dht(out, &conf->dht);
        fprintf(out, "host: %u.%u.%u.%u\nport: %u\n", conf->host[0], conf->host[1], conf->host[2], conf->host[3], conf->port);
        fprintf(out, "cores: %u\n", conf->cores);
        put_path(out, "stateDirectory", folder, conf->state_directory);
        put_path(out, "caFile", folder, conf->ca_file);
        if (conf->identity != CONF_IDENTITY_KEPT)
                fprintf(out, "identity: %s\n", conf->identity == CONF_IDENTITY_PERSISTENT ? "persistent" : "ephemeral");
        fprintf(out, "statsIntervalMs: %u\nmaxBufferPerChannel: %u\nmaxBufferPerPeer: %u\n", conf->stats_interval_ms,
                conf->channel_buffer_bytes, conf->peer_buffer_bytes);
        fprintf(out, "logLevel: %s\nlogChannels: %s\n", conf_log_levels[conf->log_level - CONF_LOG_LEVEL_FIRST],
                conf->log_channels ? "true" : "false");
        return fflush(out) == 0 && !ferror(out);
}
