/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_fd.h"
#include "sockets.h"
#include "test.h"

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
        cleanup_fd int fd = -1;

        check_equal(sockets_udp(loopback, 0, &made), 0);
        fd = made.fd;
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
        cleanup_fd int fd = -1;

        check_equal(sockets_udp(loopback, 0, &first), 0);
        fd = first.fd;
        check_equal(sockets_udp(loopback, first.port, &second), -EADDRINUSE);
        check_equal(second.fd, -7);
}

TEST(the_usual_ports_are_tried_before_any)
{
        struct udp_made made[7];
        int usual = 0;

        for (int i = 0; i < 7; i++) {
                check_equal(sockets_udp_usual(loopback, &made[i]), 0);
                usual += made[i].port >= SOCKETS_PORT_FIRST && made[i].port <= SOCKETS_PORT_LAST;
        }
        check(usual <= 5);      /* others may have had some of them */
        check(made[5].port < SOCKETS_PORT_FIRST || made[5].port > SOCKETS_PORT_LAST);
        check(made[6].port < SOCKETS_PORT_FIRST || made[6].port > SOCKETS_PORT_LAST);
        for (int i = 0; i < 7; i++)
                close(made[i].fd);
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
