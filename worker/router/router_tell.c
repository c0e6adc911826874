/* SPDX-License-Identifier: BSD-3-Clause */
/* What the router worker tells its supervisor and siblings. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc_blob.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "policy.h"
#include "router_process.h"

void router_tell_advert_to(struct router *router, struct worker_link *swarm)
{
        struct ipc_advertise advertise = { .len = (uint32_t)router->advert_len };
        int fd;

        if (!router->advert)
                return;
        fd = ipc_blob_new(router->advert, router->advert_len);
        if (fd < 0) {
                worker_log(&router->worker, LOG_ERR, "can't advertise the services: %s", strerror(-fd));
                return;
        }
        worker_send(swarm, IPC_ADVERTISE, &advertise, &fd, 1);
        close(fd);
}

void router_tell_advert(struct router *router)
{
        list_for_each(at, &router->worker.links) {
                struct worker_link *link = list_entry(at, struct worker_link, in_links);

                if (link->ipc.peer == IPC_SWARM)
                        router_tell_advert_to(router, link);
        }
}

void router_advertise(struct router *router)
{
        size_t len, count, left_out;
        char *text;
        int r = router_offers_encode(&router->offers, &text, &len, &count, &left_out);

        router->advertises_us = USEC_NEVER;
        if (r < 0) {
                worker_log(&router->worker, LOG_ERR, "the list of services is left out: %s", strerror(-r));
                return;
        }
        left_out += router->surplus;
        if (router->advert && router->advert_len == len && memcmp(router->advert, text, len) == 0) {
                free(text);
                return;
        }
        if (left_out)
                worker_log_event(&router->worker, IPC_EVENT_SERVICES_LEFT_OUT, LOG_WARNING, NULL,
                                 "only the first %zu of %zu services are advertised: no more fit", count, count + left_out);
        free(router->advert);
        router->advert = text;
        router->advert_len = len;
        router_tell_advert(router);
}

void router_tell_gate(struct router *router, uint16_t gate_port, uint16_t protocol, bool open)
{
        struct ipc_gate gate = { .gate_port = gate_port, .protocol = protocol };

        worker_send(&router->worker.supervisor, open ? IPC_GATE_OPEN : IPC_GATE_CLOSE, &gate, NULL, 0);
}

void router_tell_gates(struct router *router)
{
        struct router_gate *gate = NULL;

        while ((gate = router_gates_next(&router->gates, gate)))
                if (gate->wanted)
                        router_tell_gate(router, gate->port, gate->protocol, true);
}

void router_tell_complaint(struct router *router, const uint8_t peer[IPC_KEY_BYTES], const struct router_reading *reading, usec_t now_us)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char why[256];

        if (router_reading_good(reading) || !router_complaints_take(&router->complaints, peer, reading, now_us))
                return;
        router_reading_text(reading, why, sizeof(why));
        ipc_fields_key(&fields, "PEER", peer);
        ipc_fields_text(&fields, "REASON", why);
        worker_log_event(&router->worker, IPC_EVENT_ROUTES_LEFT_OUT, LOG_WARNING, fields.list,
                         "%s routes of provider %02x%02x%02x%02x are left out: %s", reading->verdict == ADVERT_OK ? "some" : "all",
                         peer[0], peer[1], peer[2], peer[3], why);
}

void router_tell_status(struct router *router, usec_t now_us)
{
        if (!router->more.adverts_dropped || now_us < router->status_us)
                return;
        worker_send(&router->worker.supervisor, IPC_ROUTER_STATUS, &router->more, NULL, 0);
        router->more = (struct ipc_router_status){ 0 };
        router->status_us = usec_add(now_us, ROUTER_STATUS_US);
}

void router_tell_host(void *context, const struct router_host *host, bool wanted)
{
        struct router *router = context;

        worker_send(&router->worker.supervisor, wanted ? IPC_HOST_OPEN : IPC_HOST_CLOSE, &host->at, NULL, 0);
}

void router_tell_hosts(struct router *router)
{
        struct router_host *host = NULL;

        while ((host = router_hosts_next(&router->hosts, host)))
                if (host->wanted)
                        router_tell_host(router, host, true);
}

static void tell_route(struct worker *worker, struct worker_link *forward, const struct route_event *event)
{
        const struct policy *policy = event->policy;
        struct ipc_route route = { .gate_port = event->gate_port, .protocol = event->protocol, .service = event->service,
                                   .swarm = event->via.swarm, .priority = event->priority, .name = event->name,
                                   .rules = policy ? (uint16_t)policy->count : 0 };
        int fd = policy ? ipc_blob_new(policy->rule, policy->count * sizeof(*policy->rule)) : -1;

        memcpy(route.peer, event->via.peer, sizeof(route.peer));
        if (policy && fd < 0) {
                worker_log(worker, LOG_ERR, "gate %u: a provider is left out: its policy can't be told: %s", event->gate_port, strerror(-fd));
                worker_send(forward, IPC_ROUTE_DROP, &route, NULL, 0);  /* rather than to whoever came before */
                return;
        }
        worker_send(forward, event->kind == ROUTE_OFFERED ? IPC_ROUTE_SET : IPC_ROUTE_DROP, &route, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

void router_tell_route(struct router *router, uint32_t forward, const struct route_event *event)
{
        struct worker_link *link = worker_find(&router->worker, IPC_FORWARD, forward);

        if (link)
                tell_route(&router->worker, link, event);
}

static struct route_event host_event(const struct router_host *host, const struct router_host_offer *offer, bool there)
{
        return (struct route_event){ .kind = there ? ROUTE_OFFERED : ROUTE_WITHDRAWN, .gate_port = host->number,
                                     .protocol = host->at.protocol, .via = offer->via, .service = offer->service,
                                     .priority = offer->priority, .policy = there ? offer->policy : NULL,
                                     .name = offer->gate_port };
}

void router_tell_host_offer(void *context, const struct router_host *host, const struct router_host_offer *offer, bool there)
{
        struct route_event event = host_event(host, offer, there);

        router_tell_route(context, host->forward, &event);
}

static void tell_routes(struct router *router, struct worker_link *link, uint16_t gate_port, uint16_t protocol, bool offered)
{
        const struct route_offer *offer = NULL;

        while ((offer = route_table_next(&router->table, gate_port, protocol, offer)))
                tell_route(&router->worker, link, &(struct route_event){ .kind = offered ? ROUTE_OFFERED : ROUTE_WITHDRAWN, .gate_port = gate_port,
                                                        .protocol = protocol, .via = offer->via, .name = offer->name,
                                                        .service = offered ? offer->told_service : 0,
                                                        .priority = offered ? offer->told_priority : 0,
                                                        .policy = offered ? offer->told_policy : NULL });
}

void router_tell_routes(struct router *router, uint32_t forward, uint16_t gate_port, uint16_t protocol, bool offered)
{
        struct worker_link *link = worker_find(&router->worker, IPC_FORWARD, forward);

        if (link)
                tell_routes(router, link, gate_port, protocol, offered);
}

void router_tell_all_routes(struct router *router, struct worker_link *forward)
{
        struct ipc_generation generation = { .generation = ++router->generation };
        struct router_gate *gate = NULL;
        struct router_host *host = NULL;

        worker_send(forward, IPC_ROUTES_BEGIN, &generation, NULL, 0);
        while ((gate = router_gates_next(&router->gates, gate)))
                if (gate->forward == forward->ipc.id)
                        tell_routes(router, forward, gate->port, gate->protocol, true);
        while ((host = router_hosts_next(&router->hosts, host)))
                if (host->forward == forward->ipc.id)
                        list_for_each(at, &host->offers) {
                                struct route_event event = host_event(host, list_entry(at, struct router_host_offer, in_host), true);

                                tell_route(&router->worker, forward, &event);
                        }
        if (router->settles_us == 0)
                worker_send(forward, IPC_ROUTES_END, &generation, NULL, 0);
}
