/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "monotonic.h"

void notify_ready(void)
{
        sd_notify(0, "READY=1");
}

/* With the time: sd_notify(3), MONOTONIC_USEC=. */
void notify_reloading(void)
{
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)monotonic_us());
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
