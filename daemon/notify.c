/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc_fd.h"
#include "monotonic.h"

enum {
        STORE_MOST = 65536,
        TEXT_MAX = 512,                 /* STATUS is a line; a name in the store has 255 bytes at most */
        SETTLE_MS = 1000,
};

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

/* One message, with @fd unless that is -1. */
static bool tell(int fd, const char *text)
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

__attribute__((format(printf, 1, 2))) static void tellf(const char *format, ...)
{
        char text[TEXT_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        tell(-1, text);
}

void notify_ready(void)
{
        tell(-1, "READY=1");
}

/* With the time: sd_notify(3), MONOTONIC_USEC=. */
void notify_reloading(void)
{
        tellf("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)monotonic_us());
}

void notify_stopping(void)
{
        tell(-1, "STOPPING=1");
}

/* sd_watchdog_enabled(3): what is meant for another process is not for us. */
uint64_t notify_watchdog_us(void)
{
        const char *within = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

        if (!within || (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
                return 0;
        return strtoull(within, NULL, 10);
}

void notify_alive(void)
{
        tell(-1, "WATCHDOG=1");
}

unsigned notify_store_max(void)
{
        const char *text = getenv("FDSTORE");
        unsigned long max = text ? strtoul(text, NULL, 10) : 0;

        return max > STORE_MOST ? STORE_MOST : (unsigned)max;
}

/* It is not to look after it: what has become of a socket is asked when it comes back. */
bool notify_store(const char *name, int fd)
{
        char text[TEXT_MAX];

        snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
        return tell(fd, text);
}

void notify_store_no_more(const char *name)
{
        tellf("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* The manager closes the end of a pipe that it is sent when it has come that far: sd_notify_barrier(3). */
void notify_settle(void)
{
        cleanup_fd int ours = -1, its = -1;
        struct pollfd closed = { 0 };
        int both[2];

        if (pipe2(both, O_CLOEXEC) < 0)
                return;
        ours = closed.fd = both[0];
        its = both[1];
        if (!tell(its, "BARRIER=1"))
                return;
        close_fdp(&its);
        poll(&closed, 1, SETTLE_MS);
}

void notify_status(const char *text)
{
        tellf("STATUS=%s", text);
}
