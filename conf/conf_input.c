/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_ROOM = 4096 };

int conf_input_open(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
        struct stat status;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) < 0)
                error = -errno;
        else if (S_ISDIR(status.st_mode))
                error = -EISDIR;
        else if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
                error = -EINVAL;
        else if (fcntl(fd, F_SETFL, O_RDONLY) < 0)      /* who writes to a pipe may be slower than we */
                error = -errno;
        if (error == 0)
                return fd;
        close(fd);
        return error;
}

/* Doubles until everything fits, with one byte to see that there is no more. */
static int read_growing(int fd, size_t max, char **text, size_t *len)
{
        size_t room = 0;

        for (;;) {
                ssize_t got;

                if (*len == room) {
                        char *more;

                        if (*len > max)
                                return -EFBIG;
                        room = room ? room * 2 : FIRST_ROOM;
                        room = room > max + 1 ? max + 1 : room;
                        more = realloc(*text, room);
                        if (!more)
                                return -ENOMEM;
                        *text = more;
                }
                got = read(fd, *text + *len, room - *len);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : 0;
                *len += (size_t)got;
        }
}

int conf_input_read(int fd, size_t max, char **text_out, size_t *len_out)
{
        char *text = NULL;
        size_t len = 0;
        int error;

        if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
                return -errno;
        error = read_growing(fd, max, &text, &len);
        if (error < 0) {
                if (text)
                        explicit_bzero(text, len);
                free(text);
                return error;
        }
        *text_out = text;
        *len_out = len;
        return 0;
}

const char *conf_input_error(int error)
{
        switch (-error) {
        case EFBIG:
                return "more than 1 MiB";
        case EINVAL:
                return "not a file";
        case EISDIR:
                return "it is a folder";
        case ESPIPE:
                return "it is a pipe, and an instance that runs waits for none";
        default:
                return strerror(-error);
        }
}
