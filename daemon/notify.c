/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "monotonic.h"

enum {
        STORE_MOST = 65536,
        STORE_NAME_MAX = 255,           /* sd_pid_notify_with_fds(3) */
};

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

unsigned notify_store_max(void)
{
        const char *text = getenv("FDSTORE");
        unsigned long max = text ? strtoul(text, NULL, 10) : 0;

        return max > STORE_MOST ? STORE_MOST : (unsigned)max;
}

/* It is not to look after it: what has become of a socket is asked when it comes back. */
bool notify_store(const char *name, int fd)
{
        char text[STORE_NAME_MAX + 32];

        snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
        return sd_pid_notify_with_fds(0, 0, text, &fd, 1) > 0;
}

void notify_store_no_more(const char *name)
{
        sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void notify_settle(void)
{
        sd_notify_barrier(0, SECONDS(1));
}

void notify_status(const char *text)
{
        sd_notifyf(0, "STATUS=%s", text);
}
