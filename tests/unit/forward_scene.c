/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_scene.h"

#include <string.h>

#include "ipc_forward.h"
#include "ipc_route.h"

struct forward forward;
struct inside inside;

static uint64_t seed;
static const struct random random_source = { test_random_fill, &seed };

void scene_begin(enum ipc_duty duty, enum ipc_role sibling)
{
        memset(&forward, 0, sizeof(forward));
        inside_begin(&inside, &forward.worker, IPC_FORWARD, duty);
        check_equal(forward_init(&forward, &random_source), 0);
        if (sibling == IPC_SUPERVISOR)
                return;
        inside_introduce(&inside, sibling);
        scene_turn();
}

void scene_end(void)
{
        worker_part(&forward.worker);
        forward_fini(&forward);
        inside_end(&inside);
}

void scene_turn(void)
{
        worker_turn(&forward.worker, &forward_handlers, &forward);
}

void scene_gate(uint16_t port, uint16_t protocol)
{
        clients_gates_begin(&forward.clients);
        check_equal(clients_gate_set(&forward.clients, &(struct ipc_forward_listener){ .gate_port = port, .protocol = protocol,
                                                                                       .wait_ms = 60000 }), 0);
        clients_gates_end(&forward.clients);
}

void scene_provider(char name, uint16_t gate_port, uint16_t protocol)
{
        struct ipc_via via = { .peer = { (uint8_t)name }, .swarm = 1 };

        check_equal(choose_set(&forward.clients.choose, &via, gate_port, protocol, 0, 0, 0), 0);
}
