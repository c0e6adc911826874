/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor and the siblings say to the forward worker. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "forward_process.h"
#include "ipc_channel.h"
#include "ipc_fd.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "policy.h"

static struct now now_read(void)
{
        struct now now;

        worker_now(&now);
        return now;
}

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;

        forward->conf_open = true;
        forward->keep_next = (struct ipc_forward_keep_alive){ 0 };
        listeners_begin(&forward->listeners);
        greetings_begin(&forward->greetings);
        datagrams_begin(&forward->datagrams);
        clients_gates_begin(&forward->clients);
        services_begin(&forward->arrivals.services);
}

static void on_limits(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_forward_limits *limits = IPC_PAYLOAD(message, struct ipc_forward_limits);
        struct forward *forward = context;

        if (!forward->conf_open || !forward_has_gates(forward) || limits->rate > RATE_MAX || limits->rate_per_client > RATE_MAX ||
            limits->swarms > IPC_SWARMS_MAX)
                worker_disown(from);
        else
                forward->clients.limits_next = *limits;
}

static void on_trusted(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;

        if (!forward->conf_open || !forward_has_gates(forward) ||
            !greetings_trust(&forward->greetings, IPC_PAYLOAD(message, struct ipc_forward_trusted)))
                worker_disown(from);
}

static void on_allow(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;
        struct now now = now_read();

        if (!forward_has_gates(forward))
                worker_disown(from);
        else if (ipc_allowances_set(forward->conf_open ? &forward->clients.admissions.allowed_next : &forward->clients.admissions.allowed,
                                    IPC_PAYLOAD(message, struct ipc_forward_allow), now.wall_us / 1000) < 0)
                worker_log(&forward->worker, LOG_ERR, "a client is not let in: %d are that no policy keeps out, as many as may be",
                           IPC_ALLOWANCES_MAX);
}

/* What can't be had keeps everybody out until another worker has it. */
static void on_policy(void *context, struct worker_link *from, struct ipc_received *message)
{
        static const struct ipc_rule nobody = { .who = IPC_RULE_OTHERS };
        const struct ipc_forward_policy *said = IPC_PAYLOAD(message, struct ipc_forward_policy);
        cleanup_fd int fd = message->fd_count ? ipc_received_take_fd(message, 0) : -1;
        struct policy *policy = NULL;
        struct forward *forward = context;
        int r = -EPROTO;

        if (forward->conf_open && forward_has_gates(forward) && said->rules <= IPC_RULES_MAX && (fd >= 0) == (said->rules > 0))
                r = fd >= 0 ? policy_receive(fd, said->rules * sizeof(struct ipc_rule), &policy)
                            : (policy = policy_new(&nobody, 1)) ? 0 : -ENOMEM;
        if (r == 0)
                admissions_restrict(&forward->clients.admissions, policy);
        else
                worker_disown(from);
        policy_leave(policy);
}

static void on_keep_alive(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_forward_keep_alive *keep = IPC_PAYLOAD(message, struct ipc_forward_keep_alive);
        struct forward *forward = context;

        if (!forward->conf_open || keep->idle_s > INT_MAX || keep->interval_s > INT_MAX || keep->count > INT_MAX)
                worker_disown(from);
        else
                forward->keep_next = *keep;
}

static int add_listener(struct forward *forward, const struct ipc_forward_listener *listener, int fd)
{
        return listener->protocol == IPC_UDP ? datagrams_add(&forward->datagrams, listener, fd)
                                             : listeners_add(&forward->listeners, listener, fd);
}

static void on_listener(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_forward_listener *listener = IPC_PAYLOAD(message, struct ipc_forward_listener);
        struct forward *forward = context;

        if (!forward->conf_open || !forward_has_gates(forward) || listener->protocol > IPC_UDP ||
            listener->policy >= IPC_POLICIES)
                worker_disown(from);
        else if (clients_gate_set(&forward->clients, listener) < 0 ||
                 add_listener(forward, listener, ipc_received_take_fd(message, 0)) < 0)
                worker_log(&forward->worker, LOG_ERR, "gate %u: out of memory", listener->gate_port);
}

static void on_host(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_forward_host *host = IPC_PAYLOAD(message, struct ipc_forward_host);
        struct forward *forward = context;

        if (!forward->conf_open || forward->worker.begin.duty != IPC_DUTY_HOSTS || !memchr(host->at.host, '\0', sizeof(host->at.host)))
                worker_disown(from);
        else
                clients_gate_entitle(&forward->clients, host);
}

/* What the wall lets through; without Landlock for TCP, and for UDP, it is the same by our own hand. */
static bool may_connect(const struct ipc_begin *begin, uint16_t protocol, uint16_t port)
{
        if (!(begin->protocols & 1U << protocol))
                return false;
        for (uint32_t i = 0; i < begin->port_count; i++)
                if (begin->port[i] == port)
                        return true;
        return begin->port_count == 0;
}

static bool is_checkable(const struct ipc_forward_service *service)
{
        return service->health == IPC_HEALTH_NONE ||
               (service->health < IPC_HEALTHS && service->protocol == IPC_TCP && service->interval_ms && service->rise && service->fall &&
                memchr(service->path, '\0', sizeof(service->path)));
}

static void on_service(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_forward_service *service = IPC_PAYLOAD(message, struct ipc_forward_service);
        struct forward *forward = context;

        if (!forward->conf_open || forward->worker.begin.duty != IPC_DUTY_SERVICES || service->protocol > IPC_UDP ||
            service->count > IPC_ADDRESSES_MAX || !memchr(service->host, '\0', sizeof(service->host)) ||
            !memchr(service->alias, '\0', sizeof(service->alias)) ||
            service->local > (service->protocol == IPC_TCP) || service->proxy > IPC_PROXY_V2 ||
            (service->proxy == IPC_PROXY_V1 && service->protocol == IPC_UDP) || !is_checkable(service))
                worker_disown(from);
        else if (!service->local && !may_connect(&forward->worker.begin, service->protocol, service->service_port))
                worker_log(&forward->worker, LOG_ERR, "service %u at %s:%u: not a port that this worker was started for",
                           service->gate_port, service->host, service->service_port);
        else if (services_add(&forward->arrivals.services, service) < 0)
                worker_log(&forward->worker, LOG_ERR, "service %u: out of memory", service->gate_port);
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;

        if (!forward->conf_open) {
                worker_disown(from);
                return;
        }
        forward->conf_open = false;
        forward->clients.keep = forward->arrivals.keep = forward->keep_next;
        greetings_end(&forward->greetings);
        listeners_end(&forward->listeners);
        datagrams_end(&forward->datagrams);
        clients_gates_end(&forward->clients);
        services_end(&forward->arrivals.services);
        checks_services_changed(&forward->checks, now_read().mono_us);
        arrivals_services_changed(&forward->arrivals);
}

static void on_routes_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;

        choose_begin(&forward->clients.choose);
}

static void on_routes_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;
        struct now now = now_read();

        choose_end(&forward->clients.choose);
        clients_serve_all(&forward->clients, &now);
}

static struct ipc_via via_of(const struct ipc_route *route)
{
        struct ipc_via via = { .swarm = route->swarm };

        memcpy(via.peer, route->peer, sizeof(via.peer));
        return via;
}

static bool has_hosts(const struct forward *forward)
{
        return forward->worker.begin.duty == IPC_DUTY_HOSTS;
}

/* Of the TLS clients that the route is for. */
static uint32_t name_of(const struct forward *forward, const struct ipc_route *route)
{
        return has_hosts(forward) ? 0 : route->name;
}

static void on_route_set(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_route *route = IPC_PAYLOAD(message, struct ipc_route);
        cleanup_fd int fd = message->fd_count ? ipc_received_take_fd(message, 0) : -1;
        struct ipc_via via = via_of(route);
        struct policy *policy = NULL;
        struct forward *forward = context;
        uint32_t name = name_of(forward, route);
        struct now now = now_read();
        int r = (fd >= 0) != (route->rules > 0) ? -EPROTO : fd >= 0 ? policy_receive(fd, route->rules * sizeof(struct ipc_rule), &policy) : 0;

        if (r == -EPROTO) {
                worker_disown(from);
                return;
        }
        if (r < 0)
                choose_drop(&forward->clients.choose, &via, route->gate_port, route->protocol, name);  /* rather than to whoever comes */
        if (r < 0 || choose_set(&forward->clients.choose, &via, route->gate_port, route->protocol, route->service, route->priority,
                                name) < 0) {
                worker_log(&forward->worker, LOG_WARNING, "gate %u: a provider is left out: no room", route->gate_port);
                policy_leave(policy);
                return;
        }
        if (has_hosts(forward))
                choose_offered(&forward->clients.choose, &via, route->gate_port, route->protocol, (uint16_t)route->name);
        choose_restrict(&forward->clients.choose, &via, route->gate_port, route->protocol, name, policy);
        policy_leave(policy);
        if (name)
                clients_name(&forward->clients, route->gate_port, route->protocol);
        clients_serve(&forward->clients, route->gate_port, route->protocol, &now);
}

static void on_route_drop(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_route *route = IPC_PAYLOAD(message, struct ipc_route);
        struct ipc_via via = via_of(route);
        struct forward *forward = context;
        struct now now = now_read();

        choose_drop(&forward->clients.choose, &via, route->gate_port, route->protocol, name_of(forward, route));
        clients_serve(&forward->clients, route->gate_port, route->protocol, &now);
}

static void on_opened(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;
        struct now now = now_read();

        clients_opened(&forward->clients, from->ipc.id, IPC_PAYLOAD(message, struct ipc_channel), &now);
}

static void on_refused(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_refused *refused = IPC_PAYLOAD(message, struct ipc_channel_refused);
        struct forward *forward = context;
        struct now now = now_read();
        int fd = ipc_received_take_fd(message, 0);

        if (worker_fd_spare(&forward->worker, fd))
                close_fdp(&fd);         /* the client is reset */
        if (refused->reason >= IPC_REASONS || refused->text_len > sizeof(refused->text)) {
                close_fdp(&fd);
                worker_disown(from);
        } else {
                clients_refused(&forward->clients, from->ipc.id, refused, fd, &now);
        }
}

static void on_arrived(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_arrived *arrived = IPC_PAYLOAD(message, struct ipc_channel_arrived);
        struct forward *forward = context;

        if (arrived->metadata_len > sizeof(arrived->metadata))
                worker_disown(from);
        else
                arrivals_arrived(&forward->arrivals, from->ipc.id, arrived, now_read().mono_us);
}

static void on_dialled(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_service_dialled *dialled = IPC_PAYLOAD(message, struct ipc_service_dialled);
        cleanup_fd int fd = message->fd_count ? ipc_received_take_fd(message, 0) : -1;
        struct forward *forward = context;

        if ((fd >= 0) != (dialled->error == 0) || dialled->error > INT_MAX)
                worker_disown(from);
        else if (dialled->swarm)
                arrivals_dialled(&forward->arrivals, dialled, fd >= 0 ? take_fd(&fd) : -1, now_read().mono_us);
        else
                checks_dialled(&forward->checks, dialled, fd >= 0 ? take_fd(&fd) : -1, now_read().mono_us);
}

static void on_detached(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_session_detached *detached = IPC_PAYLOAD(message, struct ipc_session_detached);
        cleanup_fd int fd = message->fd_count ? ipc_received_take_fd(message, 0) : -1;
        struct forward *forward = context;
        struct now now = now_read();

        if ((fd >= 0) != (detached->error == 0))
                worker_disown(from);
        else
                sessions_detached(&forward->clients, detached, fd >= 0 ? take_fd(&fd) : -1, &now);
}

static void on_gone(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct forward *forward = context;

        arrivals_gone(&forward->arrivals, from->ipc.id, IPC_PAYLOAD(message, struct ipc_channel));
}

/* Whose number it is depends on who brought the connection, which this worker's duty tells. */
static void on_closed(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_closed *closed = IPC_PAYLOAD(message, struct ipc_channel_closed);
        struct forward *forward = context;

        if (closed->reason >= IPC_REASONS)
                worker_disown(from);
        else if (forward_has_gates(forward))
                clients_closed(&forward->clients, from->ipc.id, closed);
        else
                arrivals_closed(&forward->arrivals, from->ipc.id, closed, now_read().mono_us);
}

static void on_introduced(void *context, struct worker_link *link)
{
        struct forward *forward = context;
        struct now now = now_read();

        if (link->ipc.peer != IPC_SWARM)
                return;
        clients_serve_all(&forward->clients, &now);
        arrivals_introduce(&forward->arrivals, link);
}

static void on_drained(void *context, struct worker_link *link)
{
        struct forward *forward = context;
        struct now now = now_read();

        if (link->ipc.peer == IPC_SWARM)
                clients_serve_all(&forward->clients, &now);
}

/* Without a router worker the routes that were known stay in use. When all are leaving nobody has lost anything: clients who were
 * handed on are not told of, and who comes now waits until this worker's end. */
static void on_departed(void *context, struct worker_link *link)
{
        struct forward *forward = context;
        struct now now = now_read();

        if (link->ipc.peer != IPC_SWARM)
                return;
        if (!forward->leaving)
                clients_lose(&forward->clients, link->ipc.id, &now);
        arrivals_lose(&forward->arrivals, link->ipc.id);
}

/* Swarm workers keep what they have. */
static void on_stopping(void *context, usec_t limit_us)
{
        struct forward *forward = context;

        forward->leaving = true;
        worker_stop(&forward->worker, EXIT_SUCCESS);
}

const struct worker_handlers forward_handlers = {
        .message = {
                [IPC_CONF_BEGIN] = on_begin,
                [IPC_FORWARD_LISTENER] = on_listener,
                [IPC_FORWARD_HOST] = on_host,
                [IPC_FORWARD_LIMITS] = on_limits,
                [IPC_FORWARD_TRUSTED] = on_trusted,
                [IPC_FORWARD_ALLOW] = on_allow,
                [IPC_FORWARD_POLICY] = on_policy,
                [IPC_FORWARD_KEEP_ALIVE] = on_keep_alive,
                [IPC_FORWARD_SERVICE] = on_service,
                [IPC_CONF_END] = on_end,
                [IPC_ROUTES_BEGIN] = on_routes_begin,
                [IPC_ROUTES_END] = on_routes_end,
                [IPC_ROUTE_SET] = on_route_set,
                [IPC_ROUTE_DROP] = on_route_drop,
                [IPC_CHANNEL_OPENED] = on_opened,
                [IPC_CHANNEL_REFUSED] = on_refused,
                [IPC_CHANNEL_ARRIVED] = on_arrived,
                [IPC_CHANNEL_GONE] = on_gone,
                [IPC_SERVICE_DIALLED] = on_dialled,
                [IPC_SESSION_DETACHED] = on_detached,
                [IPC_CHANNEL_CLOSED] = on_closed,
        },
        .introduced = on_introduced,
        .departed = on_departed,
        .drained = on_drained,
        .stopping = on_stopping,
};
