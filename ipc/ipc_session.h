/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gate's worker and the swarm worker say to each other in the pair of sockets (SOCK_SEQPACKET) of one session of datagrams:
 * each message is a datagram behind one byte of no meaning, so that an empty one is not taken for the end, which is read as a
 * message of nothing. Many in one system call. */
#ifndef HG_IPC_SESSION_H
#define HG_IPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { IPC_SESSION_BATCH_MAX = 16 };

/* For sendmmsg() and recvmmsg(). A socket that is no such pair, a service's, gets datagrams without that byte: @marked is false. */
struct ipc_session_batch {
        bool marked;
        struct iovec front;             /* or with these bytes in front, to be sent */
        uint8_t mark[IPC_SESSION_BATCH_MAX];
        struct iovec iov[IPC_SESSION_BATCH_MAX][2];
        struct mmsghdr message[IPC_SESSION_BATCH_MAX];
};

/* Message @i is, or receives, the datagram in @bytes. @batch->marked is set before. */
void ipc_session_put(struct ipc_session_batch *batch, size_t i, struct iovec bytes);

/* The datagrams among the first @count messages received, without those that were cut; returns how many. *@cut_out: how many of these.
 * *@ended_out: behind them came the end. */
size_t ipc_session_collect(const struct ipc_session_batch *batch, size_t count, struct iovec *out, size_t *cut_out, bool *ended_out);

/* Whether a pair that could not be read for @error may still hold something. The other end may have gone without having read all of
 * ours: the kernel says so first, and once, and then gives what it had sent. */
bool ipc_session_goes_on(int error);

#endif
