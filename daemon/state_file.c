/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc_fd.h"

int state_file_open(const char *path, uid_t uid, gid_t gid)
{
        cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        struct stat file;

        if (fd < 0 || fstat(fd, &file) < 0)
                return -errno;
        if (!S_ISREG(file.st_mode) || (file.st_uid != uid && file.st_uid != geteuid()) || (file.st_mode & 077))
                return -EPERM;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 || (geteuid() == 0 && fchown(fd, uid, gid) < 0))
                return -errno;
        return take_fd(&fd);
}
