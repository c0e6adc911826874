/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

enum { DATAGRAMS_BYTES = 512 * 1024 };  /* asked for; the kernel grants what it allows */

static void set(int fd, int level, int option, int value)
{
        setsockopt(fd, level, option, &value, sizeof(value));   /* comfort: the connection is good without */
}

int socket_prepare(int fd, const struct ipc_forward_keep_alive *keep)
{
        struct linger reset = { .l_onoff = 1, .l_linger = 0 };

        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
                return -errno;
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
        set(fd, SOL_SOCKET, SO_KEEPALIVE, keep->idle_s > 0);
        if (!keep->idle_s)
                return 0;
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)keep->idle_s);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)keep->interval_s);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)keep->count);
        return 0;
}

void socket_prepare_datagrams(int fd)
{
        set(fd, SOL_SOCKET, SO_SNDBUF, DATAGRAMS_BYTES);
        set(fd, SOL_SOCKET, SO_RCVBUF, DATAGRAMS_BYTES);
}

void socket_let_fragment(int fd, int family)
{
        if (family == AF_INET6)
                set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
        else
                set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

socklen_t socket_address_from(const uint8_t ip[16], uint16_t port, union socket_address *out)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        memset(out, 0, sizeof(*out));
        if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
                out->v4.sin_family = AF_INET;
                out->v4.sin_port = htons(port);
                memcpy(&out->v4.sin_addr, ip + sizeof(mapped), sizeof(out->v4.sin_addr));
                return sizeof(out->v4);
        }
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        memcpy(&out->v6.sin6_addr, ip, sizeof(out->v6.sin6_addr));
        return sizeof(out->v6);
}

void socket_address_ip(const union socket_address *address, uint8_t ip_out[16])
{
        if (address->any.sa_family == AF_INET6) {
                memcpy(ip_out, &address->v6.sin6_addr, 16);
                return;
        }
        memset(ip_out, 0, 10);
        memset(ip_out + 10, 0xff, 2);
        memcpy(ip_out + 12, &address->v4.sin_addr, 4);
}

uint16_t socket_address_port(const union socket_address *address)
{
        return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

socklen_t socket_address_len(const union socket_address *address)
{
        return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

bool socket_tuple(int fd, const union socket_address *remote, uint16_t protocol, struct ipc_tuple *out)
{
        union socket_address local = { .any.sa_family = AF_UNSPEC };
        socklen_t len = sizeof(local);

        if (getsockname(fd, &local.any, &len) < 0)
                return false;
        *out = (struct ipc_tuple){ .local_port = socket_address_port(&local), .remote_port = socket_address_port(remote), .protocol = protocol };
        socket_address_ip(&local, out->local_ip);
        socket_address_ip(remote, out->remote_ip);
        return true;
}

void socket_address_widen(const union socket_address *address, struct sockaddr_storage *out)
{
        memset(out, 0, sizeof(*out));
        memcpy(out, address, sizeof(*address));
}
