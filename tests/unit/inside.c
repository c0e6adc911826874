/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool condition)
{
        if (!condition)
                abort();
}

static enum ipc_role role_of(enum ipc_role as)
{
        return as == INSIDE_SWARM_2 ? IPC_SWARM : as;
}

void inside_begin(struct inside *inside, struct worker *worker, enum ipc_role role, enum ipc_duty duty)
{
        struct ipc_begin begin = { .id = 1, .log.level = LOG_DEBUG, .duty = duty,
                                   .protocols = 1U << IPC_TCP | 1U << IPC_UDP };
        int fds[2];

        must(ipc_link_pair(fds) == 0);
        inside->worker = worker;
        for (unsigned i = 0; i <= IPC_ROLES; i++)
                ipc_link_init(&inside->others[i], -1, role_of((enum ipc_role)i), role, 1);
        inside->others[IPC_SUPERVISOR].fd = fds[0];
        must(worker_begin_inside(worker, role, fds[1], &begin));
}

void inside_end(struct inside *inside)
{
        for (unsigned i = 0; i <= IPC_ROLES; i++)
                ipc_link_fini(&inside->others[i]);
        worker_end(inside->worker);
}

void inside_depart(struct inside *inside, enum ipc_role role)
{
        ipc_link_fini(&inside->others[role]);
}

void inside_introduce(struct inside *inside, enum ipc_role role)
{
        struct ipc_introduction who = { .link = ++inside->links, .role = role_of(role), .id = role == INSIDE_SWARM_2 ? 2 : 1 };
        int fds[2];

        must(ipc_link_pair(fds) == 0);
        inside_depart(inside, role);
        ipc_link_init(&inside->others[role], fds[0], role_of(role), inside->worker->role, 1);
        inside_send(inside, IPC_SUPERVISOR, IPC_LINK, &who, fds[1]);
        close(fds[1]);
}

void inside_send_raw(struct inside *inside, enum ipc_role as, uint32_t type, const void *payload, size_t len, const int *fds,
                     size_t fd_count)
{
        union {
                char bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct iovec parts[] = { { &type, sizeof(type) }, { (void *)(uintptr_t)payload, len } };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };

        if (fd_count) {
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(fd_count * sizeof(int)) };
                memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
                packet.msg_control = &control;
                packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        }
        if (inside->others[as].fd >= 0)
                (void)!sendmsg(inside->others[as].fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void inside_send(struct inside *inside, enum ipc_role as, enum ipc_type type, const void *payload, int fd)
{
        must(ipc_link_send(&inside->others[as], type, payload, &fd, fd >= 0 ? 1 : 0) == 0);
}

int inside_receive(struct inside *inside, enum ipc_role as, struct ipc_received *message)
{
        return ipc_link_receive(&inside->others[as], message) == 1;
}

void inside_drain(struct inside *inside)
{
        struct ipc_received message;

        for (unsigned i = 0; i <= IPC_ROLES; i++)
                while (inside_receive(inside, (enum ipc_role)i, &message))
                        ipc_received_fini(&message);
}
