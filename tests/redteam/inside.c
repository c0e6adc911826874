/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into a test build of each worker, where its walls close: for each order they close around a process of its own, which carries
 * it out. Up to there it is the worker as it ships. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempts.h"
#include "run.h"

void __real_worker_confine(struct worker *worker, const struct run_confinement *confinement);
void __wrap_worker_confine(struct worker *worker, const struct run_confinement *confinement);

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

                if (pid == 0) {
                        __real_worker_confine(worker, confinement);
                        _exit(attempts[order.attempt].try(&order));
                }
                if (waitpid(pid, &report.status, 0) != pid || send(WORKER_CONTROL_FD, &report, sizeof(report), MSG_NOSIGNAL) < 0)
                        _exit(1);
        }
        _exit(0);
}
