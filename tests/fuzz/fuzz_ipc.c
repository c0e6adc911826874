/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes over a link, whoever is at its other end: packets of any type, length and number of descriptors, memory files of any
 * seals and length, and sessions of datagrams. What is received is in the table, and no descriptor is left over. The input is a row of
 *
 *      operation u8, argument u8, then what it takes */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ipc_blob.h"
#include "ipc_link.h"
#include "ipc_session.h"
#include "ipc_table.h"
#include "steps.h"

enum { OPERATIONS_MAX = 64, SENT_FDS_MAX = IPC_FDS_MAX + 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

/* One packet as @link's other end @fd would never send it. */
static void send_raw(int fd, uint32_t type, size_t type_bytes, const void *payload, size_t len, unsigned fd_count)
{
        union {
                char bytes[CMSG_SPACE(SENT_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct iovec parts[] = { { &type, type_bytes }, { (void *)(uintptr_t)payload, len } };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };
        int fds[SENT_FDS_MAX];

        for (unsigned i = 0; i < fd_count; i++)
                fds[i] = fd;            /* any will do */
        if (fd_count) {
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(fd_count * sizeof(int)) };
                memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
                packet.msg_control = &control;
                packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        }
        (void)!sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void check_received(const struct ipc_link *link, struct ipc_received *message)
{
        const struct ipc_row *row = ipc_row(message->type);
        int fd;

        must(row && (row->from & IPC_ROLE_BIT(link->peer)) && (row->to & IPC_ROLE_BIT(link->self)));
        must(message->fd_count >= row->fds_min && message->fd_count <= row->fds_max);
        must(strcmp(ipc_message_name(message->type), "?") != 0 && strcmp(ipc_role_name(link->peer), "?") != 0);
        for (unsigned i = 0; i < message->fd_count; i++)
                must(fcntl(message->fds[i], F_GETFD) == FD_CLOEXEC);
        fd = ipc_received_take_fd(message, 0);
        must((fd >= 0) == (message->fd_count > 0));
        if (fd >= 0)
                close(fd);
        ipc_received_fini(message);
}

/* One packet, and what the table makes of it. The input's type may be one that exists and its length the right one. */
static void try_packet(uint8_t argument, struct reader *r)
{
        uint8_t payload[IPC_PAYLOAD_MAX + 64] = { 0 };
        enum ipc_role self = argument % IPC_ROLES, peer = argument / IPC_ROLES % IPC_ROLES;
        uint32_t type = read_u8(r);
        const struct ipc_row *row = ipc_row(type);
        uint8_t how = read_u8(r), given = read_u8(r);
        size_t len = how & 1 && row ? row->payload_bytes : read_u16le(r) % sizeof(payload);
        unsigned fd_count = how & 2 && row ? row->fds_min : how / 8 % (SENT_FDS_MAX + 1);
        struct ipc_received message;
        struct ipc_link link;
        int fds[2], result;

        given = (uint8_t)MIN(MIN(given, len), reader_left(r));
        read_copy(r, payload, given);
        must(ipc_link_pair(fds) == 0);
        ipc_link_init(&link, fds[0], self, peer, 1);
        send_raw(fds[1], type, how & 4 ? 4 : how % 4, payload, len, fd_count);
        result = ipc_link_receive(&link, &message);
        must(result == 1 || result == -EPROTO || result == -EPIPE || result == 0);
        if (result == 1)
                check_received(&link, &message);
        close(fds[1]);
        ipc_link_fini(&link);
}

/* A memory file, sealed or not, of the length it is said to have or another one. */
static void try_blob(uint8_t argument, struct reader *r)
{
        static const unsigned seals[] = { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE };
        size_t len = read_u8(r), said = len + (argument & 1) - (argument >> 1 & 1);
        const uint8_t *bytes = read_bytes(r, len = MIN(len, reader_left(r)));
        int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING), result, set = 0;
        uint8_t *read;

        must(fd >= 0 && (!len || write(fd, bytes, len) == (ssize_t)len));
        if (argument & 4)
                said = read_u32le(r);
        for (size_t i = 0; i < ARRAY_LEN(seals); i++)
                set |= argument & 8 || argument >> (4 + i) & 1 ? (int)seals[i] : 0;
        must(!set || fcntl(fd, F_ADD_SEALS, set) == 0);
        result = ipc_blob_read(fd, said, &read);
        must(result == 0 || result == -EPROTO);
        must((result == 0) == (len > 0 && said == len && (set & 15) == 15));
        if (result == 0) {
                must(memcmp(read, bytes, len) == 0);
                free(read);
        }
        close(fd);
}

/* Datagrams that arrive in a pair: those of the mark, those without it, the end; and those of a service, which have none. */
static void try_session(uint8_t argument, struct reader *r)
{
        struct ipc_session_batch batch = { .marked = argument & 1 };
        uint8_t room[IPC_SESSION_BATCH_MAX][64];
        struct iovec found[IPC_SESSION_BATCH_MAX];
        unsigned count = argument / 8 % IPC_SESSION_BATCH_MAX;
        size_t cut;
        bool ended;
        int fds[2], got;

        must(ipc_link_pair(fds) == 0);
        for (unsigned i = 0; i < count; i++) {
                size_t len = read_u8(r) % 80;

                len = MIN(len, reader_left(r));
                (void)!send(fds[1], read_bytes(r, len), len, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (argument & 2)
                shutdown(fds[1], SHUT_WR);
        for (size_t i = 0; i < IPC_SESSION_BATCH_MAX; i++)
                ipc_session_put(&batch, i, (struct iovec){ room[i], sizeof(room[i]) });
        got = recvmmsg(fds[0], batch.message, IPC_SESSION_BATCH_MAX, MSG_DONTWAIT, NULL);
        if (got > 0) {
                size_t taken = ipc_session_collect(&batch, (size_t)got, found, &cut, &ended);

                must(taken <= (size_t)got && cut <= (size_t)got && taken + cut + ended <= (size_t)got);
                must(ended || taken + cut == (size_t)got);
                for (size_t i = 0; i < taken; i++)
                        must(found[i].iov_len <= sizeof(room[0]));
        }
        close(fds[0]);
        close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct reader r = steps_begin(data, len);
        int first_free = dup(STDERR_FILENO), now_free;

        close(first_free);
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&r); i++) {
                uint8_t operation = read_u8(&r), argument = read_u8(&r);

                if (operation % 3 == 0)
                        try_packet(argument, &r);
                else if (operation % 3 == 1)
                        try_blob(argument, &r);
                else
                        try_session(argument, &r);
        }
        now_free = dup(STDERR_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}
