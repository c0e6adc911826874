/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_open.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc_fd.h"

enum { BACKLOG = 1024 };        /* clients that wait while a forward worker starts anew */

static socklen_t put_address(struct sockaddr_storage *out, const struct port_said *asked)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(asked->port) };
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(asked->port) };

        memset(out, 0, sizeof(*out));
        if (memcmp(asked->ip, mapped, sizeof(mapped)) == 0) {
                memcpy(&v4.sin_addr, asked->ip + 12, 4);
                memcpy(out, &v4, sizeof(v4));
                return sizeof(v4);
        }
        memcpy(&v6.sin6_addr, asked->ip, 16);
        memcpy(out, &v6, sizeof(v6));
        return sizeof(v6);
}

int port_open(const struct port_said *asked, int *fd_out)
{
        struct sockaddr_storage address;
        socklen_t len = put_address(&address, asked);
        cleanup_fd int fd = socket(address.ss_family, (asked->datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int one = 1;

        if (fd < 0)
                return -errno;
        if (address.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
                return -errno;
        if (!asked->datagrams && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *)&address, len) < 0 || (!asked->datagrams && listen(fd, BACKLOG) < 0))
                return -errno;
        *fd_out = take_fd(&fd);
        return 0;
}
