/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_fd.h"
#include "sockets.h"
#include "swarm_sockets.h"
#include "test.h"

enum { MARK = 0xa7 };

static const uint8_t mark = MARK;
static const uint8_t loopback[4] = { 127, 0, 0, 1 };
static const uint8_t loopback_mapped[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };
static const uint8_t loopback_v6[16] = { [15] = 1 };

static int option(int fd, int level, int name)
{
        int value = -1;
        socklen_t len = sizeof(value);

        return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

static uint16_t port_of(int fd)
{
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } addr;
        socklen_t len = sizeof(addr);

        check_equal(getsockname(fd, &addr.any, &len), 0);
        return ntohs(addr.any.sa_family == AF_INET ? addr.v4.sin_port : addr.v6.sin6_port);
}

TEST(udp_sockets_never_fragment_and_are_as_large_as_allowed)
{
        struct udp_made made;
        cleanup_fd int fd = -1, strangers = -1;

        check_equal(sockets_udp(loopback, 0, &mark, &made), 0);
        fd = made.fd;
        strangers = made.strangers_fd;
        check(made.port != 0 && made.port == port_of(fd));
        check_equal(option(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
        check_equal(made.receive_bytes, option(fd, SOL_SOCKET, SO_RCVBUF));
        check(made.receive_bytes >= 128 * 1024);
        check_equal(option(fd, SOL_UDP, UDP_GRO), made.gro);
        check(fcntl(fd, F_GETFL) & O_NONBLOCK);
        check(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

TEST(a_taken_udp_port_is_said_to_be_taken)
{
        struct udp_made first, second = { .fd = -7 };
        cleanup_fd int fd = -1, strangers = -1;

        check_equal(sockets_udp(loopback, 0, &mark, &first), 0);
        fd = first.fd;
        strangers = first.strangers_fd;
        check_equal(sockets_udp(loopback, first.port, &mark, &second), -EADDRINUSE);
        check_equal(second.fd, -7);
}

static void send_to(int fd, uint16_t port, const uint8_t *bytes, size_t len)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };

        check_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

/* How long the next one is. */
static size_t wait_for_one(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        uint8_t bytes[4096];

        check_equal(poll(&ready, 1, 5000), 1);
        return (size_t)recv(fd, bytes, sizeof(bytes), 0);
}

/* By MARK. */
static void check_divided(const struct udp_made *made)
{
        enum { NOBODY, STREAMS, STRANGERS };
        static const struct {
                uint8_t bytes[12];
                size_t len;
                int to;
        } cases[] = {
                { { 0xff, 1, 1, 0, 1, 2, 3, MARK }, 20, STREAMS },
                { { 0xff, 1, 1, 0, 1, 2, 3, MARK }, 1472, STREAMS },
                { { 0xff, 1, 1, 0, 1, 2, 3, MARK }, 8, STREAMS },        /* too short, which the worker sees */
                { { 0xff, 1, 1, 0, 1, 2, 3 }, 7, NOBODY },
                { { 0xff, 1, 1, 0, MARK, MARK, MARK, MARK + 1 }, 20, NOBODY },
                { { 0xff, 2, 1, 0, 1, 2, 3, MARK }, 20, NOBODY },
                { { 0xff }, 1, NOBODY },
                { { 0x03 }, 11, STRANGERS },
                { { 0x03 }, 10, NOBODY },
                { { 0x03 }, 2048, STRANGERS },
                { { 0x03 }, 2049, NOBODY },
                { { 0x13 }, 10, STRANGERS },
                { { 0x13 }, 9, NOBODY },
                { { 0x13 }, 2049, NOBODY },
                { { 0x00 }, 1, STRANGERS },
                { { 0x00 }, 2, NOBODY },
                { { 0x04 }, 20, NOBODY },
                { { 0 }, 0, NOBODY },
        };
        static const uint8_t last_of_streams[1000] = { 0xff, 1, 1, 0, 1, 2, 3, MARK }, last_of_strangers[1000] = { 0x03 };
        cleanup_fd int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int streams = made->fd, strangers = made->strangers_fd;

        check(strangers >= 0);
        check_equal(port_of(streams), port_of(strangers));
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t sent[2049] = { 0 };

                memcpy(sent, cases[i].bytes, sizeof(cases[i].bytes));
                send_to(sender, made->port, sent, cases[i].len);
                send_to(sender, made->port, last_of_streams, sizeof(last_of_streams));
                send_to(sender, made->port, last_of_strangers, sizeof(last_of_strangers));
                if (cases[i].to == STREAMS)
                        check_equal(wait_for_one(streams), cases[i].len);
                check_equal(wait_for_one(streams), sizeof(last_of_streams));
                if (cases[i].to == STRANGERS)
                        check_equal(wait_for_one(strangers), cases[i].len);
                check_equal(wait_for_one(strangers), sizeof(last_of_strangers));
        }
}

TEST(a_port_is_divided_between_streams_and_strangers)
{
        struct udp_made made;

        check_equal(sockets_udp(loopback, 0, &mark, &made), 0);
        check_divided(&made);
        close(made.fd);
        close(made.strangers_fd);
}

TEST(a_port_that_was_divided_is_so_again_from_the_socket_that_was_bound_first)
{
        static const uint8_t other = MARK + 5;
        struct udp_made made, again;

        check_equal(sockets_udp(loopback, 0, &other, &made), 0);
        close(made.fd);
        check_equal(fcntl(made.strangers_fd, F_SETFL, 0), 0);
        check_equal(sockets_udp_again(made.strangers_fd, MARK, &again), 0);
        check(again.strangers_fd == made.strangers_fd && again.port == made.port && again.mark == MARK);
        check(again.gso == made.gso && again.gro == made.gro && again.receive_bytes == made.receive_bytes);
        check(fcntl(again.strangers_fd, F_GETFL) & O_NONBLOCK);
        check_divided(&again);
        close(again.fd);
        close(again.strangers_fd);
}

TEST(the_usual_ports_are_tried_before_any)
{
        struct udp_made made[7];
        int usual = 0;

        for (int i = 0; i < 7; i++) {
                check_equal(sockets_udp_usual(loopback, MARK, &made[i]), 0);
                usual += made[i].port >= SOCKETS_PORT_FIRST && made[i].port <= SOCKETS_PORT_LAST;
        }
        check(usual <= 5);      /* others may have had some of them */
        check(made[5].port < SOCKETS_PORT_FIRST || made[5].port > SOCKETS_PORT_LAST);
        check(made[6].port < SOCKETS_PORT_FIRST || made[6].port > SOCKETS_PORT_LAST);
        for (int i = 0; i < 7; i++) {
                close(made[i].fd);
                close(made[i].strangers_fd);
        }
}

/* What forward workers get out of it. */
static void check_accepted(int listener, const struct sockaddr *addr, socklen_t len)
{
        cleanup_fd int client = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted = -1;
        struct linger linger;
        socklen_t linger_len = sizeof(linger);
        char byte;

        check_equal(connect(client, addr, len), 0);
        do
                accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        while (accepted < 0 && errno == EAGAIN);
        check(accepted >= 0);
        check_equal(option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
        check_equal(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
        check_equal(option(accepted, SOL_SOCKET, SO_OOBINLINE), 1);
        check_equal(option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 120);
        check_equal(getsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, &linger_len), 0);
        check(linger.l_onoff == 1 && linger.l_linger == 0);
        close(take_fd(&accepted));              /* as when its holder dies */
        check_equal(read(client, &byte, 1), -1);
        check_equal(errno, ECONNRESET);
}

TEST(a_listeners_connections_are_reset_with_their_holder)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        cleanup_fd int fd = -1;

        check_equal(sockets_listener(loopback_mapped, 0, &fd), 0);
        addr.sin_port = htons(port_of(fd));
        check_accepted(fd, (struct sockaddr *)&addr, sizeof(addr));
}

TEST(both_families_can_be_listened_on_at_one_port)
{
        struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        cleanup_fd int v4 = -1, v6 = -1;
        int r;

        r = sockets_listener(loopback_v6, 0, &v6);
        if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
                return;         /* a machine without IPv6 */
        check_equal(r, 0);
        check_equal(sockets_listener(loopback_mapped, port_of(v6), &v4), 0);
        addr.sin6_port = htons(port_of(v6));
        check_accepted(v6, (struct sockaddr *)&addr, sizeof(addr));
}

TEST(a_taken_port_is_said_to_be_taken)
{
        cleanup_fd int fd = -1, other = -1;

        check_equal(sockets_listener(loopback_mapped, 0, &fd), 0);
        check_equal(sockets_listener(loopback_mapped, port_of(fd), &other), -EADDRINUSE);
        check_equal(other, -1);
}

TEST(why_a_port_is_refused_is_said_in_words_that_help)
{
        check(strcmp(sockets_refusal(EADDRINUSE), "the port is in use by another program") == 0);
        check(strstr(sockets_refusal(EACCES), "permission denied (ports below 1024 need"));
        check(strstr(sockets_refusal(EADDRNOTAVAIL), "no such address"));
        check(strcmp(sockets_refusal(ENOMEM), strerror(ENOMEM)) == 0);
}

static bool sends(int fd, uint16_t port)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        return sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to)) == 1;
}

TEST(a_further_worker_takes_none_of_the_usual_ports)
{
        struct swarm_sockets sockets;
        struct passed passed = { 0 };
        struct log log;

        log_init(&log, NULL);
        log_instance(&log, "x", LOG_CRIT);
        swarm_sockets_init(&sockets, &log, &passed, SWARM_SOCKETS_FIRST + 1, loopback, 0);
        check(swarm_sockets_made(&sockets));
        check(sockets.server.port < SOCKETS_PORT_FIRST || sockets.server.port > SOCKETS_PORT_LAST);
        shutdown(sockets.server.fd, SHUT_WR);
        swarm_sockets_mend(&sockets);
        check(sends(sockets.server.fd, sockets.server.port));
        swarm_sockets_fini(&sockets);
}

TEST(what_a_swarm_worker_shut_is_made_anew_for_the_next_and_what_it_did_not_stays)
{
        struct swarm_sockets sockets;
        struct passed passed = { 0 };
        struct log log;
        uint16_t port;
        int client;

        log_init(&log, NULL);
        log_instance(&log, "x", LOG_CRIT);
        swarm_sockets_init(&sockets, &log, &passed, SWARM_SOCKETS_FIRST, loopback, 0);
        check(swarm_sockets_made(&sockets));
        port = sockets.server.port;
        client = sockets.client.fd;
        swarm_sockets_mend(&sockets);
        check_equal(sockets.client.fd, client);
        shutdown(sockets.server.fd, SHUT_WR);
        check(!sends(sockets.server.fd, port));
        swarm_sockets_mend(&sockets);
        check_equal(sockets.server.port, port);
        check_equal(port_of(sockets.server.fd), port);
        check(sends(sockets.server.fd, port));
        check_equal(sockets.client.fd, client);
        shutdown(sockets.client.strangers_fd, SHUT_WR);
        swarm_sockets_mend(&sockets);
        check(sends(sockets.client.fd, port) && sends(sockets.client.strangers_fd, port));
        swarm_sockets_fini(&sockets);
}
