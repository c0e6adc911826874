/* SPDX-License-Identifier: BSD-3-Clause */
#include "gate_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf.h"
#include "ipc_fd.h"

enum {
        BACKLOG = 1024,         /* clients that wait while a forward worker starts anew */
        HTTP_BACKLOG = 128,
        HTTP_MODE = 0660,       /* as gates have it unless they are told otherwise */
};

_Static_assert(CONF_SOCKET_PATH_MAX == sizeof(((struct sockaddr_un *)NULL)->sun_path), "every path fits");

static struct sockaddr_un address_of(const char *pattern, uint16_t port)
{
        static const char word[] = CONF_GATE_PORT_WORD;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *at = strstr(pattern, word);

        if (at)
                snprintf(address.sun_path, sizeof(address.sun_path), "%.*s%u%s", (int)(at - pattern), pattern, port, at + strlen(word));
        return address;
}

/* Somebody listens, or may: whoever connects would know. 0: it is there no more; -errno. */
static int clear(const struct sockaddr_un *address, int type)
{
        cleanup_fd int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct stat found;

        if (fd < 0)
                return -errno;
        if (lstat(address->sun_path, &found) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(found.st_mode))
                return -EEXIST;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED)
                return -EADDRINUSE;
        return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* With its mode from the first moment: chmod() would follow what somebody else put there meanwhile. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode)
{
        mode_t before = umask(0777 & ~mode);
        int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

        umask(before);
        return r;
}

static int open_socket(const struct sockaddr_un *address, int type, int backlog, mode_t mode, int *fd_out)
{
        cleanup_fd int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = fd < 0 ? -errno : clear(address, type);

        if (r == 0)
                r = bind_with_mode(fd, address, mode);
        if (r < 0)
                return r;
        if (listen(fd, backlog) < 0) {
                r = -errno;
                unlink(address->sun_path);
                return r;
        }
        *fd_out = take_fd(&fd);
        return 0;
}

int gate_socket_open(const char *pattern, uint16_t port, mode_t mode, int *fd_out)
{
        struct sockaddr_un address = address_of(pattern, port);

        return open_socket(&address, SOCK_STREAM, BACKLOG, mode, fd_out);
}

static int open_path(const char *path, int type, int backlog, mode_t mode, int *fd_out)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        return open_socket(&address, type, backlog, mode, fd_out);
}

int gate_socket_helpers(const char *path, int backlog, int *fd_out)
{
        return open_path(path, SOCK_SEQPACKET, backlog, 0600, fd_out);
}

int gate_socket_http(const char *path, int *fd_out)
{
        return open_path(path, SOCK_STREAM, HTTP_BACKLOG, HTTP_MODE, fd_out);
}

const char *gate_socket_refusal(int error)
{
        return error == EADDRINUSE ? "another program listens there" :
               error == EEXIST     ? "a file that is no socket is there" :
               error == ENOENT     ? "there is no such folder" :
               error == EACCES     ? "its folder is not this user's to write to, or was not there or not named at the start" :
                                     strerror(error);
}

void gate_socket_remove(const char *pattern, uint16_t port)
{
        unlink(address_of(pattern, port).sun_path);
}
