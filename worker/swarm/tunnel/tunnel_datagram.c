/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels that carry datagrams: each is one stream frame, whole or not at all. The stream below is reliable, so whoever can't keep
 * up loses the newest ones here, as a socket's receive buffer would (hypergate.md 14.19, 14.29). */
#include <assert.h>
#include <stdlib.h>

#include "tunnel_state.h"

#define SWEEP_US MSEC(10)               /* between two looks at all channels for one that has some waiting */

_Static_assert(sizeof(struct tunnel_datagram) <= TUNNEL_DATAGRAM_COST, "what is kept is what is counted");

/* Half of what others leave of the memory for all; but one at least, if there is any. What streams hold counts, too. */
static bool has_room(const struct tunnel_channel *ch, size_t cost)
{
        const struct tunnel *t = ch->tunnel;
        size_t own = tunnel_datagrams_unread(ch)->bytes, all = t->config.receive_limit_bytes / 4, others = t->datagram_bytes - own;

        if (own + cost > TUNNEL_DATAGRAMS_MAX || others + own + cost > all || t->queued_bytes + cost > t->config.receive_limit_bytes)
                return false;
        return !own || own + cost <= (all - others) / 2;
}

static void count(struct tunnel_channel *ch, size_t more, size_t less)
{
        ch->tunnel->datagram_bytes += more - less;
        ch->tunnel->queued_bytes += more - less;
}

static void drop_first(struct tunnel_channel *ch)
{
        struct tunnel_datagram *first = tunnel_datagram_pop(&ch->datagrams->unread);

        count(ch, 0, first->len + TUNNEL_DATAGRAM_COST);
        free(first);
        tunnel_hunger_retry(ch->tunnel);
}

/* The caller may wait for its last one to be read. */
void tunnel_datagram_forget(struct tunnel_channel *ch, size_t down_to_bytes)
{
        while (tunnel_datagrams_unread(ch)->bytes > down_to_bytes) {
                ch->tunnel->datagrams_dropped++;
                drop_first(ch);
        }
        if (ch->closing == TUNNEL_ABORTED && ch->phase == TUNNEL_RUNNING && !tunnel_datagrams_unread(ch)->first)
                tunnel_channel_over(ch, TUNNEL_DONE);
}

/* The one with most of all gives half of it, the oldest: those nobody reads have no more than those who are read can do without.
 * (McKenney, "Stochastic Fairness Queueing", 1990: the longest queue pays.) */
static bool make_room(struct tunnel_channel *ch, size_t cost)
{
        struct tunnel *t = ch->tunnel;
        struct tunnel_channel *most = ch;

        if (tunnel_datagrams_unread(ch)->bytes + cost > TUNNEL_DATAGRAMS_MAX || (tunnel_datagrams_unread(ch)->first && t->now_us < t->sweep_us))
                return false;
        t->sweep_us = usec_add(t->now_us, SWEEP_US);
        list_for_each(at, &t->all) {
                struct tunnel_channel *other = list_entry(at, struct tunnel_channel, all);

                if (tunnel_datagrams_unread(other)->bytes > tunnel_datagrams_unread(most)->bytes)
                        most = other;
        }
        if (tunnel_datagrams_unread(most)->bytes / 2 < tunnel_datagrams_unread(ch)->bytes + cost)
                return false;
        tunnel_datagram_forget(most, tunnel_datagrams_unread(most)->bytes / 2);
        return has_room(ch, cost);
}

static struct tunnel_datagram *new_datagram(struct tunnel_channel *ch, size_t len)
{
        struct tunnel_datagram *datagram = NULL;
        size_t cost = len + TUNNEL_DATAGRAM_COST;

        if (has_room(ch, cost))
                datagram = malloc(sizeof(*datagram) + len);
        if (!datagram && make_room(ch, cost))
                datagram = malloc(sizeof(*datagram) + len);
        return datagram;
}

bool tunnel_datagrams_begin(struct tunnel_channel *ch)
{
        if (!ch->datagrams)
                ch->datagrams = calloc(1, sizeof(*ch->datagrams));
        return ch->datagrams;
}

void tunnel_datagram_deliver(struct tunnel_channel *ch, const uint8_t *bytes, size_t len)
{
        size_t cost = len + TUNNEL_DATAGRAM_COST;
        struct tunnel_datagram *datagram = tunnel_datagrams_begin(ch) ? new_datagram(ch, len) : NULL;

        if (!datagram) {
                ch->tunnel->datagrams_dropped++;
                return;
        }
        datagram->len = len;
        if (len)
                memcpy(datagram->bytes, bytes, len);
        tunnel_datagram_push(&ch->datagrams->unread, datagram);
        count(ch, cost, 0);
        if (ch->datagrams->unread.first == datagram && ch->phase == TUNNEL_RUNNING)
                tunnel_channel_tell(ch, TUNNEL_NEWS_READABLE);
}

void tunnel_datagram_drop(struct tunnel_channel *ch)
{
        while (tunnel_datagrams_unread(ch)->first)
                drop_first(ch);
}

size_t tunnel_datagrams(const struct tunnel_channel *ch, struct iovec *out, size_t max)
{
        size_t found = 0;

        if (ch->phase != TUNNEL_RUNNING)
                return 0;
        for (struct tunnel_datagram *at = tunnel_datagrams_unread(ch)->first; at && found < max; at = at->next)
                out[found++] = (struct iovec){ at->bytes, at->len };
        return found;
}

void tunnel_datagrams_done(struct tunnel_channel *ch, size_t done, usec_t now_us)
{
        ch->tunnel->now_us = now_us;
        if (ch->phase != TUNNEL_RUNNING)
                return;
        while (done--)
                drop_first(ch);
        if (ch->closing == TUNNEL_ABORTED && !tunnel_datagrams_unread(ch)->first)
                tunnel_channel_over(ch, TUNNEL_DONE);
}

/* An original does nothing with an empty frame: it is not sent one. */
static bool is_sendable(const struct tunnel_channel *ch, size_t len)
{
        assert(len <= TUNNEL_DATAGRAM_MAX);
        return len || !tunnel_channel_plain(ch);
}

void tunnel_datagram_depart(struct tunnel_channel *ch, const struct iovec *datagrams, size_t datagram_count, usec_t now_us)
{
        struct tunnel *t = ch->tunnel;
        size_t all_len = 0, data_len = 0;
        struct writer w;

        assert(!t->leaving_len);
        for (size_t i = 0; i < datagram_count; i++) {
                if (!is_sendable(ch, datagrams[i].iov_len))
                        continue;
                data_len += datagrams[i].iov_len;
                all_len += TUNNEL_HEADER_BYTES + datagrams[i].iov_len;
        }
        if (!all_len)
                return;
        free(t->batch);
        t->batch = malloc(all_len);
        if (!t->batch)
                return;         /* they are lost, as datagrams are */
        w = writer_over(t->batch, all_len);
        for (size_t i = 0; i < datagram_count; i++) {
                if (!is_sendable(ch, datagrams[i].iov_len))
                        continue;
                tunnel_frame_write(&w, TUNNEL_ACTION_STREAM, 0, ch->id, datagrams[i].iov_len);
                if (datagrams[i].iov_len)
                        write_bytes(&w, datagrams[i].iov_base, datagrams[i].iov_len);
        }
        assert(!w.failed && writer_len(&w) == all_len);
        t->leaving = t->batch;
        t->leaving_len = all_len;
        ch->sent_bytes += data_len;
        tunnel_share_spend(ch, data_len, all_len, now_us);
}

void tunnel_send(struct tunnel_channel *ch, const struct iovec *datagrams, size_t datagram_count, usec_t now_us)
{
        assert(ch->phase == TUNNEL_RUNNING && ch->protocol == TUNNEL_UDP);
        ch->tunnel->now_us = now_us;
        if (tunnel_unordered(ch) && (tunnel_datagrams_late(ch)->first || !tunnel_writable(ch))) {
                for (size_t i = 0; i < datagram_count; i++)
                        tunnel_late_keep(ch, &datagrams[i]);
                return;
        }
        tunnel_datagram_depart(ch, datagrams, datagram_count, now_us);
}
