/* SPDX-License-Identifier: BSD-3-Clause */
/* A host of the virtual network: all that runs in its container. It lends the name, the address and the ports of that container to the daemon
 * at the other end of a unix socket, and ends when that does, however that ends. It sees no byte of any client, holds no secret and keeps no
 * socket; what it needs is in its command line. Usage: hypergate-port SOCKET HOST. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "host_name.h"
#include "ipc_fd.h"
#include "port_open.h"

static void on_signal(int number)
{
        _exit(0);       /* the first process of a container is ended by no signal that it does not handle */
}

static int reach(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return take_fd(&fd);
}

/* With @fd, unless that is -1. */
static bool say(int link, const struct port_said *said, int fd)
{
        union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control = { .room = "" };
        uint8_t packet[PORT_PACKET_MAX];
        struct iovec bytes = { .iov_base = packet, .iov_len = port_write(said, packet) };
        struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        return sendmsg(link, &message, MSG_NOSIGNAL) >= 0;
}

static bool answer(int link, const struct port_said *asked)
{
        struct port_said said = { .kind = PORT_BOUND, .number = asked->number };
        cleanup_fd int fd = -1;
        int r = port_open(asked, &fd);

        said.error = (uint32_t)-r;
        return say(link, &said, fd);
}

/* Until the other end is gone, or says what makes no sense. */
static int serve(int link)
{
        uint8_t packet[PORT_PACKET_MAX + 1];
        struct port_said asked;

        for (;;) {
                ssize_t len = recv(link, packet, sizeof(packet), 0);

                if (len < 0 && errno == EINTR)
                        continue;
                if (len <= 0)
                        return EX_OK;
                if (!port_read(packet, (size_t)len, &asked) || asked.kind != PORT_BIND)
                        return EX_PROTOCOL;
                if (!answer(link, &asked))
                        return EX_OK;
        }
}

int main(int argc, char **argv)
{
        struct port_said hello = { .kind = PORT_HELLO };
        cleanup_fd int link = -1;

        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (argc != 3 || !host_name_good(argv[2])) {
                fprintf(stderr, "hypergate-port: usage: hypergate-port SOCKET HOST\n");
                return EX_USAGE;
        }
        strcpy(hello.host, argv[2]);
        link = reach(argv[1]);
        if (link < 0) {
                fprintf(stderr, "hypergate-port: %s: %s\n", argv[1], strerror(-link));
                return EX_UNAVAILABLE;
        }
        return say(link, &hello, -1) ? serve(link) : EX_OK;
}
