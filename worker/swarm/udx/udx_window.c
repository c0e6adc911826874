/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a peer may send ahead of what was read: a long and fast path needs more than a socket's buffer. Doubles with what arrives (after
 * Linux's dynamic right-sizing) while the reader keeps up, within what a socket holds of it, and comes back when it is not used. What
 * arrives behind a gap counts: until that is filled nobody reads, and meanwhile the sender would stand still. */
#include "udx_private.h"

#define HELD_US MSEC(10)                /* the socket's share of the window holds what comes in that time: nobody reads it any later */
#define AHEAD 4                         /* rounds' worth: one under way, two until a hole is filled, and one to grow into */
#define HOLE 2                          /* rounds until a hole is filled: what came behind it is in the window, and in no socket */
#define UNUSED_US SECONDS(5)
#define GROWN_MAX ((size_t)256 * 1024 * 1024)   /* of all streams */

static size_t grown(const struct udx_stream *stream)
{
        return stream->assembly.limit_bytes - MIN(stream->assembly.limit_bytes, stream->window_first);
}

static void resize(struct udx_stream *stream, size_t bytes)
{
        stream->mux->grown_bytes -= grown(stream);
        stream->assembly.limit_bytes = MAX(bytes, stream->window_first);
        stream->mux->grown_bytes += grown(stream);
}

void udx_window_set(struct udx_stream *stream, size_t first_bytes)
{
        stream->mux->grown_bytes -= grown(stream);
        stream->window_first = first_bytes;
        stream->assembly.limit_bytes = first_bytes;
}

bool udx_window_hold(struct udx_stream *stream, size_t bytes)
{
        size_t now_bytes = stream->assembly.limit_bytes;

        if (bytes > now_bytes && bytes - now_bytes > GROWN_MAX - MIN(GROWN_MAX, stream->mux->grown_bytes))
                return false;
        if (bytes > now_bytes)
                resize(stream, bytes);
        if (bytes > stream->window_first)
                stream->window_used_us = stream->mux->now_us;   /* until all of it is here */
        return true;
}

/* A window of which the socket holds @window_first may be as much larger as it takes longer than HELD_US to send it. */
static size_t most(const struct udx_stream *stream, usec_t rtt_us)
{
        uint64_t path = (uint64_t)stream->window_first * HOLE * rtt_us / HELD_US;
        size_t left = GROWN_MAX - MIN(GROWN_MAX, stream->mux->grown_bytes - grown(stream));

        return MIN((size_t)MIN(path, (uint64_t)UDX_WINDOW_MAX), stream->window_first + left);
}

void udx_window_arrived(struct udx_stream *stream, size_t len)
{
        usec_t now_us = stream->mux->now_us, rtt_us = udx_rtt_min(&stream->rtt), took_us = now_us - stream->window_since_us;
        size_t window = stream->assembly.limit_bytes, unread = udx_assembly_unread(&stream->assembly), wanted, bytes;

        if (!stream->window_grows || stream->state != UDX_OPEN)
                return;
        rtt_us = rtt_us ? rtt_us : stream->rtt.srtt_us;
        stream->window_arrived += len;
        if (!rtt_us || took_us < rtt_us)
                return;
        bytes = stream->window_arrived - MIN(stream->window_arrived, unread);
        stream->window_arrived = 0;
        stream->window_since_us = now_us;
        wanted = took_us < 2 * rtt_us ? AHEAD * bytes : AHEAD * (size_t)((uint64_t)bytes * rtt_us / took_us);
        wanted = MIN(wanted, most(stream, rtt_us));
        if (wanted > window)
                resize(stream, wanted);
        if (wanted >= window / 4)
                stream->window_used_us = now_us;
        else if (now_us >= stream->window_used_us + UNUSED_US)
                resize(stream, window / 2);
}
