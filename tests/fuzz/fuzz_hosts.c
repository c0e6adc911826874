/* SPDX-License-Identifier: BSD-3-Clause */
/* The hosts worker: what its supervisor says, and helpers, in any order. What is passed on was asked for, and nothing stays behind. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts_process.h"
#include "inside.h"
#include "ipc_hosts.h"
#include "message.h"
#include "port_talk.h"
#include "steps.h"

enum { LINKS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct scene {
        struct hosts hosts;
        struct inside inside;
        int link[LINKS];
        struct reader input;
};

static void say(struct scene *scene)
{
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        uint32_t type = message_type(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t size = row ? row->payload_bytes : 8, given = read_u16le(&scene->input);
        int fd = row && row->fds_min ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;

        given = given < size ? given : size;
        given = given < reader_left(&scene->input) ? given : reader_left(&scene->input);
        if (given)
                memcpy(payload, read_bytes(&scene->input, given), given);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, type, payload, size, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

static void want(struct scene *scene)
{
        struct ipc_hosts_port port = { .at = { .port = read_u8(&scene->input), .protocol = read_u8(&scene->input) % 3 },
                                       .number = read_u8(&scene->input), .wanted = read_u8(&scene->input) % 4 != 0 };

        memcpy(port.at.host, "a.hyper", 8);
        port.at.host[0] = (char)('a' + read_u8(&scene->input) % 4);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_HOSTS_PORT, &port, sizeof(port), NULL, 0);
}

static void come(struct scene *scene, int *link)
{
        int fds[2];

        if (*link >= 0)
                close(*link);
        *link = -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                return;
        hosts_helpers_take(&scene->hosts.helpers, fds[0]);
        *link = fds[1];
}

static void packet(struct scene *scene, int link)
{
        union { struct cmsghdr header; char room[CMSG_SPACE(2 * sizeof(int))]; } control = { .room = "" };
        uint8_t what = read_u8(&scene->input);
        size_t fd_count = what % 4 % 3, len = what / 4 < reader_left(&scene->input) ? what / 4 : reader_left(&scene->input);
        uint8_t bytes[64] = { 0 };
        struct iovec part = { .iov_base = bytes, .iov_len = len };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        int fds[2] = { STDIN_FILENO, STDIN_FILENO };

        if (len)
                memcpy(bytes, read_bytes(&scene->input, len), len);
        if (fd_count) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
                control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fd_count * sizeof(int)), .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
        }
        (void)!sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hear(struct scene *scene)
{
        struct ipc_received message;

        while (inside_receive(&scene->inside, IPC_SUPERVISOR, &message)) {
                assert(message.type != IPC_HOSTS_BOUND || message.fd_count == 1);
                ipc_received_fini(&message);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct scene scene;

        memset(&scene, 0, sizeof(scene));
        memset(scene.link, 0xff, sizeof(scene.link));
        inside_begin(&scene.inside, &scene.hosts.worker, IPC_HOSTS, IPC_DUTY_NONE);
        hosts_init(&scene.hosts);
        scene.input = steps_begin(data, len);
        while (steps_next(&scene.input)) {
                uint8_t what = read_u8(&scene.input);
                int *link = &scene.link[what / 4 % LINKS];

                if (what % 4 == 0)
                        say(&scene);
                else if (what % 4 == 1)
                        want(&scene);
                else if (what % 4 == 2 || *link < 0)
                        come(&scene, link);
                else
                        packet(&scene, *link);
                worker_turn(&scene.hosts.worker, &hosts_handlers, &scene.hosts);
                hear(&scene);
        }
        for (int i = 0; i < LINKS; i++)
                if (scene.link[i] >= 0)
                        close(scene.link[i]);
        worker_part(&scene.hosts.worker);
        hosts_fini(&scene.hosts);
        assert(scene.hosts.helpers.helper_count == 0 && scene.hosts.helpers.port_count == 0);
        inside_end(&scene.inside);
        return 0;
}
