/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_dial.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void dial_init(struct dial *dial, struct watch *watch, const struct ipc_forward_service *service, const struct ipc_forward_keep_alive *keep,
               void (*ready)(struct watched *watched, uint32_t events))
{
        *dial = (struct dial){ .watch = watch, .service = service, .keep = keep, .watched = { .fd = -1, .ready = ready } };
}

int dial_take(struct dial *dial)
{
        int fd = dial->watched.fd;

        watch_remove(dial->watch, &dial->watched);
        dial->watched.fd = -1;
        return fd;
}

void dial_fail(struct dial *dial, int error)
{
        int fd = dial_take(dial);

        dial->error = error;
        if (fd >= 0)
                close(fd);
}

/* A socket meets itself when nobody listens on a port from which the kernel also dials: that is nobody. */
static bool is_itself(int fd, const union socket_address *remote)
{
        union socket_address local = { 0 };
        socklen_t len = sizeof(local);

        return getsockname(fd, &local.any, &len) == 0 && memcmp(&local, remote, len) == 0;
}

/* connect(2) begins, and said again tells how it went. */
int dial_look(struct dial *dial)
{
        int fd = dial->watched.fd;

        if (connect(fd, &dial->remote.any, socket_address_len(&dial->remote)) < 0 && errno != EISCONN)
                return errno == EALREADY || errno == EINTR ? -EINPROGRESS : -errno;
        return is_itself(fd, &dial->remote) ? -ECONNREFUSED : 0;
}

static int prepare(int fd, bool datagrams, const struct ipc_forward_keep_alive *keep)
{
        if (!datagrams)
                return socket_prepare(fd, keep);
        socket_prepare_datagrams(fd);
        return 0;
}

/* Asks for one address. 0: connected, as a UDP socket is at once; -EINPROGRESS; -errno. */
static int begin(struct dial *dial, const uint8_t ip[16])
{
        bool datagrams = dial->service->protocol == IPC_UDP;
        int r;

        socket_address_from(ip, dial->service->service_port, &dial->remote);
        dial->watched.fd = socket(dial->remote.any.sa_family, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dial->watched.fd < 0)
                return -errno;
        r = prepare(dial->watched.fd, datagrams, dial->keep);
        if (r == 0)
                r = dial_look(dial);
        if (r == -EINPROGRESS)          /* on this host it is done by now, and said so when asked again */
                r = dial_look(dial);
        return r;
}

int dial_next(struct dial *dial)
{
        while (dial->next < dial->service->count) {
                int r = begin(dial, dial->service->address[dial->next++]);

                if (r == 0)
                        return 0;
                if (r == -EINPROGRESS)
                        r = watch_add(dial->watch, &dial->watched, EPOLLOUT);
                if (r == 0)
                        return -EINPROGRESS;
                dial_fail(dial, -r);
        }
        return dial->error ? -dial->error : -EADDRNOTAVAIL;
}

unsigned dial_left(const struct dial *dial)
{
        return dial->service->count - dial->next;
}

void dial_fini(struct dial *dial)
{
        dial_fail(dial, 0);
}
