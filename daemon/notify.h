/* SPDX-License-Identifier: BSD-3-Clause */
/* What the service manager is told: sd_notify(3). Without one it is nobody's business. */
#ifndef HG_NOTIFY_H
#define HG_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

/* One line for `systemctl status`. */
void notify_status(const char *text);

#endif
