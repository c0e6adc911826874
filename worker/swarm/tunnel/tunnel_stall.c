/* SPDX-License-Identifier: BSD-3-Clause */
/* A reader that does not keep up: without credit all channels of a connection wait for it, so it may not stop for ever. */
#include "tunnel_state.h"

#define STALL_MAX_US SECONDS(10)
#define STALL_PROGRESS (256 * 1024)     /* bytes a slow reader must take meanwhile not to count as stopped */

/* What a reader without credit may leave unread. */
static size_t plain_max(const struct tunnel *t)
{
        return MIN(t->config.window_max_bytes, (uint32_t)TUNNEL_PLAIN_MAX);
}

size_t tunnel_stream_room(const struct tunnel *t)
{
        const struct tunnel_channel *ch = t->input.channel;
        size_t all = t->config.receive_limit_bytes, mine = plain_max(t);

        if (!ch || ch->receiving > TUNNEL_HELD)
                return SIZE_MAX;        /* nobody wants it */
        all = t->queued_bytes < all ? all - t->queued_bytes : 0;
        mine = ch->queue.len < mine ? mine - ch->queue.len : 0;
        return tunnel_channel_credited(ch) ? all : MIN(all, mine);
}

bool tunnel_stall_exists(const struct tunnel *t)
{
        return t->input.sink == TUNNEL_STREAM && t->input.body_left && !tunnel_stream_room(t);
}

/* The channel with the most unread bytes. */
static struct tunnel_channel *fattest(const struct tunnel *t)
{
        struct tunnel_channel *found = t->input.channel;

        list_for_each(at, &t->all) {
                struct tunnel_channel *ch = list_entry(at, struct tunnel_channel, all);

                if (ch->phase == TUNNEL_RUNNING && ch->queue.len > found->queue.len)
                        found = ch;
        }
        return found;
}

static void stall_note(struct tunnel *t, usec_t now_us)
{
        t->stalled = t->input.channel;
        t->stalled_us = now_us;
        t->stalled_mark = t->stalled->consumed_total;
}

usec_t tunnel_stall_deadline(const struct tunnel *t)
{
        return t->stalled && tunnel_stall_exists(t) ? usec_add(t->stalled_us, STALL_MAX_US) : USEC_NEVER;
}

/* One reader must not stop all for ever: after a while it is reset, unless it moves. */
void tunnel_stall_check(struct tunnel *t, usec_t now_us)
{
        struct tunnel_channel *ch = t->stalled;

        if (!tunnel_stall_exists(t)) {
                if (ch && ch->queue.len < plain_max(t) / 2)
                        t->stalled = NULL;
                return;
        }
        if (ch != t->input.channel || ch->consumed_total - t->stalled_mark >= STALL_PROGRESS) {
                stall_note(t, now_us);
                return;
        }
        if (now_us < usec_add(t->stalled_us, STALL_MAX_US))
                return;
        ch = t->queued_bytes >= t->config.receive_limit_bytes ? fattest(t) : ch;
        t->stalled = NULL;
        if (ch->phase == TUNNEL_RUNNING || ch->phase == TUNNEL_ARRIVING)
                tunnel_channel_fail(ch, TUNNEL_LIMIT);
}
