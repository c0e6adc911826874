/* SPDX-License-Identifier: BSD-3-Clause */
#include "watchdog.h"

#include "monotonic.h"
#include "notify.h"

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
        notify_alive();
}

void watchdog_begin(struct watchdog *watchdog, struct ev_loop *loop)
{
        double half_s = to_seconds(notify_watchdog_us()) / 2;

        ev_timer_init(&watchdog->beat, on_beat, 0, half_s);
        if (half_s > 0)
                ev_timer_start(loop, &watchdog->beat);
}

void watchdog_end(struct watchdog *watchdog, struct ev_loop *loop)
{
        ev_timer_stop(loop, &watchdog->beat);
}
