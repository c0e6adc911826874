/* SPDX-License-Identifier: BSD-3-Clause */
/* There is no memory for what the peer sends. It stays below, where the peer's window shuts on it, and is tried again when some was
 * read and after a moment. Those who read go on, with smaller windows; what those who stopped leave unread is had back from the one
 * with most of it, first of datagrams, which may be lost. */
#include "tunnel_state.h"

#define RETRY_US MSEC(20)
#define PRESSED_US SECONDS(1)           /* how long windows shrink after each time */
#define HUNGRY_US MSEC(200)             /* that it is not over by itself */
#define STOPPED_US SECONDS(1)           /* without a byte read */
#define HOG_BYTES (32 * 1024)           /* who has less keeps it */
#define ALL_COUNT_US SECONDS(10)        /* unless that did not help for so long */

void tunnel_hunger_begin(struct tunnel *t)
{
        t->hungry = true;
        t->retry_us = usec_add(t->now_us, RETRY_US);
        t->hungry_us = usec_min(t->hungry_us, t->now_us);
}

void tunnel_hunger_retry(struct tunnel *t)
{
        t->hungry = false;
}

void tunnel_hunger_end(struct tunnel *t)
{
        t->hungry = false;
        t->hungry_us = USEC_NEVER;
}

usec_t tunnel_hungry_us(const struct tunnel *t)
{
        return t->hungry_us;
}

void tunnel_press(struct tunnel *t, usec_t now_us)
{
        t->pressed_us = usec_add(now_us, PRESSED_US);
}

static size_t unread_bytes(const struct tunnel_channel *ch)
{
        return ch->queue.len + tunnel_datagrams_unread(ch)->bytes;
}

static bool may_lose_it(const struct tunnel_channel *ch, usec_t hungry_us, usec_t now_us)
{
        bool all_count = now_us >= usec_add(hungry_us, ALL_COUNT_US);

        if (tunnel_datagrams_unread(ch)->bytes >= HOG_BYTES)
                return true;
        if (ch->phase != TUNNEL_RUNNING || !ch->queue.len || now_us < usec_add(hungry_us, HUNGRY_US) ||
            now_us < usec_add(ch->moved_us, STOPPED_US))
                return false;
        return all_count || (ch->queue.len >= HOG_BYTES && !ch->asked);         /* who can't send may not read either */
}

static struct tunnel_channel *find_hog(const struct tunnel *t, usec_t hungry_us, usec_t now_us)
{
        struct tunnel_channel *found = NULL;

        list_for_each(at, &t->all) {
                struct tunnel_channel *ch = list_entry(at, struct tunnel_channel, all);

                if (may_lose_it(ch, hungry_us, now_us) && (!found || unread_bytes(ch) > unread_bytes(found)))
                        found = ch;
        }
        return found;
}

size_t tunnel_hog_bytes(const struct tunnel *t, usec_t hungry_us, usec_t now_us)
{
        const struct tunnel_channel *hog = find_hog(t, hungry_us, now_us);

        return hog ? unread_bytes(hog) : 0;
}

void tunnel_cut_hog(struct tunnel *t, usec_t hungry_us, usec_t now_us)
{
        struct tunnel_channel *hog = find_hog(t, hungry_us, now_us);

        t->now_us = now_us;
        if (hog && tunnel_datagrams_unread(hog)->bytes)
                tunnel_datagram_forget(hog, 0);
        else if (hog && hog->closing == TUNNEL_ABORTED)
                tunnel_channel_over(hog, TUNNEL_RESET);         /* it knows */
        else if (hog)
                tunnel_channel_fail(hog, TUNNEL_LIMIT);
}
