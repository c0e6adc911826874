/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc_fd.h"
#include "ipc_table.h"

struct ipc_queued {
        struct ipc_queued *next;
        size_t len;                     /* of the payload */
        unsigned fd_count;
        int fds[IPC_FDS_MAX];
        uint32_t type;
        uint8_t payload[];
};

int ipc_link_pair(int fds_out[2])
{
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds_out) < 0 ? -errno : 0;
}

void ipc_link_init(struct ipc_link *link, int fd, enum ipc_role self, enum ipc_role peer, uint32_t id)
{
        *link = (struct ipc_link){ .fd = fd, .self = self, .peer = peer, .id = id, .queue_max = IPC_QUEUE_MAX };
        link->last = &link->first;
}

static void free_queued(struct ipc_queued *queued)
{
        for (unsigned i = 0; i < queued->fd_count; i++)
                close_fdp(&queued->fds[i]);
        explicit_bzero(queued->payload, queued->len);   /* keys wait here, too */
        free(queued);
}

static void drop_first(struct ipc_link *link)
{
        struct ipc_queued *first = link->first;

        link->first = first->next;
        if (!link->first)
                link->last = &link->first;
        link->queued_bytes -= first->len;
        free_queued(first);
}

void ipc_link_fini(struct ipc_link *link)
{
        while (link->first)
                drop_first(link);
        close_fdp(&link->fd);
}

/* One sendmsg. 0 or -errno. */
static int send_packet(int fd, uint32_t type, const void *payload, size_t len, const int *fds, size_t fd_count)
{
        union {
                char bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct iovec parts[] = { { &type, sizeof(type) }, { (void *)(uintptr_t)payload, len } };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };
        ssize_t sent;

        if (fd_count) {
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(fd_count * sizeof(int)) };
                memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
                packet.msg_control = &control;
                packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        }
        do
                sent = sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (sent < 0 && errno == EINTR);
        if (sent >= 0)
                return 0;
        return errno == ECONNRESET ? -EPIPE : -errno;
}

static int queue(struct ipc_link *link, uint32_t type, const void *payload, size_t len, const int *fds, size_t fd_count)
{
        struct ipc_queued *queued;

        if (link->queued_bytes + len > link->queue_max)
                return -ENOBUFS;
        queued = malloc(sizeof(*queued) + len);
        if (!queued)
                return -ENOMEM;
        *queued = (struct ipc_queued){ .len = len, .type = type };
        memcpy(queued->payload, payload, len);
        for (; queued->fd_count < fd_count; queued->fd_count++) {
                queued->fds[queued->fd_count] = fcntl(fds[queued->fd_count], F_DUPFD_CLOEXEC, 0);
                if (queued->fds[queued->fd_count] < 0) {
                        int error = errno;

                        free_queued(queued);
                        return -error;
                }
        }
        *link->last = queued;
        link->last = &queued->next;
        link->queued_bytes += len;
        return 0;
}

int ipc_link_flush(struct ipc_link *link)
{
        while (link->first) {
                struct ipc_queued *first = link->first;
                int r = send_packet(link->fd, first->type, first->payload, first->len, first->fds, first->fd_count);

                if (r == -ENOBUFS || r == -ETOOMANYREFS)
                        r = -EAGAIN;
                if (r < 0)
                        return r;
                drop_first(link);
        }
        return 0;
}

/* What the table says of a message that we may send. */
static const struct ipc_row *row_of(const struct ipc_link *link, enum ipc_type type, size_t fd_count)
{
        const struct ipc_row *row = ipc_row(type);

        assert(row && (row->from & IPC_ROLE_BIT(link->self)) && (row->to & IPC_ROLE_BIT(link->peer)));
        assert(fd_count >= row->fds_min && fd_count <= row->fds_max);
        return row;
}

int ipc_link_post(struct ipc_link *link, enum ipc_type type, const void *payload)
{
        const struct ipc_row *row = row_of(link, type, 0);

        return link->fd < 0 ? -EPIPE : queue(link, type, payload, row->payload_bytes, NULL, 0);
}

int ipc_link_send(struct ipc_link *link, enum ipc_type type, const void *payload, const int *fds, size_t fd_count)
{
        const struct ipc_row *row = row_of(link, type, fd_count);
        int r;

        if (link->fd < 0)
                return -EPIPE;
        r = ipc_link_flush(link);
        if (r == 0)
                r = send_packet(link->fd, type, payload, row->payload_bytes, fds, fd_count);
        if (r == -ETOOMANYREFS)         /* the receiver is far behind with its descriptors: unix(7) */
                return -ENOBUFS;
        return r == -EAGAIN || r == -ENOBUFS ? queue(link, type, payload, row->payload_bytes, fds, fd_count) : r;
}

static void take_fds(struct msghdr *packet, struct ipc_received *message)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part; part = CMSG_NXTHDR(packet, part)) {
                size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
                        if (message->fd_count < IPC_FDS_MAX)
                                message->fds[message->fd_count++] = fd;
                        else
                                close(fd);
                }
        }
}

/* Held against the table: a sibling that says what it may not is as bad as a stranger. */
static bool allowed(const struct ipc_link *link, const struct ipc_received *message, size_t len)
{
        const struct ipc_row *row = ipc_row(message->type);

        return row && (row->from & IPC_ROLE_BIT(link->peer)) && (row->to & IPC_ROLE_BIT(link->self)) &&
               len == row->payload_bytes && message->fd_count >= row->fds_min && message->fd_count <= row->fds_max;
}

int ipc_link_receive(struct ipc_link *link, struct ipc_received *message)
{
        union {
                char bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control;
        uint32_t type = IPC_NOTHING;
        struct iovec parts[] = { { &type, sizeof(type) }, { message->payload.bytes, sizeof(message->payload.bytes) } };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control,
                                 .msg_controllen = sizeof(control) };
        ssize_t len;

        if (link->fd < 0)
                return -EPIPE;
        do
                len = recvmsg(link->fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (len < 0 && errno == EINTR);
        if (len < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        if (len == 0)
                return -EPIPE;
        message->type = (enum ipc_type)type;
        message->fd_count = 0;
        take_fds(&packet, message);
        if ((packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)len < sizeof(type) ||
            !allowed(link, message, (size_t)len - sizeof(type))) {
                ipc_received_fini(message);
                return -EPROTO;
        }
        return 1;
}

int ipc_received_take_fd(struct ipc_received *message, unsigned index)
{
        return index < message->fd_count ? take_fd(&message->fds[index]) : -1;
}

void ipc_received_fini(struct ipc_received *message)
{
        for (unsigned i = 0; i < message->fd_count; i++)
                close_fdp(&message->fds[i]);
        message->fd_count = 0;
}
