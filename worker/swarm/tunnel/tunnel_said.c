/* SPDX-License-Identifier: BSD-3-Clause */
/* What the peer says in one small frame: what it understands, that it wants a relay or is one, that it leaves; which service
 * its next open means, and how much more of a channel it takes. */
#include <stdlib.h>

#include "tunnel_state.h"

#define CREDIT_MAX (UINT64_C(1) << 40)

static void on_hgx(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);
        struct tunnel_hgx hgx;

        if (!tunnel_hgx_read(&r, &hgx)) {
                tunnel_ignore(t);
                return;
        }
        if (!t->hgx_seen) {
                t->peer_hgx = hgx;
                t->hgx_seen = TUNNEL_HGX_FIRST;
        }
        if (hgx.flags & TUNNEL_HGX_SEEN && t->hgx_sent)
                t->hgx_seen = TUNNEL_HGX_LAST;
}

static void on_relay(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);
        struct tunnel_relay relay;

        if (!tunnel_relay_read(&r, &relay)) {
                tunnel_ignore(t);
                return;
        }
        t->peer_relay = relay;
        t->peer_relay_news = true;
}

static void on_bye(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);

        if (!tunnel_bye_read(&r)) {
                tunnel_ignore(t);
                return;
        }
        t->peer_leaves = true;
        free(t->advert_in);     /* it is true no more */
        t->advert_in = NULL;
}

static void on_service(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);

        t->named_channel = 0;
        if (!tunnel_service_read(&r, &t->named_service)) {
                tunnel_ignore(t);
                return;
        }
        t->named_channel = t->input.frame.channel;
}

static void on_credit(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);
        struct tunnel_channel *ch = tunnel_channel_find(t, t->input.frame.channel);
        uint32_t bytes;

        if (!tunnel_credit_read(&r, &bytes)) {
                tunnel_ignore(t);
                return;
        }
        if (!ch || !tunnel_channel_credited(ch))
                return;
        ch->credit = MIN(ch->credit + bytes, CREDIT_MAX);
        if (ch->asked)
                tunnel_share_wait(ch);
}

void tunnel_said(struct tunnel *t, usec_t now_us)
{
        static void (*const on[])(struct tunnel *t, usec_t now_us) = {
                [TUNNEL_ACTION_HELLO] = tunnel_proof_on_hello, [TUNNEL_ACTION_HGX] = on_hgx, [TUNNEL_ACTION_CREDIT] = on_credit,
                [TUNNEL_ACTION_BYE] = on_bye, [TUNNEL_ACTION_RELAY] = on_relay, [TUNNEL_ACTION_SERVICE] = on_service,
                [TUNNEL_ACTION_PROOF] = tunnel_proof_on_proof,
        };
        uint8_t action = t->input.frame.action;

        if (action < ARRAY_LEN(on) && on[action])
                on[action](t, now_us);
}
