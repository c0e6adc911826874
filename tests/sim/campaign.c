/* SPDX-License-Identifier: BSD-3-Clause */
/* campaign-udx, -peer, -node, -nat FROM TO [TOGETHER]: runs the story of each seed in a process of its own, tells which seeds failed,
 * and where. Prints TAP. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"

enum { TOGETHER_MAX = 64, PATIENCE_S = 120 };

static uint64_t *sums;
static uint64_t current;

void faults_add(unsigned sum, uint64_t count)
{
        __atomic_fetch_add(&sums[sum], count, __ATOMIC_RELAXED);
}

void faults_fail(const char *file, int line, const char *what)
{
        printf("# seed %" PRIu64 ": %s:%d: %s\n", current, file, line, what);
        fflush(stdout);
        _exit(1);
}

static _Noreturn void usage(void)
{
        fputs("usage: campaign-udx|-peer|-node|-nat FROM TO [TOGETHER]\n", stderr);
        exit(2);
}

static pid_t start(uint64_t seed)
{
        static const struct itimerval patience = { .it_value.tv_sec = PATIENCE_S };
        pid_t pid = fork();

        if (pid < 0) {
                perror("fork");
                exit(2);
        }
        if (pid == 0) {
                current = seed;
                setitimer(ITIMER_PROF, &patience, NULL);        /* a story that spins; one on a busy machine does not */
                faults_story(seed);
                exit(0);                /* where leaks are looked for, when that is built in */
        }
        return pid;
}

/* One of those that run is over; returns whether it went well. */
static bool wait_for_one(pid_t pids[TOGETHER_MAX], const uint64_t seeds[TOGETHER_MAX])
{
        int status;
        pid_t pid = wait(&status);
        size_t i = 0;

        while (pids[i] != pid)
                i++;
        pids[i] = 0;
        if (WIFSIGNALED(status))
                printf("# seed %" PRIu64 ": %s\n", seeds[i], strsignal(WTERMSIG(status)));
        else if (WEXITSTATUS(status))
                printf("# seed %" PRIu64 " failed\n", seeds[i]);
        return status == 0;
}

int main(int argc, char **argv)
{
        uint64_t from = argc > 2 ? strtoull(argv[1], NULL, 10) : 1, to = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
        uint64_t together = argc > 3 ? strtoull(argv[3], NULL, 10) : 1, running = 0, next = from, failures = 0;
        uint64_t seeds[TOGETHER_MAX] = { 0 };
        pid_t pids[TOGETHER_MAX] = { 0 };
        bool good;

        if (from > to || !together || together > TOGETHER_MAX)
                usage();
        sums = mmap(NULL, FAULTS_SUMS_MAX * sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (sums == MAP_FAILED)
                return 2;
        setvbuf(stdout, NULL, _IOLBF, 0);
        while (next <= to || running) {
                size_t i = 0;

                if (next > to || running == together) {
                        failures += !wait_for_one(pids, seeds);
                        running--;
                        continue;
                }
                while (pids[i])
                        i++;
                seeds[i] = next++;
                pids[i] = start(seeds[i]);
                running++;
        }
        good = faults_sum_up(sums) && !failures;
        printf("# %" PRIu64 " seeds failed\n", failures);
        printf("%s 1 - mixed faults, seeds %" PRIu64 " to %" PRIu64 "\n1..1\n", good ? "ok" : "not ok", from, to);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
