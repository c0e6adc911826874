/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host_name.h"
#include "policy.h"

_Static_assert((int)HOST_NAME_MAX_BYTES == (int)IPC_NAME_MAX, "every good name fits");

void router_hosts_init(struct router_hosts *hosts, const uint8_t map_key[16], const struct router_hosts_told *told)
{
        *hosts = (struct router_hosts){ .told = *told, .looks_us = USEC_NEVER };
        map_init(&hosts->map, map_key);
}

static void offer_free(struct router_host_offer *offer)
{
        list_remove(&offer->in_host);
        policy_leave(offer->policy);
        free(offer);
}

static void host_free(struct router_hosts *hosts, struct router_host *host)
{
        list_for_each (at, &host->offers)
                offer_free(container_of(at, struct router_host_offer, in_host));
        heap_remove(&hosts->closings, &host->closing);
        map_remove(&hosts->map, &host->by_name);
        free(host);
}

void router_hosts_fini(struct router_hosts *hosts)
{
        struct router_host *host;

        while ((host = router_hosts_next(hosts, NULL)))
                host_free(hosts, host);
        map_fini(&hosts->map);
}

void router_hosts_switch(struct router_hosts *hosts, bool on)
{
        hosts->behind = hosts->behind || hosts->on != on;
        hosts->on = on;
}

/* What is behind the name may be anything: a message is held against it as a whole. */
static struct ipc_host_port tidy(const struct ipc_host_port *at)
{
        struct ipc_host_port clean = { .port = at->port, .protocol = at->protocol };

        memccpy(clean.host, at->host, 0, sizeof(clean.host) - 1);
        return clean;
}

static struct router_host *find_clean(const struct router_hosts *hosts, const struct ipc_host_port *at)
{
        struct map_entry *entry = map_first(&hosts->map, map_hash(&hosts->map, at, sizeof(*at)));

        for (; entry; entry = map_next(entry)) {
                struct router_host *host = container_of(entry, struct router_host, by_name);

                if (memcmp(&host->at, at, sizeof(*at)) == 0)
                        return host;
        }
        return NULL;
}

struct router_host *router_hosts_find(const struct router_hosts *hosts, const struct ipc_host_port *at)
{
        struct ipc_host_port clean = tidy(at);

        return find_clean(hosts, &clean);
}

static struct router_host *host_get(struct router_hosts *hosts, const struct ipc_host_port *at)
{
        struct ipc_host_port clean = tidy(at);
        struct router_host *host = find_clean(hosts, &clean);

        if (host || !(host = calloc(1, sizeof(*host))))
                return host;
        host->at = clean;
        list_init(&host->offers);
        if (map_insert(&hosts->map, &host->by_name, map_hash(&hosts->map, &clean, sizeof(clean))) == 0)
                return host;
        free(host);
        return NULL;
}

static void forget_idle(struct router_hosts *hosts, struct router_host *host)
{
        if (!host->wanted && host->forward == 0 && list_empty(&host->offers))
                host_free(hosts, host);
}

static void tell_offers(struct router_hosts *hosts, struct router_host *host, bool there)
{
        list_for_each (at, &host->offers)
                hosts->told.offer(hosts->told.context, host, container_of(at, struct router_host_offer, in_host), there);
}

int router_hosts_hold(struct router_hosts *hosts, const struct ipc_router_host *said)
{
        struct router_host *host = host_get(hosts, &said->at);

        if (!host)
                return -ENOMEM;
        if (host->forward == said->forward && host->number == said->number)
                return 0;
        if (host->forward)
                tell_offers(hosts, host, false);
        host->forward = said->forward;
        host->number = said->number;
        if (host->forward)
                tell_offers(hosts, host, true);
        forget_idle(hosts, host);
        return 0;
}

static void want(struct router_hosts *hosts, struct router_host *host, bool wanted)
{
        if (host->wanted == wanted)
                return;
        host->wanted = wanted;
        hosts->told.wanted(hosts->told.context, host, wanted);
}

int router_hosts_adopt(struct router_hosts *hosts, const struct ipc_host_port *at, usec_t now_us)
{
        struct router_host *host = host_get(hosts, at);

        if (!host)
                return -ENOMEM;
        if (host->wanted)
                return 0;
        host->wanted = true;            /* as it has been told before us */
        heap_set(&hosts->closings, &host->closing, usec_add(now_us, ROUTER_HOST_ADOPTED_US));
        return 0;
}

static struct router_host_offer *offer_find(const struct router_host *host, const struct ipc_via *via)
{
        list_for_each (at, &host->offers) {
                struct router_host_offer *offer = container_of(at, struct router_host_offer, in_host);

                if (memcmp(&offer->via, via, sizeof(*via)) == 0)
                        return offer;
        }
        return NULL;
}

static struct router_host_offer *offer_get(struct router_host *host, const struct ipc_via *via)
{
        struct router_host_offer *offer = offer_find(host, via);

        if (offer || !(offer = calloc(1, sizeof(*offer))))
                return offer;
        offer->via = *via;
        offer->news = true;
        list_push_back(&host->offers, &offer->in_host);
        return offer;
}

static bool same(const struct router_host_offer *offer, const struct route_service *service)
{
        return offer->service == service->name && offer->gate_port == service->gate_port && offer->priority == service->priority &&
               policy_same(offer->policy, service->policy);
}

static void offer_describe(struct router_host_offer *offer, const struct route_service *service)
{
        if (offer->seen && service->priority >= offer->priority)
                return;                 /* the first of the best */
        offer->seen = true;
        if (!offer->news && same(offer, service))
                return;
        offer->news = true;
        offer->service = service->name;
        offer->gate_port = service->gate_port;
        offer->priority = service->priority;
        policy_set(&offer->policy, service->policy);
}

static void on_service(void *context, const struct route_service *service)
{
        struct ipc_host_port at = { .port = service->service_port, .protocol = service->protocol };
        struct router_hosts *hosts = context;
        struct router_host_offer *offer;
        struct router_host *host;

        if (!service->service_port || !host_name_is_given(service->host))
                return;
        for (size_t i = 0; service->host[i]; i++) {
                char c = service->host[i];

                at.host[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        host = find_clean(hosts, &at);
        if (!host && hosts->map.count >= ROUTER_HOSTS_MAX) {
                hosts->full = true;
                return;
        }
        host = host ? host : host_get(hosts, &at);
        offer = host ? offer_get(host, &service->via) : NULL;
        if (offer)
                offer_describe(offer, service);
}

/* What is still there is told before what is gone: a client may be on its way. */
static void settle_offers(struct router_hosts *hosts, struct router_host *host)
{
        for (int there = 1; there >= 0; there--)
                list_for_each (at, &host->offers) {
                        struct router_host_offer *offer = container_of(at, struct router_host_offer, in_host);

                        if (offer->seen != (there == 1))
                                continue;
                        if (host->forward && (!there || offer->news))
                                hosts->told.offer(hosts->told.context, host, offer, there);
                        if (there)
                                offer->news = false;
                        else
                                offer_free(offer);
                }
}

static void settle_host(struct router_hosts *hosts, struct router_host *host, usec_t now_us)
{
        settle_offers(hosts, host);
        if (!list_empty(&host->offers)) {
                heap_remove(&hosts->closings, &host->closing);
                want(hosts, host, true);
        } else if (host->wanted && !hosts->on) {
                heap_remove(&hosts->closings, &host->closing);
                want(hosts, host, false);
        } else if (host->wanted && !heap_holds(&host->closing)) {
                heap_set(&hosts->closings, &host->closing, usec_add(now_us, ROUTER_HOST_LINGER_US));
        }
        forget_idle(hosts, host);
}

/* True: there are more than may be, which had not been so. */
static bool look(struct router_hosts *hosts, struct route_table *table, usec_t now_us)
{
        struct router_host *host = NULL, *next;
        bool was_full = hosts->full;

        hosts->full = false;
        while ((host = router_hosts_next(hosts, host)))
                list_for_each (at, &host->offers)
                        container_of(at, struct router_host_offer, in_host)->seen = false;
        if (hosts->on)
                route_table_each(table, on_service, hosts);
        for (host = router_hosts_next(hosts, NULL); host; host = next) {
                next = router_hosts_next(hosts, host);
                settle_host(hosts, host, now_us);
        }
        return hosts->full && !was_full;
}

bool router_hosts_advance(struct router_hosts *hosts, struct route_table *table, usec_t now_us)
{
        struct heap_entry *due;
        bool overflow = false;

        if (hosts->looks_us == USEC_NEVER && (hosts->behind || (hosts->on && hosts->version != table->version)))
                hosts->looks_us = usec_add(now_us, ROUTER_HOSTS_US);
        if (hosts->looks_us <= now_us) {
                hosts->looks_us = USEC_NEVER;
                hosts->behind = false;
                hosts->version = table->version;
                overflow = look(hosts, table, now_us);
        }
        while ((due = heap_pop_due(&hosts->closings, now_us))) {
                struct router_host *host = container_of(due, struct router_host, closing);

                want(hosts, host, false);
                forget_idle(hosts, host);
        }
        return overflow;
}

usec_t router_hosts_deadline(const struct router_hosts *hosts)
{
        return usec_min(hosts->looks_us, heap_deadline(&hosts->closings));
}

struct router_host *router_hosts_next(const struct router_hosts *hosts, const struct router_host *host)
{
        struct map_entry *at = map_walk(&hosts->map, host ? &host->by_name : NULL);

        return at ? container_of(at, struct router_host, by_name) : NULL;
}
