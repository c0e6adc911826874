/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the service manager that the event loop turns: WatchdogSec= of systemd.service(5). Workers that hang are the supervisor's own
 * business, see children.h. */
#ifndef HG_WATCHDOG_H
#define HG_WATCHDOG_H

#include <ev.h>

struct watchdog {
        ev_timer beat;
};

/* From now on, twice in the time that the service manager allows; without one that watches, nothing. */
void watchdog_begin(struct watchdog *watchdog, struct ev_loop *loop);
void watchdog_end(struct watchdog *watchdog, struct ev_loop *loop);

#endif
