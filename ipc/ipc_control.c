/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_control.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc_fd.h"

enum { NEW_S = 5 };                     /* from bind() to listen() it takes less */

int ipc_control_connect(const char *path, int *fd_out)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *fd_out = take_fd(&fd);
        return 0;
}

/* Without waiting: one with a crowd in front of it is alive. */
bool ipc_control_is_dead(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
                return false;
        memcpy(address.sun_path, path, strlen(path) + 1);
        return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED;
}

bool ipc_control_sweep_one(const char *path)
{
        struct stat about;
        time_t age_s;

        if (lstat(path, &about) < 0 || !S_ISSOCK(about.st_mode))
                return false;
        age_s = time(NULL) - about.st_mtime;
        return (age_s < 0 || age_s >= NEW_S) && ipc_control_is_dead(path) && unlink(path) == 0;
}

unsigned ipc_control_sweep(const char *folder)
{
        DIR *entries = opendir(folder);
        const struct dirent *entry;
        char path[PATH_MAX];
        unsigned gone = 0;

        while (entries && (entry = readdir(entries))) {
                size_t len = strlen(entry->d_name), suffix = strlen(IPC_CONTROL_SUFFIX);

                if (len > suffix && strcmp(entry->d_name + len - suffix, IPC_CONTROL_SUFFIX) == 0 &&
                    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < (int)sizeof(path))
                        gone += ipc_control_sweep_one(path);
        }
        if (entries)
                closedir(entries);
        return gone;
}
