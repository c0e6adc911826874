/* SPDX-License-Identifier: BSD-3-Clause */
#include "pump.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int pump_init(struct pump *pump, struct ev_loop *loop, struct node *node, const uint8_t map_key[16],
              void (*failed)(void *context, struct pump_channel *channel), void *context)
{
        *pump = (struct pump){ .loop = loop, .node = node, .failed = failed, .context = context };
        map_init(&pump->channels, map_key);
        pump->buffer = malloc(NODE_HEADROOM + NODE_WRITE_MAX);
        return pump->buffer ? 0 : -ENOMEM;
}

void pump_fini(struct pump *pump)
{
        assert(pump->channels.count == 0);
        map_fini(&pump->channels);
        free(pump->buffer);
}

static void stop(struct pump_channel *channel)
{
        ev_io_stop(channel->pump->loop, &channel->readable);
        ev_io_stop(channel->pump->loop, &channel->writable);
        map_remove(&channel->pump->channels, &channel->by_id);
}

/* The local connection is broken: what the kernel still holds of it is worthless, and both sides shall know. */
static void fail(struct pump_channel *channel)
{
        struct pump *pump = channel->pump;

        node_abort(pump->node, channel->id, &pump->now);
        pump_close(channel, false);
        pump->failed(pump->context, channel);
}

/* One read from the local connection into the channel; then the others have their turn. False: the connection is broken. */
static bool move_out(struct pump_channel *channel)
{
        struct pump *pump = channel->pump;
        size_t room = MIN(node_writable(pump->node, channel->id), (size_t)NODE_WRITE_MAX);
        ssize_t len;

        if (!room || channel->read_ended)
                return true;
        len = read(channel->fd, pump->buffer + NODE_HEADROOM, room);
        if (len < 0)
                return errno == EAGAIN || errno == EINTR;
        if (len == 0) {
                channel->read_ended = true;
                node_end(pump->node, channel->id, &pump->now);
                return true;
        }
        node_write(pump->node, channel->id, pump->buffer + NODE_HEADROOM, (size_t)len, &pump->now);
        channel->sent_bytes += (uint64_t)len;
        return true;
}

/* Interest follows what can be done: to poll a socket whose bytes have no place to go would spin. */
static void watch_reading(struct pump_channel *channel)
{
        bool wanted = !channel->read_ended && node_writable(channel->pump->node, channel->id) > 0;

        if (wanted)
                ev_io_start(channel->pump->loop, &channel->readable);
        else
                ev_io_stop(channel->pump->loop, &channel->readable);
}

static void move_out_turn(struct pump_channel *channel)
{
        if (move_out(channel))
                watch_reading(channel);
        else
                fail(channel);
}

/* All the channel has for the local connection, or what its socket takes. */
static void move_in_turn(struct pump_channel *channel)
{
        struct pump *pump = channel->pump;
        const uint8_t *bytes;
        bool ended = false;
        size_t len;

        while ((len = node_peek(pump->node, channel->id, &bytes, &ended)) > 0) {
                ssize_t written = send(channel->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0 && errno == EAGAIN) {
                        ev_io_start(pump->loop, &channel->writable);
                        return;
                }
                if (written < 0) {
                        fail(channel);
                        return;
                }
                channel->received_bytes += (uint64_t)written;
                node_consume(pump->node, channel->id, (size_t)written, &pump->now);
        }
        ev_io_stop(pump->loop, &channel->writable);
        if (!ended || channel->write_ended)
                return;
        channel->write_ended = true;
        if (shutdown(channel->fd, SHUT_WR) < 0)
                fail(channel);
        else
                node_consume_end(pump->node, channel->id, &pump->now);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        move_out_turn(container_of(watcher, struct pump_channel, readable));
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
        move_in_turn(container_of(watcher, struct pump_channel, writable));
}

int pump_add(struct pump *pump, struct pump_channel *channel, node_channel_id id, int fd)
{
        int r = map_insert(&pump->channels, &channel->by_id, map_hash(&pump->channels, &id, sizeof(id)));

        if (r < 0)
                return r;
        channel->pump = pump;
        channel->id = id;
        channel->fd = fd;
        ev_io_init(&channel->readable, on_readable, fd, EV_READ);
        ev_io_init(&channel->writable, on_writable, fd, EV_WRITE);
        return 0;
}

void pump_start(struct pump_channel *channel)
{
        watch_reading(channel);
        move_in_turn(channel);
}

struct pump_channel *pump_find(const struct pump *pump, node_channel_id id)
{
        struct map_entry *entry = map_first(&pump->channels, map_hash(&pump->channels, &id, sizeof(id)));

        while (entry && container_of(entry, struct pump_channel, by_id)->id != id)
                entry = map_next(entry);
        return entry ? container_of(entry, struct pump_channel, by_id) : NULL;
}

void pump_readable(struct pump_channel *channel)
{
        if (!ev_is_active(&channel->writable))  /* else it waits for its socket, not for the peer */
                move_in_turn(channel);
}

void pump_writable(struct pump_channel *channel)
{
        watch_reading(channel);
}

int pump_release(struct pump_channel *channel)
{
        stop(channel);
        return channel->fd;
}

void pump_close(struct pump_channel *channel, bool orderly)
{
        stop(channel);
        if (orderly) {
                /* From here on a plain close tells the truth; before, dying with the socket had to be seen. */
                struct linger off = { 0 };

                setsockopt(channel->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
        }
        close(channel->fd);
}
