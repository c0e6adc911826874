/* SPDX-License-Identifier: BSD-3-Clause */
#include "pump_datagrams.h"

#include <errno.h>
#include <sys/socket.h>

#include "cleanup.h"

enum { FRAME_BYTES = 10 };      /* in front of each in the stream */

/* As many as find room at once, if they are as large as the largest of late: the rest stay in the socket's buffer, and are dropped there
 * when it is full. */
static unsigned batch_size(const struct pump *pump, size_t room)
{
        size_t size = pump->usual_bytes ? room / ((size_t)pump->usual_bytes + FRAME_BYTES) : 1;

        return (unsigned)MIN(MAX(size, (size_t)1), (size_t)PUMP_BATCH_MAX);
}

static bool is_marked(const struct pump *pump)
{
        return pump->kind == PUMP_SESSION;
}

/* What ICMP, which anybody can write, or a network that is away makes of a connected socket (icmp_err_convert and tab_unreach in Linux):
 * no end of a client's session. */
static bool is_hearsay(int error)
{
        return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == ENETDOWN || error == EHOSTDOWN ||
               error == ENONET || error == EACCES || error == EPROTO || error == ENOPROTOOPT || error == EOPNOTSUPP || error == EMSGSIZE;
}

/* Whether a socket that could not be read for @error may be read again: that a client's port is closed for now is no end of its session,
 * and nobody shall end it who only says so. */
static bool goes_on(const struct pump *pump, int error)
{
        if (error == EINTR || error == EAGAIN)
                return true;
        if (pump->kind == PUMP_CLIENT)
                return is_hearsay(error) || error == ENOMEM || error == ENOBUFS;
        return is_marked(pump) && ipc_session_goes_on(error);
}

/* @count came, and the first @sent of them go on. */
static void note(struct pump *pump, const struct iovec *datagrams, size_t count, size_t sent)
{
        pump->usual_bytes = MAX(pump->usual_bytes - pump->usual_bytes / 16, UINT32_C(1));  /* large ones may come again */
        for (size_t i = 0; i < count; i++) {
                pump->usual_bytes = MAX(pump->usual_bytes, (uint32_t)datagrams[i].iov_len);
                pump->sent_bytes += i < sent ? datagrams[i].iov_len : 0;
        }
        pump->room->dropped += count - sent;
        pump->last_us = pump->room->now->mono_us;
}

static size_t fitting(struct pump *pump, enum limiter_way way, const struct iovec *datagrams, size_t count)
{
        return limiter_fitting(pump_limited(pump), way, datagrams, count, pump->room->now->mono_us);
}

bool pump_datagrams_out(struct pump *pump)
{
        struct pump_room *room = pump->room;
        size_t fits = node_writable(room->node, pump->channel), found, fit, cut;
        struct ipc_session_batch batch = { .marked = is_marked(pump) };
        struct iovec datagrams[PUMP_BATCH_MAX];
        unsigned size;
        bool ended;
        int count;

        if (!fits)
                return true;
        size = batch_size(pump, fits);
        for (unsigned i = 0; i < size; i++)
                ipc_session_put(&batch, i, (struct iovec){ room->buffer + (size_t)i * NODE_DATAGRAM_MAX, NODE_DATAGRAM_MAX });
        count = recvmmsg(pump->fd, batch.message, size, MSG_DONTWAIT, NULL);
        if (count < 0) {
                pump->refused = errno == ECONNREFUSED;
                return goes_on(pump, errno);
        }
        found = ipc_session_collect(&batch, (size_t)count, datagrams, &cut, &ended);
        room->dropped += cut;
        fit = fitting(pump, LIMITER_UP, datagrams, found);
        limiter_take_datagrams(pump_limited(pump), LIMITER_UP, datagrams, fit);
        note(pump, datagrams, found, fit);
        if (fit)
                node_send(room->node, pump->channel, datagrams, fit, room->now);
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
        limiter_take_datagrams(pump_limited(pump), LIMITER_DOWN, datagrams, count);
        for (size_t i = 0; i < count; i++)
                pump->received_bytes += datagrams[i].iov_len;
        node_datagrams_done(pump->room->node, pump->channel, count, pump->room->now);
        pump->last_us = pump->room->now->mono_us;
}

bool pump_datagrams_in(struct pump *pump)
{
        struct pump_room *room = pump->room;
        struct ipc_session_batch batch = { .marked = is_marked(pump) };
        struct iovec datagrams[PUMP_BATCH_MAX];
        size_t count;

        if (pump->front)
                batch.front = (struct iovec){ pump->front->bytes, pump->front->len };
        while ((count = node_datagrams(room->node, pump->channel, datagrams, PUMP_BATCH_MAX)) > 0) {
                size_t fit = fitting(pump, LIMITER_DOWN, datagrams, count);
                int sent;

                if (!fit) {
                        room->dropped += count;
                        node_datagrams_done(room->node, pump->channel, count, room->now);
                        continue;
                }
                count = fit;
                for (size_t i = 0; i < count; i++)
                        ipc_session_put(&batch, i, datagrams[i]);
                sent = sendmmsg(pump->fd, batch.message, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (sent > 0) {
                        done(pump, datagrams, (size_t)sent);
                } else if (sent < 0 && errno == EAGAIN) {
                        pump_await(pump, EV_WRITE, true);
                        return true;
                } else if (sent < 0 && (concerns_datagram(errno) ||
                                        (pump->kind == PUMP_CLIENT && errno != ECONNREFUSED && is_hearsay(errno)))) {
                        room->dropped++;
                        node_datagrams_done(room->node, pump->channel, 1, room->now);
                } else if (sent < 0 && errno != EINTR && !(pump->kind == PUMP_CLIENT && errno == ECONNREFUSED)) {
                        pump->refused = errno == ECONNREFUSED;
                        return false;
                }
        }
        pump_await(pump, EV_WRITE, false);
        return true;
}
