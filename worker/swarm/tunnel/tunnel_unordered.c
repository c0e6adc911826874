/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams beside the stream: none waits for one that was lost, or for a download. Those too long for a message of their own go on
 * the stream, where they wait for their share of it within bounds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel_state.h"

enum {
        LATE_MAX = 256 * 1024,          /* of one channel, and of all: what waits for room in the stream, costs included */
        LATE_ALL_MAX = 4 * 1024 * 1024,
        LATE_BATCH = 16,
};

static bool is_unordered(const struct tunnel_channel *ch)
{
        return ch->features & TUNNEL_FEATURE_UNORDERED;
}

bool tunnel_unordered(const struct tunnel_channel *ch)
{
        return is_unordered(ch) && ch->phase == TUNNEL_RUNNING && ch->sending == TUNNEL_SENDING && ch->closing == TUNNEL_UNCLOSED;
}

size_t tunnel_unordered_message(struct tunnel_channel *ch, const struct iovec *datagram, uint8_t *out, size_t max)
{
        struct writer w = writer_over(out, max);

        if (!tunnel_unordered(ch) || datagram->iov_len + TUNNEL_UNORDERED_HEAD_BYTES > max)
                return 0;
        tunnel_unordered_write(&w, ch->id);
        if (datagram->iov_len)
                write_bytes(&w, datagram->iov_base, datagram->iov_len);
        ch->sent_bytes += datagram->iov_len;
        return writer_len(&w);
}

void tunnel_receive_unordered(struct tunnel *t, const void *bytes, size_t len, usec_t now_us)
{
        struct reader r = reader_over(bytes, len);
        struct tunnel_channel *ch;
        uint32_t id;

        t->now_us = now_us;
        if (!t->up || t->disconnected || t->verdict != TUNNEL_FINE)
                return;
        if (!tunnel_unordered_read(&r, &id)) {
                t->frames_ignored++;
                return;
        }
        ch = tunnel_channel_find(t, id);
        if (!ch || !is_unordered(ch) || ch->phase > TUNNEL_RUNNING || ch->receiving > TUNNEL_HELD || ch->closing == TUNNEL_ABORTED)
                return;         /* late: no surprise */
        tunnel_datagram_deliver(ch, r.at, reader_left(&r));
}

/* --- Those that are too long --- */

void tunnel_late_keep(struct tunnel_channel *ch, const struct iovec *datagram)
{
        struct tunnel *t = ch->tunnel;
        size_t len = datagram->iov_len, cost = len + TUNNEL_DATAGRAM_COST;
        struct tunnel_datagram *late = NULL;

        if (tunnel_datagrams_begin(ch) && ch->datagrams->late.bytes + cost <= LATE_MAX && t->late_bytes + cost <= LATE_ALL_MAX)
                late = malloc(sizeof(*late) + len);
        if (!late) {
                t->datagrams_dropped++;
                return;
        }
        late->len = len;
        if (len)
                memcpy(late->bytes, datagram->iov_base, len);
        tunnel_datagram_push(&ch->datagrams->late, late);
        t->late_bytes += cost;
}

static void drop_first(struct tunnel_channel *ch)
{
        struct tunnel_datagram *first = tunnel_datagram_pop(&ch->datagrams->late);

        ch->tunnel->late_bytes -= first->len + TUNNEL_DATAGRAM_COST;
        free(first);
}

void tunnel_late_drop(struct tunnel_channel *ch)
{
        while (tunnel_datagrams_late(ch)->first)
                drop_first(ch);
}

void tunnel_late_leave(struct tunnel_channel *ch, usec_t now_us)
{
        struct iovec datagrams[LATE_BATCH] = { { 0 } };
        size_t count = 0;

        assert(tunnel_datagrams_late(ch)->first);
        for (struct tunnel_datagram *at = tunnel_datagrams_late(ch)->first; at && count < LATE_BATCH; at = at->next)
                datagrams[count++] = (struct iovec){ at->bytes, at->len };
        tunnel_datagram_depart(ch, datagrams, count, now_us);
        while (count--)
                drop_first(ch);
        if (tunnel_datagrams_late(ch)->first)
                (void)tunnel_writable(ch);      /* to be told again */
}
