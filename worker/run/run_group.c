/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_group.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"

enum { TEXT_MAX = 4096 };

#define NO_LIMIT (UINT64_C(1) << 62)    /* version 1 says it so, in pages */
#define SHARE_MIN (UINT64_C(8) << 20)   /* a swarm worker begins with 2 MiB */

/* The beginning of the file as a string, or NULL. */
static char *read_text(const char *path, char text[TEXT_MAX])
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);

        if (fd >= 0)
                close(fd);
        if (len < 0)
                return NULL;
        text[len] = '\0';
        return text;
}

/* "max", of which nothing is a number, is no limit. */
static uint64_t limit_at(const char *folder, const char *path, const char *name)
{
        char file[PATH_MAX], text[TEXT_MAX], *end;
        uint64_t bytes;

        if (snprintf(file, sizeof(file), "%s%s/%s", folder, path, name) >= (int)sizeof(file) || !read_text(file, text))
                return UINT64_MAX;
        bytes = strtoull(text, &end, 10);
        return end == text || bytes >= NO_LIMIT ? UINT64_MAX : bytes;
}

/* Of the group at @path and all around it. Seen from inside a container some of them may not be there. */
static uint64_t least(const char *folder, char *path, const char *name)
{
        uint64_t found = UINT64_MAX;

        for (;;) {
                uint64_t here = limit_at(folder, path, name);
                char *last = strrchr(path, '/');

                found = MIN(found, here);
                if (!last)
                        return found;
                *last = '\0';
        }
}

static bool names_memory(const char *controllers)
{
        const char *found = strstr(controllers, "memory");

        return found && (found == controllers || found[-1] == ',') && (found[6] == '\0' || found[6] == ',');
}

/* "0::/path", or in version 1 "4:memory:/path". */
static uint64_t limit_of(const char *root, char *line)
{
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        char folder[PATH_MAX], again[TEXT_MAX];
        uint64_t found;

        if (!path)
                return UINT64_MAX;
        *controllers++ = *path++ = '\0';
        if (names_memory(controllers)) {
                snprintf(folder, sizeof(folder), "%s/sys/fs/cgroup/memory", root);
                return least(folder, path, "memory.limit_in_bytes");
        }
        if (*controllers)
                return UINT64_MAX;
        snprintf(folder, sizeof(folder), "%s/sys/fs/cgroup", root);
        snprintf(again, sizeof(again), "%s", path);
        found = least(folder, path, "memory.max");
        snprintf(folder, sizeof(folder), "%s/sys/fs/cgroup/unified", root);
        return found == UINT64_MAX ? least(folder, again, "memory.max") : found;
}

uint64_t run_group_limit(const char *root)
{
        char file[PATH_MAX], text[TEXT_MAX], *rest = NULL;
        uint64_t found = UINT64_MAX;

        snprintf(file, sizeof(file), "%s/proc/self/cgroup", root);
        if (!read_text(file, text))
                return UINT64_MAX;
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                uint64_t here = limit_of(root, line);

                found = MIN(found, here);
        }
        return found;
}

void run_group_share(uint64_t limit_bytes)
{
        uint64_t share = MAX(limit_bytes / 2, SHARE_MIN);
        struct rlimit limit;

        if (limit_bytes == UINT64_MAX || getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_cur <= share)
                return;
        limit.rlim_cur = share;
        setrlimit(RLIMIT_DATA, &limit);
}
