/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosts_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "ipc_fd.h"

static bool up(char *path)
{
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return false;
        *slash = '\0';
        return true;
}

/* What somebody else put there meanwhile is seen: nothing is followed. */
static int own(const char *folder, uid_t uid, gid_t gid)
{
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat is;

        if (fd < 0 || fstat(fd, &is) < 0)
                return -errno;
        if (is.st_uid != uid && is.st_uid != geteuid())
                return -EPERM;
        if ((is.st_uid != uid || is.st_gid != gid) && fchown(fd, uid, gid) < 0)
                return -errno;
        return fchmod(fd, 0700) < 0 ? -errno : 0;
}

int hosts_folder_make(const char *path, uid_t uid, gid_t gid)
{
        char inner[CONF_SOCKET_PATH_MAX], outer[CONF_SOCKET_PATH_MAX];

        snprintf(inner, sizeof(inner), "%s", path);
        if (!up(inner))
                return -ENOENT;
        snprintf(outer, sizeof(outer), "%s", inner);
        if (up(outer) && mkdir(outer, 0700) == 0 && chmod(outer, 0711) < 0)     /* others have one in there, too */
                return -errno;
        if (mkdir(inner, 0700) < 0 && errno != EEXIST)
                return -errno;
        return own(inner, uid, gid);
}
