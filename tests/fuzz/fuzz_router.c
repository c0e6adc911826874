/* SPDX-License-Identifier: BSD-3-Clause */
/* The router worker between siblings that say anything in any order, and peers that advertise anything: the input is all their
 * words and the time that passes. No descriptor is left over, and forward workers hear of no route twice. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "inside.h"
#include "ipc_blob.h"
#include "ipc_route.h"
#include "ipc_table.h"
#include "message.h"
#include "router_process.h"
#include "steps.h"

enum { OPERATIONS_MAX = 64, HEARD_MAX = 256, MANY = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct scene {
        struct router router;
        struct inside inside;
        struct reader input;
        usec_t now_us;
        struct ipc_route heard[HEARD_MAX];      /* what forward worker 1 believes */
        size_t heard_count;
};

static void must(bool condition)
{
        if (!condition)
                abort();
}

static size_t find_heard(const struct scene *scene, const struct ipc_route *route)
{
        size_t i = 0;

        while (i < scene->heard_count && (memcmp(scene->heard[i].peer, route->peer, sizeof(route->peer)) != 0 ||
                                          scene->heard[i].gate_port != route->gate_port || scene->heard[i].protocol != route->protocol))
                i++;
        return i;
}

/* A route is set once until it is dropped; a new table begins from nothing. */
static void hear(struct scene *scene, const struct ipc_received *message)
{
        const struct ipc_route *route = IPC_PAYLOAD(message, struct ipc_route);
        size_t i;

        if (message->type == IPC_ROUTES_BEGIN)
                scene->heard_count = 0;
        if (message->type != IPC_ROUTE_SET && message->type != IPC_ROUTE_DROP)
                return;
        i = find_heard(scene, route);
        if (message->type == IPC_ROUTE_SET && i < scene->heard_count) {
                must(scene->heard[i].service != route->service);        /* else it is no news */
                scene->heard[i] = *route;
                return;
        }
        must((i == scene->heard_count) == (message->type == IPC_ROUTE_SET));
        if (message->type == IPC_ROUTE_DROP)
                scene->heard[i] = scene->heard[--scene->heard_count];
        else if (scene->heard_count < HEARD_MAX)
                scene->heard[scene->heard_count++] = *route;
}

static void listen_to(struct scene *scene)
{
        struct ipc_received message;

        while (inside_receive(&scene->inside, IPC_FORWARD, &message)) {
                hear(scene, &message);
                ipc_received_fini(&message);
        }
        inside_drain(&scene->inside);
}

static size_t take(struct scene *scene, void *out, size_t max)
{
        size_t len = read_u8(&scene->input);

        len = MIN(MIN(len, max), reader_left(&scene->input));
        if (len)
                memcpy(out, read_bytes(&scene->input, len), len);
        return len;
}

/* A peer advertises what the input says; the swarm worker lies about its length sometimes. */
static void advertise(struct scene *scene)
{
        struct ipc_peer_advert advert = { .peer = { read_u8(&scene->input) % 4 } };
        char text[256];
        size_t len = take(scene, text, sizeof(text));
        int fd = len ? ipc_blob_new(text, len) : dup(STDIN_FILENO);

        must(fd >= 0);
        advert.len = (uint32_t)len + (read_u8(&scene->input) == 0);
        inside_send_raw(&scene->inside, IPC_SWARM, IPC_PEER_ADVERT, &advert, sizeof(advert), &fd, 1);
        close(fd);
}

static void say(struct scene *scene, enum ipc_role as, unsigned times)
{
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        uint32_t type = message_type(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t size = row ? row->payload_bytes : 8;
        int fd = row && row->fds_min ? dup(STDIN_FILENO) : -1;

        take(scene, payload, size);
        while (times--) {
                inside_send_raw(&scene->inside, as, type, payload, size, &fd, fd >= 0);
                if (times % 32 == 31)
                        worker_turn(&scene->router.worker, &router_handlers, &scene->router);
        }
        if (fd >= 0)
                close(fd);
}

static void introduce(struct scene *scene, enum ipc_role role)
{
        if (role == IPC_FORWARD)
                scene->heard_count = 0;
        if (role != IPC_SUPERVISOR)
                inside_introduce(&scene->inside, role);
}

static void operate(struct scene *scene)
{
        static const enum ipc_role roles[] = { IPC_SUPERVISOR, IPC_SWARM, IPC_FORWARD, IPC_SUPERVISOR };
        uint8_t operation = read_u8(&scene->input);
        enum ipc_role role = roles[operation / 8 % ARRAY_LEN(roles)];

        switch (operation % 8) {
        case 0:
                introduce(scene, role);
                break;
        case 1:
                if (role != IPC_SUPERVISOR)
                        inside_depart(&scene->inside, role);
                break;
        case 2:
                scene->now_us += MSEC(1) << read_u8(&scene->input) % 20;
                router_settle(&scene->router, scene->now_us);
                break;
        case 3:
        case 4:
                advertise(scene);
                break;
        default:
                say(scene, role, operation == 0xe6 ? MANY : 1);
        }
        worker_turn(&scene->router.worker, &router_handlers, &scene->router);
        listen_to(scene);
}

static void run(struct scene *scene)
{
        static const uint8_t key[16] = { 7 };
        struct now now;

        worker_now(&now);
        scene->now_us = now.mono_us;
        inside_begin(&scene->inside, &scene->router.worker, IPC_ROUTER, IPC_DUTY_NONE);
        router_init(&scene->router, key);
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&scene->input) && scene->router.worker.supervisor.ipc.fd >= 0; i++)
                operate(scene);
        worker_part(&scene->router.worker);
        router_fini(&scene->router);
        inside_drain(&scene->inside);
        inside_end(&scene->inside);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct scene *scene;
        int first_free, now_free;

        first_free = dup(STDIN_FILENO);
        close(first_free);
        scene = calloc(1, sizeof(*scene));
        must(scene != NULL);
        scene->input = steps_begin(data, len);
        run(scene);
        free(scene);
        now_free = dup(STDIN_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}
