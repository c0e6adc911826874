/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager.h"

#include <systemd/sd-daemon.h>

bool manager_tell(const char *text, int fd)
{
        return sd_pid_notify_with_fds(0, 0, text, &fd, fd >= 0 ? 1 : 0) > 0;
}

void manager_settle(unsigned within_ms)
{
        sd_notify_barrier(0, (uint64_t)within_ms * 1000);
}

uint64_t manager_watchdog_us(void)
{
        uint64_t within_us;

        return sd_watchdog_enabled(0, &within_us) > 0 ? within_us : 0;
}

int manager_passed(char ***names_out)
{
        return sd_listen_fds_with_names(true, names_out);
}
