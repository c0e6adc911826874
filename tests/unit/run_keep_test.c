/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#ifndef __SANITIZE_ADDRESS__    /* its heap is elsewhere */

/* Whether the mapping with @at in it has that flag: proc(5), VmFlags. */
static bool has_flag(const void *at, const char *flag)
{
        FILE *file = fopen("/proc/self/smaps", "re");
        unsigned long start, end;
        bool here = false, found = false;
        char line[512];

        check(file != NULL);
        while (fgets(line, sizeof(line), file)) {
                if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
                        here = (uintptr_t)at >= start && (uintptr_t)at < end;
                else if (here && strncmp(line, "VmFlags:", 8) == 0)
                        found = strstr(line, flag);
        }
        fclose(file);
        return found;
}

TEST(who_may_lock_nothing_goes_on)
{
        struct rlimit none = { 0 };
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                char *key = malloc(64);

                setrlimit(RLIMIT_MEMLOCK, &none);
                run_keep_heap();
                _exit(has_flag(key, " dd") ? 0 : 1);
        }
        check(waitpid(pid, &status, 0) == pid && status == 0);
}

TEST(keys_on_the_heap_are_locked_and_left_out_of_dumps)
{
        char *key = malloc(64);

        check(key && !has_flag(key, " lo") && !has_flag(key, " dd"));
        run_keep_heap();
        check(has_flag(key, " lo"));
        check(has_flag(key, " dd"));
        free(key);
}

#else

TEST(under_sanitizers_nothing_is_kept)
{
        char *key = malloc(64);

        run_keep_heap();
        check(key != NULL);
        free(key);
}

#endif
