/* SPDX-License-Identifier: BSD-3-Clause */
/* A link: one end of a SOCK_SEQPACKET pair between two processes of an instance. One packet is one message: its type
 * and its payload, of the size the table says, and the descriptors that ride along. */
#ifndef HG_IPC_LINK_H
#define HG_IPC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"

enum {
        IPC_PAYLOAD_MAX = 2560,         /* above every payload: checked at compile time */
        IPC_QUEUE_MAX = 2 * 1024 * 1024, /* bytes kept for a reader that is slow; past that it is stuck */
};

struct ipc_queued;

struct ipc_link {
        int fd;                         /* -1: closed */
        enum ipc_role self, peer;
        uint32_t id;                    /* the peer's, among those of its role */
        struct ipc_queued *first, **last;
        size_t queued_bytes, queue_max; /* IPC_QUEUE_MAX, unless its owner knows of more that is bounded otherwise */
};

struct ipc_received {
        enum ipc_type type;
        unsigned fd_count;
        int fds[IPC_FDS_MAX];           /* -1 once taken */
        union {
                uint64_t align;
                uint8_t bytes[IPC_PAYLOAD_MAX];
        } payload;
};

/* The payload as what the table says it is. */
#define IPC_PAYLOAD(message, type) ((const type *)(const void *)(message)->payload.bytes)

/* A pair of connected ends, close-on-exec and non-blocking. 0 or -errno. */
int ipc_link_pair(int fds_out[2]);

/* Takes @fd. */
void ipc_link_init(struct ipc_link *link, int fd, enum ipc_role self, enum ipc_role peer, uint32_t id);

/* Closes it; what was queued is dropped. */
void ipc_link_fini(struct ipc_link *link);

/* Sends, or queues what the kernel doesn't take now. The descriptors stay the caller's: they are duplicated. To send
 * what the table doesn't allow us is a bug. 0, -EPIPE when the other end is gone, -ENOBUFS when it is stuck, -errno. */
int ipc_link_send(struct ipc_link *link, enum ipc_type type, const void *payload, const int *fds, size_t fd_count);

/* Queues it, to be sent by ipc_link_flush() or before the next ipc_link_send(): for what nobody waits for, so that the other end wakes up
 * once for many. 0 or -errno, as ipc_link_send(). */
int ipc_link_post(struct ipc_link *link, enum ipc_type type, const void *payload);

/* Sends what is queued. 0 when nothing is left, -EAGAIN while something is, -EPIPE or -errno when the link is of no use. */
int ipc_link_flush(struct ipc_link *link);

static inline bool ipc_link_queued(const struct ipc_link *link)
{
        return link->first != NULL;
}

/* The next message: 1; 0: none now; -EPIPE: the other end is gone; -EPROTO: what came breaks the table, and the link
 * is not to be trusted any more. Descriptors arrive close-on-exec. */
int ipc_link_receive(struct ipc_link *link, struct ipc_received *message_out);

/* Descriptor @index of the message, the caller's from here on; -1 when it brought none. */
int ipc_received_take_fd(struct ipc_received *message, unsigned index);

/* Closes what nobody took. */
void ipc_received_fini(struct ipc_received *message);

#endif
