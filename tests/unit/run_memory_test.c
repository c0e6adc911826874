/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_memory.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#ifndef __SANITIZE_ADDRESS__    /* its allocator ends the process instead */

static void limit_data(rlim_t bytes)
{
        struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

        check_equal(setrlimit(RLIMIT_DATA, &limit), 0);
}

/* All that the heap has. Returns the last piece: each begins with the one before. */
static void **take_all(void)
{
        void **last = NULL, **piece;

        for (size_t size = 64 * 1024; size >= 16; size /= 2)
                while ((piece = malloc(size))) {
                        *piece = last;
                        last = piece;
                }
        return last;
}

static void give_back(void **last)
{
        while (last) {
                void **before = *last;

                free(last);
                last = before;
        }
}

static void run_out(void)
{
        struct ev_loop *loop;
        void **taken;

        check(run_memory_begin());
        check(!run_memory_short());
        limit_data(4096);               /* (of 0 the kernel takes the hard limit: for Valgrind) */
        taken = take_all();
        for (unsigned i = 0; i < 15; i++)
                check(!run_memory_short());     /* asked every 16th time */
        check(run_memory_short());
        loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);     /* from what was put by: else this aborts */
        check(loop);
        check(run_memory_short());
        give_back(taken);
        limit_data(RLIM_INFINITY);
        check(!run_memory_short());
        ev_loop_destroy(loop);
}

TEST(the_last_memory_is_for_those_that_are_there_and_for_the_event_loop)
{
        int status = -1;
        pid_t pid = fork();     /* with a heap of its own to use up */

        check(pid >= 0);
        if (pid == 0) {
                run_out();
                _exit(0);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
}

#endif

TEST(with_memory_at_hand_there_is_no_shortage)
{
        struct ev_loop *loop;

        check(run_memory_begin());
        loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
        check(loop && !run_memory_short());
        ev_loop_destroy(loop);
}
