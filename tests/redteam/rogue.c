/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of any worker: it says that it is ready, and then what it may not say. Its second argument, the instance's name, tells
 * what: a word and the number of a message. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_link.h"
#include "ipc_table.h"

enum { LINK = 3, FDS_MAX = 253, FLOOD = 10000000 };

struct packet {
        uint32_t type;
        uint8_t payload[IPC_PAYLOAD_MAX + 1];
};

static uint8_t build_id[IPC_BUILD_ID_BYTES];

static void say(uint32_t type, const void *payload, size_t len, unsigned fd_count)
{
        static struct packet packet;
        static union {
                char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec part = { &packet, sizeof(packet.type) + len };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

        packet.type = type;
        memset(packet.payload, 0, sizeof(packet.payload));
        if (payload)
                memcpy(packet.payload, payload, len);
        if (fd_count) {
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(fd_count * sizeof(int)) };
                memset(CMSG_DATA(&control.align), 0, fd_count * sizeof(int));   /* standard input, again and again */
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        }
        while (sendmsg(LINK, &message, MSG_NOSIGNAL) < 0)
                if (poll(&(struct pollfd){ .fd = LINK, .events = POLLOUT }, 1, -1) < 0)
                        exit(EXIT_FAILURE);
}

/* As the table has it, but for what is asked for. */
static void say_of_row(uint32_t type, int more_bytes, unsigned more_fds)
{
        const struct ipc_row *row = ipc_row(type);

        say(type, NULL, row ? (size_t)((int)row->payload_bytes + more_bytes) : 8, (row ? row->fds_min : 0) + more_fds);
}

static void say_in_the_end(const char *what, uint32_t number)
{
        const struct ipc_row *row = ipc_row(number);

        if (strcmp(what, "type") == 0)
                say_of_row(number, 0, 0);
        else if (strcmp(what, "long") == 0)
                say_of_row(number, 1, 0);
        else if (strcmp(what, "short") == 0)
                say_of_row(number, -1, 0);
        else if (strcmp(what, "descriptors") == 0)
                say_of_row(number, 0, row->fds_max - row->fds_min + 1);
        else if (strcmp(what, "many") == 0)
                say_of_row(number, 0, FDS_MAX - row->fds_min);
        else if (strcmp(what, "byte") == 0)
                (void)!send(LINK, "", 1, MSG_NOSIGNAL);
        else if (strcmp(what, "nothing") == 0)
                (void)!send(LINK, "", 0, MSG_NOSIGNAL);
        else if (strcmp(what, "flood") == 0)
                for (int i = 0; i < FLOOD; i++)
                        say_of_row(number, 0, 0);
        else if (strcmp(what, "chatter") == 0)
                for (int i = 0; i < FLOOD; i++)
                        (void)!write(STDERR_FILENO, "chatter\n", 8);
}

static void begin(void)
{
        struct ipc_begin begin = { .id = 0 };
        struct packet packet;

        poll(&(struct pollfd){ .fd = LINK, .events = POLLIN }, 1, -1);
        if (recv(LINK, &packet, sizeof(packet), 0) < (ssize_t)(sizeof(packet.type) + sizeof(begin)))
                exit(EXIT_FAILURE);
        memcpy(&begin, packet.payload, sizeof(begin));
        memcpy(build_id, begin.build_id, sizeof(build_id));
        say(IPC_READY, build_id, sizeof(build_id), 0);
}

int main(int argc, char *argv[])
{
        unsigned number = 0;
        char what[16] = "";

        if (argc < 2 || sscanf(argv[1], "%15[a-z]-%u", what, &number) < 1)
                return EXIT_FAILURE;
        begin();
        say_in_the_end(what, number);
        for (;;)
                pause();
}
