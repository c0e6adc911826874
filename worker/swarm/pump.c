/* SPDX-License-Identifier: BSD-3-Clause */
#include "pump_datagrams.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_channel.h"
#include "ipc_fd.h"

_Static_assert((int)PUMP_BUFFER_BYTES >= (int)NODE_HEADROOM + (int)NODE_WRITE_MAX, "one buffer for all kinds");

/* The kernel is told at the end of the loop's turn, of what is different then: what goes and comes back meanwhile costs nothing. */
void pump_await(struct pump *pump, int event, bool wanted)
{
        struct ev_loop *loop = pump->room->loop;
        int events = pump->ready.events & (EV_READ | EV_WRITE), next = wanted ? events | event : events & ~event;

        if (next == events)
                return;
        ev_io_stop(loop, &pump->ready);
        ev_io_modify(&pump->ready, next);
        if (next)
                ev_io_start(loop, &pump->ready);
}

static void stop(struct pump *pump)
{
        pump_await(pump, EV_READ | EV_WRITE, false);
        watch_remove(&pump->room->watch, &pump->reset);
}

/* It has no part in a limit any more, and what it had apart is gone. */
static void let_go(struct pump *pump)
{
        free(pump->front);
        pump->front = NULL;
        limiter_leave(&pump->room->limiter, pump_limited(pump), pump->room->now->mono_us);
        free(pump->limit);
        pump->limit = NULL;
}

/* What the kernel still holds of a failed connection is worthless, and both sides shall know. */
static void fail(struct pump *pump)
{
        node_abort(pump->room->node, pump->channel, pump->room->now);
        pump_close(pump, false);
        pump->room->broken(pump);
}

/* An error alone: a unix socket whose other end is closed hangs up as well, in order, and would say so without end. Who writes to it is told. */
static void on_reset(struct watched *watched, uint32_t events)
{
        struct pump *pump = container_of(watched, struct pump, reset);

        if (events & EPOLLERR)
                fail(pump);
        else
                watch_remove(&pump->room->watch, watched);
}

/* A connection that ended in this direction may be reset in the other, which nobody would learn of who has nothing to write.
 * Unwatched, it is found out then. */
static void end_out(struct pump *pump)
{
        pump->read_ended = true;
        if (!pump->write_ended)
                (void)watch_add(&pump->room->watch, &pump->reset, 0);
        node_end(pump->room->node, pump->channel, pump->room->now);
}

static void arm_turns(struct pump_room *room)
{
        usec_t at_us = limiter_deadline(&room->limiter), now_us = room->now->mono_us;

        ev_timer_stop(room->loop, &room->turns);
        if (at_us == USEC_NEVER)
                return;
        ev_timer_set(&room->turns, at_us > now_us ? (double)(at_us - now_us) / 1e6 : 0.0, 0.0);
        ev_timer_start(room->loop, &room->turns);
}

/* How many of @len bytes may go that way now. 0: the pump waits for its turn. */
static size_t allow(struct pump *pump, enum limiter_way way, size_t len)
{
        struct pump_room *room = pump->room;
        size_t allowed = limiter_allow(&room->limiter, pump_limited(pump), way, room->now->mono_us);

        if (!allowed)
                arm_turns(room);
        return MIN(len, allowed);
}

/* One read from the local connection into the channel; then the others have their turn. False: the connection is broken. */
static bool stream_out(struct pump *pump)
{
        struct pump_room *room = pump->room;
        size_t fits = MIN(node_writable(room->node, pump->channel), (size_t)NODE_WRITE_MAX);
        ssize_t len;

        if (!fits || pump->read_ended || !(fits = allow(pump, LIMITER_UP, fits)))
                return true;
        len = recv(pump->fd, room->buffer + NODE_HEADROOM, fits, MSG_DONTWAIT);
        if (len < 0)
                return errno == EAGAIN || errno == EINTR;
        if (len == 0) {
                end_out(pump);
                return true;
        }
        node_write(room->node, pump->channel, room->buffer + NODE_HEADROOM, (size_t)len, room->now);
        limiter_take(pump_limited(pump), LIMITER_UP, (size_t)len);
        pump->sent_bytes += (uint64_t)len;
        pump->last_us = room->now->mono_us;
        return true;
}

/* All the channel has for the local connection, or what its socket takes. False: the connection is broken. */
static bool stream_in(struct pump *pump)
{
        struct pump_room *room = pump->room;
        const uint8_t *bytes;
        bool ended = false;
        size_t len;

        while ((len = node_peek(room->node, pump->channel, &bytes, &ended)) > 0) {
                ssize_t written;

                len = allow(pump, LIMITER_DOWN, len);
                if (!len) {
                        pump_await(pump, EV_WRITE, false);
                        return true;
                }
                written = send(pump->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0 && errno == EAGAIN) {
                        pump_await(pump, EV_WRITE, true);
                        return true;
                }
                if (written < 0)
                        return false;
                limiter_take(pump_limited(pump), LIMITER_DOWN, (size_t)written);
                pump->received_bytes += (uint64_t)written;
                pump->last_us = room->now->mono_us;
                node_consume(room->node, pump->channel, (size_t)written, room->now);
        }
        pump_await(pump, EV_WRITE, false);
        if (!ended || pump->write_ended)
                return true;
        pump->write_ended = true;
        watch_remove(&room->watch, &pump->reset);
        if (shutdown(pump->fd, SHUT_WR) < 0)
                return false;
        node_consume_end(room->node, pump->channel, room->now);
        return true;
}

/* Once, and no more than that is looked at again: a copy to the peer of what the connection has said first. That it ends there is seen when
 * the channel is open. False: the connection is broken, which is said but once. */
static bool early_out(struct pump *pump)
{
        struct pump_room *room = pump->room;
        size_t fits = pump->early_bytes ? 0 : MIN(node_writable(room->node, pump->channel), (size_t)UINT16_MAX);
        ssize_t len = fits ? recv(pump->fd, room->buffer + NODE_HEADROOM, fits, MSG_DONTWAIT | MSG_PEEK) : 0;

        pump_await(pump, EV_READ, len < 0 && (errno == EAGAIN || errno == EINTR));
        if (len <= 0)
                return len == 0 || pump_awaits(pump, EV_READ);
        node_write(room->node, pump->channel, room->buffer + NODE_HEADROOM, (size_t)len, room->now);
        pump->early_bytes = (uint16_t)len;
        return true;
}

static void go_early(struct pump *pump)
{
        if (!early_out(pump))
                fail(pump);
}

/* The peer has it: now it leaves the socket, too. False: it is not there any more, and who sent it broke off. */
static bool take_early(struct pump *pump)
{
        while (pump->early_bytes) {
                ssize_t len = recv(pump->fd, pump->room->buffer, pump->early_bytes, MSG_DONTWAIT);

                if (len < 0 && errno == EINTR)
                        continue;
                if (len <= 0)
                        return false;
                pump->early_bytes -= (uint16_t)len;
                pump->sent_bytes += (uint64_t)len;
        }
        return true;
}

static bool move_out(struct pump *pump)
{
        return pump->kind == PUMP_STREAM ? stream_out(pump) : pump_datagrams_out(pump);
}

static bool move_in(struct pump *pump)
{
        return pump->kind == PUMP_STREAM ? stream_in(pump) : pump_datagrams_in(pump);
}

/* Interest follows what can be done: to poll a socket whose bytes have no place to go, or not yet, would spin. */
static void watch_reading(struct pump *pump)
{
        bool open = !pump->read_ended && !limiter_waits(pump_limited(pump), LIMITER_UP);

        pump_await(pump, EV_READ, open && node_writable(pump->room->node, pump->channel) > 0);
}

static void watch_fd(struct pump *pump);

/* The pair has ended, and all that was in it has been taken. */
static void go_on_with_client(struct pump *pump)
{
        stop(pump);
        close(pump->fd);
        pump->kind = PUMP_CLIENT;
        pump->fd = take_fd(&pump->next_fd);
        watch_fd(pump);
        pump_start(pump);
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct pump *pump = container_of(watcher, struct pump, ready);

        if (pump->opening) {
                go_early(pump);
                return;
        }
        if (events & EV_WRITE && !move_in(pump)) {
                fail(pump);
                return;
        }
        if (!(events & EV_READ))
                return;
        if (move_out(pump))
                watch_reading(pump);
        else if (pump->next_fd >= 0)
                go_on_with_client(pump);
        else
                fail(pump);
}

static void take_turn(struct pump *pump, enum limiter_way way)
{
        if (!(way == LIMITER_UP ? move_out(pump) : move_in(pump))) {
                fail(pump);
                return;
        }
        limiter_pass_on(pump_limited(pump), way);
        watch_reading(pump);
}

static void on_turns(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct pump_room *room = container_of(timer, struct pump_room, turns);
        struct limited *next;
        enum limiter_way way;

        while ((next = limiter_turn(&room->limiter, room->now->mono_us, &way)))
                take_turn(container_of(next, struct pump_limit, limited)->pump, way);
        arm_turns(room);
}

int pump_room_init(struct pump_room *room, struct ev_loop *loop, struct node *node, const struct now *now, const uint8_t key[16],
                   void (*broken)(struct pump *pump))
{
        *room = (struct pump_room){ .loop = loop, .node = node, .now = now, .broken = broken,
                                    .buffer = malloc(PUMP_BUFFER_BYTES) };
        limiter_init(&room->limiter, key);
        ev_timer_init(&room->turns, on_turns, 0.0, 0.0);
        return room->buffer ? watch_init(&room->watch, loop) : -ENOMEM;
}

void pump_room_fini(struct pump_room *room)
{
        ev_timer_stop(room->loop, &room->turns);
        limiter_fini(&room->limiter);
        watch_fini(&room->watch);
        free(room->buffer);
}

static void watch_fd(struct pump *pump)
{
        pump->reset = (struct watched){ .fd = pump->fd, .ready = on_reset };
        ev_io_init(&pump->ready, on_ready, pump->fd, 0);
}

void pump_init(struct pump *pump, struct pump_room *room, node_channel_id channel, enum pump_kind kind, int fd)
{
        *pump = (struct pump){ .room = room, .channel = channel, .kind = kind, .fd = fd, .next_fd = -1, .last_us = room->now->mono_us };
        watch_fd(pump);
}

int pump_put_front(struct pump *pump, const void *bytes, size_t len)
{
        assert(!pump->front && len <= IPC_FRONT_MAX);
        if (!len)
                return 0;
        pump->front = malloc(sizeof(*pump->front) + len);
        if (!pump->front)
                return -ENOMEM;
        pump->front->len = len;
        memcpy(pump->front->bytes, bytes, len);
        return 0;
}

int pump_limit(struct pump *pump, const struct limiter_spec *spec, unsigned ways)
{
        struct pump_limit *limit = pump->limit ? pump->limit : calloc(1, sizeof(*limit));

        if (!limit || limiter_join(&pump->room->limiter, &limit->limited, spec, ways, pump->room->now->mono_us) < 0) {
                if (!pump->limit)
                        free(limit);
                return -ENOMEM;
        }
        limit->pump = pump;
        pump->limit = limit;
        return 0;
}

void pump_begin(struct pump *pump)
{
        assert(pump->kind == PUMP_STREAM && !pump->limit);
        pump->opening = true;
        go_early(pump);
}

void pump_start(struct pump *pump)
{
        pump->opening = false;
        if (!take_early(pump)) {
                fail(pump);
                return;
        }
        watch_reading(pump);
        pump_receive(pump);
}

/* What is written waits in the channel until the pair has ended, lest it overtakes what its other end has yet to read. While the channel
 * takes nothing that end would not be seen: then better another time. */
bool pump_replace(struct pump *pump, int fd)
{
        if (pump->kind != PUMP_SESSION || pump->next_fd >= 0 || !node_writable(pump->room->node, pump->channel) ||
            shutdown(pump->fd, SHUT_WR) < 0)
                return false;
        pump_await(pump, EV_WRITE, false);
        pump->next_fd = fd;
        return true;
}

void pump_receive(struct pump *pump)
{
        if (pump_awaits(pump, EV_WRITE) || pump->next_fd >= 0)        /* waits for its socket, not for the peer */
                return;
        if (!move_in(pump))
                fail(pump);
}

void pump_send(struct pump *pump)
{
        if (pump->opening)
                go_early(pump);
        else
                watch_reading(pump);
}

int pump_release(struct pump *pump)
{
        stop(pump);
        let_go(pump);
        return pump->fd;
}

void pump_close(struct pump *pump, bool orderly)
{
        stop(pump);
        let_go(pump);
        if (orderly && pump->kind == PUMP_STREAM) {
                /* From here on a plain close tells the truth; before, dying with the socket had to be seen. */
                struct linger off = { 0 };

                setsockopt(pump->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
        }
        close_fdp(&pump->next_fd);
        close(pump->fd);
}
