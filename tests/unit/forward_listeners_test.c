/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_scene.h"
#include "ipc_forward.h"

static void begin(void)
{
        scene_begin(IPC_DUTY_GATES, IPC_SUPERVISOR);
}

static void finish(void)
{
        scene_end();
}

/* Descriptor of a socket that has something to be read, and of which nobody can be accepted, today or tomorrow. */
static int datagram_socket(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        check(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
        check_equal(sendto(fd, "", 1, 0, (struct sockaddr *)&addr, len), 1);
        return fd;
}

static int option(int fd, int level, int name)
{
        int value = -1;
        socklen_t len = sizeof(value);

        check_equal(getsockopt(fd, level, name, &value, &len), 0);
        return value;
}

TEST(a_connection_is_asked_whether_it_is_there_as_it_was_said)
{
        static const struct ipc_forward_keep_alive never, keep = { 61, 11, 7 };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check_equal(socket_prepare(fd, &keep), 0);
        check_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
        check_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        check_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 61);
        check_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 11);
        check_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 7);
        check_equal(socket_prepare(fd, &never), 0);     /* one that inherited it from its listener */
        check_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
        close(fd);
}

/* accept(2) says EOPNOTSUPP of it, as it does of a connection that failed on its way. */
TEST(a_listener_of_which_nobody_can_be_accepted_is_not_asked_all_the_time)
{
        struct ipc_forward_listener gate = { .gate_port = 8080, .protocol = IPC_TCP, .wait_ms = 1000 };
        struct now now;

        begin();
        listeners_begin(&forward.listeners);
        check_equal(listeners_add(&forward.listeners, &gate, datagram_socket()), 0);
        listeners_end(&forward.listeners);
        scene_turn();
        worker_now(&now);
        check(listeners_deadline(&forward.listeners) > now.mono_us);
        check(listeners_deadline(&forward.listeners) < now.mono_us + SECONDS(10));
        finish();
}
