/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel_state.h"

#define CHANNELS_MAX 16384
#define WINDOW_BYTES (256 * 1024)

#define HELLO_US SECONDS(10)
#define REFUSAL_DELAY_US SECONDS(1)     /* an original tries again at once: hypergate.md 14.14 */
#define SERIAL_US SECONDS(2)            /* and answers one open after the other: 14.15 */

int tunnel_new(struct tunnel **tunnel_out, const struct tunnel_config *config, const struct now *now)
{
        struct tunnel *t = calloc(1, sizeof(*t));
        uint8_t map_key[16];

        if (!t || !tunnel_spare_fill(&t->spare)) {
                free(t);
                return -ENOMEM;
        }
        t->config = *config;
        if (!t->config.channels_max)
                t->config.channels_max = CHANNELS_MAX;
        if (!t->config.window_bytes)
                t->config.window_bytes = WINDOW_BYTES;
        if (!t->config.window_max_bytes)
                t->config.window_max_bytes = TUNNEL_WINDOW_LONG_MAX;
        t->config.window_bytes = MIN(t->config.window_bytes, t->config.window_max_bytes);
        if (!t->config.receive_limit_bytes)
                t->config.receive_limit_bytes = TUNNEL_RECEIVE_LIMIT_BYTES;
        t->now_us = now->mono_us;
        t->wall_offset_us = (int64_t)(now->wall_us - now->mono_us);
        t->speak_us = usec_add(now->mono_us, config->listen_us);
        t->hello_due_us = usec_add(now->mono_us, HELLO_US);
        for (unsigned i = 0; i < TUNNEL_ROUTERS_MAX; i++)
                t->to_prove |= config->routers->list[i].held ? 1u << i : 0;
        t->hungry_us = USEC_NEVER;
        list_init(&t->all);
        list_init(&t->controls);
        list_init(&t->newsworthy);
        list_init(&t->urgent);
        list_init(&t->waiting);
        list_init(&t->reservations);
        list_init(&t->unanswered);
        list_init(&t->draining);
        random_fill(&t->config.random, map_key, sizeof(map_key));
        map_init(&t->by_id, map_key);
        *tunnel_out = t;
        return 0;
}

void tunnel_free(struct tunnel *t)
{
        if (!t)
                return;
        list_for_each(at, &t->all)
                tunnel_channel_free(list_entry(at, struct tunnel_channel, all));
        map_fini(&t->by_id);
        tunnel_spare_free(&t->spare);
        free(t->input.blob);
        free(t->advert_in);
        free(t->advert_told);
        if (t->advert_leaving != t->advert)
                free(t->advert_leaving);
        free(t->advert);
        free(t->batch);
        sodium_memzero(t, sizeof(*t));
        free(t);
}

void tunnel_bury(struct tunnel *t)
{
        struct tunnel_channel *ch = t->parting;

        t->parting = NULL;
        if (ch)
                tunnel_channel_release(ch);
        free(t->advert_told);
        t->advert_told = NULL;
}

void tunnel_progress(struct tunnel *t, size_t room_bytes, size_t unacked_bytes, usec_t now_us)
{
        t->now_us = now_us;
        t->room_bytes = room_bytes;
        if (unacked_bytes < t->unacked_bytes)
                t->acked_us = now_us;
        t->unacked_bytes = unacked_bytes;
        tunnel_share_expire(t);
        tunnel_channel_drained(t, now_us);
}

void tunnel_distance(struct tunnel *t, usec_t rtt_us)
{
        t->rtt_us = rtt_us;
}

void tunnel_advance(struct tunnel *t, usec_t now_us)
{
        struct heap_entry *due;

        t->now_us = now_us;
        if (t->verdict != TUNNEL_FINE || t->disconnected)
                return;
        if (!t->up && now_us >= t->hello_due_us)
                tunnel_fail(t, TUNNEL_LATE);
        while ((due = heap_pop_due(&t->timers, now_us)))
                tunnel_channel_due(container_of(due, struct tunnel_channel, timer), now_us);
        if (now_us >= t->retry_us)
                tunnel_hunger_retry(t);
        tunnel_stall_check(t, now_us);
        tunnel_share_expire(t);
}

static bool event_waits(const struct tunnel *t)
{
        if (t->verdict != TUNNEL_FINE)
                return !t->told_verdict;
        return (t->up && !t->told_up) || t->advert_in || t->advert_long || t->peer_relay_news || (t->peer_leaves && !t->told_peer_leaves) ||
               !list_empty(&t->newsworthy) || tunnel_share_next(t);
}

usec_t tunnel_deadline(const struct tunnel *t)
{
        usec_t due_us;

        if (event_waits(t) || tunnel_transmit_ready(t))
                return 0;
        if (t->verdict != TUNNEL_FINE || t->disconnected)
                return USEC_NEVER;
        due_us = usec_min(heap_deadline(&t->timers), usec_min(tunnel_share_deadline(t), tunnel_stall_deadline(t)));
        if (!t->up)
                due_us = usec_min(due_us, t->hello_due_us);
        if (!t->up && !t->hello_sent)
                due_us = usec_min(due_us, t->speak_us);
        if (t->hungry)
                due_us = usec_min(due_us, t->retry_us);
        /* One that is due and waits for room comes with the room. */
        return tunnel_advertises(t) && t->advert_due_us > t->now_us ? usec_min(due_us, t->advert_due_us) : due_us;
}

static void tell_bytes(struct tunnel_event *out, const uint8_t *bytes, size_t len)
{
        out->bytes = bytes;
        out->len = len;
}

/* The channel leaves the caller's sight with this event. */
static void tell_outcome(struct tunnel_channel *ch, struct tunnel_event *out, enum tunnel_event_kind kind)
{
        out->kind = kind;
        out->reason = ch->reason;
        if (kind == TUNNEL_REFUSED && ch->reason == TUNNEL_DECLINED)
                tell_bytes(out, ch->blob, ch->blob_len);
        ch->phase = TUNNEL_GONE;
        ch->tunnel->parting = ch;
}

static void tell_channel(struct tunnel_channel *ch, struct tunnel_event *out)
{
        unsigned rest = ch->news & (ch->news - 1U), news = ch->news & ~rest;

        out->channel = ch;
        out->context = ch->context;
        out->gate_port = ch->gate_port;
        out->protocol = ch->protocol;
        ch->news = 0;
        list_remove(&ch->news_entry);
        if (rest)
                tunnel_channel_tell(ch, rest);
        switch (news) {
        case TUNNEL_NEWS_ARRIVED:
                out->kind = TUNNEL_ARRIVED;
                out->service = ch->service;
                tell_bytes(out, ch->blob, ch->blob_len);
                return;
        case TUNNEL_NEWS_OPENED:
                out->kind = TUNNEL_OPENED;
                return;
        case TUNNEL_NEWS_READABLE:
                out->kind = TUNNEL_READABLE;
                return;
        case TUNNEL_NEWS_REFUSED:
                tell_outcome(ch, out, TUNNEL_REFUSED);
                return;
        default:
                tell_outcome(ch, out, TUNNEL_CLOSED);
        }
}

static bool tell_tunnel(struct tunnel *t, struct tunnel_event *out)
{
        if (t->verdict != TUNNEL_FINE && !t->told_verdict) {
                t->told_verdict = true;
                out->kind = TUNNEL_FAILED;
                out->len = t->verdict == TUNNEL_OVERSIZE ? t->input.frame.length : 0;
                return true;
        }
        if (t->up && !t->told_up) {
                t->told_up = true;
                out->kind = TUNNEL_UP;
                return true;
        }
        if (t->peer_leaves && !t->told_peer_leaves) {
                t->told_peer_leaves = true;
                out->kind = TUNNEL_BYE;
                return true;
        }
        if (t->peer_relay_news) {
                t->peer_relay_news = false;
                out->kind = TUNNEL_RELAY;
                out->relay = t->peer_relay;
                return true;
        }
        if (t->advert_long) {
                out->kind = TUNNEL_ADVERT_LONG;
                out->len = t->advert_long;
                t->advert_long = 0;
                return true;
        }
        if (!t->advert_in)
                return false;
        out->kind = TUNNEL_ADVERT;
        tell_bytes(out, t->advert_in, t->advert_in_len);
        t->advert_told = t->advert_in;
        t->advert_in = NULL;
        return true;
}

bool tunnel_event(struct tunnel *t, struct tunnel_event *out, usec_t now_us)
{
        struct list *first;
        struct tunnel_channel *ch;

        t->now_us = now_us;
        tunnel_bury(t);
        if (t->verdict != TUNNEL_FINE && t->told_verdict)
                return false;
        *out = (struct tunnel_event){ .role = t->peer_role, .verdict = t->verdict };
        if (tell_tunnel(t, out))
                return true;
        first = list_first(&t->newsworthy);
        if (first) {
                tell_channel(list_entry(first, struct tunnel_channel, news_entry), out);
                return true;
        }
        tunnel_share_expire(t);
        ch = tunnel_share_next(t);
        if (!ch)
                return false;
        tunnel_share_grant(ch);
        if (tunnel_datagrams_late(ch)->first) {
                tunnel_late_leave(ch, now_us);
                return false;           /* nobody else may write before they have left */
        }
        out->kind = TUNNEL_WRITABLE;
        out->channel = ch;
        out->context = ch->context;
        return true;
}

static uint32_t free_id(struct tunnel *t)
{
        do
                t->next_id++;
        while (!t->next_id || tunnel_channel_find(t, t->next_id));
        return t->next_id;
}

/* Does an original owe an answer for this port since long? It connects to one service at a time. */
static bool owes_answer(const struct tunnel *t, uint16_t gate_port, uint8_t protocol, usec_t now_us)
{
        if (t->hgx_seen)
                return false;
        list_for_each(at, &t->unanswered) {
                struct tunnel_channel *ch = list_entry(at, struct tunnel_channel, unanswered);

                if (now_us < usec_add(ch->asked_us, SERIAL_US))
                        return false;
                if (ch->gate_port == gate_port && ch->protocol == protocol)
                        return true;
        }
        return false;
}

int tunnel_open(struct tunnel *t, uint16_t gate_port, uint8_t protocol, const void *metadata, size_t len, usec_t deadline_us,
                void *context, struct tunnel_channel **channel_out, usec_t now_us)
{
        struct tunnel_channel *ch;
        uint8_t *blob;

        if (!t->up || t->disconnected || t->verdict != TUNNEL_FINE || t->config.role != TUNNEL_GATEWAY ||
            t->peer_role != TUNNEL_PROVIDER || t->leaves || t->peer_leaves)
                return -ENOTCONN;
        if (len > TUNNEL_METADATA_MAX)
                return -EMSGSIZE;
        if (t->channel_count >= t->config.channels_max)
                return -EMFILE;
        if (owes_answer(t, gate_port, protocol, now_us))
                return -EBUSY;
        blob = malloc(len + 1);
        ch = blob ? tunnel_channel_new(t, free_id(t), TUNNEL_OPENING) : NULL;
        if (!ch) {
                free(blob);
                return -ENOMEM;
        }
        if (len)
                memcpy(blob, metadata, len);
        ch->blob = blob;
        ch->blob_len = len;
        ch->gate_port = gate_port;
        ch->protocol = protocol;
        ch->context = context;
        ch->phase_due_us = deadline_us;
        t->now_us = now_us;
        tunnel_channel_arm(ch);
        tunnel_channel_owe(ch, TUNNEL_OUT_OPEN);
        *channel_out = ch;
        return 0;
}

void tunnel_name_service(struct tunnel_channel *ch, uint64_t service)
{
        ch->service = service;
}

void tunnel_accept(struct tunnel_channel *ch, void *context, usec_t now_us)
{
        ch->tunnel->now_us = now_us;
        ch->context = context;
        if (ch->phase != TUNNEL_ARRIVING)
                return;         /* over meanwhile: the event is on its way */
        free(ch->blob);
        ch->blob = NULL;
        ch->blob_len = 0;
        tunnel_channel_owe(ch, TUNNEL_OUT_CONFIRM);
        tunnel_channel_run(ch, now_us);
}

/* The caller is done with it before its outcome was told. */
static void forget(struct tunnel_channel *ch)
{
        ch->news = 0;
        list_remove(&ch->news_entry);
        ch->phase = TUNNEL_GONE;
        tunnel_channel_release(ch);
}

void tunnel_refuse(struct tunnel_channel *ch, const char *text, size_t len, usec_t now_us)
{
        struct tunnel *t = ch->tunnel;
        uint8_t *copy;

        t->now_us = now_us;
        if (ch->phase != TUNNEL_ARRIVING) {
                forget(ch);
                return;
        }
        len = MIN(len, (size_t)TUNNEL_TEXT_MAX);
        copy = malloc(len + 1);
        if (copy && len)
                memcpy(copy, text, len);
        free(ch->blob);         /* not before: @text may be a piece of it */
        ch->blob = copy;
        ch->blob_len = copy ? len : 0;
        ch->phase = TUNNEL_REFUSING;
        ch->receive_due_us = USEC_NEVER;
        if (tunnel_channel_plain(ch))
                ch->phase_due_us = usec_add(now_us, REFUSAL_DELAY_US);
        else
                tunnel_channel_owe(ch, TUNNEL_OUT_ERROR);
        tunnel_channel_arm(ch);
}

void tunnel_channel_set_context(struct tunnel_channel *ch, void *context)
{
        ch->context = context;
}

void *tunnel_channel_context(const struct tunnel_channel *ch)
{
        return ch->context;
}

void tunnel_end(struct tunnel_channel *ch, usec_t now_us)
{
        struct tunnel *t = ch->tunnel;

        t->now_us = now_us;
        if (ch->phase != TUNNEL_RUNNING || ch->sending != TUNNEL_SENDING || ch->closing != TUNNEL_UNCLOSED)
                return;
        tunnel_share_drop(ch);
        if (tunnel_channel_plain(ch) && ch->sent_bytes) {
                tunnel_channel_drain(ch, now_us);
                return;
        }
        ch->sending = TUNNEL_SENT;
        tunnel_channel_owe(ch, TUNNEL_OUT_END);
        tunnel_channel_finish(ch, now_us);
}

void tunnel_abort(struct tunnel_channel *ch, usec_t now_us)
{
        static const char text[] = "Service not available";

        ch->tunnel->now_us = now_us;
        if (ch->phase == TUNNEL_ARRIVING) {
                tunnel_refuse(ch, text, sizeof(text) - 1, now_us);
                return;
        }
        if (ch->phase == TUNNEL_RUNNING && ch->closing == TUNNEL_ABORTED)
                tunnel_channel_over(ch, TUNNEL_RESET);          /* it knows */
        else if (ch->phase != TUNNEL_OVER)
                tunnel_channel_fail(ch, TUNNEL_RESET);
        forget(ch);
}

size_t tunnel_peek(const struct tunnel_channel *ch, const uint8_t **bytes_out, bool *ended_out)
{
        size_t len = 0;

        *ended_out = false;
        if (ch->phase != TUNNEL_RUNNING)
                return 0;
        len = tunnel_queue_peek(&ch->queue, bytes_out);
        *ended_out = ch->receiving >= TUNNEL_RECEIVED && len == ch->queue.len;
        return len;
}

void tunnel_consume(struct tunnel_channel *ch, size_t len, usec_t now_us)
{
        ch->tunnel->now_us = now_us;
        if (ch->phase != TUNNEL_RUNNING)
                return;
        tunnel_queue_consume(&ch->queue, len, &ch->tunnel->spare);
        tunnel_hunger_retry(ch->tunnel);
        ch->moved_us = now_us;
        ch->tunnel->queued_bytes -= len;
        ch->consumed_total += len;
        tunnel_window_read(ch, (uint32_t)len, now_us);
        if (ch->closing == TUNNEL_ABORTED && !ch->queue.len)
                tunnel_channel_over(ch, TUNNEL_RESET);
}

void tunnel_consume_end(struct tunnel_channel *ch, usec_t now_us)
{
        ch->tunnel->now_us = now_us;
        if (ch->phase != TUNNEL_RUNNING || ch->receiving != TUNNEL_RECEIVED)
                return;
        assert(!ch->queue.len);
        ch->receiving = TUNNEL_HANDED_ON;
        tunnel_channel_finish(ch, now_us);
}

void tunnel_disconnect(struct tunnel *t, usec_t now_us)
{
        t->now_us = now_us;
        t->disconnected = true;
        t->reply_count = 0;
        list_for_each(at, &t->all) {
                struct tunnel_channel *ch = list_entry(at, struct tunnel_channel, all);

                tunnel_channel_drop_out(ch);
                list_remove(&ch->unanswered);
                if (ch->phase == TUNNEL_REFUSING)
                        ch->phase = TUNNEL_GONE;
                if (ch->phase == TUNNEL_OVER || ch->phase == TUNNEL_GONE)
                        tunnel_channel_release(ch);
                else
                        tunnel_channel_over(ch, TUNNEL_LOST);
        }
}

void tunnel_stats(const struct tunnel *t, struct tunnel_stats *out)
{
        const uint32_t beside = TUNNEL_FEATURE_ORDER | TUNNEL_FEATURE_UNORDERED;

        *out = (struct tunnel_stats){ .channels = t->channel_count, .frames_ignored = t->frames_ignored,
                                      .datagrams_dropped = t->datagrams_dropped, .queued_bytes = t->queued_bytes, .extended = t->hgx_seen,
                                      .unordered = t->hgx_seen && (t->peer_hgx.features & beside) == beside,
                                      .skew_ms = t->skew_ms - (t->hgx_seen ? TUNNEL_LEAD_MS : 0) };
}
