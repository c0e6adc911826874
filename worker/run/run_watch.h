/* SPDX-License-Identifier: BSD-3-Clause */
/* Readiness of descriptors that others hold too. libev leaves it to close() to end the kernel's interest in a descriptor,
 * which it does not while a copy of it lives on in another process: here interest ends when it is said to. */
#ifndef HG_RUN_WATCH_H
#define HG_RUN_WATCH_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct watched {
        int fd;
        bool active;
        /* @events: EPOLL*. May remove, close and free what it likes. */
        void (*ready)(struct watched *watched, uint32_t events);
};

struct watch {
        struct ev_loop *loop;
        ev_io readable;         /* of our own epoll descriptor */
};

/* 0 or -errno. */
int watch_init(struct watch *watch, struct ev_loop *loop);
void watch_fini(struct watch *watch);

/* @events: EPOLLIN, EPOLLOUT; 0: only errors and hang-ups. Level-triggered. 0 or -errno. */
int watch_add(struct watch *watch, struct watched *watched, uint32_t events);

/* Before its descriptor is closed or handed on. What was never added is no matter. */
void watch_remove(struct watch *watch, struct watched *watched);

#endif
