/* SPDX-License-Identifier: BSD-3-Clause */
/* A router worker that wants what it is not offered, to test the supervisor with: the port of each filter, the one above it
 * and its UDP port (which no filter allows). Routes lead to the provider that the fake swarm worker plays.
 *
 * SIGWINCH: wants nothing any more. */
#include <ev.h>
#include <signal.h>

#include "ipc_route.h"
#include "ipc_router.h"
#include "run.h"

struct fake {
        struct worker worker;
        uint16_t port[64];
        unsigned count;
        ev_signal give_up;
};

static void on_ignored(void *context, struct worker_link *from, struct ipc_received *message)
{
}

static void on_filter(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        if (fake->count < ARRAY_LEN(fake->port))
                fake->port[fake->count++] = IPC_PAYLOAD(message, struct ipc_router_filter)->gate_port;
}

static void say(struct fake *fake, enum ipc_type type, uint16_t port, uint16_t protocol)
{
        struct ipc_gate gate = { .gate_port = port, .protocol = protocol };

        worker_send(&fake->worker.supervisor, type, &gate, NULL, 0);
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct fake *fake = context;

        for (unsigned i = 0; i < fake->count; i++) {
                say(fake, IPC_GATE_OPEN, fake->port[i], IPC_TCP);
                say(fake, IPC_GATE_OPEN, (uint16_t)(fake->port[i] + 1), IPC_TCP);
                say(fake, IPC_GATE_OPEN, fake->port[i], IPC_UDP);
        }
}

static void on_introduced(void *context, struct worker_link *link)
{
        struct ipc_generation generation = { .generation = 1 };
        struct fake *fake = context;

        if (link->ipc.peer != IPC_FORWARD)
                return;
        worker_send(link, IPC_ROUTES_BEGIN, &generation, NULL, 0);
        for (unsigned i = 0; i < fake->count; i++) {
                struct ipc_route route = { .peer = "a provider that is not there...", .gate_port = fake->port[i], .swarm = 1 };

                worker_send(link, IPC_ROUTE_SET, &route, NULL, 0);
        }
        worker_send(link, IPC_ROUTES_END, &generation, NULL, 0);
}

static void on_give_up(struct ev_loop *loop, ev_signal *watcher, int events)
{
        struct fake *fake = watcher->data;

        for (unsigned i = 0; i < fake->count; i++)
                say(fake, IPC_GATE_CLOSE, fake->port[i], IPC_TCP);
}

int main(void)
{
        static const struct worker_handlers handlers = {
                .message = {
                        [IPC_CONF_BEGIN] = on_ignored, [IPC_ROUTER_ROLES] = on_ignored, [IPC_ROUTER_SERVICE] = on_ignored,
                        [IPC_ROUTER_POLICY] = on_ignored,
                        [IPC_ROUTER_FILTER] = on_filter, [IPC_ROUTER_GATE] = on_ignored, [IPC_CONF_END] = on_end,
                        [IPC_PEER_UP] = on_ignored, [IPC_PEER_DOWN] = on_ignored, [IPC_PEER_ADVERT] = on_ignored, [IPC_PEER_ADVERT_LONG] = on_ignored,
                },
                .introduced = on_introduced,
        };
        static const struct run_confinement confinement = { 0 };
        static struct fake fake;
        int code;

        worker_begin(&fake.worker, IPC_ROUTER);
        ev_signal_init(&fake.give_up, on_give_up, SIGWINCH);
        fake.give_up.data = &fake;
        ev_signal_start(fake.worker.loop, &fake.give_up);
        worker_confine(&fake.worker, &confinement);
        code = worker_run(&fake.worker, &handlers, &fake);
        worker_end(&fake.worker);
        return code;
}
