/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One that was passed over. */
struct passed {
        struct list in_passed;
        struct dial *dial;
        struct watched watched;
        union socket_address remote;
};

void dial_init(struct dial *dial, struct watch *watch, const struct ipc_forward_service *service, const struct ipc_forward_keep_alive *keep,
               void (*ready)(struct watched *watched, uint32_t events))
{
        *dial = (struct dial){ .watch = watch, .service = service, .keep = keep, .watched = { .fd = -1, .ready = ready } };
        list_init(&dial->passed);
}

static int release(struct watch *watch, struct watched *watched)
{
        int fd = watched->fd;

        watch_remove(watch, watched);
        watched->fd = -1;
        return fd;
}

static void give_up(struct passed *passed)
{
        int fd = release(passed->dial->watch, &passed->watched);

        if (fd >= 0)
                close(fd);
        list_remove(&passed->in_passed);
        free(passed);
}

static void give_up_passed(struct dial *dial)
{
        list_for_each(at, &dial->passed)
                give_up(list_entry(at, struct passed, in_passed));
}

int dial_take(struct dial *dial)
{
        give_up_passed(dial);
        return release(dial->watch, &dial->watched);
}

void dial_fail(struct dial *dial, int error)
{
        int fd = release(dial->watch, &dial->watched);

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
static int look(int fd, const union socket_address *remote)
{
        if (connect(fd, &remote->any, socket_address_len(remote)) < 0 && errno != EISCONN)
                return errno == EALREADY || errno == EINTR ? -EINPROGRESS : -errno;
        return is_itself(fd, remote) ? -ECONNREFUSED : 0;
}

/* Without a descriptor: the last one that was passed over has failed. */
int dial_look(struct dial *dial)
{
        return dial->watched.fd < 0 ? -dial->error : look(dial->watched.fd, &dial->remote);
}

/* One of those that were passed over has something to say. It takes the place of the one that is waited for, or leaves it to that. */
static void on_passed(struct watched *watched, uint32_t events)
{
        struct passed *passed = container_of(watched, struct passed, watched);
        struct dial *dial = passed->dial;
        int r = look(passed->watched.fd, &passed->remote);

        if (r == -EINPROGRESS)
                return;
        if (r == 0) {
                dial_fail(dial, 0);
                dial->remote = passed->remote;
                dial->watched.fd = release(dial->watch, &passed->watched);
        } else {
                dial->error = -r;
        }
        give_up(passed);
        if (r == 0 || (dial->watched.fd < 0 && list_empty(&dial->passed)))
                dial->watched.ready(&dial->watched, events);
}

void dial_pass(struct dial *dial)
{
        struct passed *passed = dial->watched.fd < 0 ? NULL : calloc(1, sizeof(*passed));

        if (!passed) {
                dial_fail(dial, ETIMEDOUT);
                return;
        }
        passed->dial = dial;
        passed->remote = dial->remote;
        passed->watched = (struct watched){ .fd = release(dial->watch, &dial->watched), .ready = on_passed };
        list_push_back(&dial->passed, &passed->in_passed);
        if (watch_add(dial->watch, &passed->watched, EPOLLOUT) < 0)
                give_up(passed);
        dial->error = ETIMEDOUT;
}

usec_t dial_patience_us(const struct dial *dial, usec_t left_us)
{
        return dial_left(dial) ? usec_min(DIAL_PATIENCE_US, left_us) : left_us;
}

static int prepare(const struct dial *dial, bool datagrams)
{
        if (!datagrams)
                return socket_prepare(dial->watched.fd, dial->keep);
        socket_prepare_datagrams(dial->watched.fd);
        socket_let_fragment(dial->watched.fd, dial->remote.any.sa_family);
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
        r = prepare(dial, datagrams);
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
        if (!list_empty(&dial->passed))
                return -EINPROGRESS;
        return dial->error ? -dial->error : -EADDRNOTAVAIL;
}

unsigned dial_left(const struct dial *dial)
{
        return dial->service->count - dial->next;
}

void dial_fini(struct dial *dial)
{
        give_up_passed(dial);
        dial_fail(dial, 0);
}
