/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_scene.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static int bind_at(uint32_t address, uint16_t *port)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(address) };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

        check(fd >= 0);
        check_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
        check_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        *port = ntohs(addr.sin_port);
        return fd;
}

/* The port is asked for by its number: one that the kernel has picked is let go by shutdown(). */
int scene_bind(uint8_t host, uint16_t *port)
{
        int picked = *port ? -1 : bind_at(INADDR_ANY, port), fd = bind_at((INADDR_LOOPBACK & ~0xffu) | host, port);

        if (picked >= 0)
                close(picked);
        return fd;
}

void scene_deafen(int listener)
{
        check_equal(shutdown(listener, SHUT_RDWR), 0);
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
