/* SPDX-License-Identifier: BSD-3-Clause */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { PATIENCE_MS = 20000 };

static struct sockaddr_in loopback(uint16_t port)
{
        return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(uint8_t host, uint16_t *port_out)
{
        struct sockaddr_in addr = loopback(*port_out);
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        addr.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffu) | host);
        check(fd >= 0);
        check_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        *port_out = ntohs(addr.sin_port);
        return fd;
}

int socket_listen(int backlog, uint16_t *port_out)
{
        int fd;

        *port_out = 0;
        fd = bound(1, port_out);
        check_equal(listen(fd, backlog), 0);
        return fd;
}

int socket_listen_at(uint8_t host, uint16_t port)
{
        int fd = bound(host, &port);

        check_equal(listen(fd, 16), 0);
        return fd;
}

/* With a backlog of 0 the kernel keeps one connection and drops the next ones' SYN. */
int socket_fill(int listener, uint16_t port)
{
        int fd = socket_connect(port);

        check_equal(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, PATIENCE_MS), 1);
        return fd;
}

uint16_t socket_unused_port(void)
{
        uint16_t port = 0;

        close(bound(1, &port));
        return port;
}

int socket_connect(uint16_t port)
{
        struct sockaddr_in addr = loopback(port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        check(fd >= 0);
        check_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
}

static void wait_readable(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        check_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

int socket_accept(int listener)
{
        int fd;

        wait_readable(listener);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        check(fd >= 0);
        return fd;
}

void socket_write(int fd, const char *text)
{
        check_equal(write(fd, text, strlen(text)), strlen(text));
}

void socket_expect(int fd, const char *text)
{
        char got[256];

        for (size_t len = 0; len < strlen(text);) {
                ssize_t n;

                wait_readable(fd);
                n = read(fd, got, strlen(text) - len);
                check(n > 0);
                check_bytes(got, text + len, (size_t)n);
                len += (size_t)n;
        }
}

void socket_expect_reset(int fd)
{
        char byte;

        wait_readable(fd);
        check_equal(read(fd, &byte, 1), -1);
        check_equal(errno, ECONNRESET);
        close(fd);
}

void socket_expect_end(int fd)
{
        char byte;

        wait_readable(fd);
        check_equal(read(fd, &byte, 1), 0);
}

void socket_abort(int fd)
{
        struct linger reset = { .l_onoff = 1 };

        check_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
}

bool socket_lingers(int fd)
{
        struct linger linger = { 0 };
        socklen_t len = sizeof(linger);

        return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff && linger.l_linger == 0;
}
