/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "swarm_process.h"

enum { MALLOC_KEPT_BYTES = 16 << 20 };  /* more than buffers of a fast connection each way */

static struct worker_link *find_forward(void *context, uint32_t id)
{
        struct swarm_process *swarm = context;

        return worker_find(&swarm->worker, IPC_FORWARD, id);
}

static void on_event(void *context, const struct node_event *event)
{
        struct swarm_process *swarm = context;

        switch (event->kind) {
        case NODE_PEER_UP:
        case NODE_PEER_DOWN:
        case NODE_ADVERT:
                peers_event(&swarm->peers, event);
                break;
        case NODE_SOCKETS_WANTED:
                swarm_pool_want(swarm, event->count);
                break;
        case NODE_SOCKET_DONE:
                swarm_pool_done(swarm, event->socket);
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
        r = channels_init(&swarm->channels, swarm->worker.loop, swarm->node, &swarm->driver.now, map_key, find_forward, swarm);
        if (r < 0) {
                node_free(swarm->node);
                swarm->node = NULL;
                return r;
        }
        driver_start(&swarm->driver, swarm->node, on_turn, on_event, swarm);
        swarm_known_start(swarm);
        return 0;
}

static void swarm_begin(struct swarm_process *swarm)
{
        /* To give a buffer's pages back and fault them in again costs more than what is done with the bytes: see swarm_status.c. */
        mallopt(M_MMAP_THRESHOLD, MALLOC_KEPT_BYTES);
        mallopt(M_TRIM_THRESHOLD, MALLOC_KEPT_BYTES);
        /* randombytes_buf() then reads from getrandom(2), and needs no file when confined. */
        if (sodium_init() < 0 || udp_init(&swarm->udp) < 0 || driver_init(&swarm->driver, swarm->worker.loop, &swarm->udp) < 0) {
                worker_log(&swarm->worker, LOG_ERR, NULL, "can't begin: no memory or no timer");
                exit(EXIT_FAILURE);
        }
        peers_init(&swarm->peers);
        swarm_status_init(swarm);
        swarm_known_init(swarm);
}

static void swarm_end(struct swarm_process *swarm)
{
        swarm_status_fini(swarm);
        swarm_known_fini(swarm);
        if (swarm->node)
                channels_fini(&swarm->channels);
        driver_fini(&swarm->driver);
        node_free(swarm->node);
        udp_fini(&swarm->udp);
        peers_fini(&swarm->peers);
}

int main(void)
{
        /* Sockets come by message; what it makes itself are sealed memory files for advertisements. */
        static const int syscalls[] = { SYS_timerfd_settime, SYS_shutdown, SYS_memfd_create };
        static const struct run_confinement confinement = { .syscalls = syscalls, .syscall_count = ARRAY_LEN(syscalls),
                                                            .sets_linger = true, .batches = true };
        static struct swarm_process swarm;
        int code;

        worker_begin(&swarm.worker, IPC_SWARM);
        swarm_begin(&swarm);
        worker_confine(&swarm.worker, &confinement);
        code = worker_run(&swarm.worker, &swarm_handlers, &swarm);
        swarm_end(&swarm);
        worker_end(&swarm.worker);
        return code;
}
