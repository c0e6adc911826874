/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of gates on loopback, of both families, bound to one address and to all. */
#include "forward_datagrams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "forward_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"

enum { GATE = 5353, TAKEN_MAX = 64 };

/* Sessions as the swarm worker has them. */
static int taken[TAKEN_MAX];
static struct ipc_channel_open opens[TAKEN_MAX];
static unsigned taken_count;

static void turn(void)
{
        struct ipc_received message;

        for (unsigned i = 0; i < 5; i++)
                scene_turn();
        while (inside_receive(&inside, IPC_SWARM, &message)) {
                check_equal(message.type, IPC_CHANNEL_OPEN);
                check(taken_count < TAKEN_MAX);
                opens[taken_count] = *IPC_PAYLOAD(&message, struct ipc_channel_open);
                taken[taken_count++] = ipc_received_take_fd(&message, 0);
        }
}

static void begin(void)
{
        scene_begin(IPC_DUTY_GATES, IPC_SWARM);
        taken_count = 0;
        scene_provider('A', GATE, IPC_UDP);
}

static void finish(void)
{
        scene_end();
        for (unsigned i = 0; i < taken_count; i++)
                close(taken[i]);
}

static socklen_t address(const char *ip, uint16_t port, union socket_address *out)
{
        memset(out, 0, sizeof(*out));
        if (inet_pton(AF_INET, ip, &out->v4.sin_addr) == 1) {
                out->v4.sin_family = AF_INET;
                out->v4.sin_port = htons(port);
        } else {
                check_equal(inet_pton(AF_INET6, ip, &out->v6.sin6_addr), 1);
                out->v6.sin6_family = AF_INET6;
                out->v6.sin6_port = htons(port);
        }
        return socket_address_len(out);
}

/* Bound to @ip, as the supervisor does it (sockets.c); -1 where the machine has no such address. */
static int bound(const char *ip, uint16_t port)
{
        union socket_address at;
        socklen_t len = address(ip, port, &at);
        bool v6 = at.any.sa_family == AF_INET6;
        int fd = socket(at.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0)
                return -1;
        check_equal(setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one)), 0);
        check_equal(setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &one, sizeof(one)), 0);
        if (bind(fd, &at.any, len) == 0)
                return fd;
        check_equal(errno, EADDRNOTAVAIL);
        close(fd);
        return -1;
}

static uint16_t port_of(int fd)
{
        union socket_address at;
        socklen_t len = sizeof(at);

        check_equal(getsockname(fd, &at.any, &len), 0);
        return ntohs(at.v4.sin_port);           /* in the same place of both */
}

/* The configuration is these sockets, each gate's a copy that is the worker's from here on. */
static void configure(const int *fds, unsigned count, unsigned idle_s)
{
        struct ipc_generation generation = { 1 };

        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        for (unsigned i = 0; i < count; i++) {
                struct ipc_forward_listener what = { .gate_port = GATE, .protocol = IPC_UDP, .wait_ms = 60000,
                                                     .idle_ms = idle_s * 1000 };

                inside_send(&inside, IPC_SUPERVISOR, IPC_FORWARD_LISTENER, &what, fds[i]);
        }
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        turn();
}

/* A client of its own socket, connected: it hears nobody but @ip at @port. */
static int client_of(const char *ip, uint16_t port)
{
        union socket_address at;
        socklen_t len = address(ip, port, &at);
        int fd = socket(at.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        check(fd >= 0);
        check_equal(connect(fd, &at.any, len), 0);
        return fd;
}

static void say(int client, const char *text)
{
        check_equal(send(client, text, strlen(text), 0), (long long)strlen(text));
}

/* The provider answers in session @i. */
static void reply(unsigned i, const char *text)
{
        uint8_t mark = 0;
        struct iovec parts[] = { { &mark, 1 }, { (void *)(uintptr_t)text, strlen(text) } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

        check(sendmsg(taken[i], &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
        turn();
}

/* The next of @fd, without its first @skip bytes; "-" for none. */
static const char *heard(int fd, size_t skip)
{
        static char text[128];
        ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

        if (len <= 0)
                return len < 0 ? "-" : ".";
        text[len] = '\0';
        return text + skip;
}

#define check_heard(fd, skip, expected) check(strcmp(heard(fd, skip), expected) == 0)

static bool metadata_has(unsigned i, const char *text)
{
        return memmem(opens[i].metadata, opens[i].metadata_len, text, strlen(text));
}

TEST(answers_come_from_the_address_that_was_asked_whatever_the_gate_is_bound_to)
{
        static const struct { const char *bound, *asked[2]; } cases[] = {
                { "127.0.0.1", { "127.0.0.1", NULL } },
                { "0.0.0.0", { "127.0.0.1", "127.0.0.7" } },
                { "::1", { "::1", NULL } },
                { "::", { "::1", NULL } },
        };

        for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
                int fd = bound(cases[i].bound, 0), clients[2] = { -1, -1 };

                if (fd < 0)
                        continue;       /* a machine without IPv6 */
                begin();
                configure(&fd, 1, 300);
                for (unsigned k = 0; k < 2 && cases[i].asked[k]; k++) {
                        clients[k] = client_of(cases[i].asked[k], port_of(fd));
                        say(clients[k], "question");
                        turn();
                        check_equal(taken_count, k + 1);
                        check(metadata_has(k, cases[i].asked[k]));
                        check_heard(taken[k], 1, "question");
                }
                for (unsigned k = 0; k < 2 && cases[i].asked[k]; k++) {
                        reply(k, cases[i].asked[k]);    /* connected clients take it from nobody else */
                        check_heard(clients[k], 0, cases[i].asked[k]);
                        check_heard(clients[k], 0, "-");
                        close(clients[k]);
                }
                finish();
                close(fd);
        }
}

/* One source that asks two addresses of a gate is two clients to it: each answer has its own source. */
TEST(the_address_asked_is_part_of_who_a_client_is)
{
        int fd = bound("0.0.0.0", 0), client = bound("127.0.0.9", 0);
        union socket_address to, from;
        socklen_t len = sizeof(from);
        char text[16];

        begin();
        configure(&fd, 1, 300);
        for (unsigned i = 1; i <= 2; i++) {
                address(i == 1 ? "127.0.0.1" : "127.0.0.2", port_of(fd), &to);
                check_equal(sendto(client, "q", 1, 0, &to.any, sizeof(to.v4)), 1);
                turn();
        }
        check_equal(taken_count, 2);
        reply(1, "second");
        check_equal(recvfrom(client, text, sizeof(text), MSG_DONTWAIT, &from.any, &len), 6);
        check_equal(ntohl(from.v4.sin_addr.s_addr), INADDR_LOOPBACK + 1);
        finish();
        close(client);
        close(fd);
}

TEST(a_burst_of_several_clients_reaches_each_session_in_order)
{
        enum { CLIENTS = 5, EACH = 15 };        /* more than a turn takes */
        int fd = bound("127.0.0.1", 0), clients[CLIENTS];
        char text[32];

        begin();
        configure(&fd, 1, 300);
        for (unsigned i = 0; i < CLIENTS; i++)
                clients[i] = client_of("127.0.0.1", port_of(fd));
        for (unsigned n = 0; n < EACH; n++)
                for (unsigned i = 0; i < CLIENTS; i++) {
                        for (unsigned run = 0; run < 1 + i % 3; run++) {
                                snprintf(text, sizeof(text), "%u of %u.%u", i, n, run);
                                say(clients[i], text);
                        }
                }
        turn();
        check_equal(taken_count, CLIENTS);
        for (unsigned i = 0; i < CLIENTS; i++) {
                for (unsigned n = 0; n < EACH; n++)
                        for (unsigned run = 0; run < 1 + i % 3; run++) {
                                snprintf(text, sizeof(text), "%u of %u.%u", i, n, run);
                                check_heard(taken[i], 1, text);
                        }
                check_heard(taken[i], 1, "-");
                close(clients[i]);
        }
        finish();
        close(fd);
}

/* The sum of what the supervisor was told, in how many messages. */
static uint64_t told_dropped(unsigned *messages_out)
{
        struct ipc_received message;
        uint64_t sum = 0;

        *messages_out = 0;
        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == IPC_FORWARD_STATUS) {
                        sum += IPC_PAYLOAD(&message, struct ipc_forward_status)->datagrams_dropped;
                        ++*messages_out;
                }
                ipc_received_fini(&message);
        }
        return sum;
}

TEST(the_empty_and_the_largest_datagram_come_through_a_gate_of_either_family)
{
        static const char *const hosts[] = { "127.0.0.1", "::1" };
        static char bytes[SOCKET_DATAGRAM_MAX + 2];
        unsigned messages;
        struct now now;

        for (unsigned i = 0; i < 2; i++) {
                int fd = bound(hosts[i], 0), client;

                if (fd < 0)
                        continue;
                begin();
                configure(&fd, 1, 300);
                client = client_of(hosts[i], port_of(fd));
                memset(bytes, 'x', sizeof(bytes));
                check_equal(send(client, NULL, 0, 0), 0);
                check_equal(send(client, bytes, SOCKET_DATAGRAM_MAX, 0), SOCKET_DATAGRAM_MAX);
                if (i == 1)             /* IPv6 carries 20 bytes more: not whole is not at all, and counted */
                        check_equal(send(client, bytes, SOCKET_DATAGRAM_MAX + 1, 0), SOCKET_DATAGRAM_MAX + 1);
                say(client, "and one more");
                turn();
                check_equal(recv(taken[0], bytes, sizeof(bytes), 0), 1);
                check_equal(recv(taken[0], bytes, sizeof(bytes), 0), 1 + SOCKET_DATAGRAM_MAX);
                check_heard(taken[0], 1, "and one more");
                worker_now(&now);
                datagrams_advance(&forward.datagrams, now.mono_us + SECONDS(1));
                check_equal(told_dropped(&messages), i);
                finish();
                close(client);
                close(fd);
        }
}

/* Two gate sockets, one of each family, at one port: as with `listen` of two addresses. */
TEST(a_reload_keeps_the_sessions_of_a_gate_that_stays_and_ends_those_of_one_that_goes)
{
        int fds[2] = { bound("127.0.0.1", 0), bound("127.0.0.2", 0) }, clients[2];

        begin();
        configure(fds, 2, 300);
        for (unsigned i = 0; i < 2; i++) {
                clients[i] = client_of(i ? "127.0.0.2" : "127.0.0.1", port_of(fds[i]));
                say(clients[i], "before");
                turn();
        }
        check_equal(taken_count, 2);
        configure(fds, 1, 1);
        check_heard(taken[1], 1, "before");
        check_heard(taken[1], 1, ".");          /* and its end */
        say(clients[0], "after");
        turn();
        check_equal(taken_count, 2);
        check_heard(taken[0], 1, "before");
        check_heard(taken[0], 1, "after");
        reply(0, "answer");
        check_heard(clients[0], 0, "answer");
        configure(NULL, 0, 0);
        check_heard(taken[0], 1, ".");
        for (unsigned i = 0; i < 2; i++) {
                close(clients[i]);
                close(fds[i]);
        }
        finish();
}

/* Another may be bound to its port beside it; 0: any. */
static int bound_beside(uint16_t port)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), one = 1;
        union socket_address at;

        check_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
        address("127.0.0.1", port, &at);
        check_equal(bind(fd, &at.any, sizeof(at.v4)), 0);
        return fd;
}

/* As after the supervisor has closed a gate and bound it anew. */
TEST(a_new_socket_for_the_same_address_serves_the_old_sessions)
{
        int fds[2] = { bound_beside(0) }, client;

        begin();
        configure(&fds[0], 1, 300);
        client = client_of("127.0.0.1", port_of(fds[0]));
        say(client, "one");
        turn();
        fds[1] = bound_beside(port_of(fds[0]));
        configure(&fds[1], 1, 300);
        close(fds[0]);
        say(client, "two");
        turn();
        check_equal(taken_count, 1);
        check_heard(taken[0], 1, "one");
        check_heard(taken[0], 1, "two");
        reply(0, "answer");
        check_heard(client, 0, "answer");
        close(client);
        close(fds[1]);
        finish();
}

TEST(what_is_no_socket_for_datagrams_is_said_once_and_not_watched)
{
        struct ipc_received message;
        unsigned told = 0;
        int pipes[2];

        begin();
        check_equal(pipe(pipes), 0);
        inside_drain(&inside);
        configure(pipes, 1, 300);
        check_equal(write(pipes[1], "x", 1), 1);
        for (unsigned i = 0; i < 10; i++)
                turn();
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && IPC_PAYLOAD(&message, struct ipc_log)->level == LOG_ERR;
        check_equal(told, 1);
        finish();
        close(pipes[0]);
        close(pipes[1]);
}

/* Wherever it is lost on the way to the session's pair. */
TEST(every_datagram_of_a_flood_has_arrived_or_is_counted)
{
        enum { FLOOD = 3000, BYTES = 1000 };
        static const char bytes[BYTES];
        int fd = bound("127.0.0.1", 0), client;
        unsigned messages, passed = 0;
        char got[BYTES + 1];
        struct now now;

        begin();
        configure(&fd, 1, 300);
        client = client_of("127.0.0.1", port_of(fd));
        for (unsigned i = 0; i < FLOOD; i++)
                check_equal(send(client, bytes, sizeof(bytes), 0), BYTES);
        turn();
        for (unsigned i = 0; i < 100; i++)
                turn();
        say(client, "that was all");            /* what the socket lost is said with the next */
        turn();
        while (recv(taken[0], got, sizeof(got), MSG_DONTWAIT) > 0)
                passed++;
        worker_now(&now);
        datagrams_advance(&forward.datagrams, now.mono_us + SECONDS(1));        /* what came after the first word of it */
        check(datagrams_deadline(&forward.datagrams) > now.mono_us + SECONDS(5));        /* nothing more to say */
        check(passed > 0 && passed < FLOOD);
        check_equal(told_dropped(&messages) + passed, FLOOD + 1);
        check(messages == 1 || messages == 2);
        finish();
        close(client);
        close(fd);
}

TEST(errors_of_what_was_sent_do_not_close_a_gate)
{
        int fd = bound("127.0.0.1", 0), client, other;
        uint16_t port = port_of(fd);

        begin();
        configure(&fd, 1, 300);
        client = client_of("127.0.0.1", port);
        say(client, "q");
        turn();
        close(client);                          /* answers to it come back as ICMP */
        for (unsigned i = 0; i < 3; i++)
                reply(0, "to nobody");
        other = client_of("127.0.0.1", port);
        say(other, "still there?");
        turn();
        check_equal(taken_count, 2);
        check_heard(taken[1], 1, "still there?");
        close(other);
        finish();
        close(fd);
}
