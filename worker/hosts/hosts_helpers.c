/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosts_helpers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_fd.h"
#include "port_talk.h"

enum { PACKETS_PER_TURN = 16 };

struct helper {
        struct list in_helpers;
        struct hosts_helpers *all;
        ev_io readable;
        ev_timer late;
        char host[PORT_HOST_MAX];       /* "": it has not said so yet */
};

struct port {
        struct list in_ports;
        struct ipc_hosts_port what;
        bool listed;                    /* in the list being made */
        bool complained;                /* the helper could not open it, and the log says so */
};

static void watch_listener(struct hosts_helpers *all)
{
        bool wanted = all->listener >= 0 && all->helper_count < HOSTS_HELPERS_MAX;

        if (wanted && !ev_is_active(&all->acceptable))
                ev_io_start(all->worker->loop, &all->acceptable);
        else if (!wanted)
                ev_io_stop(all->worker->loop, &all->acceptable);
}

static void leave(struct helper *helper)
{
        struct hosts_helpers *all = helper->all;
        struct ipc_host_port gone = { .host = "" };

        ev_io_stop(all->worker->loop, &helper->readable);
        ev_timer_stop(all->worker->loop, &helper->late);
        list_remove(&helper->in_helpers);
        all->helper_count--;
        close(helper->readable.fd);
        memcpy(gone.host, helper->host, sizeof(gone.host));
        if (helper->host[0])
                worker_send(&all->worker->supervisor, IPC_HOSTS_GONE, &gone, NULL, 0);
        free(helper);
        watch_listener(all);
}

static struct helper *find_helper(const struct hosts_helpers *all, const char *host)
{
        list_for_each(at, &all->helpers) {
                struct helper *helper = list_entry(at, struct helper, in_helpers);

                if (strcmp(helper->host, host) == 0)
                        return helper;
        }
        return NULL;
}

static struct port *find_port(const struct hosts_helpers *all, uint32_t number)
{
        list_for_each(at, &all->ports) {
                struct port *port = list_entry(at, struct port, in_ports);

                if (port->what.number == number)
                        return port;
        }
        return NULL;
}

/* IPv4 and IPv6 each by itself: numbers are twice that of the port, and one more for IPv6. One that does not listen to us is of no use. */
static bool ask(struct helper *helper, const struct port *port)
{
        struct port_said asked = { .kind = PORT_BIND, .datagrams = port->what.at.protocol == IPC_UDP, .port = port->what.at.port };
        uint8_t packet[PORT_PACKET_MAX];
        bool good = true;

        for (uint32_t v6 = 0; v6 <= 1 && good; v6++) {
                size_t len;

                asked.number = 2 * (uint32_t)port->what.number + v6;
                memset(asked.ip, 0, sizeof(asked.ip));
                if (!v6)
                        asked.ip[10] = asked.ip[11] = 0xff;
                len = port_write(&asked, packet);
                good = send(helper->readable.fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
        }
        return good;
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
        leave(timer->data);
}

static bool on_hello(struct helper *helper, struct port_said *said)
{
        struct hosts_helpers *all = helper->all;
        struct helper *before;

        if (helper->host[0])
                return false;
        for (char *c = said->host; *c; c++)
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        before = find_helper(all, said->host);
        if (before)
                leave(before);          /* a container that was made anew, and its old one has not been missed yet */
        memcpy(helper->host, said->host, sizeof(helper->host));
        ev_timer_stop(all->worker->loop, &helper->late);
        list_for_each(at, &all->ports) {
                struct port *port = list_entry(at, struct port, in_ports);

                port->complained = port->complained && strcmp(port->what.at.host, helper->host) != 0;
                if (strcmp(port->what.at.host, helper->host) == 0 && !ask(helper, port))
                        return false;
        }
        return true;
}

/* Without IPv6 in its network a helper refuses half of what it is asked. */
static void complain(struct hosts_helpers *all, struct port *port, bool v6, uint32_t error)
{
        if (port->complained || v6)
                return;
        port->complained = true;
        worker_log(all->worker, LOG_WARNING, "host %s: its helper can't open %u%s: %s%s", port->what.at.host, port->what.at.port,
                   port->what.at.protocol == IPC_UDP ? "/udp" : "", strerror((int)error),
                   error == EACCES ? " (its container needs --sysctl net.ipv4.ip_unprivileged_port_start=0)" : "");
}

static bool on_bound(struct helper *helper, const struct port_said *said, int fd)
{
        struct port *port = find_port(helper->all, said->number / 2);
        struct ipc_hosts_bound bound = { .v6 = said->number % 2 };

        if (!helper->host[0] || (fd >= 0) != (said->error == 0))
                return false;
        if (!port || strcmp(port->what.at.host, helper->host) != 0)
                return true;            /* no longer wanted */
        if (fd < 0) {
                complain(helper->all, port, bound.v6, said->error);
                return true;
        }
        bound.number = port->what.number;
        worker_send(&helper->all->worker->supervisor, IPC_HOSTS_BOUND, &bound, &fd, 1);
        return true;
}

/* 0 or more bytes, -1: nothing now, -2: broken. *@fd_out: a descriptor that came along, or -1; more than one are none. */
static ssize_t receive(int link, uint8_t packet[PORT_PACKET_MAX + 1], int *fd_out)
{
        union { struct cmsghdr header; char room[CMSG_SPACE(2 * sizeof(int))]; } control;
        struct iovec bytes = { .iov_base = packet, .iov_len = PORT_PACKET_MAX + 1 };
        struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        ssize_t len = recvmsg(link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *header = len >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
        int fds[2] = { -1, -1 };

        *fd_out = -1;
        if (len < 0)
                return errno == EAGAIN || errno == EINTR ? -1 : -2;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
                memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0) < sizeof(fds) ? header->cmsg_len - CMSG_LEN(0) : sizeof(fds));
        if (fds[1] >= 0 || (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
                close_fdp(&fds[0]);
                close_fdp(&fds[1]);
                return -2;
        }
        *fd_out = fds[0];
        return len;
}

static bool handle(struct helper *helper, const uint8_t *packet, size_t len, int fd)
{
        struct port_said said;

        if (!port_read(packet, len, &said))
                return false;
        if (said.kind == PORT_HELLO)
                return fd < 0 && on_hello(helper, &said);
        return said.kind == PORT_BOUND && on_bound(helper, &said, fd);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
        struct helper *helper = io->data;

        for (int i = 0; i < PACKETS_PER_TURN; i++) {
                uint8_t packet[PORT_PACKET_MAX + 1];
                cleanup_fd int fd = -1;
                ssize_t len = receive(io->fd, packet, &fd);

                if (len == -1)
                        return;
                if (len <= 0 || !handle(helper, packet, (size_t)len, fd)) {
                        leave(helper);
                        return;
                }
        }
}

void hosts_helpers_take(struct hosts_helpers *all, int fd)
{
        cleanup_fd int taken = fd;
        struct helper *helper = !worker_fd_spare(all->worker, fd) ? calloc(1, sizeof(*helper)) : NULL;

        if (!helper)
                return;
        helper->all = all;
        ev_io_init(&helper->readable, on_readable, take_fd(&taken), EV_READ);
        ev_timer_init(&helper->late, on_late, HOSTS_HELLO_S, 0.0);
        helper->readable.data = helper->late.data = helper;
        list_push_back(&all->helpers, &helper->in_helpers);
        all->helper_count++;
        ev_io_start(all->worker->loop, &helper->readable);
        ev_timer_start(all->worker->loop, &helper->late);
        watch_listener(all);
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int events)
{
        struct hosts_helpers *all = io->data;
        int fd = accept4(all->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
                hosts_helpers_take(all, fd);
}

void hosts_helpers_init(struct hosts_helpers *all, struct worker *worker)
{
        *all = (struct hosts_helpers){ .worker = worker, .listener = -1 };
        list_init(&all->helpers);
        list_init(&all->ports);
        ev_io_init(&all->acceptable, on_acceptable, -1, EV_READ);
        all->acceptable.data = all;
}

static void port_free(struct hosts_helpers *all, struct port *port)
{
        list_remove(&port->in_ports);
        all->port_count--;
        free(port);
}

void hosts_helpers_fini(struct hosts_helpers *all)
{
        hosts_helpers_listen(all, -1);
        list_for_each(at, &all->helpers)
                leave(list_entry(at, struct helper, in_helpers));
        list_for_each(at, &all->ports)
                port_free(all, list_entry(at, struct port, in_ports));
}

void hosts_helpers_listen(struct hosts_helpers *all, int listener)
{
        ev_io_stop(all->worker->loop, &all->acceptable);
        if (all->listener >= 0)
                close(all->listener);
        all->listener = listener;
        ev_io_set(&all->acceptable, listener, EV_READ);
        watch_listener(all);
}

void hosts_ports_begin(struct hosts_helpers *all)
{
        list_for_each(at, &all->ports)
                list_entry(at, struct port, in_ports)->listed = false;
}

void hosts_ports_end(struct hosts_helpers *all)
{
        list_for_each(at, &all->ports)
                if (!list_entry(at, struct port, in_ports)->listed)
                        port_free(all, list_entry(at, struct port, in_ports));
}

bool hosts_ports_set(struct hosts_helpers *all, const struct ipc_hosts_port *wanted)
{
        struct port *port = find_port(all, wanted->number);
        struct helper *helper;

        if (port && !wanted->wanted) {
                port_free(all, port);
        } else if (port) {
                port->listed = true;
        } else if (wanted->wanted) {
                port = all->port_count < HOSTS_PORTS_MAX ? calloc(1, sizeof(*port)) : NULL;
                if (!port)
                        return false;
                port->what = *wanted;
                port->listed = true;
                list_push_back(&all->ports, &port->in_ports);
                all->port_count++;
                helper = find_helper(all, wanted->at.host);
                if (helper && !ask(helper, port))
                        leave(helper);
        }
        return true;
}
