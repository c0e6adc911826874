/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conf_health.h"
#include "conf_ingress.h"
#include "conf_network.h"
#include "conf_site.h"
#include "conf_tcp.h"

int conf_service_compare(const struct conf_service *a, const struct conf_service *b)
{
        int hosts;

        if (a->gate_port != b->gate_port)
                return a->gate_port < b->gate_port ? -1 : 1;
        if (a->protocol != b->protocol)
                return a->protocol < b->protocol ? -1 : 1;
        if (a->service_port != b->service_port)
                return a->service_port < b->service_port ? -1 : 1;
        if (a->proxy != b->proxy)
                return a->proxy < b->proxy ? -1 : 1;
        if (a->priority != b->priority)
                return a->priority < b->priority ? -1 : 1;
        hosts = strcmp(a->sni, b->sni);
        if (hosts)
                return hosts;
        hosts = strcmp(a->host, b->host);
        if (hosts == 0)
                hosts = strcmp(conf_service_announced(a), conf_service_announced(b));
        if (hosts == 0)
                hosts = strcmp(a->tags, b->tags);
        if (hosts == 0)
                hosts = conf_health_compare(&a->health, &b->health);
        return hosts ? hosts : conf_ingress_compare(a->ingress, b->ingress);
}

static int compare_pointers(const void *a, const void *b)
{
        return conf_service_compare(*(const struct conf_service *const *)a, *(const struct conf_service *const *)b);
}

/* NULL: no memory. */
static const struct conf_service **sort(const struct conf_provider *provider)
{
        const struct conf_service **sorted = calloc(provider->service_count + 1, sizeof(*sorted));

        if (!sorted)
                return NULL;
        for (size_t i = 0; i < provider->service_count; i++)
                sorted[i] = &provider->services[i];
        qsort(sorted, provider->service_count, sizeof(*sorted), compare_pointers);
        return sorted;
}

/* Each occurs once in its own list. */
static void count(const struct conf_service *const *before, size_t before_count, const struct conf_service *const *after,
                  size_t after_count, struct conf_difference *out)
{
        size_t i = 0, j = 0;

        while (i < before_count || j < after_count) {
                int order = i == before_count ? 1 : j == after_count ? -1 : conf_service_compare(before[i], after[j]);

                out->removed += order < 0;
                out->added += order > 0;
                i += order <= 0;
                j += order >= 0;
        }
}

static int compare_services(const struct conf_provider *before, const struct conf_provider *after, struct conf_difference *out)
{
        const struct conf_service **x = sort(before), **y = sort(after);
        int r = x && y ? 0 : -ENOMEM;

        if (r == 0)
                count(x, before->service_count, y, after->service_count, out);
        free(x);
        free(y);
        return r;
}

static bool same_filter(const struct conf_filter *a, const struct conf_filter *b)
{
        return a->fields == b->fields && a->gate_port == b->gate_port && a->gate_port_last == b->gate_port_last &&
               a->service_port == b->service_port && a->service_port_last == b->service_port_last &&
               a->protocol == b->protocol && a->priority == b->priority && a->policy == b->policy &&
               strcmp(a->host, b->host) == 0 && strcmp(a->tags, b->tags) == 0;
}

static bool same_filters(const struct conf_filter *a, size_t a_count, const struct conf_filter *b, size_t b_count)
{
        if (a_count != b_count)
                return false;
        for (size_t i = 0; i < a_count; i++)
                if (!same_filter(&a[i], &b[i]))
                        return false;
        return true;
}

static bool same_listen(const struct conf_gateway *a, const struct conf_gateway *b)
{
        if (a->listen_count != b->listen_count)
                return false;
        for (size_t i = 0; i < a->listen_count; i++)
                if (!conf_address_same(&a->listen[i], &b->listen[i]))
                        return false;
        return a->socket_mode == b->socket_mode;
}

static bool same_peers(const struct conf *a, const struct conf *b)
{
        if (a->peer_count != b->peer_count)
                return false;
        for (size_t i = 0; i < a->peer_count; i++)
                if (memcmp(a->peers[i].key, b->peers[i].key, CONF_KEY_BYTES) != 0 || a->peers[i].port != b->peers[i].port ||
                    strcmp(a->peers[i].host, b->peers[i].host) != 0)
                        return false;
        return true;
}

static bool same_keys(const struct conf_keys *a, const struct conf_keys *b)
{
        return a->count == b->count && memcmp(a->list, b->list, a->count * sizeof(a->list[0])) == 0;
}

static bool same_relay(const struct conf_relay *a, const struct conf_relay *b)
{
        return a->present == b->present && a->never == b->never && a->anybody == b->anybody && a->connections == b->connections &&
               a->connections_per_client == b->connections_per_client && a->bytes_per_second == b->bytes_per_second &&
               a->bytes_per_second_per_client == b->bytes_per_second_per_client;
}

static bool same_relays(const struct conf *a, const struct conf *b)
{
        return a->relay_count == b->relay_count && memcmp(a->relays, b->relays, a->relay_count * sizeof(a->relays[0])) == 0;
}

static bool same_secrets(const struct conf *a, const struct conf *b)
{
        bool same = memcmp(a->secret, b->secret, sizeof(a->secret)) == 0 && a->previous_count == b->previous_count;

        for (size_t i = 0; same && i < a->previous_count; i++)
                same = memcmp(a->previous[i].secret, b->previous[i].secret, CONF_SECRET_BYTES) == 0 &&
                       a->previous[i].until_s == b->previous[i].until_s;
        return same;
}

int conf_compare(const struct conf *before, const struct conf *after, struct conf_difference *out)
{
        const struct conf_gateway *a = &before->gateway, *b = &after->gateway;
        struct conf_difference found = { 0 };
        int r = compare_services(&before->provider, &after->provider, &found);
        const struct { bool same; enum conf_part part; } parts[] = {
                { found.added + found.removed == 0 && conf_ingress_compare(before->provider.ingress, after->provider.ingress) == 0,
                  CONF_PART_SERVICES },
                { before->provider.udp_timeout_ms == after->provider.udp_timeout_ms &&
                  conf_tcp_same(&before->provider.tcp, &after->provider.tcp), CONF_PART_SERVICE_TIMES },
                { a->filter_mode == b->filter_mode && a->routes_per_peer == b->routes_per_peer &&
                  same_filters(a->filters, a->filter_count, b->filters, b->filter_count) &&
                  same_filters(a->exceptions, a->exception_count, b->exceptions, b->exception_count) &&
                  same_filters(a->only, a->only_count, b->only, b->only_count), CONF_PART_FILTERS },
                { same_listen(a, b), CONF_PART_LISTEN },
                { a->udp_timeout_ms == b->udp_timeout_ms && a->route_finding_timeout_ms == b->route_finding_timeout_ms &&
                  a->open_timeout_ms == b->open_timeout_ms &&
                  conf_tcp_same(&a->tcp, &b->tcp) && conf_networks_same(a->trusted, a->trusted_count, b->trusted, b->trusted_count) &&
                  a->connections == b->connections && a->connections_per_client == b->connections_per_client &&
                  a->connection_rate == b->connection_rate && a->connection_rate_per_client == b->connection_rate_per_client &&
                  a->policy == b->policy && conf_ingress_compare(a->ingress, b->ingress) == 0, CONF_PART_GATE_TIMES },
                { a->route_expiration_ms == b->route_expiration_ms, CONF_PART_ROUTE_TIMES },
                { before->channel_buffer_bytes == after->channel_buffer_bytes && before->peer_buffer_bytes == after->peer_buffer_bytes,
                  CONF_PART_BUFFERS },
                { same_peers(before, after), CONF_PART_PEERS },
                { same_relay(&before->relay, &after->relay), CONF_PART_RELAY },
                { same_relays(before, after), CONF_PART_RELAYS },
                { before->log_level == after->log_level && before->log_channels == after->log_channels, CONF_PART_LOG_LEVEL },
                { same_secrets(before, after), CONF_PART_SECRET },
                { same_keys(&before->provider.allowed, &after->provider.allowed) && same_keys(&a->allowed, &b->allowed), CONF_PART_ALLOWED },
                { before->provider.connections_per_peer == after->provider.connections_per_peer, CONF_PART_SERVICE_LIMITS },
                { conf_site_same(&before->resolver, &after->resolver) && conf_site_same(&before->unlimited, &after->unlimited), CONF_PART_SITES },
        };

        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                found.parts |= parts[i].same ? 0 : (unsigned)parts[i].part;
        *out = found;
        return 0;
}
