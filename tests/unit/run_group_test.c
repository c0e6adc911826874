/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

struct file {
        const char *path, *text;
};

/* Makes the folders on the way. */
static void put(const char *root, const struct file *file)
{
        char path[512];
        FILE *out;

        snprintf(path, sizeof(path), "%s/%s", root, file->path);
        for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
                *at = '\0';
                (void)mkdir(path, 0700);
        }
        check((out = fopen(path, "w")));
        check(fputs(file->text, out) >= 0);
        fclose(out);
}

static uint64_t limit_with(const struct file *files, size_t count)
{
        char root[] = "/tmp/hypergate-unit-XXXXXX", command[64];
        uint64_t found;

        check(mkdtemp(root));
        for (size_t i = 0; i < count; i++)
                put(root, &files[i]);
        found = run_group_limit(root);
        snprintf(command, sizeof(command), "rm -r %s", root);
        check_equal(system(command), 0);
        return found;
}

#define LIMIT_WITH(...) limit_with((const struct file[]){ __VA_ARGS__ }, sizeof((const struct file[]){ __VA_ARGS__ }) / sizeof(struct file))

TEST(the_least_limit_of_all_groups_around_counts)
{
        check_equal(LIMIT_WITH({ "proc/self/cgroup", "0::/system.slice/a.service\n" },
                               { "sys/fs/cgroup/system.slice/a.service/memory.max", "67108864\n" },
                               { "sys/fs/cgroup/system.slice/memory.max", "50000000\n" }, { "sys/fs/cgroup/memory.max", "max\n" }), 50000000);
        check_equal(LIMIT_WITH({ "proc/self/cgroup", "9:name=systemd:/\n4:memory:/a/b\n0::/\n" },
                               { "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "4096000\n" },
                               { "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n" }), 4096000);
        check_equal(LIMIT_WITH({ "proc/self/cgroup", "1:cpu,memory:/x\n" },
                               { "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "81920\n" }), 81920);
}

/* A container sees its own group at the top, whatever its path is outside. */
TEST(a_group_whose_path_is_not_there_is_looked_for_at_the_top)
{
        check_equal(LIMIT_WITH({ "proc/self/cgroup", "4:memory:/docker/0123\n" },
                               { "sys/fs/cgroup/memory/memory.limit_in_bytes", "33554432\n" }), 33554432);
        check_equal(LIMIT_WITH({ "proc/self/cgroup", "0::/../other\n" }, { "sys/fs/cgroup/memory.max", "1048576\n" }), 1048576);
}

TEST(without_a_limit_there_is_none)
{
        check(run_group_limit("/nonexistent") == UINT64_MAX);
        check(LIMIT_WITH({ "proc/self/cgroup", "" }) == UINT64_MAX);
        check(LIMIT_WITH({ "proc/self/cgroup", "0::/a\n" }, { "sys/fs/cgroup/a/memory.max", "max\n" }) == UINT64_MAX);
        check(LIMIT_WITH({ "proc/self/cgroup", "3:memory\nmemory:/\n:::\n4:memoryless:/a\n" },
                         { "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1\n" }) == UINT64_MAX);
        check(LIMIT_WITH({ "proc/self/cgroup", "4:memory:/a\n" },
                         { "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n" }) == UINT64_MAX);
}

#ifndef __SANITIZE_ADDRESS__    /* whose runtime takes terabytes of addresses */

static rlim_t soft(void)
{
        struct rlimit limit;

        check_equal(getrlimit(RLIMIT_DATA, &limit), 0);
        return limit.rlim_cur;
}

static void share(void)
{
        rlim_t before = soft();

        run_group_share(UINT64_MAX);
        check(soft() == before);
        run_group_share(UINT64_C(100) << 20);
        check_equal(soft(), 50 << 20);
        run_group_share(UINT64_C(1) << 30);
        check_equal(soft(), 50 << 20);
        run_group_share(1);
        check_equal(soft(), 8 << 20);
}

TEST(half_of_it_is_the_limit_of_a_worker_but_enough_to_begin_with)
{
        int status = -1;
        pid_t pid = fork();     /* which keeps it */

        check(pid >= 0);
        if (pid == 0) {
                share();
                _exit(0);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
}
#endif
