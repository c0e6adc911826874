/* SPDX-License-Identifier: BSD-3-Clause */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "ipc_fd.h"
#include "sockets_detach.h"
#include "sockets_divide.h"

enum {
        BACKLOG = 1024,                 /* clients that wait while a forward worker starts anew */
        STRANGERS_BYTES = 512 * 1024,   /* asked for: some 1,300 short datagrams, of which 8,000 are read a second */
        GATE_BYTES = 4 * 1024 * 1024,   /* asked for: datagrams that come while their forward worker is busy, or starts anew */
        UNSENT_BYTES = 256 * 1024,      /* kept in the kernel for a client that reads slowly: more gained no speed */
};

struct option {
        int level, name, value;
        bool required;
};

static const struct option udp_options[] = {
        { IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, true },       /* DF, and no size refused for what ICMP once said */
        { SOL_SOCKET, SO_RCVBUF, SOCKETS_UDP_BYTES, false },
        { SOL_SOCKET, SO_SNDBUF, SOCKETS_UDP_BYTES, false },
};

static const struct option listener_options[] = {
        { SOL_SOCKET, SO_REUSEADDR, 1, true },          /* connections of a former life in TIME_WAIT are no reason to wait */
        { IPPROTO_TCP, TCP_NODELAY, 1, true },
        { SOL_SOCKET, SO_OOBINLINE, 1, true },          /* urgent bytes stay where they are: else they are lost */
        { SOL_SOCKET, SO_KEEPALIVE, 1, true },
        { IPPROTO_TCP, TCP_KEEPIDLE, 120, false },      /* a client that vanished is noticed within four minutes */
        { IPPROTO_TCP, TCP_KEEPINTVL, 30, false },
        { IPPROTO_TCP, TCP_KEEPCNT, 4, false },
        { IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES, false },
};

/* 0 or -errno of the first that is required and refused. */
static int set_options(int fd, const struct option *options, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0 && options[i].required)
                        return -errno;
        return 0;
}

static int get_option(int fd, int level, int name)
{
        int value = 0;
        socklen_t len = sizeof(value);

        return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

static int new_udp(int *fd_out)
{
        cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = fd < 0 ? -errno : set_options(fd, udp_options, ARRAY_LEN(udp_options));

        if (r == 0)
                *fd_out = take_fd(&fd);
        return r;
}

/* A kernel that can't divide a port leaves it to the one socket that is bound. What was dropped is told with what is received. */
static void divide(int *streams_fd, int *strangers_fd, uint8_t mark)
{
        cleanup_fd int second = -1;
        int one = 1, bytes = STRANGERS_BYTES;

        setsockopt(*streams_fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
        if (new_udp(&second) < 0 || sockets_divide(*streams_fd, second, mark) < 0)
                return;
        *strangers_fd = *streams_fd;
        *streams_fd = take_fd(&second);
        setsockopt(*streams_fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
        setsockopt(*strangers_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* @bound: it has its port; it is @made's. 0 or -errno: then it is still the caller's. */
static int finish_udp(int bound, const uint8_t *mark, struct udp_made *made)
{
        struct sockaddr_in addr;
        socklen_t len = sizeof(addr);
        int fd = bound, strangers_fd = -1, one = 1;

        if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                return -errno;
        if (mark)
                divide(&fd, &strangers_fd, *mark);
        *made = (struct udp_made){
                .port = ntohs(addr.sin_port),
                .mark = mark ? *mark : 0,
                .receive_bytes = (uint32_t)MAX(get_option(fd, SOL_SOCKET, SO_RCVBUF), 0),
                .gso = get_option(fd, SOL_UDP, UDP_SEGMENT) >= 0,       /* each run says its own size: only whether it exists */
                .gro = setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one)) == 0,
                .fd = fd,
                .strangers_fd = strangers_fd,
        };
        return 0;
}

int sockets_udp(const uint8_t ip[4], uint16_t port, const uint8_t *mark, struct udp_made *made)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
        cleanup_fd int fd = -1;
        int r = new_udp(&fd);

        if (r < 0)
                return r;
        memcpy(&addr.sin_addr, ip, 4);
        if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -errno;
        r = finish_udp(fd, mark, made);
        if (r == 0)
                (void)take_fd(&fd);
        return r;
}

/* Other flags stay. */
static int set_nonblocking(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* The other half of a divided port ended with who held it: a socket that is alone has all of it, but for a filter. */
int sockets_udp_again(int fd, uint8_t mark, struct udp_made *made)
{
        int r = set_nonblocking(fd), unused = 0;

        if (r == 0)
                r = set_options(fd, udp_options, ARRAY_LEN(udp_options));
        if (r == 0 && setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 && errno != ENOENT)
                r = -errno;
        return r < 0 ? r : finish_udp(fd, &mark, made);
}

int sockets_udp_usual(const uint8_t ip[4], uint8_t mark, struct udp_made *made)
{
        for (uint16_t port = SOCKETS_PORT_FIRST; port <= SOCKETS_PORT_LAST; port++) {
                int r = sockets_udp(ip, port, &mark, made);

                if (r != -EADDRINUSE && r != -EACCES)
                        return r;
        }
        return sockets_udp(ip, 0, &mark, made);
}

static bool is_mapped(const uint8_t ip[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

void sockets_print_address(const uint8_t ip[16], char text[INET6_ADDRSTRLEN])
{
        bool v4 = is_mapped(ip);

        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip + 12 : ip, text, INET6_ADDRSTRLEN);
}

socklen_t sockets_put_address(struct sockaddr_storage *out, const uint8_t ip[16], uint16_t port, uint32_t scope)
{
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope };

        memset(out, 0, sizeof(*out));
        if (is_mapped(ip)) {
                memcpy(&v4.sin_addr, ip + 12, 4);
                memcpy(out, &v4, sizeof(v4));
                return sizeof(v4);
        }
        memcpy(&v6.sin6_addr, ip, 16);
        memcpy(out, &v6, sizeof(v6));
        return sizeof(v6);
}

/* Bound to @ip and @port. "::" is not "0.0.0.0" as well: each address listened on is written down. */
static int open_bound(const uint8_t ip[16], uint16_t port, int type, int (*set)(int fd), int *fd_out)
{
        struct sockaddr_storage addr;
        socklen_t len = sockets_put_address(&addr, ip, port, 0);
        cleanup_fd int fd = socket(addr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r, one = 1;

        if (fd < 0)
                return -errno;
        r = set(fd);
        if (r < 0)
                return r;
        if ((addr.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
            bind(fd, (struct sockaddr *)&addr, len) < 0)
                return -errno;
        *fd_out = take_fd(&fd);
        return 0;
}

static int set_listener(int fd)
{
        struct linger reset = { .l_onoff = 1, .l_linger = 0 };
        int r = set_options(fd, listener_options, ARRAY_LEN(listener_options));

        if (r == 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
                r = -errno;
        return r;
}

static int set_datagrams(int fd)
{
        bool v4 = get_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET;
        int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
        const struct option options[] = {
                { level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1, true },
                { level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT, true },
                { SOL_SOCKET, SO_RXQ_OVFL, 1, false },          /* how many found no room */
                { SOL_SOCKET, SO_RCVBUF, GATE_BYTES, false },
                { SOL_SOCKET, SO_SNDBUF, GATE_BYTES, false },
        };

        return set_options(fd, options, ARRAY_LEN(options));
}

static int set_http(int fd)
{
        static const struct option options[] = { { SOL_SOCKET, SO_REUSEADDR, 1, true }, { IPPROTO_TCP, TCP_NODELAY, 1, false } };

        return set_options(fd, options, ARRAY_LEN(options));
}

static int open_listener(const uint8_t ip[16], uint16_t port, int (*set)(int fd), int *fd_out)
{
        cleanup_fd int fd = -1;
        int r = open_bound(ip, port, SOCK_STREAM, set, &fd);

        if (r < 0)
                return r;
        if (listen(fd, BACKLOG) < 0)
                return -errno;
        *fd_out = take_fd(&fd);
        return 0;
}

int sockets_listener(const uint8_t ip[16], uint16_t port, int *fd_out)
{
        return open_listener(ip, port, set_listener, fd_out);
}

int sockets_http(const uint8_t ip[16], uint16_t port, int *fd_out)
{
        return open_listener(ip, port, set_http, fd_out);
}

static int share(int fd, int shared)
{
        return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared)) < 0 ? -errno : 0;
}

static int set_shared_http(int fd)
{
        int r = set_http(fd);

        return r < 0 ? r : share(fd, 1);
}

/* The kernel asks for the option when a port is taken: it need not stay. */
int sockets_http_beside(const uint8_t ip[16], uint16_t port, int beside, int *fd_out)
{
        cleanup_fd int fd = -1;
        int r = share(beside, 1);

        if (r == 0)
                r = open_listener(ip, port, set_shared_http, &fd);
        if (r == 0)
                r = share(fd, 0);
        (void)share(beside, 0);
        if (r == 0)
                *fd_out = take_fd(&fd);
        return r;
}

static int set_new_datagrams(int fd)
{
        static const struct option options[] = { { SOL_SOCKET, SO_REUSEPORT, 1, true } };
        int r = set_datagrams(fd);

        return r < 0 ? r : set_options(fd, options, ARRAY_LEN(options));
}

int sockets_datagrams(const uint8_t ip[16], uint16_t port, int *fd_out)
{
        cleanup_fd int fd = -1;
        int r = open_bound(ip, port, SOCK_DGRAM, set_new_datagrams, &fd);

        if (r == 0)
                r = sockets_lead(fd);
        if (r == 0)
                *fd_out = take_fd(&fd);
        return r;
}

int sockets_listener_again(int fd)
{
        int r = set_nonblocking(fd);

        return r < 0 ? r : set_listener(fd);
}

int sockets_datagrams_again(int fd)
{
        int r = set_nonblocking(fd);

        return r < 0 ? r : set_datagrams(fd);
}

/* Of what two families, two types and their usual protocols allow. */
static const char *look_at_kind(int fd)
{
        int family = get_option(fd, SOL_SOCKET, SO_DOMAIN), type = get_option(fd, SOL_SOCKET, SO_TYPE);
        int protocol = get_option(fd, SOL_SOCKET, SO_PROTOCOL);
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        bool datagrams = type == SOCK_DGRAM && protocol == IPPROTO_UDP;

        if ((family != AF_INET && family != AF_INET6) || (!datagrams && (type != SOCK_STREAM || protocol != IPPROTO_TCP)))
                return "it is neither TCP nor UDP";
        if (!datagrams && get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
                return "it does not listen (a socket unit must have Accept=no)";
        if (datagrams && getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
                return "it is connected";
        if (family == AF_INET6 && get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
                return "it takes IPv4 as well: write BindIPv6Only=ipv6-only in the socket unit, and for IPv4 another line, with 0.0.0.0:PORT";
        return NULL;
}

int sockets_place(int fd, struct socket_place *place)
{
        struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;
        socklen_t len = sizeof(addr);

        if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                return -errno;
        *place = (struct socket_place){ .datagrams = get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM };
        if (addr.ss_family == AF_INET) {
                memcpy(&v4, &addr, sizeof(v4));
                place->port = ntohs(v4.sin_port);
                place->ip[10] = place->ip[11] = 0xff;
                memcpy(place->ip + 12, &v4.sin_addr, 4);
        } else {
                memcpy(&v6, &addr, sizeof(v6));
                place->port = ntohs(v6.sin6_port);
                memcpy(place->ip, &v6.sin6_addr, sizeof(place->ip));
        }
        return 0;
}

const char *sockets_look(int fd, struct socket_place *place)
{
        const char *why = look_at_kind(fd);
        int r = why ? 0 : sockets_place(fd, place);

        return r < 0 ? strerror(-r) : why;
}

const char *sockets_refusal(int error)
{
        return error == EADDRINUSE      ? "the port is in use by another program" :
               error == EACCES          ? "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE, which --user gives up, or a socket unit: "
                                         "hypergated(8) has examples of both)" :
               error == EADDRNOTAVAIL   ? "this machine has no such address" :
                                          strerror(error);
}
