/* SPDX-License-Identifier: BSD-3-Clause */
/* What the service manager is told: sd_notify(3). Without one it is nobody's business. */
#ifndef HG_NOTIFY_H
#define HG_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);             /* until READY is said again */
void notify_stopping(void);

/* How often notify_alive() must be said at least, in microseconds, or we are taken for dead; 0: nobody watches. */
uint64_t notify_watchdog_us(void);
void notify_alive(void);

/* One line for `systemctl status`. */
void notify_status(const char *text);

#endif
