/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_watch.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cleanup.h"

enum { READY_PER_TURN = 128 };  /* then links and timers have theirs */

/* One at a time: a handler may end others that would wait in the same batch. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct epoll_event event;

        for (int i = 0; i < READY_PER_TURN && epoll_wait(watcher->fd, &event, 1, 0) == 1; i++) {
                struct watched *watched = event.data.ptr;

                watched->ready(watched, event.events);
        }
}

int watch_init(struct watch *watch, struct ev_loop *loop)
{
        int fd = epoll_create1(EPOLL_CLOEXEC);

        if (fd < 0)
                return -errno;
        watch->loop = loop;
        ev_io_init(&watch->readable, on_readable, fd, EV_READ);
        ev_io_start(loop, &watch->readable);
        return 0;
}

void watch_fini(struct watch *watch)
{
        ev_io_stop(watch->loop, &watch->readable);
        close(watch->readable.fd);
}

int watch_add(struct watch *watch, struct watched *watched, uint32_t events)
{
        struct epoll_event event = { .events = events, .data.ptr = watched };

        assert(!watched->active);
        if (epoll_ctl(watch->readable.fd, EPOLL_CTL_ADD, watched->fd, &event) < 0)
                return -errno;
        watched->active = true;
        return 0;
}

void watch_remove(struct watch *watch, struct watched *watched)
{
        if (watched->active && epoll_ctl(watch->readable.fd, EPOLL_CTL_DEL, watched->fd, NULL) < 0)
                assert(!"a descriptor was closed or replaced while it was watched");
        watched->active = false;
}
