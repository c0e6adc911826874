/* SPDX-License-Identifier: BSD-3-Clause */
/* What the walls of a forward worker let through and what they report: a child stands in for the worker and tries. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forward_socket.h"
#include "ipc_fd.h"
#include "ipc_forward.h"
#include "run_walls.h"
#include "sockets.h"
#include "test.h"

/* Returns 0 when all is as it should be, else the errno. Runs behind the walls. */
typedef int (*attempt_fn)(void);

static struct ipc_begin begin_of(enum ipc_duty duty, uint16_t port)
{
        return (struct ipc_begin){ .duty = duty, .protocols = 1U << IPC_TCP, .port_count = port ? 1 : 0, .port = { port } };
}

static struct ipc_begin begin_udp(uint16_t port)
{
        return (struct ipc_begin){ .duty = IPC_DUTY_SERVICES, .protocols = 1U << IPC_UDP, .port_count = port ? 1 : 0, .port = { port } };
}

static _Noreturn void try_behind_walls(const struct ipc_begin *begin, int report_fd, attempt_fn attempt)
{
        struct run_confinement confinement;

        run_walls(run_wall_of(IPC_FORWARD, begin), begin, &confinement);
        if (run_harden() < 0 || run_confine(&confinement, report_fd) < 0)
                _exit(99);
        _exit(attempt());
}

/* The child's exit status; @denied_out: the syscall it was denied, or -1. */
static int behind_walls(const struct ipc_begin *begin, attempt_fn attempt, int *denied_out)
{
        struct {
                uint32_t type;
                struct ipc_denied denied;
        } packet;
        int fds[2], status = -1;
        pid_t pid;

        check_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
        pid = fork();
        if (pid == 0)
                try_behind_walls(begin, fds[1], attempt);
        close(fds[1]);
        *denied_out = -1;
        if (recv(fds[0], &packet, sizeof(packet), 0) == sizeof(packet) && packet.type == IPC_DENIED)
                *denied_out = (int)packet.denied.syscall;
        close(fds[0]);
        check_equal(waitpid(pid, &status, 0), pid);
        check(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void check_begin_denied(const struct ipc_begin *begin, attempt_fn attempt, int syscall)
{
        int denied, status = behind_walls(begin, attempt, &denied);

        check_equal(denied, syscall);
        check_equal(status, 1);
}

static void check_denied(enum ipc_duty duty, attempt_fn attempt, int syscall)
{
        struct ipc_begin begin = begin_of(duty, 0);

        check_begin_denied(&begin, attempt, syscall);
}

static uint16_t target;

static int connect_to_target(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(target), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EINPROGRESS ? 0 : errno;
}

static int make_udp_socket(void)
{
        return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int connect_udp(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(target), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = make_udp_socket();

        socket_prepare_datagrams(fd);
        return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
}

static int make_pair(int type)
{
        int fds[2];

        return socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : errno;
}

/* A pair as sessions have, and datagrams through it. */
static int use_a_pair(void)
{
        struct iovec iov = { &target, sizeof(target) };
        struct mmsghdr message = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                return errno;
        socket_prepare_datagrams(fds[0]);
        if (sendmmsg(fds[0], &message, 1, MSG_DONTWAIT) != 1 || recvmmsg(fds[1], &message, 1, MSG_DONTWAIT, NULL) != 1)
                return errno;
        return 0;
}

/* Such a pair could speak to any socket with a name, journald's for one. */
static int make_datagram_pair(void)
{
        return make_pair(SOCK_DGRAM);
}

static int make_packet_pair(void)
{
        return make_pair(SOCK_SEQPACKET);
}

static int connect_by_sending_many(void)
{
        struct mmsghdr message = { 0 };

        return sendmmsg(0, &message, 1, MSG_FASTOPEN);
}

static int make_unix_socket(void)
{
        return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int just_connect(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET };

        return connect(0, (struct sockaddr *)&addr, sizeof(addr));
}

static int connect_by_sending(void)
{
        return (int)sendto(0, "", 1, MSG_FASTOPEN, NULL, 0);
}

static int bind_something(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET };

        return bind(0, (struct sockaddr *)&addr, sizeof(addr));
}

static int listen_somewhere(void)
{
        return listen(0, 1);
}

static int accept_someone(void)
{
        return accept4(0, NULL, NULL, 0);
}

static int run_a_program(void)
{
        return execl("/bin/true", "true", (char *)NULL);
}

static int route_around(void)
{
        int value = 1;

        return setsockopt(0, SOL_SOCKET, SO_MARK, &value, sizeof(value));
}

static int prepare_a_socket(void)
{
        static const struct ipc_forward_keep_alive keep = { 60, 10, 6 };

        return socket_prepare(0, &keep) == -ENOTSOCK ? 0 : 1;
}

static int nothing(void)
{
        return 0;
}

TEST(who_holds_gates_has_no_way_to_a_network)
{
        check_denied(IPC_DUTY_GATES, connect_to_target, SYS_socket);
        check_denied(IPC_DUTY_GATES, just_connect, SYS_connect);
        check_denied(IPC_DUTY_GATES, connect_by_sending, SYS_sendto);
        check_denied(IPC_DUTY_GATES, bind_something, SYS_bind);
        check_denied(IPC_DUTY_GATES, listen_somewhere, SYS_listen);
        check_denied(IPC_DUTY_GATES, route_around, SYS_setsockopt);
        check_denied(IPC_DUTY_GATES, run_a_program, SYS_execve);
        check_denied(IPC_DUTY_GATES, make_udp_socket, SYS_socket);
        check_denied(IPC_DUTY_GATES, make_datagram_pair, SYS_socketpair);
        check_denied(IPC_DUTY_GATES, connect_by_sending_many, SYS_sendmmsg);
}

TEST(who_serves_makes_tcp_connections_and_nothing_else)
{
        check_denied(IPC_DUTY_SERVICES, make_udp_socket, SYS_socket);
        check_denied(IPC_DUTY_SERVICES, make_unix_socket, SYS_socket);
        check_denied(IPC_DUTY_SERVICES, connect_by_sending, SYS_sendto);
        check_denied(IPC_DUTY_SERVICES, bind_something, SYS_bind);
        check_denied(IPC_DUTY_SERVICES, listen_somewhere, SYS_listen);
        check_denied(IPC_DUTY_SERVICES, accept_someone, SYS_accept4);
        check_denied(IPC_DUTY_SERVICES, run_a_program, SYS_execve);
        check_denied(IPC_DUTY_SERVICES, make_packet_pair, SYS_socketpair);
}

TEST(who_serves_udp_makes_udp_sockets_and_nothing_else)
{
        struct ipc_begin begin = begin_udp(0);
        int denied;

        check_begin_denied(&begin, connect_to_target, SYS_socket);
        check_begin_denied(&begin, make_unix_socket, SYS_socket);
        check_begin_denied(&begin, bind_something, SYS_bind);
        check_begin_denied(&begin, accept_someone, SYS_accept4);
        target = 9;
        check_equal(behind_walls(&begin, connect_udp, &denied), 0);
        check_equal(denied, -1);
}

TEST(what_each_needs_passes)
{
        struct ipc_begin gates = begin_of(IPC_DUTY_GATES, 0), services = begin_of(IPC_DUTY_SERVICES, 0);
        int denied, listener = socket_listen(16, &target);

        check_equal(behind_walls(&gates, nothing, &denied), 0);
        check_equal(behind_walls(&gates, prepare_a_socket, &denied), 0);
        check_equal(behind_walls(&gates, use_a_pair, &denied), 0);
        check_equal(behind_walls(&services, prepare_a_socket, &denied), 0);
        check_equal(behind_walls(&services, connect_to_target, &denied), 0);
        check_equal(denied, -1);
        close(listener);
}

static bool kernel_knows_ports(void)
{
        return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 4;
}

TEST(only_the_ports_it_was_started_for_can_be_reached)
{
        int denied, listener = socket_listen(16, &target);
        struct ipc_begin that = begin_of(IPC_DUTY_SERVICES, target);
        struct ipc_begin other = begin_of(IPC_DUTY_SERVICES, target == 9 ? 10 : 9);

        check_equal(behind_walls(&that, connect_to_target, &denied), 0);
        check_equal(behind_walls(&other, connect_to_target, &denied), kernel_knows_ports() ? EACCES : 0);
        check_equal(denied, -1);
        close(listener);
}
