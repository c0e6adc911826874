/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes from the peer: frames found in any cut, data streamed through to its channel, the rest collected and then acted on.
 * Nothing but a hello is looked at before the peer has proved that it knows the router's secret. */
#include <stdlib.h>

#include "tunnel_state.h"

#define BLOB_MIN 4096

void tunnel_fail(struct tunnel *t, enum tunnel_verdict verdict)
{
        if (t->verdict == TUNNEL_FINE)
                t->verdict = verdict;
}

void tunnel_ignore(struct tunnel *t)
{
        t->frames_ignored++;
}

/* A full ring: a provider has stopped reading by then, and a gateway's close repeats what the abort already said. */
void tunnel_reply(struct tunnel *t, uint32_t id, uint8_t action)
{
        if (t->reply_count < TUNNEL_REPLIES_MAX)
                t->replies[(t->reply_first + t->reply_count++) % TUNNEL_REPLIES_MAX] = (struct tunnel_reply){ id, action };
}

bool tunnel_paused(const struct tunnel *t)
{
        if (t->verdict != TUNNEL_FINE || t->disconnected)
                return false;
        return t->hungry || tunnel_stall_exists(t) ||
               (t->config.role == TUNNEL_PROVIDER && !t->input.head_len && t->reply_count == TUNNEL_REPLIES_MAX);
}

/* The same id again: an original starts its next try with it. What was there before is over, unmentioned. */
static void replace(struct tunnel_channel *old)
{
        tunnel_channel_unmap(old);
        tunnel_channel_drop_out(old);
        switch (old->phase) {
        case TUNNEL_OPENING:
        case TUNNEL_ARRIVING:
        case TUNNEL_RUNNING:
                tunnel_channel_over(old, TUNNEL_RESET);
                return;
        case TUNNEL_REFUSING:
                old->phase = TUNNEL_GONE;
                tunnel_channel_release(old);
                return;
        case TUNNEL_OVER:
        case TUNNEL_GONE:
                tunnel_channel_release(old);
                return;
        }
}

static const char *objection(const struct tunnel *t, uint32_t gate_port, size_t body_len)
{
        if (t->leaves)
                return "Provider is leaving";
        if (!gate_port)
                return "Gate port is required";
        if (gate_port > UINT16_MAX)
                return "Gate port is out of range";
        return body_len > TUNNEL_OPEN_BYTES + TUNNEL_METADATA_MAX ? "Metadata too long" : NULL;
}

/* The channel's own, from the collected body; @at lies within. */
static void keep_metadata(struct tunnel *t, struct tunnel_channel *ch, const uint8_t *at, size_t len)
{
        ch->blob = t->input.blob;
        ch->blob_len = len;
        memmove(ch->blob, at, len);
        t->input.blob = NULL;
}

static void on_request(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.blob, t->input.blob_len);
        uint32_t id = t->input.frame.channel, gate_port;
        struct tunnel_channel *ch;
        const char *wrong;
        uint8_t protocol;

        if (!id || !tunnel_open_read(&r, &gate_port, &protocol)) {
                tunnel_ignore(t);
                return;
        }
        ch = tunnel_channel_find(t, id);
        if (ch)
                replace(ch);
        ch = t->channel_count < t->config.channels_max ? tunnel_channel_new(t, id, TUNNEL_ARRIVING) : NULL;
        if (!ch) {
                tunnel_reply(t, id, TUNNEL_ACTION_OPEN);
                return;
        }
        ch->gate_port = (uint16_t)gate_port;
        ch->protocol = protocol;
        ch->service = id == t->named_channel ? t->named_service : 0;
        t->named_channel = 0;
        tunnel_channel_features(ch, t->hgx_seen == TUNNEL_HGX_LAST);
        wrong = objection(t, gate_port, t->input.frame.length - TUNNEL_FRAME_HEAD_BYTES);
        if (wrong) {
                tunnel_refuse(ch, wrong, strlen(wrong), now_us);
                return;
        }
        keep_metadata(t, ch, r.at, reader_left(&r));
        tunnel_channel_tell(ch, TUNNEL_NEWS_ARRIVED);
}

/* Originals answer strictly in order: what was asked before has failed without a word (hypergate.md 14.14). */
static void fail_older(struct tunnel *t, const struct tunnel_channel *than)
{
        struct list *first;

        while (!t->hgx_seen && (first = list_first(&t->unanswered)) && first != &than->unanswered) {
                struct tunnel_channel *ch = list_entry(first, struct tunnel_channel, unanswered);

                list_remove(&ch->unanswered);
                if (ch->phase == TUNNEL_OPENING)
                        tunnel_channel_over(ch, TUNNEL_DECLINED);
                else
                        tunnel_channel_answered(ch);
        }
}

static void declined(struct tunnel_channel *ch, const uint8_t *json, size_t len)
{
        const uint8_t *text = tunnel_error_read(json, &len);

        ch->blob = malloc(len + 1);
        ch->blob_len = ch->blob ? len : 0;
        if (ch->blob)
                memcpy(ch->blob, text, len);
        tunnel_channel_over(ch, TUNNEL_DECLINED);
}

/* The channel an answer is for. An error from an original names none: it belongs to the oldest without an answer. */
static struct tunnel_channel *answered_channel(const struct tunnel *t, bool error)
{
        struct list *oldest = list_first(&t->unanswered);

        if (t->input.frame.channel || !error || t->hgx_seen || !oldest)
                return tunnel_channel_find(t, t->input.frame.channel);
        return list_entry(oldest, struct tunnel_channel, unanswered);
}

static void on_answer(struct tunnel *t, usec_t now_us)
{
        bool error = t->input.frame.error_len;
        struct tunnel_channel *ch = answered_channel(t, error);

        if (!ch) {
                if (!error && t->input.frame.channel)
                        tunnel_reply(t, t->input.frame.channel, TUNNEL_ACTION_CLOSE);
                return;
        }
        if (list_empty(&ch->unanswered)) {
                tunnel_ignore(t);
                return;
        }
        fail_older(t, ch);
        list_remove(&ch->unanswered);
        if (ch->phase == TUNNEL_OPENING && error) {
                declined(ch, t->input.small, MIN(t->input.small_len, t->input.frame.error_len));
        } else if (ch->phase == TUNNEL_OPENING) {
                tunnel_channel_run(ch, now_us);
                tunnel_channel_tell(ch, TUNNEL_NEWS_OPENED);
        } else {
                if (!error)     /* it opened for nobody */
                        tunnel_channel_owe(ch, TUNNEL_OUT_ABORT);
                tunnel_channel_answered(ch);
        }
}

static void on_close(struct tunnel *t, usec_t now_us)
{
        bool acknowledged = t->input.small_len && t->input.small[0] == 1 && !t->input.frame.error_len;
        struct tunnel_channel *ch;

        if (t->input.frame.channel) {
                ch = tunnel_channel_find(t, t->input.frame.channel);
                if (ch)
                        tunnel_channel_closed(ch, acknowledged, now_us);
                return;
        }
        list_for_each(at, &t->all)      /* closing one frees no other */
                tunnel_channel_closed(list_entry(at, struct tunnel_channel, all), false, now_us);
}

static void on_advert(struct tunnel *t)
{
        if (t->peer_leaves)
                return;
        free(t->advert_in);
        t->advert_in = t->input.blob;
        t->advert_in_len = t->input.blob_len;
        t->input.blob = NULL;
}

static void on_frame(struct tunnel *t, usec_t now_us)
{
        struct tunnel_channel *ch;

        switch (t->input.frame.action) {
        case TUNNEL_ACTION_OPEN:
                if (t->config.role == TUNNEL_PROVIDER)
                        on_request(t, now_us);
                else
                        on_answer(t, now_us);
                return;
        case TUNNEL_ACTION_CLOSE:
                on_close(t, now_us);
                return;
        case TUNNEL_ACTION_ADVERTISE:
                on_advert(t);
                return;
        case TUNNEL_ACTION_END:
                ch = tunnel_channel_find(t, t->input.frame.channel);
                if (ch)
                        tunnel_channel_ended(ch, now_us);
                return;
        default:
                tunnel_said(t, now_us);
                return;
        }
}

/* Who can make it shorter should hear of it: what the peer offers stays what it said before. */
static enum tunnel_sink sink_for_advert(struct tunnel *t)
{
        struct tunnel_input *in = &t->input;

        if (t->config.role != TUNNEL_GATEWAY || in->frame.error_len)
                return TUNNEL_SKIP;
        if (in->body_left > TUNNEL_ADVERT_MAX) {
                t->advert_long = in->body_left;
                return TUNNEL_SKIP;
        }
        in->blob_max = TUNNEL_ADVERT_MAX;
        return TUNNEL_BLOB;
}

/* Where the body of a frame from an authenticated peer goes. */
static enum tunnel_sink sink_for(struct tunnel *t)
{
        struct tunnel_input *in = &t->input;
        bool served = t->config.role != t->peer_role;   /* two gateways have nothing to say */

        switch (in->frame.action) {
        case TUNNEL_ACTION_HGX:
        case TUNNEL_ACTION_CREDIT:
        case TUNNEL_ACTION_RELAY:
        case TUNNEL_ACTION_BYE:
        case TUNNEL_ACTION_PROOF:
                return in->frame.error_len == 1 ? TUNNEL_SMALL : TUNNEL_SKIP;
        case TUNNEL_ACTION_SERVICE:
                return in->frame.error_len == 1 && served && t->config.role == TUNNEL_PROVIDER ? TUNNEL_SMALL : TUNNEL_SKIP;
        case TUNNEL_ACTION_CLOSE:
        case TUNNEL_ACTION_END:
                return served ? TUNNEL_SMALL : TUNNEL_SKIP;
        case TUNNEL_ACTION_OPEN:
                if (!served || (t->config.role == TUNNEL_PROVIDER && in->frame.error_len))
                        return TUNNEL_SKIP;
                in->blob_max = TUNNEL_OPEN_BYTES + TUNNEL_METADATA_MAX;
                return t->config.role == TUNNEL_PROVIDER ? TUNNEL_BLOB : TUNNEL_SMALL;
        case TUNNEL_ACTION_ADVERTISE:
                return served ? sink_for_advert(t) : TUNNEL_SKIP;
        case TUNNEL_ACTION_STREAM:
                in->channel = tunnel_channel_find(t, in->frame.channel);
                return in->frame.error_len ? TUNNEL_SKIP : TUNNEL_STREAM;
        default:
                return TUNNEL_SKIP;
        }
}

/* A stream is for a channel that is open and not ended, else for nobody; it must fit in the window that channel was given, or in a
 * datagram. */
static void begin_stream(struct tunnel *t)
{
        struct tunnel_channel *ch = t->input.channel;
        bool open = ch && (ch->phase == TUNNEL_RUNNING || ch->phase == TUNNEL_ARRIVING);

        if (!open || ch->receiving > TUNNEL_HELD || ch->closing == TUNNEL_ABORTED) {
                t->input.channel = NULL;
                return;
        }
        if (ch->protocol == TUNNEL_UDP && t->input.body_left > TUNNEL_DATAGRAM_MAX) {
                t->input.channel = NULL;
                t->datagrams_dropped++;
                return;
        }
        if (ch->protocol == TUNNEL_UDP) {
                t->input.sink = TUNNEL_WHOLE;
                t->input.blob_max = TUNNEL_DATAGRAM_MAX;
        }
        if (!tunnel_channel_credited(ch))
                return;
        if (t->input.body_left > ch->window_left)
                tunnel_channel_fail(ch, TUNNEL_LIMIT);
        else
                ch->window_left -= t->input.body_left;
}

static void begin_frame(struct tunnel *t)
{
        struct tunnel_input *in = &t->input;
        bool whole = in->frame.length >= TUNNEL_FRAME_HEAD_BYTES;

        in->body_left = whole ? in->frame.length - TUNNEL_FRAME_HEAD_BYTES : in->frame.length;
        in->small_len = in->blob_len = 0;
        in->channel = NULL;
        if (!whole)
                in->sink = TUNNEL_SKIP;
        else if (t->up)
                in->sink = in->frame.action == TUNNEL_ACTION_HELLO ? TUNNEL_SKIP : sink_for(t);
        else
                in->sink = in->frame.action == TUNNEL_ACTION_HELLO ? TUNNEL_SMALL : TUNNEL_SKIP;
        if (in->sink == TUNNEL_SKIP && in->frame.action != TUNNEL_ACTION_STREAM)        /* late data is no surprise */
                tunnel_ignore(t);
        if (in->sink == TUNNEL_STREAM)
                begin_stream(t);
}

static void end_frame(struct tunnel *t, usec_t now_us)
{
        struct tunnel_input *in = &t->input;
        bool act = in->sink == TUNNEL_SMALL || in->sink == TUNNEL_BLOB;

        if (act && !t->up && (in->frame.length != TUNNEL_HELLO_FRAME_BYTES || in->frame.error_len))
                tunnel_fail(t, TUNNEL_BAD_AUTH);
        else if (act)
                on_frame(t, now_us);
        else if (in->sink == TUNNEL_WHOLE && in->channel)
                tunnel_datagram_deliver(in->channel, in->blob, in->blob_len);
        free(in->blob);
        in->blob = NULL;
        in->blob_size = in->head_len = 0;
        in->channel = NULL;
        in->sink = TUNNEL_SKIP;
}

/* Takes what is missing of the header, four bytes or ten. True once it is complete. */
static bool take_head(struct tunnel *t, struct reader *r)
{
        struct tunnel_input *in = &t->input;
        uint32_t limit = t->up ? TUNNEL_FRAME_MAX : TUNNEL_HELLO_FRAME_BYTES;

        for (;;) {
                size_t want = in->head_len < TUNNEL_FRAME_LENGTH_BYTES ? TUNNEL_FRAME_LENGTH_BYTES : TUNNEL_HEADER_BYTES;
                size_t n = MIN(want - in->head_len, reader_left(r));
                struct reader head;

                read_copy(r, in->head + in->head_len, n);
                in->head_len += n;
                if (in->head_len < want)
                        return false;
                head = reader_over(in->head, in->head_len);
                tunnel_frame_read(&head, &in->frame);
                if (in->frame.length > limit) {
                        tunnel_fail(t, TUNNEL_OVERSIZE);
                        return false;
                }
                if (want == TUNNEL_HEADER_BYTES || in->frame.length < TUNNEL_FRAME_HEAD_BYTES)
                        return true;
        }
}

/* Room for @len more collected bytes; grows with what has come, never with what was announced. */
static bool grow_blob(struct tunnel_input *in, size_t len)
{
        size_t size = MAX(in->blob_size * 2, (size_t)BLOB_MIN);
        uint8_t *blob;

        if (in->blob && in->blob_len + len <= in->blob_size)
                return true;
        size = MIN(MAX(size, in->blob_len + len), in->blob_max);
        blob = realloc(in->blob, size);
        if (!blob)
                return false;
        in->blob = blob;
        in->blob_size = size;
        return true;
}

static void note_stream(struct tunnel *t, size_t len, usec_t now_us)
{
        tunnel_channel_burst(t, now_us);
        t->stream_bytes += len;
        t->burst_bytes += len;
        t->stream_us = now_us;
}

/* As far as there is memory; the rest is asked for again. */
static size_t store(struct tunnel *t, struct tunnel_channel *ch, const uint8_t *bytes, size_t len, usec_t now_us)
{
        bool running = ch->phase == TUNNEL_RUNNING, empty = !ch->queue.len;
        size_t stored = tunnel_queue_append(&ch->queue, bytes, len, running ? &t->spare : NULL);

        t->queued_bytes += stored;
        if (stored < len)
                tunnel_hunger_begin(t);
        else
                tunnel_hunger_end(t);
        if (stored && empty)
                ch->moved_us = now_us;
        if (stored && empty && running)
                tunnel_channel_tell(ch, TUNNEL_NEWS_READABLE);
        return stored;
}

/* Returns how many bytes were taken. */
static size_t take_stream(struct tunnel *t, const uint8_t *bytes, size_t len, usec_t now_us)
{
        struct tunnel_channel *ch = t->input.channel;

        if (ch && ch->receiving > TUNNEL_HELD)
                ch = NULL;              /* its end was held for this, but not for so long */
        if (ch)
                len = store(t, ch, bytes, len, now_us);
        note_stream(t, len, now_us);
        if (!ch || !len || ch->receive_due_us == USEC_NEVER)
                return len;
        ch->overtaken = true;
        tunnel_channel_hold(ch, now_us);
        return len;
}

static void collect_small(struct tunnel_input *in, const uint8_t *bytes, size_t len)
{
        len = MIN(len, sizeof(in->small) - in->small_len);
        memcpy(in->small + in->small_len, bytes, len);
        in->small_len += len;
}

static void collect_blob(struct tunnel *t, const uint8_t *bytes, size_t len)
{
        struct tunnel_input *in = &t->input;

        len = MIN(len, in->blob_max - in->blob_len);
        if (!grow_blob(in, len)) {
                if (in->frame.action == TUNNEL_ACTION_OPEN)
                        tunnel_reply(t, in->frame.channel, TUNNEL_ACTION_OPEN);
                in->sink = TUNNEL_SKIP;
                tunnel_ignore(t);
                return;
        }
        memcpy(in->blob + in->blob_len, bytes, len);
        in->blob_len += len;
}

/* A datagram that is here whole is not collected first. */
static void take_piece(struct tunnel *t, const uint8_t *bytes, size_t len, usec_t now_us)
{
        struct tunnel_input *in = &t->input;

        note_stream(t, len, now_us);
        if (in->body_left || in->blob_len) {
                collect_blob(t, bytes, len);
                return;
        }
        if (in->channel)
                tunnel_datagram_deliver(in->channel, bytes, len);
        in->sink = TUNNEL_SKIP;
}

/* The next piece of the body. False when its channel takes nothing now. */
static bool take_body(struct tunnel *t, struct reader *r, usec_t now_us)
{
        struct tunnel_input *in = &t->input;
        size_t len = MIN((size_t)in->body_left, reader_left(r));
        const uint8_t *bytes;

        if (in->sink == TUNNEL_STREAM)
                len = MIN(len, tunnel_stream_room(t));
        if (len && in->sink == TUNNEL_STREAM)
                len = take_stream(t, r->at, len, now_us);
        if (!len)
                return false;
        bytes = read_bytes(r, len);
        in->body_left -= (uint32_t)len;
        if (in->sink == TUNNEL_SMALL)
                collect_small(in, bytes, len);
        else if (in->sink == TUNNEL_BLOB)
                collect_blob(t, bytes, len);
        else if (in->sink == TUNNEL_WHOLE)
                take_piece(t, bytes, len, now_us);
        return !t->hungry;
}

static bool head_complete(const struct tunnel_input *in)
{
        return in->head_len == TUNNEL_HEADER_BYTES ||
               (in->head_len == TUNNEL_FRAME_LENGTH_BYTES && in->frame.length < TUNNEL_FRAME_HEAD_BYTES);
}

size_t tunnel_receive(struct tunnel *t, const void *bytes, size_t len, usec_t now_us)
{
        struct reader r = reader_over(bytes, len);

        t->heard_us = t->now_us = now_us;
        tunnel_bury(t);
        while (t->verdict == TUNNEL_FINE && !t->disconnected && reader_left(&r)) {
                if (!head_complete(&t->input)) {
                        if (tunnel_paused(t))
                                break;
                        if (!take_head(t, &r))
                                continue;
                        begin_frame(t);
                } else if (!take_body(t, &r, now_us)) {
                        break;
                }
                if (!t->input.body_left)
                        end_frame(t, now_us);
        }
        tunnel_stall_check(t, now_us);
        if (t->verdict != TUNNEL_FINE || t->disconnected)
                return len;
        return len - reader_left(&r);
}
