/* SPDX-License-Identifier: BSD-3-Clause */
/* One channel's life, as steps that calls, frames and time take. */
#include <assert.h>
#include <stdlib.h>

#include "tunnel_state.h"

/* An original applies an end at once, past data its socket has not taken yet; 50 to 100 ms after the last acknowledgement
 * that data is through (hypergate.md 14.16). It never waits for the socket of a channel that had less than a Node socket's
 * high-water mark in all. */
#define SETTLE_US MSEC(100)
#define SETTLE_BYTES (16 * 1024)

/* An original's end may overtake its data (14.17). What it has overtaken is queued there, in one queue with all other data: it
 * has come when that queue is empty, seen by a pause, or after a while by a trickle; or when more has come than the queue held,
 * at most a read of each channel and what some had before they were confirmed. Nothing is queued before its stream holds a
 * high-water mark of bytes: after less than that in a row it is given no more than a moment. */
#define HOLD_QUIET_US MSEC(100)
#define HOLD_MOMENT_US MSEC(5)
#define HOLD_LULL_US MSEC(50)
#define HOLD_BURST_BYTES (16 * 1024)
#define HOLD_TRICKLE_US MSEC(300)
#define HOLD_TRICKLE_BYTES (64 * 1024)
#define HOLD_BYTES (2 * 1024 * 1024)
#define HOLD_CHANNEL_BYTES (64 * 1024)
#define HOLD_MAX_US SECONDS(2)
#define HOLD_CHECK_US MSEC(20)

#define LINGER_US SECONDS(10)           /* for an original provider's close after both ends */
#define ABORTED_READ_US SECONDS(30)     /* for a reader to take what came before an abort */
#define TOMBSTONE_US SECONDS(150)       /* longer than a kernel tries to connect */

struct tunnel_channel *tunnel_channel_find(const struct tunnel *t, uint32_t id)
{
        struct map_entry *entry = map_first(&t->by_id, map_hash(&t->by_id, &id, sizeof(id)));

        while (entry && container_of(entry, struct tunnel_channel, by_id)->id != id)
                entry = map_next(entry);
        return entry ? container_of(entry, struct tunnel_channel, by_id) : NULL;
}

struct tunnel_channel *tunnel_channel_new(struct tunnel *t, uint32_t id, enum tunnel_phase phase)
{
        struct tunnel_channel *ch = calloc(1, sizeof(*ch));

        if (!ch || map_insert(&t->by_id, &ch->by_id, map_hash(&t->by_id, &id, sizeof(id))) < 0) {
                free(ch);
                return NULL;
        }
        ch->mapped = true;
        ch->tunnel = t;
        ch->id = id;
        ch->phase = phase;
        ch->phase_due_us = ch->send_due_us = ch->receive_due_us = USEC_NEVER;
        list_init(&ch->control);
        list_init(&ch->news_entry);
        list_init(&ch->turn);
        list_init(&ch->reserved_entry);
        list_init(&ch->unanswered);
        list_init(&ch->draining);
        list_push_back(&t->all, &ch->all);
        t->channel_count++;
        return ch;
}

/* Nothing of it counts in the tunnel's sums any more. */
static void drop_received(struct tunnel_channel *ch)
{
        struct tunnel *t = ch->tunnel;

        t->queued_bytes -= ch->queue.len;
        tunnel_queue_consume(&ch->queue, ch->queue.len, &t->spare);
        tunnel_hunger_retry(t);
        tunnel_datagram_drop(ch);
        if (ch->window > t->config.window_bytes)
                t->grown_bytes -= ch->window - t->config.window_bytes;
        ch->window = t->config.window_bytes;
        if (t->input.channel == ch)
                t->input.channel = NULL;
        if (t->stalled == ch)
                t->stalled = NULL;
}

void tunnel_channel_unmap(struct tunnel_channel *ch)
{
        if (ch->mapped)
                map_remove(&ch->tunnel->by_id, &ch->by_id);
        ch->mapped = false;
}

void tunnel_channel_free(struct tunnel_channel *ch)
{
        drop_received(ch);
        tunnel_late_drop(ch);
        tunnel_share_drop(ch);
        tunnel_channel_drop_out(ch);
        tunnel_channel_unmap(ch);
        heap_remove(&ch->tunnel->timers, &ch->timer);
        list_remove(&ch->news_entry);
        list_remove(&ch->unanswered);
        list_remove(&ch->draining);
        list_remove(&ch->all);
        ch->tunnel->channel_count--;
        free(ch->datagrams);
        free(ch->blob);
        free(ch);
}

void tunnel_channel_release(struct tunnel_channel *ch)
{
        if (ch->phase == TUNNEL_GONE && !ch->out && list_empty(&ch->unanswered) && ch->tunnel->parting != ch)
                tunnel_channel_free(ch);
}

void tunnel_channel_owe(struct tunnel_channel *ch, unsigned out)
{
        if (list_empty(&ch->control))
                list_push_back(&ch->tunnel->controls, &ch->control);
        ch->out = (uint8_t)(ch->out | out);
}

void tunnel_channel_drop_out(struct tunnel_channel *ch)
{
        ch->out = 0;
        list_remove(&ch->control);
}

void tunnel_channel_tell(struct tunnel_channel *ch, unsigned news)
{
        if (list_empty(&ch->news_entry))
                list_push_back(&ch->tunnel->newsworthy, &ch->news_entry);
        ch->news = (uint8_t)(ch->news | news);
}

void tunnel_channel_arm(struct tunnel_channel *ch)
{
        heap_set(&ch->tunnel->timers, &ch->timer, usec_min(ch->phase_due_us, usec_min(ch->send_due_us, ch->receive_due_us)));
}

void tunnel_channel_features(struct tunnel_channel *ch, bool extended)
{
        const struct tunnel *t = ch->tunnel;

        ch->features = extended ? t->peer_hgx.features & (TUNNEL_FEATURE_ORDER | TUNNEL_FEATURE_CREDIT | TUNNEL_FEATURE_UNORDERED) : 0;
        if (tunnel_channel_plain(ch))
                ch->features = 0;       /* the others need order */
        ch->features &= ~(uint32_t)(ch->protocol == TUNNEL_UDP ? TUNNEL_FEATURE_CREDIT : TUNNEL_FEATURE_UNORDERED);
        ch->credit = t->peer_hgx.window_bytes;
        ch->window_left = ch->window = t->config.window_bytes;
}

void tunnel_channel_run(struct tunnel_channel *ch, usec_t now_us)
{
        ch->phase = TUNNEL_RUNNING;
        ch->phase_due_us = USEC_NEVER;
        ch->granted_us = ch->round_us = now_us;
        tunnel_channel_arm(ch);
        if (tunnel_channel_has_unread(ch) || ch->receiving >= TUNNEL_RECEIVED)
                tunnel_channel_tell(ch, TUNNEL_NEWS_READABLE);
}

/* No data or end of ours follows. */
static void stop_sending(struct tunnel_channel *ch)
{
        list_remove(&ch->draining);
        tunnel_late_drop(ch);
        tunnel_share_drop(ch);
        ch->send_due_us = USEC_NEVER;
}

void tunnel_channel_over(struct tunnel_channel *ch, enum tunnel_reason reason)
{
        bool opening = ch->phase == TUNNEL_OPENING, unknown = ch->news & TUNNEL_NEWS_ARRIVED;

        assert(ch->phase == TUNNEL_OPENING || ch->phase == TUNNEL_ARRIVING || ch->phase == TUNNEL_RUNNING);
        stop_sending(ch);
        drop_received(ch);
        ch->receive_due_us = USEC_NEVER;
        ch->phase_due_us = list_empty(&ch->unanswered) ? USEC_NEVER : usec_add(ch->tunnel->now_us, TOMBSTONE_US);
        tunnel_channel_arm(ch);
        if (unknown) {
                ch->news = 0;
                list_remove(&ch->news_entry);
                ch->phase = TUNNEL_GONE;
                tunnel_channel_release(ch);
                return;
        }
        ch->phase = TUNNEL_OVER;
        ch->reason = reason;
        ch->news &= (uint8_t)~TUNNEL_NEWS_READABLE;
        tunnel_channel_tell(ch, opening ? TUNNEL_NEWS_REFUSED : TUNNEL_NEWS_CLOSED);
}

void tunnel_channel_fail(struct tunnel_channel *ch, enum tunnel_reason reason)
{
        bool unheard = ch->out & TUNNEL_OUT_OPEN;       /* the peer knows nothing of it */

        tunnel_channel_drop_out(ch);
        if (!unheard)
                tunnel_channel_owe(ch, TUNNEL_OUT_ABORT);
        if (ch->tunnel->hgx_seen)       /* it answers with ids: no need to remember what was asked */
                list_remove(&ch->unanswered);
        tunnel_channel_over(ch, reason);
}

/* Both directions have ended for us; what is still missing is that the peer says so too, where it does. */
static void settle_close(struct tunnel_channel *ch, usec_t now_us)
{
        bool provider = ch->tunnel->config.role == TUNNEL_PROVIDER;

        if (!tunnel_channel_plain(ch) && ch->sending == TUNNEL_SENT) {
                tunnel_channel_owe(ch, TUNNEL_OUT_ACKNOWLEDGE);
                ch->sending = TUNNEL_SEALED;
        } else if (tunnel_channel_plain(ch) && provider) {
                tunnel_channel_owe(ch, TUNNEL_OUT_ACKNOWLEDGE);
                ch->closing = TUNNEL_ACKNOWLEDGED;      /* an original gateway never says more */
        } else if (tunnel_channel_plain(ch) && ch->phase_due_us == USEC_NEVER) {
                ch->phase_due_us = usec_add(now_us, LINGER_US);
                tunnel_channel_arm(ch);
        }
        if (ch->closing == TUNNEL_ACKNOWLEDGED)
                tunnel_channel_over(ch, TUNNEL_DONE);
}

void tunnel_channel_finish(struct tunnel_channel *ch, usec_t now_us)
{
        if (ch->phase == TUNNEL_RUNNING && ch->sending >= TUNNEL_SENT && ch->receiving == TUNNEL_HANDED_ON &&
            ch->closing != TUNNEL_ABORTED)
                settle_close(ch, now_us);
}

/* The peer gave up. What it sent before is still read, then the caller hears. */
static void aborted(struct tunnel_channel *ch, usec_t now_us)
{
        ch->closing = TUNNEL_ABORTED;
        tunnel_channel_drop_out(ch);
        stop_sending(ch);
        if (!tunnel_channel_has_unread(ch)) {
                tunnel_channel_over(ch, ch->protocol == TUNNEL_UDP ? TUNNEL_DONE : TUNNEL_RESET);
                return;
        }
        ch->phase_due_us = usec_add(now_us, ABORTED_READ_US);
        tunnel_channel_arm(ch);
}

void tunnel_channel_burst(struct tunnel *t, usec_t now_us)
{
        if (now_us - t->stream_us >= HOLD_LULL_US)
                t->burst_bytes = 0;
}

/* How long nothing must come for the peer's queue to be empty. */
static usec_t quiet_us(const struct tunnel_channel *ch)
{
        return ch->overtaken || ch->tunnel->burst_bytes >= HOLD_BURST_BYTES ? HOLD_QUIET_US : HOLD_MOMENT_US;
}

void tunnel_channel_hold(struct tunnel_channel *ch, usec_t now_us)
{
        ch->held_us = now_us;
        ch->held_mark = ch->tunnel->stream_bytes;
        ch->receive_due_us = usec_add(now_us, quiet_us(ch));
        tunnel_channel_arm(ch);
}

void tunnel_channel_ended(struct tunnel_channel *ch, usec_t now_us)
{
        if (ch->receiving != TUNNEL_RECEIVING || (ch->phase != TUNNEL_RUNNING && ch->phase != TUNNEL_ARRIVING))
                return;
        if (ch->protocol == TUNNEL_UDP) {
                tunnel_channel_closed(ch, false, now_us);
                return;
        }
        if (tunnel_channel_plain(ch)) {
                ch->receiving = TUNNEL_HELD;
                tunnel_channel_burst(ch->tunnel, now_us);
                tunnel_channel_hold(ch, now_us);
                return;
        }
        ch->receiving = TUNNEL_RECEIVED;
        if (ch->phase == TUNNEL_RUNNING)
                tunnel_channel_tell(ch, TUNNEL_NEWS_READABLE);
}

/* The peer may have seen our end: it has left. */
static bool end_left(const struct tunnel_channel *ch)
{
        return ch->sending >= TUNNEL_SENT && !(ch->out & TUNNEL_OUT_END);
}

static void closed_while_running(struct tunnel_channel *ch, bool acknowledged, usec_t now_us)
{
        bool plain = tunnel_channel_plain(ch);
        bool ended = ch->receiving >= (plain ? TUNNEL_HELD : TUNNEL_RECEIVED);

        if (ch->closing != TUNNEL_UNCLOSED)
                return;
        if (ch->protocol == TUNNEL_UDP) {
                aborted(ch, now_us);
        } else if (ended && end_left(ch) && (plain || acknowledged)) {
                ch->closing = TUNNEL_ACKNOWLEDGED;
                tunnel_channel_finish(ch, now_us);
        } else if (plain && ch->receiving <= TUNNEL_HELD) {
                ch->closing = TUNNEL_CLOSE_HELD;
                stop_sending(ch);
                tunnel_channel_burst(ch->tunnel, now_us);
                tunnel_channel_hold(ch, now_us);
        } else {
                aborted(ch, now_us);
        }
}

void tunnel_channel_closed(struct tunnel_channel *ch, bool acknowledged, usec_t now_us)
{
        switch (ch->phase) {
        case TUNNEL_OPENING:
                if (ch->out & TUNNEL_OUT_OPEN)
                        return;         /* close-all came before it could know */
                list_remove(&ch->unanswered);
                tunnel_channel_over(ch, TUNNEL_RESET);
                return;
        case TUNNEL_ARRIVING:
                tunnel_channel_over(ch, TUNNEL_RESET);
                return;
        case TUNNEL_RUNNING:
                closed_while_running(ch, acknowledged, now_us);
                return;
        case TUNNEL_REFUSING:
                ch->phase = TUNNEL_GONE;
                ch->phase_due_us = USEC_NEVER;
                tunnel_channel_arm(ch);
                tunnel_channel_drop_out(ch);
                tunnel_channel_release(ch);
                return;
        case TUNNEL_OVER:
        case TUNNEL_GONE:
                return;
        }
}

void tunnel_channel_answered(struct tunnel_channel *ch)
{
        list_remove(&ch->unanswered);
        if (ch->phase != TUNNEL_GONE && ch->phase != TUNNEL_OVER)
                return;
        ch->phase_due_us = USEC_NEVER;
        tunnel_channel_arm(ch);
        tunnel_channel_release(ch);
}

/* Nothing overtaken can follow any more. */
static void let_go(struct tunnel_channel *ch, usec_t now_us)
{
        if (ch->receiving == TUNNEL_HELD) {
                ch->receiving = TUNNEL_RECEIVED;
                if (ch->phase == TUNNEL_RUNNING)
                        tunnel_channel_tell(ch, TUNNEL_NEWS_READABLE);
        }
        if (ch->closing == TUNNEL_CLOSE_HELD)
                aborted(ch, now_us);
}

static bool hold_is_over(const struct tunnel_channel *ch, usec_t now_us)
{
        const struct tunnel *t = ch->tunnel;
        uint64_t come = t->stream_bytes - ch->held_mark;
        usec_t held_for_us = now_us - ch->held_us;

        return now_us - usec_max(t->stream_us, ch->held_us) >= quiet_us(ch) || held_for_us >= HOLD_MAX_US ||
               (held_for_us >= HOLD_TRICKLE_US && come < HOLD_TRICKLE_BYTES) ||
               come >= HOLD_BYTES + (uint64_t)t->channel_count * HOLD_CHANNEL_BYTES;
}

/* Ours leaves, right behind what was sent before. */
static void send_end(struct tunnel_channel *ch, usec_t now_us)
{
        ch->sending = TUNNEL_SENT;
        ch->send_due_us = USEC_NEVER;
        tunnel_channel_owe(ch, TUNNEL_OUT_END);
        tunnel_channel_finish(ch, now_us);
}

static void receive_due(struct tunnel_channel *ch, usec_t now_us)
{
        if (ch->tunnel->hungry || tunnel_stall_exists(ch->tunnel)) {    /* we are not listening: silence means nothing */
                tunnel_channel_hold(ch, now_us);
        } else if (hold_is_over(ch, now_us)) {
                let_go(ch, now_us);
        } else {
                ch->receive_due_us = usec_add(now_us, HOLD_CHECK_US);
                tunnel_channel_arm(ch);
        }
}

static void phase_due(struct tunnel_channel *ch)
{
        switch (ch->phase) {
        case TUNNEL_OPENING:
                tunnel_channel_fail(ch, TUNNEL_TIMED_OUT);
                return;
        case TUNNEL_REFUSING:
                tunnel_channel_owe(ch, TUNNEL_OUT_ERROR);
                return;
        case TUNNEL_RUNNING:
                if (ch->closing != TUNNEL_ABORTED)
                        tunnel_channel_owe(ch, TUNNEL_OUT_ACKNOWLEDGE);
                tunnel_channel_over(ch, ch->closing == TUNNEL_ABORTED ? TUNNEL_RESET : TUNNEL_DONE);
                return;
        case TUNNEL_OVER:
        case TUNNEL_GONE:
                tunnel_channel_answered(ch);
                return;
        case TUNNEL_ARRIVING:
                return;
        }
}

void tunnel_channel_due(struct tunnel_channel *ch, usec_t now_us)
{
        bool send = now_us >= ch->send_due_us, receive = !send && now_us >= ch->receive_due_us;

        if (send)
                ch->send_due_us = USEC_NEVER;
        else if (receive)
                ch->receive_due_us = USEC_NEVER;
        else
                ch->phase_due_us = USEC_NEVER;
        tunnel_channel_arm(ch);         /* one thing at a time: what else is due comes next */
        if (receive) {
                receive_due(ch, now_us);
        } else if (!send) {
                phase_due(ch);
        } else {
                send_end(ch, now_us);
        }
}

/* All it sent has been acknowledged, the last of it some time before the last acknowledgement of all. */
static void settle(struct tunnel_channel *ch, usec_t now_us)
{
        usec_t settled_us = usec_add(ch->tunnel->acked_us, SETTLE_US);

        list_remove(&ch->draining);
        if (ch->sent_bytes < SETTLE_BYTES || now_us >= settled_us) {
                send_end(ch, now_us);
                return;
        }
        ch->sending = TUNNEL_SETTLING;
        ch->send_due_us = settled_us;
        tunnel_channel_arm(ch);
}

static bool is_acknowledged(const struct tunnel_channel *ch)
{
        return ch->tunnel->unacked_bytes <= ch->tunnel->sent_bytes - ch->drain_mark;
}

void tunnel_channel_drain(struct tunnel_channel *ch, usec_t now_us)
{
        ch->sending = TUNNEL_DRAINING;
        if (is_acknowledged(ch))
                settle(ch, now_us);
        else
                list_push_back(&ch->tunnel->draining, &ch->draining);
}

/* Roughly in the order of what they sent last: one that sent before those ahead of it waits a little for them. */
void tunnel_channel_drained(struct tunnel *t, usec_t now_us)
{
        struct list *first;

        while ((first = list_first(&t->draining)) && is_acknowledged(list_entry(first, struct tunnel_channel, draining)))
                settle(list_entry(first, struct tunnel_channel, draining), now_us);
}
