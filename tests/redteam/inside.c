/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into a test build of each process that closes walls, where they close: for each order they close around a process of its own, which carries
 * it out. Up to there it is the worker as it ships. */
#include <linux/landlock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempts.h"
#include "run.h"

int __real_run_confine(const struct run_confinement *confinement, int control_fd);
int __wrap_run_confine(const struct run_confinement *confinement, int control_fd);

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

static uint32_t landlock;               /* of the order that is carried out */

/* An older kernel, as the walls see it. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
        long r = __real_syscall(number, a, b, c, d, e, f);

        return number == SYS_landlock_create_ruleset && c == LANDLOCK_CREATE_RULESET_VERSION && r > (long)landlock ? (long)landlock : r;
}

/* The link is not a blocking one. False: no more orders. */
static bool take(struct order *order)
{
        struct pollfd ready = { .fd = WORKER_CONTROL_FD, .events = POLLIN };

        return poll(&ready, 1, -1) == 1 && recv(WORKER_CONTROL_FD, order, sizeof(*order), 0) == sizeof(*order) &&
               order->attempt < attempt_count;
}

static void carry_out(const struct run_confinement *confinement, const struct order *order)
{
        uint32_t ready = IPC_READY;

        landlock = order->landlock;
        if (__real_run_confine(confinement, WORKER_CONTROL_FD) < 0 || write(WORKER_CONTROL_FD, &ready, sizeof(ready)) < 0)
                _exit(1);
        _exit(attempts[order->attempt].try(order));
}

int __wrap_run_confine(const struct run_confinement *confinement, int control_fd)
{
        struct report report = { .type = REPORT };
        struct order order;

        while (take(&order)) {
                pid_t pid = fork();

                if (pid == 0)
                        carry_out(confinement, &order);
                if (waitpid(pid, &report.status, 0) != pid || send(WORKER_CONTROL_FD, &report, sizeof(report), MSG_NOSIGNAL) < 0)
                        _exit(1);
        }
        _exit(0);
}
