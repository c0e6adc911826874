/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a peer may send of a channel ahead of what was read of it (hypergate.md 15, credit). It begins small, as a reader may stall, and
 * grows with what is read: to all that a round trip brings and what comes while a gap on the way is filled. A peer that begins slowly
 * doubles what it sends each round; the window is ahead of that, or it is what limits. */
#include "tunnel_state.h"

#define LEAST_BYTES (64 * 1024)         /* a window shrinks to this */
#define FAST_US MSEC(100)               /* half a window read in less: the window may be what limits; */
#define FAST_RTTS 2                     /* and in less than so many round trips: it is, or nearly so */
#define AHEAD 8                         /* rounds' worth: one is read, one on its way, two wait for a gap, twice that as the peer doubles */

/* What fits in the window was sent, waits here, or was read and is not granted again: so it gets smaller by not granting. */
static void shrink(struct tunnel_channel *ch)
{
        struct tunnel *t = ch->tunnel;
        uint32_t less = MIN(ch->consumed, ch->window - MIN(ch->window, (uint32_t)LEAST_BYTES));

        if (ch->window > t->config.window_bytes)
                t->grown_bytes -= MIN(less, ch->window - t->config.window_bytes);
        ch->window -= less;
        ch->consumed -= less;
}

/* In how many parts a window opens again: of a large one, what waits to be granted would be missed. */
static unsigned parts(const struct tunnel_channel *ch)
{
        return ch->window > TUNNEL_WINDOW_MAX ? 8 : 2;
}

static bool may_grow(const struct tunnel_channel *ch, uint32_t by, usec_t now_us)
{
        const struct tunnel *t = ch->tunnel;

        return now_us >= t->pressed_us && by <= t->config.window_max_bytes - MIN(t->config.window_max_bytes, ch->window) &&
               t->grown_bytes + by <= t->config.receive_limit_bytes / 3 * 2;
}

/* What was read may come again, and @more. */
static void grant(struct tunnel_channel *ch, uint32_t more)
{
        struct tunnel *t = ch->tunnel;
        uint32_t first = t->config.window_bytes;

        ch->grant += ch->consumed + more;
        ch->window_left += ch->consumed + more;
        ch->consumed = 0;
        ch->window += more;
        t->grown_bytes += ch->window > first ? MIN(more, ch->window - first) : 0;
        tunnel_channel_owe(ch, TUNNEL_OUT_CREDIT);
}

/* A part of a window was read so soon that the peer may have waited for it to open. On a path that fills its window the halves come half
 * a round trip apart. */
static bool read_fast(const struct tunnel_channel *ch, usec_t now_us)
{
        usec_t far_us = FAST_RTTS * ch->tunnel->rtt_us * 2 / parts(ch);
        usec_t soon_us = ch->window <= TUNNEL_WINDOW_MAX / 2 ? usec_max(FAST_US, far_us) : far_us;

        return now_us < usec_add(ch->granted_us, soon_us);
}

/* Grows to what the last round makes likely for the next ones. */
static void note_round(struct tunnel_channel *ch, uint32_t len, usec_t now_us)
{
        usec_t rtt_us = ch->tunnel->rtt_us, took_us = now_us - ch->round_us;
        uint64_t wanted;

        ch->round_bytes += len;
        if (!rtt_us || took_us < rtt_us)
                return;
        wanted = AHEAD * (took_us < 2 * rtt_us ? (uint64_t)ch->round_bytes : (uint64_t)ch->round_bytes * rtt_us / took_us);
        wanted = MIN(wanted, (uint64_t)ch->tunnel->config.window_max_bytes);
        ch->round_bytes = 0;
        ch->round_us = now_us;
        if (wanted > ch->window && may_grow(ch, (uint32_t)wanted - ch->window, now_us))
                grant(ch, (uint32_t)wanted - ch->window);
}

/* Told when a part of the window is due, so that neither credits nor data trickle. Without memory the window shrinks. */
static void regrant(struct tunnel_channel *ch, usec_t now_us)
{
        if (ch->consumed < ch->window / parts(ch))
                return;
        if (now_us < ch->tunnel->pressed_us)
                shrink(ch);
        if (!ch->consumed)
                return;
        grant(ch, read_fast(ch, now_us) && may_grow(ch, ch->window, now_us) ? ch->window : 0);
        ch->granted_us = now_us;
}

void tunnel_window_read(struct tunnel_channel *ch, uint32_t len, usec_t now_us)
{
        ch->consumed += len;
        if (!tunnel_channel_credited(ch) || ch->receiving != TUNNEL_RECEIVING || ch->closing != TUNNEL_UNCLOSED)
                return;
        note_round(ch, len, now_us);
        regrant(ch, now_us);
}
