/* SPDX-License-Identifier: BSD-3-Clause */
#include "interfaces.h"

#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_S 1.0                    /* addresses come in groups */
#define LOOK_S 60.0                     /* without notifications */

static int compare(const void *a, const void *b)
{
        return memcmp(a, b, 4);
}

/* IPv4, up, not loopback; 127.0.0.1 when there is no other (connect.md 1, "Local addresses"). */
static size_t enumerate(uint8_t out[][4])
{
        static const uint8_t loopback[4] = { 127, 0, 0, 1 };
        struct ifaddrs *all;
        size_t count = 0;

        if (getifaddrs(&all) < 0)
                all = NULL;
        for (const struct ifaddrs *at = all; at && count < INTERFACES_MAX; at = at->ifa_next) {
                if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !(at->ifa_flags & IFF_UP) ||
                    (at->ifa_flags & IFF_LOOPBACK))
                        continue;
                memcpy(out[count++], &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr, 4);
        }
        if (all)
                freeifaddrs(all);
        if (count == 0)
                memcpy(out[count++], loopback, sizeof(loopback));
        qsort(out, count, 4, compare);
        return count;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct interfaces *interfaces = timer->data;
        uint8_t now[INTERFACES_MAX][4];
        size_t count = enumerate(now);

        if (interfaces->fd >= 0)
                ev_timer_stop(loop, timer);
        if (count == interfaces->count && memcmp(now, interfaces->ip, count * 4) == 0)
                return;
        memcpy(interfaces->ip, now, count * 4);
        interfaces->count = count;
        interfaces->changed(interfaces->context);
}

/* What changed doesn't matter: all are read anew a moment later, even if it never gets calm. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct interfaces *interfaces = watcher->data;
        char ignored[4096];

        while (recv(interfaces->fd, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
                continue;
        if (!ev_is_active(&interfaces->look))
                ev_timer_again(loop, &interfaces->look);
}

static int open_notifications(void)
{
        struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_LINK };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

void interfaces_init(struct interfaces *interfaces, struct ev_loop *loop, const uint8_t bound[4], void (*changed)(void *context),
                     void *context)
{
        static const uint8_t any[4];

        *interfaces = (struct interfaces){ .loop = loop, .fd = -1, .changed = changed, .context = context };
        ev_init(&interfaces->look, on_look);
        interfaces->look.data = interfaces;
        if (memcmp(bound, any, sizeof(any)) != 0) {
                memcpy(interfaces->ip[0], bound, 4);
                interfaces->count = 1;
                return;
        }
        interfaces->fd = open_notifications();          /* before looking: nothing falls between */
        interfaces->count = enumerate(interfaces->ip);
        interfaces->look.repeat = interfaces->fd >= 0 ? SETTLE_S : LOOK_S;
        if (interfaces->fd < 0) {
                ev_timer_again(loop, &interfaces->look);
                return;
        }
        ev_io_init(&interfaces->readable, on_readable, interfaces->fd, EV_READ);
        interfaces->readable.data = interfaces;
        ev_io_start(loop, &interfaces->readable);
}

bool interfaces_has_ipv4(const struct interfaces *interfaces)
{
        return interfaces->ip[0][0] != 127 || interfaces->count > 1;
}

void interfaces_fini(struct interfaces *interfaces)
{
        ev_timer_stop(interfaces->loop, &interfaces->look);
        if (interfaces->fd < 0)
                return;
        ev_io_stop(interfaces->loop, &interfaces->readable);
        close(interfaces->fd);
}
