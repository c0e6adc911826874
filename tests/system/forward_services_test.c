/* SPDX-License-Identifier: BSD-3-Clause */
/* The real forward worker with services, and real services; supervisor and swarm worker are this test. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "sockets.h"
#include "test.h"

enum { GATE = 8080 };

struct scene {
        struct host host;
        struct ipc_link swarm;
        uint64_t last_channel;
};

static void begin(struct scene *scene, const uint16_t *ports)
{
        scene->last_channel = 0;
        host_start(&scene->host, IPC_FORWARD, IPC_DUTY_SERVICES, ports, 0);
        host_introduce(&scene->host, IPC_SWARM, 1, &scene->swarm);
}

static void finish(struct scene *scene)
{
        host_stop(&scene->host);
        ipc_link_fini(&scene->swarm);
}

/* A service at the hosts of 127.0.0.0/24 that @hosts names, as far as @count. */
static struct ipc_forward_service service(uint16_t gate_port, uint16_t port, const uint8_t *hosts, uint16_t count)
{
        struct ipc_forward_service service = { .gate_port = gate_port, .service_port = port, .count = count, .host = "web.local" };

        for (unsigned i = 0; i < count; i++)
                memcpy(service.address[i], (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, hosts[i] }, 16);
        return service;
}

static void configure(struct scene *scene, const struct ipc_forward_service *services, unsigned count)
{
        struct ipc_generation generation = { .generation = 1 };

        host_send(&scene->host.worker, IPC_CONF_BEGIN, &generation, -1);
        for (unsigned i = 0; i < count; i++)
                host_send(&scene->host.worker, IPC_FORWARD_SERVICE, &services[i], -1);
        host_send(&scene->host.worker, IPC_CONF_END, &generation, -1);
}

static void serve(struct scene *scene, uint16_t port)
{
        struct ipc_forward_service one = service(GATE, port, (uint8_t[]){ 1 }, 1);
        struct ipc_service_held held;

        configure(scene, &one, 1);
        host_expect(&scene->host, &scene->swarm, IPC_SERVICE_HELD, &held);
        check_equal(held.gate_port, GATE);
}

static uint64_t arrive(struct scene *scene, uint16_t gate_port)
{
        struct ipc_channel_arrived arrived = { .channel = ++scene->last_channel, .peer = { 'G' }, .gate_port = gate_port };

        host_send(&scene->swarm, IPC_CHANNEL_ARRIVED, &arrived, -1);
        return arrived.channel;
}

static int expect_ready(struct scene *scene, uint64_t channel)
{
        struct ipc_channel_ready ready;
        int fd = host_expect(&scene->host, &scene->swarm, IPC_CHANNEL_READY, &ready);

        check_equal(ready.channel, channel);
        return fd;
}

static void expect_refusal(struct scene *scene, uint64_t channel, const char *text)
{
        struct ipc_channel_refused refused;
        char said[IPC_TEXT_MAX + 1] = "";

        host_expect(&scene->host, &scene->swarm, IPC_CHANNEL_REFUSE, &refused);
        check_equal(refused.channel, channel);
        check(refused.text_len <= IPC_TEXT_MAX);
        memcpy(said, refused.text, refused.text_len);
        if (strcmp(said, text) != 0)
                test_fail(__FILE__, __LINE__, "refused with \"%s\", expected \"%s\"", said, text);
}

TEST(what_arrives_is_connected_and_handed_over)
{
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(16, &port), fd, accepted, nodelay = 0;
        socklen_t len = sizeof(nodelay);

        begin(&scene, (uint16_t[]){ port, 0 });
        serve(&scene, port);
        fd = expect_ready(&scene, arrive(&scene, GATE));
        accepted = socket_accept(listener);
        check(socket_lingers(fd));
        check(fcntl(fd, F_GETFL) & O_NONBLOCK);
        check_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
        check_equal(nodelay, 1);
        socket_write(fd, "request");
        socket_expect(accepted, "request");
        socket_write(accepted, "answer");
        socket_expect(fd, "answer");
        close(fd);                              /* the last copy: the worker kept none */
        socket_expect_reset(accepted);
        close(listener);
        finish(&scene);
}

TEST(who_refuses_is_quoted_in_the_words_of_an_original)
{
        struct scene scene;
        uint16_t port = socket_unused_port();
        char text[64];

        begin(&scene, NULL);
        serve(&scene, port);
        snprintf(text, sizeof(text), "Error: connect ECONNREFUSED 127.0.0.1:%u", port);
        expect_refusal(&scene, arrive(&scene, GATE), text);
        expect_refusal(&scene, arrive(&scene, GATE + 1), "Service not found 8081");
        finish(&scene);
}

TEST(a_service_that_is_down_is_told_once_and_so_is_its_return)
{
        struct scene scene;
        uint16_t port = socket_unused_port();
        char down[96], up[96];
        int listener;

        begin(&scene, NULL);
        serve(&scene, port);
        snprintf(down, sizeof(down), "service 8080 at web.local:%u: Connection refused", port);
        snprintf(up, sizeof(up), "service 8080 at web.local:%u answers again", port);
        for (unsigned i = 0; i < 3; i++) {
                arrive(&scene, GATE);
                host_expect(&scene.host, &scene.swarm, IPC_CHANNEL_REFUSE, NULL);
        }
        listener = socket_listen_at(1, port);
        for (unsigned i = 0; i < 3; i++)
                close(expect_ready(&scene, arrive(&scene, GATE)));
        host_expect_log(&scene.host, up);
        check(scene.host.fails >= 1);
        check(strstr(scene.host.log, down) && !strstr(strstr(scene.host.log, down) + 1, down));
        check(!strstr(strstr(scene.host.log, up) + 1, up));
        close(listener);
        finish(&scene);
}

TEST(a_name_without_an_address_is_refused_as_such)
{
        struct ipc_forward_service unresolved = service(GATE, 80, NULL, 0);
        struct scene scene;

        begin(&scene, NULL);
        configure(&scene, &unresolved, 1);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        expect_refusal(&scene, arrive(&scene, GATE), "Error: getaddrinfo ENOTFOUND web.local");
        finish(&scene);
}

TEST(addresses_are_tried_in_order)
{
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(16, &port), fd, accepted;
        struct ipc_forward_service two = service(GATE, port, (uint8_t[]){ 77, 1 }, 2);

        begin(&scene, (uint16_t[]){ port, 0 });
        configure(&scene, &two, 1);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        fd = expect_ready(&scene, arrive(&scene, GATE));
        accepted = socket_accept(listener);
        close(fd);
        close(accepted);
        close(listener);
        finish(&scene);
}

TEST(weakness_14_34_services_under_one_gate_port_take_turns)
{
        struct scene scene;
        struct ipc_forward_service both[2];
        uint16_t ports[2];
        int listeners[2], fd;

        for (unsigned i = 0; i < 2; i++) {
                listeners[i] = socket_listen(16, &ports[i]);
                both[i] = service(GATE, ports[i], (uint8_t[]){ 1 }, 1);
        }
        begin(&scene, NULL);
        configure(&scene, both, 2);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        for (unsigned i = 0; i < 6; i++) {
                fd = expect_ready(&scene, arrive(&scene, GATE));
                close(socket_accept(listeners[i % 2]));
                close(fd);
        }
        close(listeners[0]);
        close(listeners[1]);
        finish(&scene);
}

TEST(who_is_gone_while_the_service_keeps_silent_is_not_connected)
{
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(0, &port), filling = socket_fill(listener, port);
        uint64_t channel;

        begin(&scene, NULL);
        serve(&scene, port);
        channel = arrive(&scene, GATE);
        host_expect_nothing(&scene.host, &scene.swarm);
        host_send(&scene.swarm, IPC_CHANNEL_GONE, &(struct ipc_channel){ .channel = channel }, -1);
        host_expect_nothing(&scene.host, &scene.swarm);
        close(socket_accept(listener));         /* now there is room, and the SYN would be repeated within a second */
        check_equal(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, 1500), 0);
        check_equal(ipc_link_receive(&scene.swarm, &(struct ipc_received){ 0 }), 0);
        close(filling);
        close(listener);
        finish(&scene);
}

TEST(a_reload_tells_only_what_changed)
{
        struct scene scene;
        struct ipc_forward_service three[3];
        struct ipc_service_held held;

        for (unsigned i = 0; i < 3; i++)
                three[i] = service((uint16_t)(GATE + i), 80, (uint8_t[]){ 1 }, 1);
        begin(&scene, NULL);
        configure(&scene, three, 2);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        configure(&scene, three, 2);
        host_expect_nothing(&scene.host, &scene.swarm);
        configure(&scene, three + 1, 1);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_LEFT, &held);
        check_equal(held.gate_port, GATE);
        configure(&scene, three + 1, 2);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, &held);
        check_equal(held.gate_port, GATE + 2);
        expect_refusal(&scene, arrive(&scene, GATE), "Service not found 8080");
        finish(&scene);
}

TEST(a_new_swarm_worker_is_told_what_is_held_and_what_the_old_asked_is_void)
{
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(0, &port), filling = socket_fill(listener, port), fd, accepted;

        begin(&scene, NULL);
        serve(&scene, port);
        arrive(&scene, GATE);
        host_expect_nothing(&scene.host, &scene.swarm);
        ipc_link_fini(&scene.swarm);
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        host_expect(&scene.host, &scene.swarm, IPC_SERVICE_HELD, NULL);
        close(socket_accept(listener));
        scene.last_channel = 0;                 /* the new one counts from 1 again */
        fd = expect_ready(&scene, arrive(&scene, GATE));
        accepted = socket_accept(listener);
        close(fd);
        socket_expect_reset(accepted);
        close(filling);
        close(listener);
        finish(&scene);
}

TEST(a_closed_channel_is_told_once_with_its_figures)
{
        struct ipc_channel_closed closed = { .sent_bytes = 7, .received_bytes = 8, .duration_us = 9,
                                             .reason = IPC_REASON_PEER_LOST };
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(16, &port);

        begin(&scene, NULL);
        serve(&scene, port);
        closed.channel = arrive(&scene, GATE);
        close(expect_ready(&scene, closed.channel));
        host_send(&scene.swarm, IPC_CHANNEL_CLOSED, &closed, -1);
        host_send(&scene.swarm, IPC_CHANNEL_CLOSED, &closed, -1);
        host_expect_log(&scene.host, "HYPERGATE_SENT_BYTES=7 HYPERGATE_RECEIVED_BYTES=8 HYPERGATE_DURATION_USEC=9");
        host_expect_nothing(&scene.host, &scene.swarm);
        check(!strstr(strstr(scene.host.log, "DURATION_USEC=9") + 1, "DURATION_USEC=9"));
        close(listener);
        finish(&scene);
}

TEST(a_port_it_was_not_started_for_is_not_served)
{
        struct scene scene;
        uint16_t port;
        int listener = socket_listen(16, &port);
        struct ipc_forward_service other = service(GATE, port, (uint8_t[]){ 1 }, 1);

        begin(&scene, (uint16_t[]){ port == 9 ? 10 : 9, 0 });
        configure(&scene, &other, 1);
        host_expect_log(&scene.host, "not a port that this worker was started for");
        expect_refusal(&scene, arrive(&scene, GATE), "Service not found 8080");
        close(listener);
        finish(&scene);
}
