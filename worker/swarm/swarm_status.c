/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>
#include <string.h>

#include "ipc_swarm.h"
#include "swarm_process.h"

#define STATUS_EVERY_S 1.0

static uint64_t strangers_dropped(const struct swarm_process *swarm, const struct node_stats *stats)
{
        return stats->datagrams_dropped + swarm->udp.oversized + udp_stranger_drops(&swarm->udp);
}

static struct ipc_swarm_status status_now(const struct swarm_process *swarm)
{
        struct ipc_swarm_status status;
        struct node_stats stats;

        node_stats(swarm->node, &stats);
        status = (struct ipc_swarm_status){
                .nodes = stats.table_nodes,
                .bootstrapped = stats.bootstrapped,
                .announced = stats.announced,
                .gateways = stats.peers[NODE_GATEWAY],
                .providers = stats.peers[NODE_PROVIDER],
                .channels = stats.channels,
                .relayed = stats.relayed,
                .relays = stats.relay_connections,
                .outdated = stats.outdated,
                .relayed_bytes = stats.relay_bytes,
                .strangers_dropped = strangers_dropped(swarm, &stats),
                .streams_dropped = udp_stream_drops(&swarm->udp),
                .limited = swarm->channels.limited,
        };
        status.datagrams_dropped = stats.channel_datagrams_dropped + swarm->channels.room.dropped;
        channels_bytes(&swarm->channels, &status.sent_bytes, &status.received_bytes);
        return status;
}

/* How large the network is, and the flood, roughly: each node that comes and goes is no news. */
static unsigned digits(uint64_t number)
{
        unsigned bits = 0;

        for (; number > 0; number >>= 1)
                bits++;
        return bits;
}

/* Who counts peers wants to know at once; who counts bytes can wait. */
static bool news(const struct ipc_swarm_status *told, const struct ipc_swarm_status *now)
{
        return told->bootstrapped != now->bootstrapped || told->announced != now->announced ||
               told->gateways != now->gateways || told->providers != now->providers || told->relayed != now->relayed ||
               told->outdated != now->outdated ||
               told->relays != now->relays || digits(told->relayed_bytes) != digits(now->relayed_bytes) || digits(told->nodes) != digits(now->nodes) ||
               digits(told->strangers_dropped) != digits(now->strangers_dropped);
}

static void tell(struct swarm_process *swarm, const struct ipc_swarm_status *status)
{
        swarm->told = *status;
        swarm->told_us = swarm->driver.now.mono_us;
        worker_send(&swarm->worker.supervisor, IPC_SWARM_STATUS, status, NULL, 0);
}

static void look_again(struct swarm_process *swarm)
{
        ev_timer_set(&swarm->status, STATUS_EVERY_S, 0.0);
        ev_timer_start(swarm->worker.loop, &swarm->status);
}

/* What was kept for the next bytes is of more use to others. */
static void rest(struct swarm_process *swarm)
{
        node_trim(swarm->node);
        malloc_trim(0);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct swarm_process *swarm = timer->data;
        struct ipc_swarm_status status = status_now(swarm);

        if (memcmp(&status, &swarm->told, sizeof(status)) != 0) {
                tell(swarm, &status);
                if (!status.channels)
                        look_again(swarm);      /* the last one is gone: was it the last of many? */
        } else if (!status.channels) {
                rest(swarm);
        }
}

void swarm_status_init(struct swarm_process *swarm)
{
        ev_timer_init(&swarm->status, on_due, STATUS_EVERY_S, 0);
        swarm->status.data = swarm;
}

void swarm_status_fini(struct swarm_process *swarm)
{
        ev_timer_stop(swarm->worker.loop, &swarm->status);
}

void swarm_status_look(struct swarm_process *swarm)
{
        struct node_stats stats;
        struct ipc_swarm_status status;

        if (ev_is_active(&swarm->status))
                return;         /* armed: it will look by itself. Idle turns arm nothing and wake nobody */
        node_stats(swarm->node, &stats);
        status = swarm->told;
        status.nodes = stats.table_nodes;
        status.bootstrapped = stats.bootstrapped;
        status.announced = stats.announced;
        status.gateways = stats.peers[NODE_GATEWAY];
        status.providers = stats.peers[NODE_PROVIDER];
        status.relayed = stats.relayed;
        status.relays = stats.relay_connections;
        status.outdated = stats.outdated;
        status.relayed_bytes = stats.relay_bytes;
        status.strangers_dropped = strangers_dropped(swarm, &stats);
        if (news(&swarm->told, &status)) {
                status = status_now(swarm);
                tell(swarm, &status);
        }
        if (stats.channels || swarm->told.channels)
                look_again(swarm);
}
