/* SPDX-License-Identifier: BSD-3-Clause */
/* The real forward worker with gates, and real clients; supervisor, swarm and router worker are this test. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forward_clients.h"
#include "host.h"
#include "ipc_channel.h"
#include "ipc_fd.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "sockets.h"
#include "test.h"

enum { GATE = 8080, WAIT_MS = 60000 };

struct scene {
        struct host host;
        struct ipc_link swarm, router;
        int listener;
        uint16_t port;
};

static void configure(struct scene *scene, unsigned gates, uint32_t wait_ms)
{
        struct ipc_generation generation = { .generation = 1 };
        struct ipc_forward_listener listener = { .gate_port = GATE, .wait_ms = wait_ms, .idle_ms = 7000 };
        struct ipc_forward_keep_alive keep = { .idle_s = 50, .interval_s = 5, .count = 4 };

        host_send(&scene->host.worker, IPC_CONF_BEGIN, &generation, -1);
        host_send(&scene->host.worker, IPC_FORWARD_KEEP_ALIVE, &keep, -1);
        if (gates)
                host_send(&scene->host.worker, IPC_FORWARD_LISTENER, &listener, scene->listener);
        host_send(&scene->host.worker, IPC_CONF_END, &generation, -1);
}

static void begin_limited(struct scene *scene, uint32_t wait_ms, unsigned fd_limit)
{
        scene->listener = socket_listen(512, &scene->port);
        host_start(&scene->host, IPC_FORWARD, IPC_DUTY_GATES, NULL, fd_limit);
        configure(scene, 1, wait_ms);
        host_introduce(&scene->host, IPC_SWARM, 1, &scene->swarm);
        host_introduce(&scene->host, IPC_ROUTER, 1, &scene->router);
}

static void begin(struct scene *scene, uint32_t wait_ms)
{
        begin_limited(scene, wait_ms, 0);
}

static void finish(struct scene *scene)
{
        host_stop(&scene->host);
        ipc_link_fini(&scene->swarm);
        ipc_link_fini(&scene->router);
        close(scene->listener);
}

static void route(struct scene *scene, enum ipc_type type, char peer)
{
        struct ipc_route said = { .peer = { (uint8_t)peer }, .gate_port = GATE, .swarm = 1 };

        host_send(&scene->router, type, &said, -1);
}

/* The next CHANNEL_OPEN; returns the connection, and who is asked. */
static int expect_open(struct scene *scene, char *peer_out, struct ipc_channel_open *open)
{
        int fd = host_expect(&scene->host, &scene->swarm, IPC_CHANNEL_OPEN, open);

        *peer_out = (char)open->peer[0];
        check_equal(open->gate_port, GATE);
        return fd;
}

static void refuse(struct scene *scene, uint64_t channel, enum ipc_reason reason, int *fd)
{
        struct ipc_channel_refused refused = { .channel = channel, .reason = reason, .text_len = 2, .text = "no" };

        host_send(&scene->swarm, IPC_CHANNEL_REFUSED, &refused, *fd);
        close_fdp(fd);
}

/* No answer, so that messages of other links were surely read before what this one says next. */
static void settle(struct scene *scene)
{
        host_expect_nothing(&scene->host, &scene->swarm);
}

static int option(int fd, int level, int name)
{
        int value = -1;
        socklen_t len = sizeof(value);

        getsockopt(fd, level, name, &value, &len);
        return value;
}

TEST(weakness_14_30_a_client_goes_to_the_swarm_worker_untouched_and_prepared)
{
        struct scene scene;
        struct ipc_channel_open open;
        struct sockaddr_in addr;
        socklen_t len = sizeof(addr);
        char peer, source[64];
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        client = socket_connect(scene.port);
        socket_write(client, "hello");
        fd = expect_open(&scene, &peer, &open);
        check_equal(peer, 'A');
        check_equal(open.protocol, IPC_TCP);
        check_equal(open.deadline_ms, CLIENTS_OPEN_MS);
        check_equal(open.idle_ms, 7000);
        check(socket_lingers(fd));
        check(fcntl(fd, F_GETFL) & O_NONBLOCK);
        check_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
        check_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        check_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 50);
        check_equal(getsockname(client, (struct sockaddr *)&addr, &len), 0);
        snprintf(source, sizeof(source),
                 "\"source\":{\"ip\":\"127.0.0.1\",\"ipRaw\":\"127.0.0.1\",\"port\":%u}", ntohs(addr.sin_port));
        check(memmem(open.metadata, open.metadata_len, source, strlen(source)));
        socket_expect(fd, "hello");
        socket_write(fd, "world");
        socket_expect(client, "world");
        close(fd);
        socket_expect_reset(client);
        finish(&scene);
}

TEST(a_closed_channel_is_told_once_with_its_figures)
{
        struct ipc_channel_closed closed = { .sent_bytes = 11, .received_bytes = 22, .duration_us = 33 };
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        client = socket_connect(scene.port);
        fd = expect_open(&scene, &peer, &open);
        host_send(&scene.swarm, IPC_CHANNEL_OPENED, &(struct ipc_channel){ .channel = open.channel }, -1);
        closed.channel = open.channel;
        host_send(&scene.swarm, IPC_CHANNEL_CLOSED, &closed, -1);
        host_send(&scene.swarm, IPC_CHANNEL_CLOSED, &closed, -1);
        host_expect_log(&scene.host, "HYPERGATE_SENT_BYTES=11 HYPERGATE_RECEIVED_BYTES=22 HYPERGATE_DURATION_USEC=33");
        settle(&scene);
        check(!strstr(strstr(scene.host.log, "DURATION_USEC=33") + 1, "DURATION_USEC=33"));
        check(strstr(scene.host.log, "GATE_PORT=8080"));
        check(strstr(scene.host.log, "PEER=41000000000000"));
        check(strstr(scene.host.log, "REASON=done"));
        close(fd);
        close(client);
        finish(&scene);
}

TEST(who_is_refused_goes_to_the_next_provider_and_is_reset_when_all_said_no)
{
        struct scene scene;
        struct ipc_channel_open open;
        uint64_t first;
        char peer, other;
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        route(&scene, IPC_ROUTE_SET, 'B');
        settle(&scene);
        client = socket_connect(scene.port);
        socket_write(client, "kept");
        fd = expect_open(&scene, &peer, &open);
        first = open.channel;
        refuse(&scene, open.channel, IPC_REASON_REFUSED, &fd);
        fd = expect_open(&scene, &other, &open);
        check(other != peer && (other == 'A' || other == 'B'));
        check(open.channel != first);
        check(socket_lingers(fd));
        refuse(&scene, open.channel, IPC_REASON_REFUSED, &fd);
        socket_expect_reset(client);
        host_expect_nothing(&scene.host, &scene.swarm);
        finish(&scene);
}

TEST(a_provider_that_can_not_be_reached_is_waited_for)
{
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        client = socket_connect(scene.port);
        fd = expect_open(&scene, &peer, &open);
        refuse(&scene, open.channel, IPC_REASON_PEER_LOST, &fd);
        host_expect_nothing(&scene.host, &scene.swarm);
        route(&scene, IPC_ROUTE_SET, 'B');
        fd = expect_open(&scene, &peer, &open);
        check_equal(peer, 'B');
        refuse(&scene, open.channel, IPC_REASON_NO_PEER, &fd);
        fd = expect_open(&scene, &peer, &open);         /* A again: its rest of a second is over first */
        check_equal(peer, 'A');
        close(fd);
        socket_expect_reset(client);
        finish(&scene);
}

TEST(weakness_14_24_clients_wait_for_a_provider_in_order)
{
        struct scene scene;
        struct ipc_channel_open open;
        char peer, text[2] = "0";
        int clients[5], fd;

        begin(&scene, WAIT_MS);
        for (unsigned i = 0; i < 5; i++, text[0]++) {
                clients[i] = socket_connect(scene.port);
                socket_write(clients[i], text);
        }
        host_expect_nothing(&scene.host, &scene.swarm);
        route(&scene, IPC_ROUTE_SET, 'A');
        text[0] = '0';
        for (unsigned i = 0; i < 5; i++, text[0]++) {
                fd = expect_open(&scene, &peer, &open);
                socket_expect(fd, text);
                close(fd);
                close(clients[i]);
        }
        finish(&scene);
}

TEST(who_waits_too_long_is_reset)
{
        struct scene scene;
        int client;

        begin(&scene, 50);
        client = socket_connect(scene.port);
        socket_expect_reset(client);
        host_expect_log(&scene.host, "gate 8080: no provider");
        finish(&scene);
}

TEST(weakness_14_24_so_is_who_comes_when_too_many_wait)
{
        struct scene scene;
        int clients[CLIENTS_WAITING_MAX], surplus;

        begin(&scene, WAIT_MS);
        for (unsigned i = 0; i < CLIENTS_WAITING_MAX; i++)
                clients[i] = socket_connect(scene.port);
        surplus = socket_connect(scene.port);
        socket_expect_reset(surplus);
        host_expect_log(&scene.host, "too many clients wait");
        check_equal(poll(&(struct pollfd){ .fd = clients[0], .events = POLLIN }, 1, 0), 0);
        for (unsigned i = 0; i < CLIENTS_WAITING_MAX; i++)
                close(clients[i]);
        finish(&scene);
}

TEST(who_left_while_waiting_is_forgotten_but_not_an_upload_that_ended)
{
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int gone, done, fd;

        begin(&scene, WAIT_MS);
        gone = socket_connect(scene.port);
        done = socket_connect(scene.port);
        socket_write(done, "all of it");
        shutdown(done, SHUT_WR);
        settle(&scene);
        socket_abort(gone);
        settle(&scene);
        route(&scene, IPC_ROUTE_SET, 'A');
        fd = expect_open(&scene, &peer, &open);
        socket_expect(fd, "all of it");
        socket_expect_end(fd);
        host_expect_nothing(&scene.host, &scene.swarm);
        close(fd);
        close(done);
        finish(&scene);
}

TEST(a_new_swarm_worker_gets_the_new_clients_and_the_kernel_resets_the_old)
{
        struct scene scene;
        struct ipc_channel_open open;
        struct ipc_received unread;
        char peer;
        int running, pending, waiting, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        running = socket_connect(scene.port);
        fd = expect_open(&scene, &peer, &open);
        host_send(&scene.swarm, IPC_CHANNEL_OPENED, &(struct ipc_channel){ .channel = open.channel }, -1);
        pending = socket_connect(scene.port);
        check_equal(poll(&(struct pollfd){ .fd = scene.swarm.fd, .events = POLLIN }, 1, 20000), 1);
        close(fd);
        ipc_link_fini(&scene.swarm);            /* dies with one connection in hand and one on its way */
        socket_expect_reset(running);
        socket_expect_reset(pending);
        host_expect_log(&scene.host, "the connections of 2 clients");
        waiting = socket_connect(scene.port);
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        fd = expect_open(&scene, &peer, &open);
        check_equal(peer, 'A');
        check_equal(ipc_link_receive(&scene.swarm, &unread), 0);
        close(fd);
        close(waiting);
        finish(&scene);
}

TEST(what_runs_does_not_notice_that_its_forward_worker_stops)
{
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        client = socket_connect(scene.port);
        fd = expect_open(&scene, &peer, &open);
        host_send(&scene.swarm, IPC_CHANNEL_OPENED, &(struct ipc_channel){ .channel = open.channel }, -1);
        finish(&scene);
        socket_write(fd, "still here");
        socket_expect(client, "still here");
        close(fd);
        close(client);
}

TEST(a_newly_told_table_replaces_the_old_at_its_end)
{
        struct ipc_generation generation = { .generation = 2 };
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int client, fd;

        begin(&scene, WAIT_MS);
        route(&scene, IPC_ROUTE_SET, 'A');
        settle(&scene);
        ipc_link_fini(&scene.router);           /* without a router worker what was known stays in use */
        client = socket_connect(scene.port);
        fd = expect_open(&scene, &peer, &open);
        check_equal(peer, 'A');
        close(fd);
        close(client);
        host_introduce(&scene.host, IPC_ROUTER, 1, &scene.router);
        host_send(&scene.router, IPC_ROUTES_BEGIN, &generation, -1);
        route(&scene, IPC_ROUTE_SET, 'B');
        host_send(&scene.router, IPC_ROUTES_END, &generation, -1);
        settle(&scene);
        for (unsigned i = 0; i < 3; i++) {
                client = socket_connect(scene.port);
                fd = expect_open(&scene, &peer, &open);
                check_equal(peer, 'B');
                close(fd);
                close(client);
        }
        finish(&scene);
}

TEST(a_reload_keeps_the_listener_and_a_closed_gate_resets_who_waits)
{
        struct scene scene;
        struct ipc_channel_open open;
        char peer;
        int client, waiting, fd;

        begin(&scene, WAIT_MS);
        waiting = socket_connect(scene.port);
        settle(&scene);
        configure(&scene, 1, WAIT_MS);
        settle(&scene);
        check_equal(poll(&(struct pollfd){ .fd = waiting, .events = POLLIN }, 1, 0), 0);
        configure(&scene, 0, WAIT_MS);
        socket_expect_reset(waiting);
        client = socket_connect(scene.port);    /* to the backlog: the socket is the supervisor's, too */
        route(&scene, IPC_ROUTE_SET, 'A');
        host_expect_nothing(&scene.host, &scene.swarm);
        configure(&scene, 1, WAIT_MS);
        fd = expect_open(&scene, &peer, &open);
        close(fd);
        close(client);
        finish(&scene);
}

TEST(without_descriptors_it_waits_and_says_so_once)
{
        enum { LIMIT = 32, CLIENTS = 60 };
        struct scene scene;
        struct ipc_channel_open open;
        char peer, *first;
        int clients[CLIENTS], fd;

        begin_limited(&scene, WAIT_MS, LIMIT);
        for (unsigned i = 0; i < CLIENTS; i++)
                clients[i] = socket_connect(scene.port);
        host_expect_log(&scene.host, "gate 8080: accept: Too many open files");
        route(&scene, IPC_ROUTE_SET, 'A');
        for (unsigned i = 0; i < CLIENTS; i++) {
                fd = expect_open(&scene, &peer, &open);
                close(fd);
                close(clients[i]);
        }
        first = strstr(scene.host.log, "accept:");
        check(first && !strstr(first + 1, "accept:"));
        finish(&scene);
}

TEST(messages_that_make_no_sense_end_the_link_they_came_over)
{
        struct ipc_channel_refused refused = { .channel = 1, .reason = IPC_REASONS };
        struct ipc_channel_closed closed = { .channel = 99, .reason = IPC_REASON_DONE };
        struct ipc_forward_service service = { .gate_port = GATE };
        struct scene scene;
        int fd;

        begin(&scene, WAIT_MS);
        host_send(&scene.swarm, IPC_CHANNEL_CLOSED, &closed, -1);       /* late, not wrong */
        host_send(&scene.swarm, IPC_CHANNEL_REFUSED, &(struct ipc_channel_refused){ .channel = 98 }, scene.listener);
        host_expect_nothing(&scene.host, &scene.swarm);
        fd = -1;
        check_equal(ipc_link_send(&scene.swarm, IPC_CHANNEL_REFUSED, &refused, &fd, 0), 0);
        host_expect_log(&scene.host, "broke the rules");
        ipc_link_fini(&scene.swarm);
        host_send(&scene.host.worker, IPC_CONF_BEGIN, &(struct ipc_generation){ 3 }, -1);
        host_send(&scene.host.worker, IPC_FORWARD_SERVICE, &service, -1);       /* one with gates has no services */
        check(WIFEXITED(host_wait(&scene.host)));
        ipc_link_fini(&scene.router);
        close(scene.listener);
}
