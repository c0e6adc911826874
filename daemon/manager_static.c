/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc_fd.h"

enum { PASSED_MOST = 65536 };           /* as the store: what more is said to be there is not */

/* $NOTIFY_SOCKET: a path, or a name that is in no file system. 0: there is none. */
static socklen_t manager_at(struct sockaddr_un *at)
{
        const char *name = getenv("NOTIFY_SOCKET");
        size_t len = name ? strlen(name) : 0;

        if (len < 2 || len >= sizeof(at->sun_path) || (*name != '/' && *name != '@'))
                return 0;
        *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(at->sun_path, name, len);
        if (*name == '@')
                at->sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

bool manager_tell(const char *text, int fd)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        struct sockaddr_un at;
        struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
        struct msghdr message = { .msg_name = &at, .msg_namelen = manager_at(&at), .msg_iov = &iov, .msg_iovlen = 1 };
        cleanup_fd int out = -1;

        if (message.msg_namelen == 0)
                return false;
        out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                message.msg_control = &control;
                message.msg_controllen = sizeof(control.bytes);
        }
        return out >= 0 && sendmsg(out, &message, MSG_NOSIGNAL) >= 0;
}

/* It closes the end of a pipe that it is sent when it has come that far: sd_notify_barrier(3). */
void manager_settle(unsigned within_ms)
{
        cleanup_fd int ours = -1, its = -1;
        struct pollfd closed = { 0 };
        int both[2];

        if (pipe2(both, O_CLOEXEC) < 0)
                return;
        ours = closed.fd = both[0];
        its = both[1];
        if (!manager_tell("BARRIER=1", its))
                return;
        close_fdp(&its);
        poll(&closed, 1, (int)within_ms);
}

/* sd_watchdog_enabled(3): what is meant for another process is not for us. */
uint64_t manager_watchdog_us(void)
{
        const char *within = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

        if (!within || (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
                return 0;
        return strtoull(within, NULL, 10);
}

/* How many are passed to this process, from MANAGER_PASSED_FIRST on: sd_listen_fds(3). */
static unsigned count_passed(void)
{
        const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
        unsigned long long passed;

        if (!pid || !count || strtoull(pid, NULL, 10) != (unsigned long long)getpid())
                return 0;
        passed = strtoull(count, NULL, 10);
        return passed > PASSED_MOST ? PASSED_MOST : (unsigned)passed;
}

int manager_passed(char ***names_out)
{
        const char *names = getenv("LISTEN_FDNAMES");
        unsigned count = count_passed();
        char **list = calloc(count + 1, sizeof(*list));
        bool failed = !list;

        for (unsigned i = 0; i < count && !failed; i++) {
                size_t len = names ? strcspn(names, ":") : 0;

                fcntl(MANAGER_PASSED_FIRST + (int)i, F_SETFD, FD_CLOEXEC);
                list[i] = strndup(names ? names : "", len);
                failed = !list[i];
                names = names && names[len] ? names + len + 1 : NULL;
        }
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        for (unsigned i = 0; failed && list && list[i]; i++)
                free(list[i]);
        if (failed)
                free(list);
        *names_out = failed ? NULL : list;
        return failed ? -ENOMEM : (int)count;
}
