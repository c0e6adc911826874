/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into a test build of each worker, where its walls close: for each order they close around a process of its own, which carries
 * it out. Up to there it is the worker as it ships. */
#include <linux/landlock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempts.h"
#include "run.h"

void __real_worker_confine(struct worker *worker, const struct run_confinement *confinement);
void __wrap_worker_confine(struct worker *worker, const struct run_confinement *confinement);

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

void __wrap_worker_confine(struct worker *worker, const struct run_confinement *confinement)
{
        struct report report = { .type = REPORT };
        struct order order;

        while (take(&order)) {
                pid_t pid = fork();

                landlock = order.landlock;
                if (pid == 0) {
                        __real_worker_confine(worker, confinement);
                        _exit(attempts[order.attempt].try(&order));
                }
                if (waitpid(pid, &report.status, 0) != pid || send(WORKER_CONTROL_FD, &report, sizeof(report), MSG_NOSIGNAL) < 0)
                        _exit(1);
        }
        _exit(0);
}
