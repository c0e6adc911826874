/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets to get through to a peer with, where our NAT gives each remote another port: asked of the supervisor, a grant at a time, and
 * closed when the node is done with them. */
#include "ipc_swarm.h"
#include "swarm_process.h"

static void ask(struct swarm_process *swarm)
{
        struct ipc_swarm_want want = { .count = (uint32_t)MIN(swarm->pool_wanted, (size_t)IPC_GRANT_MAX) };

        worker_send(&swarm->worker.supervisor, IPC_SWARM_WANT, &want, NULL, 0);
}

static void end(struct swarm_process *swarm)
{
        swarm->pool_wanted = 0;
        node_no_sockets(swarm->node, &swarm->driver.now);
}

void swarm_pool_want(struct swarm_process *swarm, size_t count)
{
        swarm->pool_wanted = count;
        if (worker_fds_short(&swarm->worker))
                end(swarm);
        else
                ask(swarm);
}

/* False: it can't be kept. */
static bool add(struct swarm_process *swarm, int fd, bool gso)
{
        int number = worker_fd_spare(&swarm->worker, fd) ? -1 : udp_add_socket(&swarm->udp, fd, gso);

        if (number < 0) {
                close(fd);
                return false;
        }
        driver_watch_socket(&swarm->driver, (unsigned)number);
        node_add_socket(swarm->node, (uint32_t)number, &swarm->driver.now);
        return true;
}

void swarm_pool_grant(struct swarm_process *swarm, struct ipc_received *message)
{
        const struct ipc_swarm_grant *grant = IPC_PAYLOAD(message, struct ipc_swarm_grant);
        bool kept = true;

        if (!swarm->node)
                return;
        for (unsigned i = 0; i < message->fd_count && kept && swarm->pool_wanted; i++) {
                kept = add(swarm, ipc_received_take_fd(message, i), grant->gso);
                swarm->pool_wanted -= kept;
        }
        if (!kept || (grant->last && !message->fd_count))
                end(swarm);
        else if (grant->last && swarm->pool_wanted)
                ask(swarm);
}

void swarm_pool_done(struct swarm_process *swarm, uint32_t number)
{
        driver_close_socket(&swarm->driver, number);
}
