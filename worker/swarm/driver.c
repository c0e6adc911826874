/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

enum {
        RECEIVE_BATCHES = 8,    /* a turn: up to 8 GRO reads of 64 KiB, then the channels get theirs */
        REPORT_BYTES = 32 * 1024,       /* and so much of them at a time: half of what a core has next to it */
        SETTLE_ROUNDS = 16,     /* events answer events; what is left after so many waits for the next turn */
};

/* Datagrams of strangers that are read a second, far above what a busy node of the DHT hears; those beyond wait in their socket for a
 * while, and are dropped where it is full. A PING takes 2.7 us, a valid handshake 6, the few that are computed included (measured on a
 * busy machine, tests/bench/flood.py storm and tests/README.md): at most 5 % of a core. */
enum {
        STRANGERS_PER_S = 8000,
        STRANGERS_AT_ONCE = 2000,
        STRANGERS_AGAIN = 128,  /* as many are read together, once there were too many */
};

#define TIMER_EARLY_US MSEC(100)        /* a timer so much too early is set to its time, */
#define TIMER_EASE_US MSEC(50)          /* at most this often */

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

/* What came is passed on while it is in the processor's caches, and before there is more of it than they hold: the first one before we
 * look for another, which may not be there, and short ones behind it together. */
static void on_receivable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct driver *driver = watcher->data;
        unsigned number = (unsigned)(watcher - driver->receivable);
        struct datagram in;
        size_t unreported = 0;

        for (int i = 0; i < RECEIVE_BATCHES && udp_receive(driver->udp, number, &in); i++) {
                if (in.len)
                        node_receive(driver->node, &in, &driver->now);
                unreported += in.len;
                if (i > 0 && unreported < REPORT_BYTES)
                        continue;
                report(driver);
                unreported = 0;
        }
        if (unreported)
                report(driver);
}

static void watch_strangers(struct driver *driver, bool watch)
{
        for (size_t i = 0; i < ARRAY_LEN(driver->strange); i++) {
                if (!watch)
                        ev_io_stop(driver->loop, &driver->strange[i]);
                else if (driver->udp->sockets[i].strangers_fd >= 0)
                        ev_io_start(driver->loop, &driver->strange[i]);
        }
}

static void earn_for_strangers(struct driver *driver)
{
        usec_t earned = (driver->now.mono_us - driver->strangers_earned_us) * STRANGERS_PER_S / SECONDS(1);

        if (earned) {
                driver->strangers_left = (unsigned)MIN(driver->strangers_left + earned, (usec_t)STRANGERS_AT_ONCE);
                driver->strangers_earned_us += earned * SECONDS(1) / STRANGERS_PER_S;
        }
        if (driver->now.mono_us >= driver->strangers_us) {
                driver->strangers_us = USEC_NEVER;
                watch_strangers(driver, true);
        }
}

/* After everything else of a turn: see driver_start(). */
static void on_stranger(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct driver *driver = watcher->data;
        struct datagram in[UDP_BATCH_MAX];
        size_t count = udp_receive_strangers(driver->udp, (unsigned)(watcher - driver->strange), in,
                                             MIN((size_t)driver->strangers_left, ARRAY_LEN(in)));

        for (size_t i = 0; i < count; i++)
                if (in[i].len)
                        node_receive(driver->node, &in[i], &driver->now);
        driver->strangers_left -= (unsigned)count;
        if (!driver->strangers_left) {
                driver->strangers_us = usec_add(driver->now.mono_us, SECONDS(STRANGERS_AGAIN) / STRANGERS_PER_S);
                watch_strangers(driver, false);
        }
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

/* While bytes flow, each turn moves the deadline on: a timer that fires too early once costs less than setting it every time. One that is
 * far too early wakes a process that has nothing to do, so now and then it is. */
static bool is_eased(const struct driver *driver, usec_t deadline_us)
{
        return deadline_us >= usec_add(driver->timer_us, TIMER_EARLY_US) &&
               driver->now.mono_us >= usec_add(driver->eased_us, TIMER_EASE_US);
}

static void set_timer(struct driver *driver)
{
        usec_t deadline_us = usec_min(node_deadline(driver->node), driver->strangers_us);
        struct itimerspec when = { 0 };

        if (deadline_us == USEC_NEVER || deadline_us == driver->timer_us)
                return;
        if (deadline_us > driver->timer_us) {
                if (!is_eased(driver, deadline_us))
                        return;
                driver->eased_us = driver->now.mono_us;
        }
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
        earn_for_strangers(driver);
        driver->turn(driver->context);
}

int driver_init(struct driver *driver, struct ev_loop *loop, struct udp *udp)
{
        *driver = (struct driver){ .loop = loop, .udp = udp, .timer_us = USEC_NEVER, .strangers_us = USEC_NEVER,
                                    .strangers_left = STRANGERS_AT_ONCE };
        driver->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        return driver->timer_fd < 0 ? -errno : 0;
}

void driver_fini(struct driver *driver)
{
        if (driver->node) {
                for (size_t i = 0; i < ARRAY_LEN(driver->receivable); i++)
                        ev_io_stop(driver->loop, &driver->receivable[i]);
                watch_strangers(driver, false);
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
        for (unsigned i = 0; i < ARRAY_LEN(driver->strange); i++) {
                ev_io_init(&driver->strange[i], on_stranger, driver->udp->sockets[i].strangers_fd, EV_READ);
                ev_set_priority(&driver->strange[i], EV_MINPRI);
                driver->strange[i].data = driver;
        }
        watch_strangers(driver, true);
        driver_tell_time(driver);
        driver->strangers_earned_us = driver->now.mono_us;
        node_advance(node, &driver->now);
}

