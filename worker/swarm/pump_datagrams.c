/* SPDX-License-Identifier: BSD-3-Clause */
#include "pump_datagrams.h"

#include <errno.h>
#include <sys/socket.h>

#include "cleanup.h"

enum { FRAME_BYTES = 10 };      /* in front of each in the stream */

/* Messages with their two pieces each: what the pair wants in front, and the datagram. */
struct batch {
        uint8_t mark[PUMP_BATCH_MAX];
        struct iovec iov[PUMP_BATCH_MAX][2];
        struct mmsghdr message[PUMP_BATCH_MAX];
};

/* Message @i is the datagram in @bytes. */
static void put(struct batch *batch, size_t i, enum pump_kind kind, struct iovec bytes)
{
        bool marked = kind == PUMP_SESSION;

        batch->mark[i] = 0;
        batch->iov[i][0] = (struct iovec){ &batch->mark[i], 1 };
        batch->iov[i][1] = bytes;
        batch->message[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = marked ? batch->iov[i] : &batch->iov[i][1],
                                                           .msg_iovlen = marked ? 2 : 1 } };
}

/* As many as find room at once, if they are as large as those before: the rest stay in the socket's buffer, and are dropped there
 * when it is full. */
static unsigned batch_size(const struct pump *pump, size_t room)
{
        size_t size = pump->usual_bytes ? room / (pump->usual_bytes + FRAME_BYTES) : 1;

        return (unsigned)MIN(MAX(size, (size_t)1), (size_t)PUMP_BATCH_MAX);
}

/* Those of @count messages that are whole. *@ended_out: the last of them was the end of the session. */
static size_t collect(struct pump *pump, const struct batch *batch, size_t count, struct iovec *out, bool *ended_out)
{
        size_t mark_len = pump->kind == PUMP_SESSION, found = 0;

        pump->usual_bytes = 1;
        for (size_t i = 0; i < count; i++) {
                const struct mmsghdr *message = &batch->message[i];

                *ended_out = message->msg_len < mark_len;
                if (*ended_out)
                        break;
                if (message->msg_hdr.msg_flags & MSG_TRUNC)
                        continue;
                out[found] = (struct iovec){ batch->iov[i][1].iov_base, message->msg_len - mark_len };
                pump->usual_bytes = MAX(pump->usual_bytes, out[found].iov_len);
                pump->sent_bytes += out[found++].iov_len;
        }
        return found;
}

bool pump_datagrams_out(struct pump *pump)
{
        struct pump_room *room = pump->room;
        size_t fits = node_writable(room->node, pump->channel), found;
        struct iovec datagrams[PUMP_BATCH_MAX];
        bool ended = false;
        struct batch batch;
        unsigned size;
        int count;

        if (!fits)
                return true;
        size = batch_size(pump, fits);
        for (unsigned i = 0; i < size; i++)
                put(&batch, i, pump->kind, (struct iovec){ room->buffer + (size_t)i * NODE_DATAGRAM_MAX, NODE_DATAGRAM_MAX });
        count = recvmmsg(pump->fd, batch.message, size, MSG_DONTWAIT, NULL);
        if (count < 0)
                return errno == EAGAIN || errno == EINTR;
        found = collect(pump, &batch, (size_t)count, datagrams, &ended);
        if (found)
                node_send(room->node, pump->channel, datagrams, found, room->now);
        pump->last_us = room->now->mono_us;
        return !ended;
}

/* Of this datagram, not of the next. */
static bool concerns_datagram(int error)
{
        return error == EMSGSIZE || error == EPERM || error == ENOBUFS || error == ENOMEM || error == ENETUNREACH ||
               error == EHOSTUNREACH || error == EINVAL;
}

static void done(struct pump *pump, const struct iovec *datagrams, size_t count)
{
        for (size_t i = 0; i < count; i++)
                pump->received_bytes += datagrams[i].iov_len;
        node_datagrams_done(pump->room->node, pump->channel, count, pump->room->now);
        pump->last_us = pump->room->now->mono_us;
}

bool pump_datagrams_in(struct pump *pump)
{
        struct pump_room *room = pump->room;
        struct iovec datagrams[PUMP_BATCH_MAX];
        struct batch batch;
        size_t count;

        while ((count = node_datagrams(room->node, pump->channel, datagrams, PUMP_BATCH_MAX)) > 0) {
                int sent;

                for (size_t i = 0; i < count; i++)
                        put(&batch, i, pump->kind, datagrams[i]);
                sent = sendmmsg(pump->fd, batch.message, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (sent > 0) {
                        done(pump, datagrams, (size_t)sent);
                } else if (sent < 0 && errno == EAGAIN) {
                        ev_io_start(room->loop, &pump->writable);
                        return true;
                } else if (sent < 0 && concerns_datagram(errno)) {
                        node_datagrams_done(room->node, pump->channel, 1, room->now);
                } else if (sent < 0 && errno != EINTR) {
                        return false;
                }
        }
        ev_io_stop(room->loop, &pump->writable);
        return true;
}
