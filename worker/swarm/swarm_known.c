/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the supervisor which nodes of the DHT are there, so that a later start can begin with them. */
#include <string.h>

#include "ipc_swarm.h"
#include "swarm_process.h"

#define FIRST_S 2.0
#define GROWS 5.0
#define LATER_S 300.0

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct swarm_process *swarm = timer->data;
        struct ipc_swarm_known known = { 0 };
        struct addr nodes[IPC_KNOWN_MAX];

        known.count = (uint32_t)node_known(swarm->node, nodes, IPC_KNOWN_MAX);
        for (uint32_t i = 0; i < known.count; i++) {
                memcpy(known.node[i].ip, nodes[i].ip, sizeof(known.node[i].ip));
                known.node[i].port = nodes[i].port;
        }
        if (known.count > 0)
                worker_send(&swarm->worker.supervisor, IPC_SWARM_KNOWN, &known, NULL, 0);
        swarm->known_after_s = MIN(swarm->known_after_s * GROWS, LATER_S);
        ev_timer_set(timer, swarm->known_after_s, 0.0);
        ev_timer_start(loop, timer);
}

void swarm_known_init(struct swarm_process *swarm)
{
        ev_init(&swarm->known, on_due);
        swarm->known.data = swarm;
}

void swarm_known_start(struct swarm_process *swarm)
{
        swarm->known_after_s = FIRST_S;
        ev_timer_set(&swarm->known, FIRST_S, 0.0);
        ev_timer_start(swarm->worker.loop, &swarm->known);
}

void swarm_known_fini(struct swarm_process *swarm)
{
        ev_timer_stop(swarm->worker.loop, &swarm->known);
}
