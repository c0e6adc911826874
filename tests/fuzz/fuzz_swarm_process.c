/* SPDX-License-Identifier: BSD-3-Clause */
/* The swarm worker between siblings that say anything in any order and a node whose peers do: the input is their words, the node's
 * events, what its channels take and hold, and what the connections' other ends do. The node here is none, but it holds the worker to
 * what node.h asks of it. No descriptor is left over. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "inside.h"
#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_route.h"
#include "ipc_swarm.h"
#include "ipc_table.h"
#include "message.h"
#include "node_double.h"
#include "steps.h"
#include "swarm_process.h"

enum { OPERATIONS_MAX = 96, LOCALS = 24, BYTES = 4096, UDP_FDS = 4, CONFIGURED_WITH_STRANGERS = 3, CONFIGURED_WITH_ADMIN = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct scene {
        struct swarm_process swarm;
        struct inside inside;
        struct reader input;
        int locals[LOCALS];             /* the far ends of connections that were passed */
        size_t local_count;
};

static struct scene *scene;
static uint8_t bytes[BYTES];

static void must(bool condition)
{
        if (!condition)
                abort();
}

/* ---- what siblings and connections do ---- */

/* A UDP socket on loopback, one of those that are there for as long as this program runs: the node's two, and two for strangers. */
static int udp_socket(unsigned number, struct addr *addr_out)
{
        static int fds[UDP_FDS];
        static struct sockaddr_in addrs[UDP_FDS];
        socklen_t len = sizeof(addrs[0]);

        if (!fds[number]) {
                addrs[number] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                fds[number] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                must(fds[number] > 0 && bind(fds[number], (struct sockaddr *)&addrs[number], len) == 0);
                must(getsockname(fds[number], (struct sockaddr *)&addrs[number], &len) == 0);
        }
        *addr_out = (struct addr){ { 127, 0, 0, 1 }, ntohs(addrs[number].sin_port) };
        return fds[number];
}

/* What one input left in them is not there for the next. */
static void empty_udp_sockets(void)
{
        static uint8_t drain[8192];
        struct addr addr;

        for (unsigned i = 0; i < UDP_FDS; i++)
                while (recv(udp_socket(i, &addr), drain, sizeof(drain), MSG_DONTWAIT) >= 0)
                        ;
}

static int keep_local(const int pair[2])
{
        if (scene->local_count == LOCALS)
                close(pair[1]);
        else
                scene->locals[scene->local_count++] = pair[1];
        return pair[0];
}

/* A connection, a session, a service's socket, or something that is none. */
static int any_descriptor(uint8_t which)
{
        int pair[2], least = 1;
        struct addr addr;

        if (which >= 252) {             /* one that takes no large datagram */
                must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
                must(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) == 0);
                return keep_local(pair);
        }
        switch (which % 6) {
        case 0:
        case 1:
                must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
                return keep_local(pair);
        case 2:
                must(ipc_link_pair(pair) == 0);
                return keep_local(pair);
        case 3:
                must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
                return keep_local(pair);
        case 4:
                return dup(udp_socket(which / 6 % 2, &addr));
        default:
                return epoll_create1(EPOLL_CLOEXEC);
        }
}

/* A message of any type from any role: the first bytes of its payload are the input's, the others zero. */
static void say(enum ipc_role as)
{
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        uint32_t type = message_type(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t size = row ? row->payload_bytes : 8, given = read_u8(&scene->input);
        uint8_t which = read_u8(&scene->input);
        int fd = row && row->fds_max && (row->fds_min || which & 1) ? any_descriptor(which) : -1;

        given = MIN(MIN(given, size), reader_left(&scene->input));
        read_copy(&scene->input, payload, given);
        inside_send_raw(&scene->inside, as, type, payload, size, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

/* A forward worker in its right mind: it serves something, or answers for the channel it was asked about last. */
static void serve(uint8_t what)
{
        struct ipc_service_held held = { .gate_port = what / 8 % 4, .protocol = what / 32 % 2 };
        node_channel_id last = scene->swarm.node ? scene->swarm.node->last : 0;
        struct ipc_channel_ready ready = { .channel = last - what / 16 % 4, .idle_ms = what & 128 ? 1 : 0, .front_len = what & 64,
                                           .tuple = { .local_port = 1 + what / 64, .remote_port = 1 } };
        struct ipc_channel_refused refused = { .channel = ready.channel, .text_len = what };
        struct ipc_channel_open open = { .channel = what, .gate_port = 1, .protocol = what / 8 % 2, .deadline_ms = what / 16 };
        struct ipc_channel_open limited = { .channel = what, .gate_port = 1, .protocol = what / 8 % 2,
                                            .limit = { { .limiter = what / 32, .bytes_per_s = 1000, .burst_bytes = what,
                                                         .ways = what / 16 },
                                                       { .limiter = what / 64, .bytes_per_s = what % 3 * 500, .burst_bytes = what % 3,
                                                         .ways = what / 8 } } };
        struct ipc_channel one = { .channel = ready.channel };
        static const uint32_t types[] = { IPC_SERVICE_HELD, IPC_SERVICE_LEFT, IPC_CHANNEL_READY, IPC_CHANNEL_REFUSE,
                                          IPC_CHANNEL_OPEN, IPC_CHANNEL_READY, IPC_CHANNEL_OPEN, IPC_CHANNEL_END };
        const void *payloads[] = { &held, &held, &ready, &refused, &open, &ready, what >= 128 ? &limited : &open, &one };
        uint32_t type = types[what % 8];
        bool udp = type == IPC_CHANNEL_OPEN && open.protocol;
        int fd = ipc_row(type)->fds_min ? any_descriptor(udp ? 2 : what >= 224 ? 255 : what / 32 % 5) : -1;

        inside_send_raw(&scene->inside, IPC_FORWARD, type, payloads[what % 8], ipc_row(type)->payload_bytes, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

/* The supervisor in its right mind, so that there is a node. */
static void configure(bool strangers)
{
        struct ipc_generation generation = { 1 };
        struct ipc_swarm_node node = { .persistent = 0 };

        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, sizeof(generation), NULL, 0);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_SWARM_NODE, &node, sizeof(node), NULL, 0);
        for (unsigned i = 0; i < (strangers ? UDP_FDS : 2); i++) {
                struct ipc_swarm_socket socket = { .kind = i % 2, .receive_bytes = 100000, .gso = 1, .for_strangers = i / 2 };
                struct addr addr;
                int fd = udp_socket(i, &addr);

                socket.local_port = addr.port;
                memcpy(socket.local_ip, addr.ip, sizeof(socket.local_ip));
                inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_SWARM_SOCKET, &socket, sizeof(socket), &fd, 1);
        }
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, sizeof(generation), NULL, 0);
}

static void advertise(uint8_t what)
{
        struct ipc_advertise advert = { .len = what };
        int fd = what ? ipc_blob_new(bytes, what) : dup(STDIN_FILENO);

        must(fd >= 0);
        advert.len += read_u8(&scene->input) == 0;
        inside_send_raw(&scene->inside, IPC_ROUTER, IPC_ADVERTISE, &advert, sizeof(advert), &fd, 1);
        close(fd);
}

static void local_does(uint8_t what)
{
        size_t i = scene->local_count ? what / 4 % scene->local_count : 0;
        int fd = scene->local_count ? scene->locals[i] : -1;
        static uint8_t drain[8192];

        if (fd < 0)
                return;
        switch (what % 4) {
        case 0:
                (void)!send(fd, bytes, (size_t)read_u8(&scene->input) * 9, MSG_NOSIGNAL | MSG_DONTWAIT);
                break;
        case 1:
                for (unsigned n = 0; n < 20 && recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0; n++)
                        ;
                break;
        case 2:
                shutdown(fd, SHUT_WR);
                break;
        default:
                close(fd);
                scene->locals[i] = scene->locals[--scene->local_count];
        }
}

static void fire(ev_timer *timer)
{
        if (!ev_is_active(timer))
                return;
        ev_timer_stop(scene->swarm.worker.loop, timer);
        ev_invoke(scene->swarm.worker.loop, timer, EV_TIMER);
}

static void pass_time(uint8_t what)
{
        struct swarm_process *swarm = &scene->swarm;

        if (!swarm->node)
                return;
        swarm->driver.now.mono_us += SECONDS(1) << what / 4 % 8;
        if (what % 4 == 0)
                fire(&swarm->channels.idle_check);
        else if (what % 4 == 1)
                fire(&swarm->channels.early.patience);
        else if (what % 4 == 2)
                fire(&swarm->status);
        else
                fire(&swarm->known);
}

static void operate(unsigned turn)
{
        static const enum ipc_role roles[] = { IPC_SUPERVISOR, IPC_ROUTER, IPC_FORWARD, IPC_FORWARD };
        uint8_t operation = read_u8(&scene->input), argument = read_u8(&scene->input);
        enum ipc_role role = roles[operation / 16 % ARRAY_LEN(roles)], sibling = argument == 255 ? IPC_ADMIN : role;
        struct node *node = scene->swarm.node;

        switch (operation % 16) {
        case 0:
                if (sibling != IPC_SUPERVISOR)
                        inside_introduce(&scene->inside, sibling);
                break;
        case 1:
                if (sibling != IPC_SUPERVISOR)
                        inside_depart(&scene->inside, sibling);
                break;
        case 2:
                pass_time(argument);
                break;
        case 3:
        case 4:
                say(role);
                break;
        case 5:
                advertise(argument);
                break;
        case 6:
        case 7:
                local_does(argument);
                break;
        case 8:
                if (node && argument & 64) {
                        node_double_punch(node, argument);
                } else if (node) {
                        node->sends = argument % 8;
                        udp_socket(argument / 8 % UDP_FDS, &node->to);
                        node->to.port = argument & 128 ? 0 : node->to.port;
                }
                break;
        case 9:
        case 10:
                if (node)
                        node_double_peer(node, argument, &scene->input);
                break;
        case 11:
        case 12:
        case 13:
                if (node)
                        node_double_channel(node, argument, &scene->input);
                break;
        default:
                serve(argument);
        }
        worker_turn(&scene->swarm.worker, &swarm_handlers, &scene->swarm);
        if (turn % 8 == 7)              /* it is what takes longest */
                inside_drain(&scene->inside);
}

static void run(uint8_t configured)
{
        struct swarm_process *swarm = &scene->swarm;

        inside_begin(&scene->inside, &swarm->worker, IPC_SWARM, IPC_DUTY_NONE);
        must(swarm_process_init(swarm) == 0);
        swarm->worker.exit_code = -1;   /* another one: it has stopped */
        if (configured) {
                configure(configured == CONFIGURED_WITH_STRANGERS);
                inside_introduce(&scene->inside, IPC_ROUTER);
                inside_introduce(&scene->inside, IPC_FORWARD);
                if (configured & CONFIGURED_WITH_ADMIN)
                        inside_introduce(&scene->inside, IPC_ADMIN);
                worker_turn(&swarm->worker, &swarm_handlers, swarm);
                must(swarm->node != NULL);
        }
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&scene->input) && swarm->worker.exit_code == -1; i++)
                operate(i);
        worker_part(&swarm->worker);
        swarm_process_fini(swarm);
        inside_drain(&scene->inside);
        inside_end(&scene->inside);
        while (scene->local_count)
                close(scene->locals[--scene->local_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        int first_free, now_free;

        must(sodium_init() >= 0);
        empty_udp_sockets();
        first_free = dup(STDIN_FILENO);
        close(first_free);
        scene = calloc(1, sizeof(*scene));
        must(scene != NULL);
        scene->input = steps_begin(data, len);
        run(read_u8(&scene->input) % 8);
        free(scene);
        now_free = dup(STDIN_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}
