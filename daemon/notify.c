/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "manager.h"
#include "monotonic.h"

enum {
        STORE_MOST = 65536,
        TEXT_MAX = 512,                 /* STATUS is a line; a name in the store has 255 bytes at most */
        SETTLE_MS = 1000,
};

__attribute__((format(printf, 1, 2))) static void tellf(const char *format, ...)
{
        char text[TEXT_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        manager_tell(text, -1);
}

void notify_ready(void)
{
        manager_tell("READY=1", -1);
}

/* With the time: sd_notify(3), MONOTONIC_USEC=. */
void notify_reloading(void)
{
        tellf("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)monotonic_us());
}

void notify_stopping(void)
{
        manager_tell("STOPPING=1", -1);
}

uint64_t notify_watchdog_us(void)
{
        return manager_watchdog_us();
}

void notify_alive(void)
{
        manager_tell("WATCHDOG=1", -1);
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
        char text[TEXT_MAX];

        snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
        return manager_tell(text, fd);
}

void notify_store_no_more(const char *name)
{
        tellf("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void notify_settle(void)
{
        manager_settle(SETTLE_MS);
}

void notify_status(const char *text)
{
        tellf("STATUS=%s", text);
}
