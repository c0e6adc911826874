/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <systemd/sd-daemon.h>

void notify_ready(void)
{
        sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
        sd_notify(0, "STOPPING=1");
}

uint64_t notify_watchdog_us(void)
{
        uint64_t within_us;

        return sd_watchdog_enabled(0, &within_us) > 0 ? within_us : 0;
}

void notify_alive(void)
{
        sd_notify(0, "WATCHDOG=1");
}

void notify_status(const char *text)
{
        sd_notifyf(0, "STATUS=%s", text);
}
