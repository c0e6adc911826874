/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm_process.h"

#include <sodium.h>
#include <stdlib.h>

static struct worker_link *find_forward(void *context, uint32_t id)
{
        struct swarm_process *swarm = context;

        return worker_find(&swarm->worker, IPC_FORWARD, id);
}

/* One line a minute: of many that are refused each would say the same. */
static void on_full(void *context, const uint8_t peer[NODE_KEY_BYTES])
{
        struct swarm_process *swarm = context;
        struct ipc_fields fields = IPC_FIELDS_INIT;
        usec_t now_us = swarm->driver.now.mono_us;

        if (swarm->limited_told_us && now_us - swarm->limited_told_us < MINUTES(1))
                return;
        swarm->limited_told_us = now_us;
        ipc_fields_key(&fields, "PEER", peer);
        worker_log_event(&swarm->worker, IPC_EVENT_PEER_LIMITED, LOG_NOTICE, fields.list,
                         "peer %02x%02x%02x%02x: has %u connections to services here, as many as may be: more are refused", peer[0], peer[1], peer[2],
                         peer[3], swarm->channels.per_peer);
}

static void on_event(void *context, const struct node_event *event)
{
        struct swarm_process *swarm = context;

        switch (event->kind) {
        case NODE_PEER_UP:
        case NODE_ADVERT:
        case NODE_ADVERT_LONG:
                peers_event(&swarm->peers, event);
                break;
        case NODE_PEER_DOWN:
        case NODE_PEER_LEAVES:
                peers_event(&swarm->peers, event);
                if (!swarm->leaving)
                        attempts_tell(&swarm->attempts, &swarm->worker, event, swarm->driver.now.mono_us);
                break;
        case NODE_ATTEMPT:
        case NODE_MOVED:
                attempts_tell(&swarm->attempts, &swarm->worker, event, swarm->driver.now.mono_us);
                break;
        case NODE_SOCKETS_WANTED:
                swarm_pool_want(swarm, event->count);
                break;
        case NODE_SOCKET_DONE:
                swarm_pool_done(swarm, event->socket);
                break;
        case NODE_FOUND:
        case NODE_PONG:
        case NODE_ANSWERED:
                swarm_ask_event(swarm, event);
                break;
        case NODE_LEFT:
                worker_stop(&swarm->worker, EXIT_SUCCESS);
                break;
        default:
                channels_event(&swarm->channels, event);
                break;
        }
}

static void on_turn(void *context)
{
        swarm_status_look(context);
}

int swarm_start_node(struct swarm_process *swarm, const struct node_config *config)
{
        uint8_t map_key[16];
        int r = node_new(&swarm->node, config, &swarm->driver.now);

        if (r < 0)
                return r;
        randombytes_buf(map_key, sizeof(map_key));
        r = channels_init(&swarm->channels, swarm->worker.loop, swarm->node, &swarm->driver.now, map_key, &swarm->fingerprints,
                          find_forward, on_full, swarm);
        if (r < 0) {
                node_free(swarm->node);
                swarm->node = NULL;
                return r;
        }
        driver_start(&swarm->driver, swarm->node, on_turn, on_event, swarm);
        swarm_known_start(swarm);
        return 0;
}

int swarm_process_init(struct swarm_process *swarm)
{
        int r = udp_init(&swarm->udp);

        swarm->cipher = cipher_new();
        if (r == 0)
                r = driver_init(&swarm->driver, swarm->worker.loop, &swarm->udp);
        peers_init(&swarm->peers);
        fingerprints_init(&swarm->fingerprints, &swarm->worker);
        swarm_status_init(swarm);
        swarm_known_init(swarm);
        return r;
}

void swarm_process_fini(struct swarm_process *swarm)
{
        swarm_status_fini(swarm);
        swarm_known_fini(swarm);
        if (swarm->node)
                channels_fini(&swarm->channels);
        driver_fini(&swarm->driver);
        node_free(swarm->node);
        cipher_free(swarm->cipher);
        udp_fini(&swarm->udp);
        peers_fini(&swarm->peers);
}
