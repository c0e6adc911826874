/* SPDX-License-Identifier: BSD-3-Clause */
/* Real swarm workers, each behind its walls, that find each other on loopback; their supervisors and siblings are this test. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_fd.h"
#include "ipc_route.h"
#include "ipc_swarm.h"
#include "sockets.h"
#include "test.h"

enum {
        GATE = 8080,
        OTHER_GATE = 8081,
        LATE_GATE = 8082,               /* served, but nobody says so at first */
        PIECE_BYTES = 65536,
        BULK_BYTES = 20 * 1024 * 1024,
        PATIENCE_MS = 20000,
};

/* A swarm worker and what it was given. */
struct instance {
        struct host host;
        struct ipc_link router, forward;
        int sockets[2];                 /* by ipc_socket_kind; kept, as a supervisor does */
        uint16_t port;
};

/* The first is the network's first node; the second a provider that serves GATE, the third a gateway. */
struct trio {
        struct instance first, provider, gateway;
        uint8_t provider_key[IPC_KEY_BYTES];
};

static int udp_socket(uint16_t *port_out)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

        check(fd >= 0);
        check_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        check_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)), 0);
        *port_out = ntohs(addr.sin_port);
        return fd;
}

static void configure(struct instance *instance, uint16_t bootstrap_port, enum ipc_instance_role role)
{
        struct ipc_link *worker = &instance->host.worker;
        struct ipc_generation generation = { .generation = 1 };
        struct ipc_swarm_node node = { .persistent = !bootstrap_port, .public_ip = { 127, 0, 0, 1 },
                                       .public_port = instance->port };
        struct ipc_swarm_address address = { .ip = { 127, 0, 0, 1 } };
        struct ipc_swarm_bootstrap bootstrap = { .ip = { 127, 0, 0, 1 }, .port = bootstrap_port };
        struct ipc_swarm_router router = { .public_key = { 1 }, .auth_key = { 2 } };
        struct ipc_swarm_identity identity = { .role = role, .seed = { (uint8_t)role } };

        host_send(worker, IPC_CONF_BEGIN, &generation, -1);
        host_send(worker, IPC_SWARM_NODE, &node, -1);
        for (uint32_t kind = 0; kind < 2; kind++) {
                struct ipc_swarm_socket socket = { .kind = kind, .receive_bytes = 400000, .local_ip = { 127, 0, 0, 1 },
                                                   .local_port = instance->port, .gso = 1, .gro = 1 };

                host_send(worker, IPC_SWARM_SOCKET, &socket, instance->sockets[kind]);
        }
        host_send(worker, IPC_SWARM_ADDRESS, &address, -1);
        if (bootstrap_port)
                host_send(worker, IPC_SWARM_BOOTSTRAP, &bootstrap, -1);
        if (role) {
                host_send(worker, IPC_SWARM_ROUTER, &router, -1);
                host_send(worker, IPC_SWARM_IDENTITY, &identity, -1);
        }
        if (role == IPC_AS_PROVIDER) {
                host_send(worker, IPC_SERVICE_HELD, &(struct ipc_service_held){ .gate_port = GATE }, -1);
                host_send(worker, IPC_SERVICE_HELD, &(struct ipc_service_held){ .gate_port = LATE_GATE }, -1);
                host_send(worker, IPC_SERVICE_HELD, &(struct ipc_service_held){ .gate_port = GATE, .protocol = IPC_UDP }, -1);
        }
        host_send(worker, IPC_CONF_END, &generation, -1);
}

static void advertise(struct instance *instance, const char *text)
{
        struct ipc_advertise advertise = { .len = (uint32_t)strlen(text) };
        cleanup_fd int blob = ipc_blob_new(text, strlen(text));

        check(blob >= 0);
        host_send(&instance->router, IPC_ADVERTISE, &advertise, blob);
}

static void begin_worker(struct instance *instance, uint16_t bootstrap_port, enum ipc_instance_role role)
{
        struct ipc_service_held held = { .gate_port = GATE };

        host_start(&instance->host, IPC_SWARM, IPC_DUTY_NONE, NULL, 0);
        configure(instance, bootstrap_port, role);
        host_introduce(&instance->host, IPC_ROUTER, 1, &instance->router);
        host_introduce(&instance->host, IPC_FORWARD, 1, &instance->forward);
        if (role != IPC_AS_PROVIDER)
                return;
        host_send(&instance->forward, IPC_SERVICE_HELD, &held, -1);
        advertise(instance, "what there is");
}

static void begin_instance(struct instance *instance, uint16_t bootstrap_port, enum ipc_instance_role role)
{
        uint16_t client_port;

        instance->sockets[IPC_SOCKET_SERVER] = udp_socket(&instance->port);
        instance->sockets[IPC_SOCKET_CLIENT] = udp_socket(&client_port);
        begin_worker(instance, bootstrap_port, role);
}

static void end_links(struct instance *instance)
{
        ipc_link_fini(&instance->router);
        ipc_link_fini(&instance->forward);
}

static void forget_instance(struct instance *instance)
{
        end_links(instance);
        close(instance->sockets[0]);
        close(instance->sockets[1]);
}

static void end_instance(struct instance *instance)
{
        host_stop(&instance->host);
        forget_instance(instance);
}

/* The gateway's router worker hears of the provider and of what it advertises. */
static void expect_provider(struct trio *trio)
{
        struct ipc_peer peer;
        struct ipc_peer_advert advert;
        uint8_t *bytes;
        int fd;

        host_expect(&trio->gateway.host, &trio->gateway.router, IPC_PEER_UP, &peer);
        check_equal(peer.role, IPC_AS_PROVIDER);
        memcpy(trio->provider_key, peer.peer, IPC_KEY_BYTES);
        fd = host_expect(&trio->gateway.host, &trio->gateway.router, IPC_PEER_ADVERT, &advert);
        check_bytes(advert.peer, peer.peer, IPC_KEY_BYTES);
        check_equal(ipc_blob_read(fd, advert.len, &bytes), 0);
        check_equal(advert.len, strlen("what there is"));
        check_bytes(bytes, "what there is", advert.len);
        free(bytes);
        close(fd);
}

static void begin(struct trio *trio)
{
        struct ipc_peer peer;

        begin_instance(&trio->first, 0, 0);
        begin_instance(&trio->provider, trio->first.port, IPC_AS_PROVIDER);
        begin_instance(&trio->gateway, trio->first.port, IPC_AS_GATEWAY);
        expect_provider(trio);
        host_expect(&trio->provider.host, &trio->provider.router, IPC_PEER_UP, &peer);
        check_equal(peer.role, IPC_AS_GATEWAY);
}

static void finish(struct trio *trio)
{
        end_instance(&trio->gateway);
        end_instance(&trio->provider);
        end_instance(&trio->first);
}

/* --- Connections --- */

/* A TCP connection: one end as a worker gets it, one for the test. */
static int tcp_pair(int *given_out)
{
        struct linger reset = { .l_onoff = 1 };
        uint16_t port;
        int listener = socket_listen(1, &port), ours = socket_connect(port), given = socket_accept(listener);

        close(listener);
        check_equal(setsockopt(given, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        check_equal(fcntl(given, F_SETFL, O_NONBLOCK), 0);
        *given_out = given;
        return ours;
}

/* A client of the gateway asks for @gate; returns the test's end. */
static int open_channel(struct trio *trio, uint64_t number, uint16_t gate)
{
        struct ipc_channel_open open = { .channel = number, .gate_port = gate, .deadline_ms = 15000, .metadata_len = 2 };
        int given, client = tcp_pair(&given);

        memcpy(open.peer, trio->provider_key, IPC_KEY_BYTES);
        memcpy(open.metadata, "{}", 2);
        host_send(&trio->gateway.forward, IPC_CHANNEL_OPEN, &open, given);
        close(given);
        return client;
}

/* The provider's forward worker connects it; returns the service's end. */
static int accept_channel(struct trio *trio)
{
        struct ipc_channel_arrived arrived;
        struct ipc_channel_ready ready = { .channel = 0 };
        int given, service;

        host_expect(&trio->provider.host, &trio->provider.forward, IPC_CHANNEL_ARRIVED, &arrived);
        check(arrived.gate_port == GATE && arrived.protocol == IPC_TCP && arrived.metadata_len == 2);
        service = tcp_pair(&given);
        ready.channel = arrived.channel;
        host_send(&trio->provider.forward, IPC_CHANNEL_READY, &ready, given);
        close(given);
        return service;
}

static void expect_opened(struct trio *trio, uint64_t number)
{
        struct ipc_channel opened;

        host_expect(&trio->gateway.host, &trio->gateway.forward, IPC_CHANNEL_OPENED, &opened);
        check_equal(opened.channel, number);
}

/* A channel that runs: the client's end and the service's. */
static void open_both_ways(struct trio *trio, uint64_t channel, int *client_out, int *service_out)
{
        *client_out = open_channel(trio, channel, GATE);
        *service_out = accept_channel(trio);
        expect_opened(trio, channel);
}

static uint8_t pattern(size_t at)
{
        return (uint8_t)(at * 31 + at / 251 + at / 65539);
}

static size_t write_some(int fd, size_t done, size_t len)
{
        static uint8_t piece[PIECE_BYTES];
        size_t want = len - done < sizeof(piece) ? len - done : sizeof(piece);
        ssize_t written;

        for (size_t i = 0; i < want; i++)
                piece[i] = pattern(done + i);
        written = send(fd, piece, want, MSG_DONTWAIT | MSG_NOSIGNAL);
        check(written > 0);
        return done + (size_t)written;
}

static size_t read_some(int fd, size_t done)
{
        static uint8_t piece[PIECE_BYTES];
        ssize_t got = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        check(got > 0);
        for (size_t i = 0; i < (size_t)got; i++)
                check(piece[i] == pattern(done + i));
        return done + (size_t)got;
}

/* Pours @len bytes in at @from and sees them come out at @to; then ends it, which must come out, too. */
static void pour(int from, int to, size_t len)
{
        size_t in = 0, out = 0;

        while (out < len) {
                struct pollfd ready[2] = { { .fd = in < len ? from : -1, .events = POLLOUT }, { .fd = to, .events = POLLIN } };

                check(poll(ready, 2, PATIENCE_MS) > 0);
                if (ready[0].revents)
                        in = write_some(from, in, len);
                if (ready[1].revents)
                        out = read_some(to, out);
        }
        check_equal(shutdown(from, SHUT_WR), 0);
        socket_expect_end(to);
}

static void expect_closed(struct instance *instance, enum ipc_reason reason, uint64_t sent, uint64_t received)
{
        struct ipc_channel_closed closed;

        host_expect(&instance->host, &instance->forward, IPC_CHANNEL_CLOSED, &closed);
        check_equal(closed.reason, reason);
        check_equal(closed.sent_bytes, sent);
        check_equal(closed.received_bytes, received);
}

TEST(swarm_workers_find_each_other_and_carry_a_connection)
{
        struct trio trio;
        int client, service;

        begin(&trio);
        open_both_ways(&trio, 7, &client, &service);
        pour(client, service, BULK_BYTES);
        pour(service, client, BULK_BYTES);
        expect_closed(&trio.gateway, IPC_REASON_DONE, BULK_BYTES, BULK_BYTES);
        expect_closed(&trio.provider, IPC_REASON_DONE, BULK_BYTES, BULK_BYTES);
        close(client);
        close(service);
        finish(&trio);
}

/* The connection comes back. */
static int expect_not_found(struct trio *trio, uint64_t number)
{
        struct ipc_channel_refused refused;
        int given = host_expect(&trio->gateway.host, &trio->gateway.forward, IPC_CHANNEL_REFUSED, &refused);

        check(refused.channel == number && refused.reason == IPC_REASON_REFUSED);
        check_bytes(refused.text, "Service not found 8081", refused.text_len);
        return given;
}

TEST(swarm_worker_gives_a_refused_connection_back_untouched)
{
        struct trio trio;
        int client, given;

        begin(&trio);
        client = open_channel(&trio, 8, OTHER_GATE);
        socket_write(client, "early");
        given = expect_not_found(&trio, 8);
        socket_expect(given, "early");
        close(given);
        close(client);
        finish(&trio);
}

/* A gateway whose clients wait asks as soon as it hears of the provider, whose forward worker may not have spoken yet. Nobody waits
 * for what the configuration does not name. */
TEST(swarm_worker_waits_a_moment_for_who_serves_what_is_asked_for)
{
        struct ipc_service_held held = { .gate_port = LATE_GATE };
        struct ipc_channel_arrived arrived;
        struct ipc_channel_ready ready = { .channel = 0 };
        struct trio trio;
        int client, late, refused, given, service;

        begin(&trio);
        client = open_channel(&trio, 8, LATE_GATE);
        socket_write(client, "early");
        late = open_channel(&trio, 9, OTHER_GATE);
        refused = expect_not_found(&trio, 9);
        host_expect_nothing(&trio.gateway.host, &trio.gateway.forward);
        host_send(&trio.provider.forward, IPC_SERVICE_HELD, &held, -1);
        host_expect(&trio.provider.host, &trio.provider.forward, IPC_CHANNEL_ARRIVED, &arrived);
        check(arrived.gate_port == LATE_GATE && arrived.metadata_len == 2);
        check_bytes(arrived.metadata, "{}", 2);
        service = tcp_pair(&given);
        ready.channel = arrived.channel;
        host_send(&trio.provider.forward, IPC_CHANNEL_READY, &ready, given);
        close(given);
        expect_opened(&trio, 8);
        socket_expect(service, "early");
        close(service);
        close(refused);
        close(late);
        close(client);
        finish(&trio);
}

TEST(swarm_worker_passes_a_reset_on_in_both_directions)
{
        struct trio trio;
        int client, service;

        begin(&trio);
        open_both_ways(&trio, 9, &client, &service);
        socket_write(client, "hello");
        socket_expect(service, "hello");
        socket_abort(client);
        socket_expect_reset(service);
        expect_closed(&trio.gateway, IPC_REASON_RESET_LOCAL, 5, 0);
        expect_closed(&trio.provider, IPC_REASON_RESET_PEER, 0, 5);

        open_both_ways(&trio, 10, &client, &service);
        socket_write(service, "bye");
        socket_expect(client, "bye");
        socket_abort(service);
        socket_expect_reset(client);
        finish(&trio);
}

TEST(swarm_worker_ends_a_channel_whose_service_is_elsewhere)
{
        struct ipc_channel_arrived arrived;
        struct ipc_channel_ready ready = { .channel = 0 };
        struct ipc_channel end;
        struct trio trio;
        int client, given, service;

        begin(&trio);
        client = open_channel(&trio, 9, GATE);
        host_expect(&trio.provider.host, &trio.provider.forward, IPC_CHANNEL_ARRIVED, &arrived);
        end.channel = arrived.channel;
        host_send(&trio.provider.forward, IPC_CHANNEL_END, &end, -1);   /* it does not run yet: not heard */
        service = tcp_pair(&given);
        ready.channel = arrived.channel;
        host_send(&trio.provider.forward, IPC_CHANNEL_READY, &ready, given);
        close(given);
        expect_opened(&trio, 9);
        end.channel = arrived.channel + 1;
        host_send(&trio.provider.forward, IPC_CHANNEL_END, &end, -1);   /* nobody's */
        end.channel = arrived.channel;
        check(end.channel != 9);
        host_send(&trio.gateway.forward, IPC_CHANNEL_END, &end, -1);    /* and this is the other side's number */
        socket_write(client, "hello");
        socket_expect(service, "hello");
        end.channel = arrived.channel;
        host_send(&trio.provider.forward, IPC_CHANNEL_END, &end, -1);
        socket_expect_reset(client);
        socket_expect_reset(service);
        expect_closed(&trio.provider, IPC_REASON_DONE, 0, 5);
        expect_closed(&trio.gateway, IPC_REASON_RESET_PEER, 5, 0);
        finish(&trio);
}

/* --- A session of datagrams --- */

struct session {
        struct trio trio;
        int pair;                       /* the forward worker's end */
        int client, own;                /* its socket, and ours to it */
        int service;
};

/* Two sockets that hear each other alone. */
static void udp_pair(int fds[2])
{
        struct sockaddr_in addr[2];

        for (int i = 0; i < 2; i++) {
                uint16_t port;

                fds[i] = udp_socket(&port);
                addr[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        }
        for (int i = 0; i < 2; i++)
                check_equal(connect(fds[i], (struct sockaddr *)&addr[!i], sizeof(addr[0])), 0);
}

static void expect_datagram(int fd, const char *text)
{
        struct pollfd look = { .fd = fd, .events = POLLIN };
        char got[64];
        ssize_t len;

        check_equal(poll(&look, 1, PATIENCE_MS), 1);
        len = recv(fd, got, sizeof(got), 0);
        check(len == (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0);
}

static void say(int fd, const char *text)
{
        check_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* One that runs, with @number at its gate. */
static void begin_session(struct session *session, uint64_t number)
{
        struct trio *trio = &session->trio;
        struct ipc_channel_open open = { .channel = number, .gate_port = GATE, .protocol = IPC_UDP, .deadline_ms = 15000, .metadata_len = 2,
                                         .metadata = "{}" };
        struct ipc_service_held held = { .gate_port = GATE, .protocol = IPC_UDP };
        struct ipc_channel_arrived arrived;
        struct ipc_channel_ready ready = { .channel = 0 };
        int fds[2];

        host_send(&trio->provider.forward, IPC_SERVICE_HELD, &held, -1);
        check_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        session->pair = fds[0];
        memcpy(open.peer, trio->provider_key, sizeof(open.peer));
        host_send(&trio->gateway.forward, IPC_CHANNEL_OPEN, &open, fds[1]);
        close(fds[1]);
        host_expect(&trio->provider.host, &trio->provider.forward, IPC_CHANNEL_ARRIVED, &arrived);
        udp_pair(fds);
        session->service = fds[0];
        ready.channel = arrived.channel;
        host_send(&trio->provider.forward, IPC_CHANNEL_READY, &ready, fds[1]);
        close(fds[1]);
        expect_opened(trio, number);
        udp_pair(fds);
        session->client = fds[0];
        session->own = fds[1];
}

/* The client's own socket takes the pair's place. */
static void hand_over(struct session *session, uint64_t number, uint32_t idle_ms)
{
        struct ipc_channel_socket socket = { .channel = number, .idle_ms = idle_ms };
        char byte;

        host_send(&session->trio.gateway.forward, IPC_CHANNEL_SOCKET, &socket, session->own);
        close(session->own);
        check_equal(recv(session->pair, &byte, 1, 0), 0);       /* no more is written there */
        close(session->pair);
}

static void expect_over(struct session *session, enum ipc_reason reason, uint64_t sent, uint64_t received)
{
        expect_closed(&session->trio.gateway, reason, sent, received);
        expect_closed(&session->trio.provider, IPC_REASON_DONE, received, sent);
        check(send(session->client, "?", 1, 0) == 1 && recv(session->client, &(char){ 0 }, 1, 0) < 0 && errno == ECONNREFUSED);
        close(session->client);
        close(session->service);
}

TEST(swarm_worker_goes_on_with_a_clients_own_socket_and_ends_it_when_told_or_when_it_is_silent)
{
        struct session session;
        struct ipc_channel end = { .channel = 31 };

        begin(&session.trio);
        begin_session(&session, 30);
        check_equal(send(session.pair, "\0first", 6, 0), 6);
        expect_datagram(session.service, "first");
        say(session.client, "third");           /* which waits until the pair is empty */
        check_equal(send(session.pair, "\0second", 7, 0), 7);
        hand_over(&session, 30, 1500);
        expect_datagram(session.service, "second");
        expect_datagram(session.service, "third");
        say(session.service, "answer");
        expect_datagram(session.client, "answer");
        expect_over(&session, IPC_REASON_IDLE, 16, 6);

        begin_session(&session, end.channel);
        hand_over(&session, end.channel, 0);
        say(session.client, "hello");
        expect_datagram(session.service, "hello");
        host_send(&session.trio.gateway.forward, IPC_CHANNEL_END, &end, -1);
        expect_over(&session, IPC_REASON_DONE, 5, 0);
        finish(&session.trio);
}

TEST(swarm_worker_ends_sessions_with_the_forward_worker_whose_gate_they_take)
{
        struct session session;
        struct ipc_channel_closed closed;

        begin(&session.trio);
        begin_session(&session, 32);
        hand_over(&session, 32, 0);
        say(session.client, "hello");
        expect_datagram(session.service, "hello");
        ipc_link_fini(&session.trio.gateway.forward);
        host_expect(&session.trio.provider.host, &session.trio.provider.forward, IPC_CHANNEL_CLOSED, &closed);
        check_equal(closed.reason, IPC_REASON_DONE);
        check(send(session.client, "?", 1, 0) == 1 && recv(session.client, &(char){ 0 }, 1, 0) < 0 && errno == ECONNREFUSED);
        close(session.client);
        close(session.service);
        host_introduce(&session.trio.gateway.host, IPC_FORWARD, 2, &session.trio.gateway.forward);
        finish(&session.trio);
}

/* A forward worker closes its copy a moment after it sent it. If that is late, the kernel goes on reporting the connection that is
 * closed here, and libev makes itself another epoll set: the walls must let it. */
TEST(swarm_worker_survives_that_somebody_else_still_holds_a_closed_connection)
{
        struct trio trio;
        int client, service, held[2] = { -1, -1 };

        begin(&trio);
        for (int i = 0; i < 2; i++) {
                struct ipc_channel_open open = { .channel = 20 + (uint64_t)i, .gate_port = GATE, .deadline_ms = 15000,
                                                 .metadata_len = 2, .metadata = "{}" };

                client = tcp_pair(&held[i]);
                memcpy(open.peer, trio.provider_key, IPC_KEY_BYTES);
                host_send(&trio.gateway.forward, IPC_CHANNEL_OPEN, &open, held[i]);
                service = accept_channel(&trio);
                expect_opened(&trio, open.channel);
                socket_write(client, "hello");
                socket_expect(service, "hello");
                socket_abort(service);
                expect_closed(&trio.gateway, IPC_REASON_RESET_PEER, 5, 0);
                expect_closed(&trio.provider, IPC_REASON_RESET_LOCAL, 0, 5);
                socket_write(client, "does anybody read this?");
                close(client);
        }
        open_both_ways(&trio, 22, &client, &service);
        pour(client, service, 1000);
        pour(service, client, 1000);
        close(client);
        close(service);
        close(held[0]);
        close(held[1]);
        finish(&trio);
}

TEST(swarm_worker_that_was_killed_is_replaced_at_once)
{
        struct trio trio;
        int client, service;

        begin(&trio);
        open_both_ways(&trio, 11, &client, &service);
        check_equal(kill(trio.provider.host.pid, SIGKILL), 0);
        check(WIFSIGNALED(host_wait(&trio.provider.host)));
        end_links(&trio.provider);
        socket_expect_reset(service);
        begin_worker(&trio.provider, trio.first.port, IPC_AS_PROVIDER);        /* the same sockets, the same identity */
        socket_expect_reset(client);
        host_expect(&trio.gateway.host, &trio.gateway.router, IPC_PEER_DOWN, NULL);
        expect_provider(&trio);
        expect_closed(&trio.gateway, IPC_REASON_PEER_LOST, 0, 0);

        open_both_ways(&trio, 12, &client, &service);
        pour(client, service, 1000);
        pour(service, client, 1000);
        close(client);
        close(service);
        finish(&trio);
}

TEST(swarm_worker_tells_a_new_router_worker_everything_again)
{
        struct trio trio;

        begin(&trio);
        ipc_link_fini(&trio.gateway.router);
        host_introduce(&trio.gateway.host, IPC_ROUTER, 1, &trio.gateway.router);
        expect_provider(&trio);
        finish(&trio);
}

TEST(swarm_worker_that_is_stopped_lets_channels_finish)
{
        struct ipc_stop stop = { .deadline_ms = 20000 };
        struct trio trio;
        int client, service;

        begin(&trio);
        open_both_ways(&trio, 13, &client, &service);
        host_send(&trio.provider.host.worker, IPC_STOP, &stop, -1);
        host_expect(&trio.gateway.host, &trio.gateway.router, IPC_PEER_DOWN, NULL);     /* nothing new, and that at once */
        pour(client, service, 1000);
        pour(service, client, 1000);
        close(client);
        close(service);
        expect_closed(&trio.provider, IPC_REASON_DONE, 1000, 1000);
        expect_closed(&trio.gateway, IPC_REASON_DONE, 1000, 1000);
        check_equal(host_wait(&trio.provider.host), 0);         /* it was waiting for nothing else */
        forget_instance(&trio.provider);
        end_instance(&trio.gateway);
        end_instance(&trio.first);
}

TEST(swarm_worker_says_goodbye_when_it_is_stopped)
{
        struct trio trio;
        int client, service;

        begin(&trio);
        open_both_ways(&trio, 13, &client, &service);
        host_stop(&trio.provider.host);
        host_expect(&trio.gateway.host, &trio.gateway.router, IPC_PEER_DOWN, NULL);
        socket_expect_reset(client);
        socket_expect_reset(service);
        expect_closed(&trio.provider, IPC_REASON_RESET_LOCAL, 0, 0);    /* who stops has lost nobody: no line in the log */
        expect_closed(&trio.gateway, IPC_REASON_PEER_LEFT, 0, 0);
        forget_instance(&trio.provider);
        end_instance(&trio.gateway);
        end_instance(&trio.first);
}
