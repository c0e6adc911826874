/* SPDX-License-Identifier: BSD-3-Clause */
/* What the service manager is told: sd_notify(3). Without one it is nobody's business. */
#ifndef HG_NOTIFY_H
#define HG_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);             /* until READY is said again */
void notify_stopping(void);

/* How often notify_alive() must be said at least, in microseconds, or we are taken for dead; 0: nobody watches. */
uint64_t notify_watchdog_us(void);
void notify_alive(void);

/* What the manager keeps for our next life, if there is one without a stop in between: so many descriptors at most ($FDSTORE; 0: none). */
unsigned notify_store_max(void);

/* Keeps @fd under @name, beside what else has that name; false: it can't be told. And nothing of that name any more. */
bool notify_store(const char *name, int fd);
void notify_store_no_more(const char *name);

/* Waits, at most a second, until it has done what it was told so far. */
void notify_settle(void);

/* One line for `systemctl status`. */
void notify_status(const char *text);

#endif
