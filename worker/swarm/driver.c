/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

enum {
        RECEIVE_BATCHES = 8,    /* a turn: up to 8 GRO reads of 64 KiB, then the channels get theirs */
        SETTLE_ROUNDS = 16,     /* events answer events; what is left after so many waits for the next turn */
};

static usec_t clock_us(clockid_t clock)
{
        struct timespec time;

        clock_gettime(clock, &time);
        return SECONDS(time.tv_sec) + (usec_t)time.tv_nsec / 1000;
}

void driver_tell_time(struct driver *driver)
{
        driver->now = (struct now){ .mono_us = clock_us(CLOCK_MONOTONIC), .boot_us = clock_us(CLOCK_BOOTTIME),
                                    .wall_us = clock_us(CLOCK_REALTIME) };
}

static void on_receivable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct driver *driver = watcher->data;
        unsigned number = (unsigned)(watcher - driver->receivable);
        struct datagram in;

        for (int i = 0; i < RECEIVE_BATCHES && udp_receive(driver->udp, number, &in); i++)
                if (in.len)
                        node_receive(driver->node, &in, &driver->now);
}

static void on_sendable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct driver *driver = watcher->data;

        if (udp_resume(driver->udp))
                ev_io_stop(loop, watcher);
}

static void on_timer(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct driver *driver = watcher->data;
        uint64_t expirations;

        if (read(driver->timer_fd, &expirations, sizeof(expirations)) == sizeof(expirations))
                driver->timer_us = USEC_NEVER;
}

/* While bytes flow, each turn moves the deadline on: a timer that fires too early once costs less than setting it every time. */
static void set_timer(struct driver *driver)
{
        usec_t deadline_us = node_deadline(driver->node);
        struct itimerspec when = { 0 };

        if (deadline_us >= driver->timer_us)
                return;
        deadline_us = usec_max(deadline_us, 1); /* zero would disarm it */
        when.it_value = (struct timespec){ .tv_sec = (time_t)(deadline_us / SECONDS(1)),
                                           .tv_nsec = (long)(deadline_us % SECONDS(1)) * 1000 };
        timerfd_settime(driver->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
        driver->timer_us = deadline_us;
}

static void transmit(struct driver *driver)
{
        struct datagram out;

        while (udp_held_socket(driver->udp) < 0 && node_transmit(driver->node, &out, &driver->now)) {
                switch (udp_send(driver->udp, &out)) {
                case UDP_SENT:
                        break;
                case UDP_LOST:
                        node_unsent(driver->node, &out, errno);
                        break;
                case UDP_HELD:
                        ev_io_stop(driver->loop, &driver->sendable);
                        ev_io_set(&driver->sendable, driver->udp->sockets[out.socket].fd, EV_WRITE);
                        ev_io_start(driver->loop, &driver->sendable);
                        break;
                }
        }
}

static bool report(struct driver *driver)
{
        struct node_event event;
        bool any = false;

        while (node_event(driver->node, &event, &driver->now)) {
                driver->event(driver->context, &event);
                any = true;
        }
        return any;
}

void driver_settle(struct driver *driver)
{
        int rounds = 0;

        if (node_deadline(driver->node) <= driver->now.mono_us)
                node_advance(driver->node, &driver->now);
        do {
                report(driver);
                transmit(driver);
        } while (report(driver) && ++rounds < SETTLE_ROUNDS);
        transmit(driver);
        set_timer(driver);
}

static void on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
        driver_settle(watcher->data);
}

static void on_after_sleep(struct ev_loop *loop, ev_check *watcher, int events)
{
        struct driver *driver = watcher->data;

        driver_tell_time(driver);
        driver->turn(driver->context);
}

int driver_init(struct driver *driver, struct ev_loop *loop, struct udp *udp)
{
        *driver = (struct driver){ .loop = loop, .udp = udp, .timer_us = USEC_NEVER };
        driver->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        return driver->timer_fd < 0 ? -errno : 0;
}

void driver_fini(struct driver *driver)
{
        if (driver->node) {
                for (size_t i = 0; i < ARRAY_LEN(driver->receivable); i++)
                        ev_io_stop(driver->loop, &driver->receivable[i]);
                ev_io_stop(driver->loop, &driver->sendable);
                ev_io_stop(driver->loop, &driver->timer);
                ev_prepare_stop(driver->loop, &driver->before_sleep);
                ev_check_stop(driver->loop, &driver->after_sleep);
        }
        close(driver->timer_fd);
}

void driver_watch_socket(struct driver *driver, unsigned number)
{
        ev_io *watcher = &driver->receivable[number];

        ev_io_stop(driver->loop, watcher);
        ev_io_set(watcher, driver->udp->sockets[number].fd, EV_READ);
        ev_io_start(driver->loop, watcher);
}

void driver_close_socket(struct driver *driver, unsigned number)
{
        ev_io_stop(driver->loop, &driver->receivable[number]);
        if (udp_held_socket(driver->udp) == (int)number)
                ev_io_stop(driver->loop, &driver->sendable);
        udp_close_socket(driver->udp, number);
}

void driver_start(struct driver *driver, struct node *node, void (*turn)(void *context),
                  void (*event)(void *context, const struct node_event *event), void *context)
{
        driver->node = node;
        driver->turn = turn;
        driver->event = event;
        driver->context = context;

        ev_prepare_init(&driver->before_sleep, on_before_sleep);
        ev_check_init(&driver->after_sleep, on_after_sleep);
        ev_set_priority(&driver->after_sleep, EV_MAXPRI);       /* the clock before whoever needs it */
        ev_io_init(&driver->sendable, on_sendable, -1, EV_WRITE);
        ev_io_init(&driver->timer, on_timer, driver->timer_fd, EV_READ);
        driver->before_sleep.data = driver->after_sleep.data = driver->sendable.data = driver->timer.data = driver;
        ev_prepare_start(driver->loop, &driver->before_sleep);
        ev_check_start(driver->loop, &driver->after_sleep);
        ev_io_start(driver->loop, &driver->timer);
        for (unsigned i = 0; i < ARRAY_LEN(driver->receivable); i++) {
                ev_io_init(&driver->receivable[i], on_receivable, driver->udp->sockets[i].fd, EV_READ);
                driver->receivable[i].data = driver;
                if (driver->udp->sockets[i].fd >= 0)
                        ev_io_start(driver->loop, &driver->receivable[i]);
        }
        driver_tell_time(driver);
        node_advance(node, &driver->now);
}

