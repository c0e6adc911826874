/* SPDX-License-Identifier: BSD-3-Clause */
/* Control on its way out: one frame after the other, each cut to the room there is. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "tunnel_state.h"

#define REFRESH_US SECONDS(30)  /* routes expire after 120 s at originals: hypergate.md 14.27 */
#define PIECE_MIN 256           /* of a longer frame; shorter ones go whole */

bool tunnel_advertises(const struct tunnel *t)
{
        return t->up && t->advert && t->config.role == TUNNEL_PROVIDER && t->peer_role == TUNNEL_GATEWAY && !t->leaves;
}

static bool advert_due(const struct tunnel *t)
{
        return tunnel_advertises(t) && t->now_us >= t->advert_due_us;
}

static bool same(const struct tunnel_relay *a, const struct tunnel_relay *b)
{
        return a->wanted == b->wanted && a->offered == b->offered && memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

static bool relay_due(const struct tunnel *t)
{
        return t->hgx_seen && t->peer_hgx.features & TUNNEL_FEATURE_RELAY && !same(&t->relay, &t->relay_told);
}

bool tunnel_tell_relay(struct tunnel *t, const struct tunnel_relay *relay)
{
        bool news = !same(&t->relay, relay);

        t->relay = *relay;
        return news;
}

static bool knows_bye(const struct tunnel *t)
{
        return t->hgx_seen && t->peer_hgx.features & TUNNEL_FEATURE_BYE;
}

static bool bye_due(const struct tunnel *t)
{
        return t->leaves && !t->bye_sent && knows_bye(t);
}

bool tunnel_bye(struct tunnel *t, usec_t now_us)
{
        t->now_us = now_us;
        t->leaves = true;
        return knows_bye(t);
}

static bool control_waits(const struct tunnel *t)
{
        return (!t->hello_sent && (tunnel_proof_heard(t) || t->now_us >= t->speak_us)) ||
               (t->hello_sent && t->up && (!t->hgx_sent || (t->hgx_seen && t->hgx_sent != TUNNEL_HGX_LAST) || bye_due(t) || advert_due(t) || relay_due(t) ||
                          tunnel_proof_due(t) || t->reply_count || !list_empty(&t->controls)));
}

static size_t room(const struct tunnel *t)
{
        return t->room_bytes > TUNNEL_SEAL_BYTES ? MIN(t->room_bytes - TUNNEL_SEAL_BYTES, (size_t)TUNNEL_MESSAGE_MAX) : 0;
}

/* Two providers part, and the other shall know as well that we are one. */
static bool parts(const struct tunnel *t)
{
        return t->verdict == TUNNEL_SAME_ROLE && !t->hello_sent;
}

bool tunnel_transmit_ready(const struct tunnel *t)
{
        if ((t->verdict != TUNNEL_FINE && !parts(t)) || t->disconnected)
                return false;
        return (t->leaving_len || control_waits(t)) && room(t) >= (t->leaving_len ? MIN(t->leaving_len, PIECE_MIN) : PIECE_MIN);
}

static void write_hgx(struct tunnel *t, struct writer *w)
{
        struct tunnel_hgx hgx = { .flags = t->hgx_seen ? TUNNEL_HGX_SEEN : 0, .window_bytes = t->config.window_bytes,
                                  .features = TUNNEL_FEATURE_ORDER | TUNNEL_FEATURE_CREDIT | TUNNEL_FEATURE_RELAY |
                                              TUNNEL_FEATURE_UNORDERED | TUNNEL_FEATURE_BYE | TUNNEL_FEATURE_SERVICE |
                                              TUNNEL_FEATURE_PROOF };

        t->hgx_sent = t->hgx_seen ? TUNNEL_HGX_LAST : TUNNEL_HGX_FIRST;
        tunnel_hgx_write(w, &hgx);
}

static void write_reply(struct tunnel *t, struct writer *w)
{
        static const char text[] = "Too many channels";
        const struct tunnel_reply *reply = &t->replies[t->reply_first];
        uint8_t error[TUNNEL_ERROR_MAX];
        size_t len = reply->action == TUNNEL_ACTION_OPEN ? tunnel_error_write(error, text, sizeof(text) - 1) : 0;

        tunnel_frame_write(w, reply->action, (uint8_t)len, reply->id, len);
        write_bytes(w, error, len);
        t->reply_first = (t->reply_first + 1) % TUNNEL_REPLIES_MAX;
        t->reply_count--;
}

/* From here on the peer knows of it, and whether it has the features is settled. */
static void write_open(struct tunnel_channel *ch, struct writer *w)
{
        struct tunnel *t = ch->tunnel;

        if (ch->service && t->hgx_seen && t->peer_hgx.features & TUNNEL_FEATURE_SERVICE)
                tunnel_service_write(w, ch->id, ch->service);
        tunnel_frame_write(w, TUNNEL_ACTION_OPEN, 0, ch->id, TUNNEL_OPEN_BYTES + ch->blob_len);
        tunnel_open_write(w, ch->gate_port, ch->protocol);
        write_bytes(w, ch->blob, ch->blob_len);
        free(ch->blob);
        ch->blob = NULL;
        ch->blob_len = 0;
        tunnel_channel_features(ch, t->hgx_sent == TUNNEL_HGX_LAST);
        ch->asked_us = t->now_us;
        list_push_back(&t->unanswered, &ch->unanswered);
}

static void write_error(struct tunnel_channel *ch, struct writer *w)
{
        uint8_t error[TUNNEL_ERROR_MAX];
        size_t len = tunnel_error_write(error, (const char *)ch->blob, ch->blob_len);

        tunnel_frame_write(w, TUNNEL_ACTION_OPEN, (uint8_t)len, ch->id, len);
        write_bytes(w, error, len);
        ch->phase = TUNNEL_GONE;
}

static void write_channel_frame(struct tunnel_channel *ch, unsigned out, struct writer *w)
{
        bool acknowledge = out == TUNNEL_OUT_ACKNOWLEDGE && !tunnel_channel_plain(ch);

        switch (out) {
        case TUNNEL_OUT_OPEN:
                write_open(ch, w);
                return;
        case TUNNEL_OUT_CONFIRM:
                tunnel_frame_write(w, TUNNEL_ACTION_OPEN, 0, ch->id, TUNNEL_OPEN_BYTES);
                tunnel_open_write(w, ch->gate_port, ch->protocol);
                return;
        case TUNNEL_OUT_ERROR:
                write_error(ch, w);
                return;
        case TUNNEL_OUT_CREDIT:
                tunnel_credit_write(w, ch->id, ch->grant);
                ch->grant = 0;
                return;
        case TUNNEL_OUT_END:
                tunnel_frame_write(w, TUNNEL_ACTION_END, 0, ch->id, 0);
                return;
        default:
                tunnel_frame_write(w, TUNNEL_ACTION_CLOSE, 0, ch->id, acknowledge);
                if (acknowledge)
                        write_u8(w, 1);
        }
}

/* The next thing this channel owes. It goes to the end of the line then, so that each gets its turn. */
static void write_channel(struct tunnel_channel *ch, struct writer *w)
{
        unsigned rest = ch->out & (ch->out - 1U), out = ch->out & ~rest;

        write_channel_frame(ch, out, w);
        tunnel_channel_drop_out(ch);
        if (rest)
                tunnel_channel_owe(ch, rest);
        if (ch->asked)
                tunnel_share_wait(ch);
        tunnel_channel_release(ch);
}

/* What left last has left whole. */
static void forget_left(struct tunnel *t)
{
        if (t->advert_leaving != t->advert)
                free(t->advert_leaving);
        t->advert_leaving = NULL;
        free(t->batch);
        t->batch = NULL;
}

static void next_frame(struct tunnel *t)
{
        struct writer w = writer_over(t->scratch, sizeof(t->scratch));

        if (!t->hello_sent) {
                tunnel_proof_hello(t, &w);
        } else if (!t->hgx_sent || (t->hgx_seen && t->hgx_sent != TUNNEL_HGX_LAST)) {
                write_hgx(t, &w);
        } else if (tunnel_proof_due(t)) {
                tunnel_proof_leave(t, &w);
        } else if (bye_due(t)) {
                t->bye_sent = true;
                tunnel_bye_write(&w);
        } else if (advert_due(t)) {
                t->advert_due_us = usec_add(t->now_us, REFRESH_US);
                t->advert_leaving = t->advert;
                t->leaving = t->advert->frame;
                t->leaving_len = t->advert->len;
                return;
        } else if (relay_due(t)) {
                t->relay_told = t->relay;
                tunnel_relay_write(&w, &t->relay);
        } else if (t->reply_count) {
                write_reply(t, &w);
        } else {
                write_channel(list_entry(list_first(&t->controls), struct tunnel_channel, control), &w);
        }
        assert(!w.failed);
        t->leaving = t->scratch;
        t->leaving_len = writer_len(&w);
}

bool tunnel_transmit(struct tunnel *t, struct tunnel_message *out, usec_t now_us)
{
        t->now_us = now_us;
        if (!t->leaving_len)
                forget_left(t);
        if (!tunnel_transmit_ready(t))
                return false;
        if (!t->leaving_len)
                next_frame(t);
        out->bytes = t->leaving;
        out->len = MIN(t->leaving_len, room(t));
        t->leaving += out->len;
        t->leaving_len -= out->len;
        t->room_bytes -= out->len + TUNNEL_SEAL_BYTES;
        t->sent_bytes += out->len + TUNNEL_SEAL_BYTES;
        t->unacked_bytes += out->len + TUNNEL_SEAL_BYTES;
        return true;
}

int tunnel_advertise(struct tunnel *t, const void *bytes, size_t len, usec_t now_us)
{
        struct tunnel_advert *advert;
        struct writer w;

        if (len > TUNNEL_ADVERT_MAX)
                return -EMSGSIZE;
        advert = malloc(sizeof(*advert) + TUNNEL_HEADER_BYTES + len);
        if (!advert)
                return -ENOMEM;
        advert->len = TUNNEL_HEADER_BYTES + len;
        w = writer_over(advert->frame, advert->len);
        tunnel_frame_write(&w, TUNNEL_ACTION_ADVERTISE, 0, 0, len);
        write_bytes(&w, bytes, len);
        if (t->advert != t->advert_leaving)
                free(t->advert);
        t->advert = advert;
        t->advert_due_us = t->now_us = now_us;
        return 0;
}
