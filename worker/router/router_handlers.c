/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor and the siblings say to the router worker. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_blob.h"
#include "ipc_fd.h"
#include "ipc_forward.h"
#include "ipc_question.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "policy.h"
#include "router_process.h"

static usec_t now_us(void)
{
        struct now now;

        worker_now(&now);
        return now.mono_us;
}

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;

        router_conf_begin(&router->conf);
}

/* One entry of the configuration could not be taken. */
static void complain(struct router *router, struct worker_link *from, const char *what, int r)
{
        if (r == -EPROTO)
                worker_disown(from);
        else if (r < 0)
                worker_log(&router->worker, LOG_ERR, "%s is left out: %s", what, strerror(-r));
}

static void on_roles(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;

        complain(router, from, "a role", router_conf_roles(&router->conf, IPC_PAYLOAD(message, struct ipc_router_roles)));
}

static void on_service(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;

        complain(router, from, "a service", router_conf_service(&router->conf, IPC_PAYLOAD(message, struct ipc_router_service)));
}

static void on_policy(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_router_policy *said = IPC_PAYLOAD(message, struct ipc_router_policy);
        cleanup_fd int fd = message->fd_count ? ipc_received_take_fd(message, 0) : -1;
        struct policy *policy = NULL;
        struct router *router = context;
        int r = said->len && fd >= 0 ? policy_receive(fd, said->len, &policy) : (said->len != 0 || fd >= 0 ? -EPROTO : 0);

        if (r == 0)
                r = router_conf_policy(&router->conf, policy);
        policy_leave(policy);
        if (r < 0)
                worker_disown(from);    /* without it, the services would be everybody's */
}

static void on_filter(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;

        complain(router, from, "a filter", router_conf_filter(&router->conf, IPC_PAYLOAD(message, struct ipc_router_filter)));
}

/* The routes of a gate follow it from holder to holder. */
static void hold(struct router *router, const struct ipc_router_gate *said)
{
        struct router_gate *gate = router_gates_find(&router->gates, said->gate_port, said->protocol);
        uint32_t before = gate ? gate->forward : 0;

        if (before == said->forward)
                return;
        if (router_gates_hold(&router->gates, said->gate_port, said->protocol, said->forward) < 0) {
                worker_log(&router->worker, LOG_ERR, "gate port %u gets no routes: out of memory", said->gate_port);
                return;
        }
        if (before)
                router_tell_routes(router, before, said->gate_port, said->protocol, false);
        if (said->forward)
                router_tell_routes(router, said->forward, said->gate_port, said->protocol, true);
}

static void on_gate(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_router_gate *gate = IPC_PAYLOAD(message, struct ipc_router_gate);
        struct router *router = context;

        if (router->conf.open)
                complain(router, from, "a gate", router_conf_gate(&router->conf, gate));
        else
                hold(router, gate);
}

static void hold_host(struct router *router, const struct ipc_router_host *said)
{
        if (router_hosts_hold(&router->hosts, said) < 0)
                worker_log(&router->worker, LOG_ERR, "%s:%u gets no routes: out of memory", said->at.host, said->at.port);
}

static void on_host(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_router_host *host = IPC_PAYLOAD(message, struct ipc_router_host);
        struct router *router = context;

        if (router->conf.open)
                complain(router, from, "a host", router_conf_host(&router->conf, host));
        else if (!router_conf_host_good(host))
                worker_disown(from);
        else
                hold_host(router, host);
}

static void adopt(struct router *router, const struct ipc_router_gate *gate, usec_t now)
{
        if (route_table_adopt(&router->table, gate->gate_port, gate->protocol, now) < 0 ||
            router_gates_want(&router->gates, gate->gate_port, gate->protocol, true) < 0)
                worker_log(&router->worker, LOG_ERR, "gate port %u: out of memory", gate->gate_port);
}

/* What is open at our start was wanted by the router worker before us; later, what we don't want is about to be closed. What is not listed
 * is held by nobody. */
static void apply_gates(struct router *router, const struct router_conf *conf, usec_t now)
{
        struct router_gate *gate = NULL, *next;

        while ((gate = router_gates_next(&router->gates, gate)))
                gate->listed = false;
        for (size_t i = 0; i < conf->gate_count; i++) {
                hold(router, &conf->gates[i]);
                gate = router_gates_find(&router->gates, conf->gates[i].gate_port, conf->gates[i].protocol);
                if (gate)
                        gate->listed = true;
                if ((conf->roles & IPC_AS_GATEWAY) && !router->configured)
                        adopt(router, &conf->gates[i], now);
        }
        for (gate = router_gates_next(&router->gates, NULL); gate; gate = next) {
                next = router_gates_next(&router->gates, gate);
                if (!gate->listed)
                        hold(router, &(struct ipc_router_gate){ .gate_port = gate->port, .protocol = gate->protocol });
        }
}

/* As with gates. */
static void apply_hosts(struct router *router, const struct router_conf *conf, usec_t now)
{
        struct router_host *host = NULL, *next;

        router_hosts_switch(&router->hosts, conf->hosts && (conf->roles & IPC_AS_GATEWAY));
        while ((host = router_hosts_next(&router->hosts, host)))
                host->listed = false;
        for (size_t i = 0; i < conf->held_count; i++) {
                hold_host(router, &conf->held[i]);
                if (!router->configured && router_hosts_adopt(&router->hosts, &conf->held[i].at, now) < 0)
                        worker_log(&router->worker, LOG_ERR, "%s: out of memory", conf->held[i].at.host);
                host = router_hosts_find(&router->hosts, &conf->held[i].at);
                if (host)
                        host->listed = true;
        }
        for (host = router_hosts_next(&router->hosts, NULL); host; host = next) {
                next = router_hosts_next(&router->hosts, host);
                if (!host->listed)
                        hold_host(router, &(struct ipc_router_host){ .at = host->at });
        }
}

static void apply_services(struct router *router, const struct router_conf *conf)
{
        bool provider = conf->roles & IPC_AS_PROVIDER;
        int r;

        if (!provider && !router->advert)
                return;
        r = router_offers_set(&router->offers, conf->services, conf->withheld, provider ? conf->service_count : 0);
        if (r < 0)
                complain(router, &router->worker.supervisor, "the list of services", r);
        router->surplus = provider ? conf->surplus : 0;
        router_advertise(router);
}

/* Those that go or come together are told of together. */
static void on_health(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;
        usec_t now = now_us();

        if (!router_offers_hear(&router->offers, IPC_PAYLOAD(message, struct ipc_service_health)))
                return;
        if (router->advertises_us == USEC_NEVER)
                router->advertises_us = usec_add(now, ROUTER_ADVERTISE_US);
        router_settle(router, now);
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;
        struct router_conf *conf = &router->conf;
        usec_t now = now_us();

        if (!conf->open) {
                worker_disown(from);
                return;
        }
        router->roles = conf->roles;
        router->table.expiry_us = conf->expiry_ms ? MSEC(conf->expiry_ms) : ROUTE_EXPIRY_US;
        if (!(conf->roles & IPC_AS_GATEWAY))
                route_table_drop_all(&router->table, now);
        route_table_limit(&router->table, conf->gates_per_peer && conf->gates_per_peer < ROUTE_GATES_PER_PEER ? conf->gates_per_peer
                                                                                                             : ROUTE_GATES_PER_PEER);
        route_table_filter_mode(&router->table, conf->every_filter);
        if (route_table_filter(&router->table, conf->filters, conf->filter_count, now) < 0)
                complain(router, from, "a filter", -ENOMEM);
        router_settle(router, now);     /* what closes is told before what is open is told again */
        apply_services(router, conf);
        router_tell_gates(router);      /* those that are not in this configuration, too */
        apply_gates(router, conf, now);
        router_tell_hosts(router);
        apply_hosts(router, conf, now);
        router->configured = true;
        router_conf_fini(conf);
        router_settle(router, now);
}

static struct ipc_via via_of(const struct worker_link *swarm, const uint8_t peer[IPC_KEY_BYTES])
{
        struct ipc_via via = { .swarm = swarm->ipc.id };

        memcpy(via.peer, peer, sizeof(via.peer));
        return via;
}

/* A peer's routes come with its advertisement. */
static void on_peer_up(void *context, struct worker_link *from, struct ipc_received *message)
{
}

static void on_peer_down(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_peer *peer = IPC_PAYLOAD(message, struct ipc_peer);
        struct router *router = context;
        usec_t now = now_us();
        struct ipc_via via;

        if (peer->role != IPC_AS_PROVIDER)
                return;         /* the same key may be there in both roles; only providers have routes */
        via = via_of(from, peer->peer);
        route_table_drop(&router->table, &via, now);
        router_settle(router, now);
}

/* Into the table, as far as it can be; what became of it. */
static struct router_reading merge(struct router *router, const struct ipc_via *via, const char *text, size_t len, usec_t now)
{
        struct advert *heard = &router->heard;
        struct router_reading reading = { .verdict = advert_decode(text, len, heard) };

        if (reading.verdict == ADVERT_NO_MEMORY)
                return (struct router_reading){ .verdict = ADVERT_OK, .error = -ENOMEM };
        if (reading.verdict == ADVERT_TOO_LARGE)
                reading.bytes = (unsigned)len;
        if (reading.verdict != ADVERT_OK)
                return reading;
        reading.surplus = heard->surplus;
        reading.garbage = heard->garbage;
        reading.flawed = heard->flawed;
        reading.flaw = heard->flaw;
        reading.error = route_table_merge(&router->table, via, heard, now);
        if (!reading.error && heard->starved)
                reading.error = -ENOMEM;
        advert_release(heard);
        return reading;
}

/* Counted, if nothing of it counts, and told. */
static void judge(struct router *router, const uint8_t peer[IPC_KEY_BYTES], const struct router_reading *reading, usec_t now)
{
        if (reading->verdict != ADVERT_OK && reading->verdict != ADVERT_NO_LIST)
                router->more.adverts_dropped++;
        router_tell_complaint(router, peer, reading, now);
}

static void read_advert(struct router *router, const struct ipc_via *via, const char *text, size_t len, usec_t now)
{
        struct router_reading reading = merge(router, via, text, len, now);

        judge(router, via->peer, &reading, now);
}

static void on_advert(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_peer_advert *advert = IPC_PAYLOAD(message, struct ipc_peer_advert);
        struct ipc_via via = via_of(from, advert->peer);
        struct router *router = context;
        usec_t now = now_us();
        uint8_t *text;
        int fd = ipc_received_take_fd(message, 0), r = ipc_blob_read(fd, advert->len, &text);

        close(fd);
        if (r == -ENOMEM)
                return;         /* the peer says it again within a minute */
        if (r < 0) {
                worker_disown(from);
                return;
        }
        if (router->roles & IPC_AS_GATEWAY)
                read_advert(router, &via, (const char *)text, advert->len, now);
        free(text);
        router_settle(router, now);
}

static void on_long_advert(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_peer_advert_long *advert = IPC_PAYLOAD(message, struct ipc_peer_advert_long);
        struct router_reading reading = { .verdict = ADVERT_TOO_LARGE, .bytes = advert->len, .most = advert->most };
        struct router *router = context;
        usec_t now = now_us();

        if (router->roles & IPC_AS_GATEWAY)
                judge(router, advert->peer, &reading, now);
        router_settle(router, now);
}

/* For people at the supervisor's control socket. */
static void on_ask(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct router *router = context;
        struct route_told *told = calloc(IPC_ROUTES_TOLD_MAX, sizeof(*told));
        struct ipc_router_ask ask = *IPC_PAYLOAD(message, struct ipc_router_ask);
        size_t count = told ? route_table_told(&router->table, told, IPC_ROUTES_TOLD_MAX) : 0;

        for (size_t i = 0; i < count && i < IPC_ROUTES_TOLD_MAX; i++) {
                struct ipc_router_route route = { .question = ask.question, .gate_port = told[i].gate_port, .protocol = told[i].protocol,
                                                  .services = told[i].routes, .swarm = told[i].via.swarm,
                                                  .priority = told[i].priority };

                memcpy(route.key, told[i].via.peer, sizeof(route.key));
                worker_send(from, IPC_ROUTER_ROUTE, &route, NULL, 0);
        }
        free(told);
        worker_send(from, IPC_ROUTER_ANSWERED, &ask, NULL, 0);
}

static void on_introduced(void *context, struct worker_link *link)
{
        struct router *router = context;
        usec_t now = now_us();

        if (link->ipc.peer == IPC_SWARM) {
                if (router->settles_us == USEC_NEVER)
                        router->settles_us = usec_add(now, ROUTER_SETTLE_US);
                router_tell_advert_to(router, link);
                router_settle(router, now);
        } else if (link->ipc.peer == IPC_FORWARD) {
                router_tell_all_routes(router, link);
        }
}

/* With a swarm worker all its connections to peers are gone. Their routes are true again when they come back. */
static void on_departed(void *context, struct worker_link *link)
{
        struct router *router = context;
        usec_t now = now_us();

        if (link->ipc.peer != IPC_SWARM)
                return;
        route_table_drop_swarm(&router->table, link->ipc.id, now);
        router_settle(router, now);
}

const struct worker_handlers router_handlers = {
        .message = {
                [IPC_CONF_BEGIN] = on_begin,
                [IPC_ROUTER_ROLES] = on_roles,
                [IPC_ROUTER_SERVICE] = on_service,
                [IPC_ROUTER_POLICY] = on_policy,
                [IPC_ROUTER_FILTER] = on_filter,
                [IPC_ROUTER_GATE] = on_gate,
                [IPC_ROUTER_HOST] = on_host,
                [IPC_ROUTER_HEALTH] = on_health,
                [IPC_CONF_END] = on_end,
                [IPC_ROUTER_ASK] = on_ask,
                [IPC_PEER_UP] = on_peer_up,
                [IPC_PEER_DOWN] = on_peer_down,
                [IPC_PEER_ADVERT] = on_advert,
                [IPC_PEER_ADVERT_LONG] = on_long_advert,
        },
        .introduced = on_introduced,
        .departed = on_departed,
};
