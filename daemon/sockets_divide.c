/* SPDX-License-Identifier: BSD-3-Clause */
#include "sockets_divide.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "cleanup.h"

/* The order in which they are bound is the one in which the kernel counts them. What a program reads beyond the end of a short packet
 * makes it return 0. */
enum { STRANGERS = 0, STREAMS = 1 };

enum {
        UDX_MAGIC = 0xff,
        UDX_VERSION = 1,
        ID_TOP_AT = 7,                  /* the id lies at 4, little-endian */
        DHT_REQUEST = 0x03,
        DHT_REQUEST_MIN = 11,           /* head, flags, tid, to, command: a PING */
        DHT_RESPONSE = 0x13,
        DHT_RESPONSE_MIN = 10,
        DHT_MAX = 2048,
        PROBE = 0x00,
        UDP_BYTES = 8,                  /* a socket's filter sees the UDP header, too */
};

#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_LENGTH BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)
#define EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
#define AT_LEAST(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), (then), (otherwise))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

static int set_program(int fd, int option, struct sock_filter *program, size_t len)
{
        struct sock_fprog all = { .len = (unsigned short)len, .filter = program };

        return setsockopt(fd, SOL_SOCKET, option, &all, sizeof(all)) < 0 ? -errno : 0;
}

/* Which socket a packet is for; the kernel shows its payload. */
static int choose_by_id(int fd, uint8_t mark)
{
        struct sock_filter program[] = {
                LOAD_BYTE(0),
                EQUAL(UDX_MAGIC, 0, 5),
                LOAD_BYTE(1),
                EQUAL(UDX_VERSION, 0, 3),
                LOAD_BYTE(ID_TOP_AT),
                EQUAL(mark, 0, 1),
                RETURN(STREAMS),
                RETURN(STRANGERS),
        };

        return set_program(fd, SO_ATTACH_REUSEPORT_CBPF, program, ARRAY_LEN(program));
}

/* How much of it is kept: all or nothing. */
static int drop_nonsense(int fd)
{
        struct sock_filter program[] = {
                LOAD_BYTE(UDP_BYTES),
                EQUAL(DHT_REQUEST, 3, 0),
                EQUAL(DHT_RESPONSE, 4, 0),
                EQUAL(PROBE, 6, 0),
                RETURN(0),
                LOAD_LENGTH,
                AT_LEAST(UDP_BYTES + DHT_REQUEST_MIN, 2, 5),
                LOAD_LENGTH,
                AT_LEAST(UDP_BYTES + DHT_RESPONSE_MIN, 0, 3),
                AT_LEAST(UDP_BYTES + DHT_MAX + 1, 2, 3),
                LOAD_LENGTH,
                EQUAL(UDP_BYTES + 1, 1, 0),
                RETURN(0),
                RETURN(UINT32_MAX),
        };

        return set_program(fd, SO_ATTACH_FILTER, program, ARRAY_LEN(program));
}

int sockets_divide(int strangers_fd, int streams_fd, uint8_t mark)
{
        struct sockaddr_in addr;
        socklen_t len = sizeof(addr);
        int r = 0, one = 1, zero = 0;

        if (getsockname(strangers_fd, (struct sockaddr *)&addr, &len) < 0)
                return -errno;
        /* It was bound without: so the port was free, and others who want it alone are still told that it is taken. */
        if (setsockopt(strangers_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
            setsockopt(streams_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
            bind(streams_fd, (struct sockaddr *)&addr, len) < 0)
                r = -errno;
        if (r == 0)
                r = choose_by_id(streams_fd, mark);
        if (r == 0)
                r = drop_nonsense(strangers_fd);
        if (r < 0)
                setsockopt(strangers_fd, SOL_SOCKET, SO_REUSEPORT, &zero, sizeof(zero));
        return r;
}
