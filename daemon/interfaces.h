/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv4 addresses of this machine's interfaces, and when they change. */
#ifndef HG_INTERFACES_H
#define HG_INTERFACES_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INTERFACES_MAX = 32 };

struct interfaces {
        struct ev_loop *loop;
        size_t count;
        uint8_t ip[INTERFACES_MAX][4];
        int fd;                         /* rtnetlink; -1: the system lets us not have it, and we look now and then */
        ev_io readable;
        ev_timer look;
        void (*changed)(void *context);
        void *context;
};

/* Enumerates. @bound: where our sockets are bound; when that is one address, it is the only one there is.
 * @changed is called when the list is a new one. */
void interfaces_init(struct interfaces *interfaces, struct ev_loop *loop, const uint8_t bound[4], void (*changed)(void *context),
                     void *context);
/* One that is not this machine's own alone: the DHT is IPv4. */
bool interfaces_has_ipv4(const struct interfaces *interfaces);
void interfaces_fini(struct interfaces *interfaces);

#endif
