/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_process.h"

#include <stdlib.h>
#include <string.h>

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct now now;

        worker_now(&now);
        router_settle(timer->data, now.mono_us);
}

void router_init(struct router *router, const uint8_t key[16])
{
        route_table_init(&router->table, key);
        router_gates_init(&router->gates, key);
        router_hosts_init(&router->hosts, key, &(struct router_hosts_told){ router_tell_host, router_tell_host_offer, router });
        router->settles_us = router->advertises_us = USEC_NEVER;
        ev_timer_init(&router->due, on_due, 0.0, 0.0);
        router->due.data = router;
}

void router_fini(struct router *router)
{
        ev_timer_stop(router->worker.loop, &router->due);
        route_table_fini(&router->table);
        router_gates_fini(&router->gates);
        router_hosts_fini(&router->hosts);
        router_conf_fini(&router->conf);
        router_offers_fini(&router->offers);
        free(router->advert);
}

/* What the swarm worker told is all there is: what forward workers remember beyond that is void. */
static void end_settling(struct router *router)
{
        struct ipc_generation generation = { .generation = router->generation };

        router->settles_us = 0;
        list_for_each(at, &router->worker.links) {
                struct worker_link *link = list_entry(at, struct worker_link, in_links);

                if (link->ipc.peer == IPC_FORWARD)
                        worker_send(link, IPC_ROUTES_END, &generation, NULL, 0);
        }
}

static void pass_offer(struct router *router, const struct route_event *event)
{
        struct router_gate *gate = router_gates_find(&router->gates, event->gate_port, event->protocol);

        if (gate && gate->forward)
                router_tell_route(router, gate->forward, event);
}

static void pass_gate(struct router *router, const struct route_event *event)
{
        bool wanted = event->kind == ROUTE_GATE_WANTED;

        if (router_gates_want(&router->gates, event->gate_port, event->protocol, wanted) < 0)
                worker_log(&router->worker, LOG_ERR, "gate port %u: out of memory", event->gate_port);
        router_tell_gate(router, event->gate_port, event->protocol, wanted);
}

static void tell_low_port(struct router *router, const struct route_event *event)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        ipc_fields_gate(&fields, event->gate_port, event->protocol);
        worker_log_event(&router->worker, IPC_EVENT_GATE_STAYS_CLOSED, LOG_NOTICE, fields.list,
                         "gate port %u is offered and stays closed: ports below %u open when the gateway's services name them, or its "
                         "exposeOnlyServices their host", event->gate_port, ROUTE_LOW_PORTS);
}

static void pass(struct router *router, const struct route_event *event)
{
        switch (event->kind) {
        case ROUTE_OFFERED:
        case ROUTE_WITHDRAWN:
                pass_offer(router, event);
                break;
        case ROUTE_GATE_WANTED:
        case ROUTE_GATE_DONE:
                pass_gate(router, event);
                break;
        case ROUTE_LOW_PORT:
                tell_low_port(router, event);
                break;
        }
}

static void arm(struct router *router, usec_t now_us)
{
        usec_t next_us = usec_min(route_table_deadline(&router->table), router->advertises_us);

        next_us = usec_min(next_us, router_hosts_deadline(&router->hosts));
        if (router->more.adverts_dropped)
                next_us = usec_min(next_us, router->status_us);
        if (router->settles_us)
                next_us = usec_min(next_us, router->settles_us);
        ev_timer_stop(router->worker.loop, &router->due);
        if (next_us == USEC_NEVER)
                return;
        ev_timer_set(&router->due, next_us > now_us ? (double)(next_us - now_us) / 1e6 : 0.0, 0.0);
        ev_timer_start(router->worker.loop, &router->due);
}

void router_settle(struct router *router, usec_t now_us)
{
        struct route_event event;

        route_table_advance(&router->table, now_us);
        while (route_table_event(&router->table, &event))
                pass(router, &event);
        if (router_hosts_advance(&router->hosts, &router->table, now_us))
                worker_log_event(&router->worker, IPC_EVENT_ROUTES_LEFT_OUT, LOG_WARNING, NULL,
                                 "some services are left out of the virtual network: it has %d ports of hosts, as many as there may be",
                                 ROUTER_HOSTS_MAX);
        if (router->settles_us && router->settles_us <= now_us)
                end_settling(router);
        if (router->advertises_us <= now_us)
                router_advertise(router);
        router_tell_status(router, now_us);
        arm(router, now_us);
}
