/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_session.h"

#include <errno.h>

void ipc_session_put(struct ipc_session_batch *batch, size_t i, struct iovec bytes)
{
        bool alone = !batch->marked && !batch->front.iov_len;

        batch->mark[i] = 0;
        batch->iov[i][0] = batch->marked ? (struct iovec){ &batch->mark[i], 1 } : batch->front;
        batch->iov[i][1] = bytes;
        batch->message[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = alone ? &batch->iov[i][1] : batch->iov[i],
                                                           .msg_iovlen = alone ? 1 : 2 } };
}

size_t ipc_session_collect(const struct ipc_session_batch *batch, size_t count, struct iovec *out, size_t *cut_out, bool *ended_out)
{
        size_t mark_len = batch->marked, found = 0;

        *cut_out = 0;
        *ended_out = false;
        for (size_t i = 0; i < count && !*ended_out; i++) {
                const struct mmsghdr *message = &batch->message[i];

                *ended_out = message->msg_len < mark_len;
                if (!*ended_out && (message->msg_hdr.msg_flags & MSG_TRUNC))
                        ++*cut_out;
                else if (!*ended_out)
                        out[found++] = (struct iovec){ batch->iov[i][1].iov_base, message->msg_len - mark_len };
        }
        return found;
}

bool ipc_session_goes_on(int error)
{
        return error == EAGAIN || error == EINTR || error == ECONNRESET;
}
