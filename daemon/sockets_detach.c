/* SPDX-License-Identifier: BSD-3-Clause */
#include "sockets_detach.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "ipc_fd.h"
#include "sockets.h"

enum {
        DATAGRAMS_BYTES = 512 * 1024,   /* asked for: those that come while the swarm worker is busy */
        GATE = 0,                       /* of those that share a port: the kernel counts from who was there first */
        IPV4_SOURCE_AT = 12,
        IPV6_SOURCE_AT = 8,
        PORT_AT = 0,                    /* a socket's filter sees the UDP header, and with SKF_NET_OFF that of IP */
        PROGRAM_MAX = 16,
};

#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at))
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(at))
#define SKIP_IF_EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

static int set_program(int fd, int option, struct sock_filter *program, size_t len)
{
        struct sock_fprog all = { .len = (unsigned short)len, .filter = program };

        return setsockopt(fd, SOL_SOCKET, option, &all, sizeof(all)) < 0 ? -errno : 0;
}

/* What is not from that client is never let in, whatever the kernel takes the socket for while it is bound, or goes from one of its tables
 * to another. */
static int keep_others_out(int fd, const struct sockaddr_storage *remote)
{
        bool v4 = remote->ss_family == AF_INET;
        uint32_t words[4], at = (uint32_t)SKF_NET_OFF + (v4 ? IPV4_SOURCE_AT : IPV6_SOURCE_AT);
        struct sock_filter program[PROGRAM_MAX];
        struct sockaddr_in a4;
        struct sockaddr_in6 a6;
        size_t len = 0;

        memcpy(&a4, remote, sizeof(a4));        /* both have the port in the same place */
        memcpy(&a6, remote, sizeof(a6));
        memcpy(words, v4 ? (const void *)&a4.sin_addr : (const void *)&a6.sin6_addr, v4 ? sizeof(words[0]) : sizeof(words));
        for (uint32_t i = 0; i < (v4 ? 1 : 4); i++) {
                program[len++] = (struct sock_filter)LOAD_WORD(at + i * sizeof(words[0]));
                program[len++] = (struct sock_filter)SKIP_IF_EQUAL(ntohl(words[i]));
                program[len++] = (struct sock_filter)RETURN(0);
        }
        program[len++] = (struct sock_filter)LOAD_HALF(PORT_AT);
        program[len++] = (struct sock_filter)SKIP_IF_EQUAL(ntohs(a4.sin_port));
        program[len++] = (struct sock_filter)RETURN(0);
        program[len++] = (struct sock_filter)RETURN(UINT32_MAX);
        return set_program(fd, SO_ATTACH_FILTER, program, len);
}

/* Of those that share the port and are not connected, the gate alone is asked. */
static int leave_others_to_gate(int fd)
{
        struct sock_filter program[] = { RETURN(GATE) };

        return set_program(fd, SO_ATTACH_REUSEPORT_CBPF, program, ARRAY_LEN(program));
}

static int set(int fd, int level, int option, int value)
{
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* The kernel makes the group when the gate is bound, and keeps its program for whoever joins: joined first, it would give the new one some
 * of what its client says, as it would others', until that has said what it takes. */
int sockets_lead(int gate_fd)
{
        int r = leave_others_to_gate(gate_fd);

        return r < 0 ? r : set(gate_fd, SOL_SOCKET, SO_REUSEPORT, 0);
}

static int prepare(int fd, const struct sockaddr_storage *remote)
{
        bool v6 = remote->ss_family == AF_INET6;
        int r = v6 ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;

        if (r == 0 && v6)       /* it fragments, as the gate's */
                r = set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
        else if (r == 0)
                r = set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        if (r == 0)
                r = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0)
                r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r == 0)
                r = keep_others_out(fd, remote);
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, DATAGRAMS_BYTES);
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, DATAGRAMS_BYTES);
        return r;
}

static socklen_t len_of(const struct sockaddr_storage *address)
{
        return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool is_at(int fd, const uint8_t ip[16])
{
        struct socket_place place;

        return sockets_place(fd, &place) == 0 && memcmp(place.ip, ip, sizeof(place.ip)) == 0;
}

/* Once it is connected: newer kernels (6.13) take it out of the gate's group then, and the next one would be put in one with this, without
 * the gate, and be given what others say. By SO_REUSEADDR, which both have and the gate has not, they don't mind each other. */
static int stop_sharing(int fd)
{
        return set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
}

/* Bound where the gate is, and connected to @remote. 0 or -errno; -EADDRNOTAVAIL: not from @local_ip. */
static int make(const struct sockaddr_storage *gate, const struct sockaddr_storage *remote, const uint8_t local_ip[16], int *fd_out)
{
        cleanup_fd int fd = socket(remote->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = fd < 0 ? -errno : prepare(fd, remote);

        if (r == 0 && bind(fd, (const struct sockaddr *)gate, len_of(gate)) < 0)
                r = -errno;
        if (r == 0)
                r = leave_others_to_gate(fd);
        if (r == 0 && connect(fd, (const struct sockaddr *)remote, len_of(remote)) < 0)
                r = -errno;
        if (r == 0 && !is_at(fd, local_ip))
                r = -EADDRNOTAVAIL;
        if (r == 0)
                r = stop_sharing(fd);
        if (r == 0)
                r = set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1);     /* not before: both programs count */
        if (r == 0)
                *fd_out = take_fd(&fd);
        return r;
}

/* The gate shares its port for as long as this takes. Where it is at all addresses, so is the new one until it is connected, and the kernel
 * chooses ours: bound to one it would come before the gate for everybody, and what others say would be lost in between. */
int sockets_detach(int gate_fd, const struct socket_ends *ends, int *fd_out)
{
        struct sockaddr_storage gate = { .ss_family = AF_UNSPEC }, remote;
        socklen_t len = sizeof(gate);
        int r;

        sockets_put_address(&remote, ends->remote_ip, ends->remote_port, ends->scope);
        if (getsockname(gate_fd, (struct sockaddr *)&gate, &len) < 0)
                return -errno;
        if (gate.ss_family != remote.ss_family || ends->remote_port == 0)
                return -EINVAL;
        r = set(gate_fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r < 0)
                return r;
        r = make(&gate, &remote, ends->local_ip, fd_out);
        (void)set(gate_fd, SOL_SOCKET, SO_REUSEPORT, 0);
        return r;
}
