/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_fd.h"
#include "ipc_link.h"
#include "ipc_swarm.h"
#include "ipc_table.h"

struct pair {
        struct ipc_link swarm, forward;
};

static void pair_init(struct pair *pair)
{
        int fds[2];

        check_equal(ipc_link_pair(fds), 0);
        ipc_link_init(&pair->swarm, fds[0], IPC_SWARM, IPC_FORWARD, 1);
        ipc_link_init(&pair->forward, fds[1], IPC_FORWARD, IPC_SWARM, 1);
}

static void pair_fini(struct pair *pair)
{
        ipc_link_fini(&pair->swarm);
        ipc_link_fini(&pair->forward);
}

/* What the library would never send: @len raw bytes, with @fd @count times. */
static void send_raw(int to, const void *bytes, size_t len, int fd, unsigned count)
{
        union {
                char bytes[CMSG_SPACE(8 * sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct iovec iov = { (void *)(uintptr_t)bytes, len };
        struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (count) {
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(count * sizeof(int)) };
                for (unsigned i = 0; i < count; i++)
                        memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &fd, sizeof(fd));
                packet.msg_control = &control;
                packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
        }
        check_equal(sendmsg(to, &packet, 0), len);
}

static int open_fds(void)
{
        int count = 0;

        for (int fd = 0; fd < 256; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

TEST(a_message_arrives_with_its_descriptor)
{
        struct pair pair;
        struct ipc_received message;
        struct ipc_channel_open open = { .channel = 7, .gate_port = 8080, .deadline_ms = 15000 };
        int pipe_fds[2], before = open_fds(), fd;
        char byte = 0;

        pair_init(&pair);
        check_equal(pipe(pipe_fds), 0);
        check_equal(ipc_link_send(&pair.forward, IPC_CHANNEL_OPEN, &open, &pipe_fds[1], 1), 0);
        close(pipe_fds[1]);
        check_equal(ipc_link_receive(&pair.swarm, &message), 1);
        check_equal(message.type, IPC_CHANNEL_OPEN);
        check_equal(IPC_PAYLOAD(&message, struct ipc_channel_open)->channel, 7);
        fd = ipc_received_take_fd(&message, 0);
        check(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
        check_equal(ipc_received_take_fd(&message, 0), -1);
        check_equal(write(fd, "x", 1), 1);
        check(read(pipe_fds[0], &byte, 1) == 1 && byte == 'x');
        close(fd);
        close(pipe_fds[0]);
        ipc_received_fini(&message);
        check_equal(ipc_link_receive(&pair.swarm, &message), 0);
        pair_fini(&pair);
        check_equal(open_fds(), before);
}

/* The other end must not wake up for it alone, and must not hear of what came later before. */
TEST(what_is_posted_goes_with_the_next_message_and_in_order)
{
        struct pair pair;
        struct ipc_received message;
        struct ipc_channel opened = { .channel = 1 };
        struct ipc_channel_closed closed = { .channel = 2 };
        struct ipc_channel_arrived arrived = { .channel = 3 };

        pair_init(&pair);
        check_equal(ipc_link_post(&pair.swarm, IPC_CHANNEL_OPENED, &opened), 0);
        check_equal(ipc_link_post(&pair.swarm, IPC_CHANNEL_CLOSED, &closed), 0);
        check_equal(ipc_link_receive(&pair.forward, &message), 0);
        check_equal(ipc_link_send(&pair.swarm, IPC_CHANNEL_ARRIVED, &arrived, NULL, 0), 0);
        check(!ipc_link_queued(&pair.swarm));
        for (unsigned i = 0; i < 3; i++) {
                static const enum ipc_type types[] = { IPC_CHANNEL_OPENED, IPC_CHANNEL_CLOSED, IPC_CHANNEL_ARRIVED };

                check_equal(ipc_link_receive(&pair.forward, &message), 1);
                check_equal(message.type, types[i]);
        }
        check_equal(ipc_link_post(&pair.swarm, IPC_CHANNEL_OPENED, &opened), 0);
        check_equal(ipc_link_flush(&pair.swarm), 0);
        check_equal(ipc_link_receive(&pair.forward, &message), 1);
        pair_fini(&pair);
}

TEST(what_the_table_forbids_ends_the_link)
{
        struct {
                uint32_t type;
                uint8_t payload[IPC_PAYLOAD_MAX];
        } packet = { 0 };
        struct pair pair;
        struct ipc_received message;
        int null = open("/dev/null", O_RDONLY), before;
        size_t open_bytes = sizeof(uint32_t) + sizeof(struct ipc_channel_open);

        pair_init(&pair);
        before = open_fds();
        packet.type = IPC_CHANNEL_OPEN; /* right, but without its descriptor, with two, too short, too long */
        send_raw(pair.forward.fd, &packet, open_bytes, -1, 0);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        send_raw(pair.forward.fd, &packet, open_bytes, null, 2);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        send_raw(pair.forward.fd, &packet, open_bytes - 1, null, 1);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        send_raw(pair.forward.fd, &packet, open_bytes + 1, null, 1);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        packet.type = IPC_CHANNEL_ARRIVED; /* only swarm says that */
        send_raw(pair.forward.fd, &packet, sizeof(uint32_t) + sizeof(struct ipc_channel_arrived), -1, 0);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        packet.type = IPC_SWARM_ROUTER; /* only the supervisor says that */
        send_raw(pair.forward.fd, &packet, sizeof(uint32_t) + sizeof(struct ipc_swarm_router), -1, 0);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        packet.type = IPC_TYPES;
        send_raw(pair.forward.fd, &packet, 8, -1, 0);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        send_raw(pair.forward.fd, &packet, 3, -1, 0);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        packet.type = IPC_CHANNEL_OPEN; /* more than fit: none may stay open */
        send_raw(pair.forward.fd, &packet, open_bytes, null, 8);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPROTO);
        check_equal(open_fds(), before);
        close(null);
        ipc_link_fini(&pair.forward);
        check_equal(ipc_link_receive(&pair.swarm, &message), -EPIPE);
        pair_fini(&pair);
}

TEST(a_slow_reader_is_waited_for_in_order_and_not_for_ever)
{
        struct pair pair;
        struct ipc_received message;
        struct ipc_channel_closed closed = { 0 };
        uint64_t sent = 0, received = 0;
        int r, before = open_fds();

        pair_init(&pair);
        while ((r = ipc_link_send(&pair.swarm, IPC_CHANNEL_CLOSED, &closed, NULL, 0)) == 0)
                closed.channel = ++sent;
        check_equal(r, -ENOBUFS);
        check(ipc_link_queued(&pair.swarm));
        check(sent * sizeof(closed) >= IPC_QUEUE_MAX);
        while (received < sent) {
                r = ipc_link_receive(&pair.forward, &message);
                if (r == 0) {
                        r = ipc_link_flush(&pair.swarm);
                        check(r == 0 || r == -EAGAIN);
                        continue;
                }
                check_equal(r, 1);
                check_equal(IPC_PAYLOAD(&message, struct ipc_channel_closed)->channel, received);
                received++;
        }
        check(!ipc_link_queued(&pair.swarm));
        pair_fini(&pair);
        check_equal(open_fds(), before);
}

TEST(queued_descriptors_outlive_their_sender_and_leak_nowhere)
{
        struct pair pair;
        struct ipc_received message;
        struct ipc_channel_refused refused = { .reason = IPC_REASON_REFUSED };
        int before = open_fds(), null, queued = 0;

        pair_init(&pair);
        while (!ipc_link_queued(&pair.swarm) || queued < 3) {
                null = open("/dev/null", O_RDONLY);
                check_equal(ipc_link_send(&pair.swarm, IPC_CHANNEL_REFUSED, &refused, &null, 1), 0);
                close(null);
                queued += ipc_link_queued(&pair.swarm);
        }
        check_equal(ipc_link_receive(&pair.forward, &message), 1);
        check_equal(message.fd_count, 1);
        ipc_received_fini(&message);
        check_equal(ipc_link_flush(&pair.swarm), ipc_link_queued(&pair.swarm) ? -EAGAIN : 0);
        pair_fini(&pair);
        check_equal(open_fds(), before);
}

TEST(a_blob_is_read_whole_or_refused)
{
        char text[] = "{\"routes\":[]}";
        uint8_t *bytes = NULL;
        int before = open_fds(), fd = ipc_blob_new(text, sizeof(text));

        check(fd >= 0);
        check(write(fd, "x", 1) < 0);
        check_equal(ipc_blob_read(fd, sizeof(text), &bytes), 0);
        check_bytes(bytes, text, sizeof(text));
        free(bytes);
        check_equal(ipc_blob_read(fd, sizeof(text) - 1, &bytes), -EPROTO);
        check_equal(ipc_blob_read(fd, sizeof(text) + 1, &bytes), -EPROTO);
        check_equal(ipc_blob_read(fd, IPC_BLOB_MAX + 1, &bytes), -EPROTO);
        close(fd);

        fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* its writer could change it while it is read */
        check_equal(write(fd, text, sizeof(text)), sizeof(text));
        check_equal(ipc_blob_read(fd, sizeof(text), &bytes), -EPROTO);
        close(fd);
        check_equal(ipc_blob_new(text, 0), -EMSGSIZE);
        check_equal(ipc_blob_new(text, IPC_BLOB_MAX + 1), -EMSGSIZE);
        check_equal(open_fds(), before);
}

TEST(every_row_has_a_name_a_sender_and_a_receiver)
{
        uint8_t id[IPC_BUILD_ID_BYTES], zero[IPC_BUILD_ID_BYTES] = { 0 };

        for (uint32_t type = 1; type < IPC_TYPES; type++) {
                const struct ipc_row *row = ipc_row(type);

                check(row && row->name && row->from && row->to && row->payload_bytes);
                check((row->from | row->to) < IPC_ROLE_BIT(IPC_ROLES));
        }
        check(!ipc_row(IPC_NOTHING) && !ipc_row(IPC_TYPES));
        ipc_build_id(id);
        check(memcmp(id, zero, sizeof(id)) != 0);
}
