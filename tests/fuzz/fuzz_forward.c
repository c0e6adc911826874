/* SPDX-License-Identifier: BSD-3-Clause */
/* The forward worker between siblings that say anything in any order: the input is their words, the clients that come, and the
 * time that passes. Whatever it is, the worker keeps its bounds, and no descriptor is left over. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "forward_process.h"
#include "forward_proxy.h"
#include "inside.h"
#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "ipc_rule.h"
#include "ipc_session.h"
#include "ipc_table.h"
#include "message.h"
#include "steps.h"

enum { OPERATIONS_MAX = 64, CLIENTS_MAX = 16, HELD_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct scene {
        struct forward forward;
        struct inside inside;
        struct reader input;
        struct now now;
        int clients[CLIENTS_MAX];
        size_t client_count;
        struct { uint64_t channel; int fd; } held[HELD_MAX];    /* what the swarm worker was given */
        size_t held_count;
        bool proxied;                   /* whoever comes to a gate is a trusted proxy */
        uint64_t arrived;               /* the number of the last channel from a peer */
};

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void fill(void *context, void *out, size_t len)
{
        uint8_t *counter = context;

        memset(out, ++*counter, len);
}

/* Listens on loopback for as long as this program runs. */
static int listener(uint16_t *port_out)
{
        static int fd = -1;
        static uint16_t port;
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t addr_len = sizeof(addr);

        if (fd < 0) {
                fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                must(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 64) == 0);
                must(getsockname(fd, (struct sockaddr *)&addr, &addr_len) == 0);
                port = ntohs(addr.sin_port);
        }
        *port_out = port;
        return fd;
}

/* A UDP socket on loopback, likewise. */
static int datagram_socket(struct sockaddr_in *addr_out)
{
        static int fd = -1;
        static struct sockaddr_in addr;
        socklen_t addr_len = sizeof(addr);
        int one = 1;

        if (fd < 0) {
                addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                must(fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) == 0);
                must(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
                must(getsockname(fd, (struct sockaddr *)&addr, &addr_len) == 0);
        }
        *addr_out = addr;
        return fd;
}

/* One of a few sockets that are there for as long as this program runs. */
static int sender(unsigned number)
{
        static int fds[4];

        for (size_t i = 0; i < ARRAY_LEN(fds); i++)
                if (!fds[i])
                        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(fds[number % ARRAY_LEN(fds)] > 0);
        return fds[number % ARRAY_LEN(fds)];
}

/* A datagram of as many bytes as the input says. */
static void come_by_datagram(struct scene *scene)
{
        static uint8_t bytes[SOCKET_DATAGRAM_MAX];
        int fd = sender(read_u8(&scene->input));
        size_t len = (size_t)read_u8(&scene->input) * 257;
        struct sockaddr_in addr;

        datagram_socket(&addr);
        (void)!sendto(fd, bytes, MIN(len, sizeof(bytes)), 0, (struct sockaddr *)&addr, sizeof(addr));
}

/* Nobody is left in the backlog for the next input. */
static void empty_backlog(void)
{
        struct sockaddr_in addr;
        uint16_t port;
        uint8_t byte;
        int fd;

        while ((fd = accept(listener(&port), NULL, NULL)) >= 0)
                close(fd);
        while (recv(datagram_socket(&addr), &byte, 1, MSG_DONTWAIT) >= 0)
                ;
}

/* Connections are made on this host only, to a port that answers. */
static void tame_service(struct ipc_forward_service *service)
{
        static const uint8_t here[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };

        for (size_t i = 0; i < IPC_ADDRESSES_MAX; i++)
                memcpy(service->address[i], here, sizeof(here));
        listener(&service->service_port);
}

static int any_descriptor(struct scene *scene)
{
        struct sockaddr_in addr;
        uint16_t port;

        switch (read_u8(&scene->input) % 4) {
        case 0:
                return dup(listener(&port));
        case 3:
                return dup(datagram_socket(&addr));
        case 1:
                return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        default:
                return epoll_create1(EPOLL_CLOEXEC);
        }
}

/* A message of any type from any role: the first bytes of its payload are the input's, the others zero. */
static void say(struct scene *scene, enum ipc_role as)
{
        union {
                uint8_t bytes[IPC_PAYLOAD_MAX];
                struct ipc_forward_service service;
                struct ipc_route route;
        } payload = { 0 };
        uint32_t type = message_type(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t size = row ? row->payload_bytes : 8, given = read_u8(&scene->input);
        unsigned fd_count = row ? row->fds_min : read_u8(&scene->input) % 2;
        int fd = fd_count || (row && row->fds_max && read_u8(&scene->input) % 2) ? any_descriptor(scene) : -1;

        given = MIN(MIN(given, size), reader_left(&scene->input));
        if (given)
                memcpy(payload.bytes, read_bytes(&scene->input, given), given);
        if (type == IPC_FORWARD_SERVICE)
                tame_service(&payload.service);
        if (type == IPC_ROUTE_SET || type == IPC_ROUTE_DROP)
                payload.route.swarm = 1 + payload.route.swarm % 2;      /* the one that is there, mostly */
        inside_send_raw(&scene->inside, as, type, payload.bytes, size, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

static void come(struct scene *scene)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct linger reset = { .l_onoff = 1 };
        uint16_t port;
        int fd;

        if (scene->client_count == CLIENTS_MAX)
                return;
        listener(&port);
        addr.sin_port = htons(port);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
        (void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
        scene->clients[scene->client_count++] = fd;
}

static void leave(struct scene *scene)
{
        if (scene->client_count)
                close(scene->clients[--scene->client_count]);
}

/* The last one that came says something: bytes of the input, behind a PROXY header of the version that it names, if it is one. */
static void speak(struct scene *scene)
{
        static const struct proxy_header header = {
                .named = true, .protocol = IPC_TCP, .source.v4 = { .sin_family = AF_INET, .sin_port = 1 },
                .destination.v4 = { .sin_family = AF_INET, .sin_port = 2 },
        };
        uint8_t version = read_u8(&scene->input) % 4, bytes[PROXY_WRITE_MAX + UINT8_MAX];
        size_t given = read_u8(&scene->input), len = 0;

        if (version == IPC_PROXY_V1 || version == IPC_PROXY_V2)
                len = proxy_write(version, &header, bytes);
        given = MIN(given, reader_left(&scene->input));
        if (given)
                memcpy(bytes + len, read_bytes(&scene->input, given), given);
        if (scene->client_count)
                (void)!send(scene->clients[scene->client_count - 1], bytes, len + given, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void pass_time(struct scene *scene)
{
        scene->now.mono_us += MSEC(1) << read_u8(&scene->input) % 20;
        clients_advance(&scene->forward.clients, &scene->now);
        greetings_advance(&scene->forward.greetings, &scene->now);
        listeners_advance(&scene->forward.listeners, scene->now.mono_us);
        arrivals_advance(&scene->forward.arrivals, scene->now.mono_us);
        checks_advance(&scene->forward.checks, scene->now.mono_us);
        datagrams_advance(&scene->forward.datagrams, scene->now.mono_us);
}

/* ---- in their right minds ---- */

static void send_listener(struct scene *scene, uint16_t gate_port, uint16_t protocol)
{
        struct ipc_forward_listener gate = { .gate_port = gate_port, .protocol = protocol, .wait_ms = 5000, .idle_ms = 60000 };
        struct sockaddr_in addr;
        uint16_t port;
        int fd = protocol == IPC_UDP ? datagram_socket(&addr) : listener(&port);

        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_FORWARD_LISTENER, &gate, sizeof(gate), &fd, 1);
}

static void send_service(struct scene *scene, uint16_t gate_port, uint16_t protocol, bool checked)
{
        struct ipc_forward_service service = { .gate_port = gate_port, .protocol = protocol, .count = 2, .idle_ms = 20000,
                                               .host = "here" };
        struct sockaddr_in addr;

        tame_service(&service);
        if (checked && protocol == IPC_TCP) {
                service.health = IPC_HEALTH_HTTP;
                service.status_first = service.status_last = 200;
                service.rise = service.fall = 1;
                service.interval_ms = service.timeout_ms = 1000;
                service.path[0] = '/';
        }
        service.local = protocol == IPC_TCP && gate_port > 1;   /* a unix socket, which the supervisor is asked for */
        service.proxy = gate_port > 1 ? IPC_PROXY_V2 : IPC_PROXY_NONE;
        datagram_socket(&addr);
        service.service_port = protocol == IPC_UDP ? ntohs(addr.sin_port) : service.service_port;
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_FORWARD_SERVICE, &service, sizeof(service), NULL, 0);
}

/* Gates or services of both protocols, their siblings, and with @what 2 a provider for the gates, or checks of the services. */
static void configure(struct scene *scene, uint8_t what)
{
        struct ipc_generation generation = { 1 };
        struct ipc_forward_trusted trusted = { { [10] = 0xff, [11] = 0xff, [12] = 127 }, 104 };
        struct ipc_forward_keep_alive keep = { 60, 10, 6 };
        struct ipc_rule anybody = { .who = IPC_RULE_OTHERS, .allow = 1, .bytes_per_s = 1000, .burst_bytes = 1000,
                                    .ways = IPC_RULE_UP, .labels = "a" };
        struct ipc_forward_policy policy = { 1 };
        bool gates = scene->forward.worker.begin.duty == IPC_DUTY_GATES;
        int rules = ipc_blob_new(&anybody, sizeof(anybody));

        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, sizeof(generation), NULL, 0);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_FORWARD_KEEP_ALIVE, &keep, sizeof(keep), NULL, 0);
        if (gates && scene->proxied)
                inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_FORWARD_TRUSTED, &trusted, sizeof(trusted), NULL, 0);
        if (gates && what & 4)
                inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_FORWARD_POLICY, &policy, sizeof(policy), &rules, 1);
        close(rules);
        for (uint16_t protocol = what & 1; protocol <= IPC_UDP; protocol++)
                if (gates)
                        send_listener(scene, 1 + (what & 4), protocol);
                else
                        send_service(scene, 1 + (what & 4), protocol, what & 2);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, sizeof(generation), NULL, 0);
        inside_introduce(&scene->inside, IPC_SWARM);
        inside_introduce(&scene->inside, IPC_ROUTER);
        if (!gates)
                inside_introduce(&scene->inside, IPC_ADMIN);
        worker_turn(&scene->forward.worker, &forward_handlers, &scene->forward);
        if (!(what & 2))
                return;
        inside_send_raw(&scene->inside, IPC_ROUTER, IPC_ROUTES_BEGIN, &generation, sizeof(generation), NULL, 0);
        for (uint16_t protocol = IPC_TCP; protocol <= IPC_UDP; protocol++) {
                struct ipc_route route = { .peer = { 1 }, .gate_port = 1 + (what & 4), .protocol = protocol, .swarm = 1 };

                inside_send_raw(&scene->inside, IPC_ROUTER, IPC_ROUTE_SET, &route, sizeof(route), NULL, 0);
        }
        inside_send_raw(&scene->inside, IPC_ROUTER, IPC_ROUTES_END, &generation, sizeof(generation), NULL, 0);
        worker_turn(&scene->forward.worker, &forward_handlers, &scene->forward);
        must(scene->forward.worker.supervisor.ipc.fd < 0 ||
             choose_ready_us(&scene->forward.clients.choose, 1 + (what & 4), IPC_UDP, NULL, 0) != USEC_NEVER);
}

/* The swarm worker keeps the connections that it is given. */
static void hold(struct scene *scene)
{
        struct ipc_received message;

        while (inside_receive(&scene->inside, IPC_SWARM, &message)) {
                if (message.fd_count && scene->held_count < HELD_MAX) {
                        scene->held[scene->held_count].channel = IPC_PAYLOAD(&message, struct ipc_channel)->channel;
                        scene->held[scene->held_count++].fd = ipc_received_take_fd(&message, 0);
                }
                ipc_received_fini(&message);
        }
}

static void let_go(struct scene *scene, size_t which)
{
        close(scene->held[which].fd);
        scene->held[which] = scene->held[--scene->held_count];
}

/* Datagrams for a client: in a pair each is marked, and the end is not. */
static void send_datagrams(int fd, uint8_t count, size_t len)
{
        static uint8_t bytes[SOCKET_DATAGRAM_MAX];
        struct ipc_session_batch batch = { .marked = true };

        for (size_t i = 0; i < count; i++)
                ipc_session_put(&batch, i, (struct iovec){ bytes, MIN(len, sizeof(bytes)) });
        (void)!sendmmsg(fd, batch.message, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void arrive(struct scene *scene, uint8_t what)
{
        struct ipc_channel_arrived arrived = { .channel = ++scene->arrived, .peer = { what }, .gate_port = 1, .protocol = what / 8 % 2,
                                               .metadata_len = what / 16 };

        inside_send_raw(&scene->inside, IPC_SWARM, IPC_CHANNEL_ARRIVED, &arrived, sizeof(arrived), NULL, 0);
}

/* The swarm worker answers for a connection that it holds, or brings one. */
static void swarm_does(struct scene *scene)
{
        uint8_t what = read_u8(&scene->input), bytes[64];
        size_t which = scene->held_count ? what / 8 % scene->held_count : 0;
        struct ipc_channel one = { .channel = scene->arrived };
        struct ipc_channel_refused refused = { .reason = what / 8 % IPC_REASONS };
        struct ipc_channel_closed closed = { .reason = what / 8 % IPC_REASONS };

        hold(scene);
        if (scene->held_count == 0 || what % 8 > 5) {
                if (what % 8 == 7)
                        inside_send_raw(&scene->inside, IPC_SWARM, IPC_CHANNEL_GONE, &one, sizeof(one), NULL, 0);
                else
                        arrive(scene, what);
                return;
        }
        one.channel = refused.channel = closed.channel = scene->held[which].channel;
        switch (what % 8) {
        case 0:
                inside_send_raw(&scene->inside, IPC_SWARM, IPC_CHANNEL_OPENED, &one, sizeof(one), NULL, 0);
                break;
        case 1:
                inside_send_raw(&scene->inside, IPC_SWARM, IPC_CHANNEL_REFUSED, &refused, sizeof(refused), &scene->held[which].fd, 1);
                let_go(scene, which);
                break;
        case 2:
                inside_send_raw(&scene->inside, IPC_SWARM, IPC_CHANNEL_CLOSED, &closed, sizeof(closed), NULL, 0);
                let_go(scene, which);
                break;
        case 3:
                send_datagrams(scene->held[which].fd, 1 + what / 64, (size_t)read_u8(&scene->input) * 257);
                break;
        case 4:
                while (recv(scene->held[which].fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                        ;
                break;
        default:
                shutdown(scene->held[which].fd, SHUT_WR);
        }
}

static void operate(struct scene *scene)
{
        static const enum ipc_role roles[] = { IPC_SUPERVISOR, IPC_SWARM, IPC_ROUTER, IPC_FORWARD };
        uint8_t operation = read_u8(&scene->input);
        enum ipc_role role = roles[operation / 8 % ARRAY_LEN(roles)];

        switch (operation % 8) {
        case 0:
                if (role == IPC_FORWARD)
                        speak(scene);
                else
                        inside_drain(&scene->inside);
                break;
        case 1:
                if (role == IPC_SUPERVISOR)
                        configure(scene, operation / 32);
                else
                        inside_introduce(&scene->inside, role);
                break;
        case 2:
                if (role == IPC_SUPERVISOR)
                        swarm_does(scene);
                else
                        inside_depart(&scene->inside, role);
                break;
        case 3:
                if (role == IPC_SUPERVISOR)
                        come_by_datagram(scene);
                else
                        come(scene);
                break;
        case 4:
                leave(scene);
                break;
        case 5:
                pass_time(scene);
                break;
        default:
                say(scene, role);
        }
        worker_turn(&scene->forward.worker, &forward_handlers, &scene->forward);
        must(scene->forward.arrivals.pending <= ARRIVALS_PENDING_MAX);
        must(scene->forward.clients.handed.count <= scene->forward.clients.last_number);
}

static void run(struct scene *scene)
{
        static uint8_t counter;
        static const struct random random = { fill, &counter };
        uint8_t what = read_u8(&scene->input);
        bool gates = what % 2;

        scene->proxied = what & 2;
        counter = 0;
        worker_now(&scene->now);
        inside_begin(&scene->inside, &scene->forward.worker, IPC_FORWARD, gates ? IPC_DUTY_GATES : IPC_DUTY_SERVICES);
        must(forward_init(&scene->forward, &random) == 0);
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&scene->input) && scene->forward.worker.supervisor.ipc.fd >= 0; i++)
                operate(scene);         /* on STOP, too: what else comes in that turn is heard */
        worker_part(&scene->forward.worker);
        forward_fini(&scene->forward);
        inside_drain(&scene->inside);
        inside_end(&scene->inside);
        while (scene->client_count)
                leave(scene);
        while (scene->held_count)
                let_go(scene, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct scene scene;
        struct sockaddr_in addr;
        uint16_t port;
        int first_free, now_free;

        listener(&port);
        datagram_socket(&addr);
        sender(0);
        first_free = dup(STDIN_FILENO);
        close(first_free);
        memset(&scene, 0, sizeof(scene));
        scene.input = steps_begin(data, len);
        run(&scene);
        empty_backlog();
        now_free = dup(STDIN_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}
