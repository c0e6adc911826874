/* SPDX-License-Identifier: BSD-3-Clause */
/* A swarm worker without a network, to test the supervisor and the other workers with: it logs what it is told, offers a
 * route for each bootstrap node's port through a provider that is not there, and answers each client by itself.
 *
 * SIGUSR1: makes a system call it may not make. SIGUSR2: breaks the rules of its link. SIGWINCH: those of its link to the router
 * worker. SIGURG: lets go of that link. SIGHUP: turns in a circle for ever. */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_route.h"
#include "ipc_swarm.h"
#include "run.h"

struct fake {
        struct worker worker;
        struct worker_link *router;
        struct {
                unsigned sockets, seeds, addresses, identities, routers, services;
                uint16_t port, gates[16];
                char seed[2][17];
        } conf;
        ev_signal deny, lie, lie_aside, let_go, hang;
        struct {
                struct worker_link *forward;
                struct ipc_service_held held;
                uint64_t channel;
                ev_timer again;
        } arrival;
};

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        memset(&fake->conf, 0, sizeof(fake->conf));
}

static void on_node(void *context, struct worker_link *from, struct ipc_received *message)
{
}

static void on_socket(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_socket *made = IPC_PAYLOAD(message, struct ipc_swarm_socket);
        struct fake *fake = context;

        fake->conf.sockets++;
        if (made->kind == IPC_SOCKET_SERVER)
                fake->conf.port = made->local_port;
}

static void on_address(void *context, struct worker_link *from, struct ipc_received *message)
{
        ((struct fake *)context)->conf.addresses++;
}

static void on_bootstrap(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        if (fake->conf.seeds < ARRAY_LEN(fake->conf.gates))
                fake->conf.gates[fake->conf.seeds++] = IPC_PAYLOAD(message, struct ipc_swarm_bootstrap)->port;
}

static void on_router(void *context, struct worker_link *from, struct ipc_received *message)
{
        ((struct fake *)context)->conf.routers++;
}

static void on_identity(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_identity *identity = IPC_PAYLOAD(message, struct ipc_swarm_identity);
        struct fake *fake = context;
        char *text = fake->conf.seed[identity->role == IPC_AS_PROVIDER];

        for (int i = 0; i < 8; i++)
                snprintf(text + 2 * i, 3, "%02x", identity->seed[i]);
        fake->conf.identities++;
}

static void offer(struct fake *fake)
{
        struct ipc_peer_advert advert = { .peer = "a provider that is not there..." };
        char text[2048] = "{\"routes\":[";
        int fd;

        for (unsigned i = 0; i < fake->conf.seeds; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text),
                         "%s{\"serviceHost\":\"x\",\"servicePort\":1,\"protocol\":0,\"gatePort\":%u}", i ? "," : "",
                         fake->conf.gates[i]);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "]}");
        advert.len = (uint32_t)strlen(text);
        fd = ipc_blob_new(text, advert.len);
        worker_send(fake->router, IPC_PEER_ADVERT, &advert, &fd, 1);
        close(fd);
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;
        struct ipc_swarm_status status = { .nodes = 5, .bootstrapped = 1, .providers = 1 };

        worker_log(&fake->worker, LOG_INFO,
                   "told: port %u, %u sockets, %u seeds, %u addresses, %u routers, %u identities, %u services, gateway %s, provider %s",
                   fake->conf.port, fake->conf.sockets, fake->conf.seeds, fake->conf.addresses, fake->conf.routers,
                   fake->conf.identities, fake->conf.services, fake->conf.seed[0], fake->conf.seed[1]);
        worker_send(&fake->worker.supervisor, IPC_SWARM_STATUS, &status, NULL, 0);
}

static void on_advertise(void *context, struct worker_link *from, struct ipc_received *message)
{
        worker_log(&((struct fake *)context)->worker, LOG_INFO, "advertises %u bytes",
                   IPC_PAYLOAD(message, struct ipc_advertise)->len);
}

static void greet(int fd)
{
        static const char hello[] = "hello\n";
        struct linger orderly = { 0 };

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &orderly, sizeof(orderly));
        if (write(fd, hello, sizeof(hello) - 1) < 0)
                return;
        shutdown(fd, SHUT_WR);
}

/* A client at a gate: greeted, and that was it. */
static void on_open(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct ipc_channel opened = { .channel = IPC_PAYLOAD(message, struct ipc_channel_open)->channel };
        struct ipc_channel_closed closed = { .channel = opened.channel };
        int fd = ipc_received_take_fd(message, 0);

        worker_send(from, IPC_CHANNEL_OPENED, &opened, NULL, 0);
        greet(fd);
        close(fd);
        worker_send(from, IPC_CHANNEL_CLOSED, &closed, NULL, 0);
}

/* A client comes for the service, and again until it was connected once. */
static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct fake *fake = timer->data;
        struct ipc_channel_arrived arrived = { .channel = ++fake->arrival.channel, .gate_port = fake->arrival.held.gate_port };

        worker_send(fake->arrival.forward, IPC_CHANNEL_ARRIVED, &arrived, NULL, 0);
}

static void come(struct fake *fake, double after_s)
{
        ev_timer_stop(fake->worker.loop, &fake->arrival.again);
        ev_timer_init(&fake->arrival.again, on_again, after_s, 0);
        fake->arrival.again.data = fake;
        ev_timer_start(fake->worker.loop, &fake->arrival.again);
}

static void on_held(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        if (from == &fake->worker.supervisor) {
                fake->conf.services++;
                return;
        }
        fake->arrival.forward = from;
        fake->arrival.held = *IPC_PAYLOAD(message, struct ipc_service_held);
        worker_log(&fake->worker, LOG_INFO, "service %u is held by forward worker %u", fake->arrival.held.gate_port,
                   from->ipc.id);
        come(fake, 0);
}

static void on_ready(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct ipc_channel_closed closed = { .channel = IPC_PAYLOAD(message, struct ipc_channel_ready)->channel };
        int fd = ipc_received_take_fd(message, 0);

        greet(fd);
        close(fd);
        worker_send(from, IPC_CHANNEL_CLOSED, &closed, NULL, 0);
}

static void on_refuse(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        worker_log(&fake->worker, LOG_DEBUG, "the service is refused: %.*s", IPC_TEXT_MAX,
                   IPC_PAYLOAD(message, struct ipc_channel_refused)->text);
        come(fake, 0.2);
}

static void on_introduced(void *context, struct worker_link *link)
{
        struct ipc_peer peer = { .peer = "a provider that is not there...", .role = IPC_AS_PROVIDER };
        struct fake *fake = context;

        if (link->ipc.peer != IPC_ROUTER)
                return;
        worker_log(&fake->worker, LOG_INFO, "met the router worker");
        fake->router = link;
        worker_send(link, IPC_PEER_UP, &peer, NULL, 0);
        offer(fake);
}

static void on_departed(void *context, struct worker_link *link)
{
        struct fake *fake = context;

        if (link == fake->arrival.forward)
                ev_timer_stop(fake->worker.loop, &fake->arrival.again);
}

static void on_deny(struct ev_loop *loop, ev_signal *watcher, int events)
{
        socket(AF_INET, SOCK_DGRAM, 0);
}

static void on_lie(struct ev_loop *loop, ev_signal *watcher, int events)
{
        static const uint32_t nonsense[] = { IPC_ROUTE_SET, 1, 2, 3 };

        if (write(WORKER_CONTROL_FD, nonsense, sizeof(nonsense)) < 0)
                abort();
}

static void on_lie_aside(struct ev_loop *loop, ev_signal *watcher, int events)
{
        static const uint32_t nonsense[] = { IPC_ADVERTISE, 1 };
        const struct fake *fake = watcher->data;

        if (write(fake->router->ipc.fd, nonsense, sizeof(nonsense)) < 0)
                abort();
}

static void on_let_go(struct ev_loop *loop, ev_signal *watcher, int events)
{
        const struct fake *fake = watcher->data;

        shutdown(fake->router->ipc.fd, SHUT_WR);         /* the other side does the rest */
}

static _Noreturn void on_hang(struct ev_loop *loop, ev_signal *watcher, int events)
{
        for (;;)
                __asm__ volatile("");
}

static void watch(struct fake *fake, ev_signal *watcher, int number,
                  void (*handler)(struct ev_loop *loop, ev_signal *signal, int events))
{
        ev_signal_init(watcher, handler, number);
        watcher->data = fake;
        ev_signal_start(fake->worker.loop, watcher);
}

static void on_ignored(void *context, struct worker_link *from, struct ipc_received *message)
{
}

int main(void)
{
        static const struct worker_handlers handlers = {
                .message = {
                        [IPC_CONF_BEGIN] = on_begin, [IPC_SWARM_NODE] = on_node, [IPC_SWARM_SOCKET] = on_socket,
                        [IPC_SWARM_ADDRESS] = on_address, [IPC_SWARM_BOOTSTRAP] = on_bootstrap, [IPC_SWARM_ROUTER] = on_router,
                        [IPC_SWARM_IDENTITY] = on_identity, [IPC_CONF_END] = on_end, [IPC_ADVERTISE] = on_advertise,
                        [IPC_CHANNEL_OPEN] = on_open, [IPC_SERVICE_HELD] = on_held, [IPC_CHANNEL_READY] = on_ready,
                        [IPC_CHANNEL_REFUSE] = on_refuse, [IPC_SWARM_LIMITS] = on_ignored,
                },
                .introduced = on_introduced,
                .departed = on_departed,
        };
        static const struct run_confinement confinement = { .blobs = 1, .ends_halves = 1, .sets_linger = 1 };
        static struct fake fake;
        int code;

        worker_begin(&fake.worker, IPC_SWARM);
        ev_init(&fake.arrival.again, on_again);
        watch(&fake, &fake.deny, SIGUSR1, on_deny);
        watch(&fake, &fake.lie, SIGUSR2, on_lie);
        watch(&fake, &fake.lie_aside, SIGWINCH, on_lie_aside);
        watch(&fake, &fake.let_go, SIGURG, on_let_go);
        watch(&fake, &fake.hang, SIGHUP, on_hang);
        worker_confine(&fake.worker, &confinement);
        code = worker_run(&fake.worker, &handlers, &fake);
        worker_end(&fake.worker);
        return code;
}
