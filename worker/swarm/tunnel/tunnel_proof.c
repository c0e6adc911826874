/* SPDX-License-Identifier: BSD-3-Clause */
/* How both sides prove that they belong to a router: once by hello, which opens the connection, and for each other secret that they hold,
 * then or later, by a proof in it. So a secret can be exchanged for another while everything runs. */
#include "tunnel_state.h"

#define SKEW_MAX_MS (INT64_C(24) * 60 * 60 * 1000)      /* hypergate.md 14.5 */
#define US_PER_MS 1000

static bool is_held(const struct tunnel *t, unsigned router)
{
        return t->config.routers->list[router].held;
}

static int64_t wall_ms(const struct tunnel *t, usec_t now_us)
{
        return ((int64_t)now_us + t->wall_offset_us) / US_PER_MS;
}

/* --- To the peer --- */

static void make(const struct tunnel *t, unsigned number, uint8_t out[TUNNEL_HELLO_BYTES])
{
        const struct tunnel_router *router = &t->config.routers->list[number];
        struct tunnel_hello_keys keys = { .sender = t->config.key, .receiver = t->config.peer_key,
                                          .router = router->public_key, .auth = router->auth_key };
        int64_t time_ms = wall_ms(t, t->now_us) + TUNNEL_LEAD_MS;

        if (t->up && t->peer_time_ms > time_ms)
                time_ms = t->peer_time_ms;
        tunnel_hello_make(out, &keys, time_ms);
}

void tunnel_proof_hello(struct tunnel *t, struct writer *w)
{
        unsigned router = tunnel_proof_heard(t) ? t->router : t->config.router;

        if (!is_held(t, router))
                router = t->config.routers->newest;
        tunnel_frame_write(w, TUNNEL_ACTION_HELLO, 0, t->config.role == TUNNEL_GATEWAY ? 1 : 0, TUNNEL_HELLO_BYTES);
        make(t, router, write_reserve(w, TUNNEL_HELLO_BYTES));
        t->hello_sent = true;
        t->to_prove &= ~(1u << router);
}

static unsigned held(const struct tunnel *t)
{
        unsigned all = 0;

        for (unsigned i = 0; i < TUNNEL_ROUTERS_MAX; i++)
                all |= is_held(t, i) ? 1u << i : 0;
        return all;
}

bool tunnel_proof_due(const struct tunnel *t)
{
        return t->up && t->hello_sent && t->hgx_seen && t->peer_hgx.features & TUNNEL_FEATURE_PROOF &&
               (t->to_prove | t->to_confirm) & held(t);
}

void tunnel_proof_leave(struct tunnel *t, struct writer *w)
{
        unsigned due = (t->to_prove | t->to_confirm) & held(t), bit = due & ~(due - 1U), router = 0;

        while (1u << router != bit)
                router++;
        make(t, router, tunnel_proof_write(w, t->to_confirm & bit ? TUNNEL_PROOF_MUTUAL : 0));
        t->to_prove &= ~bit;
        t->to_confirm &= ~bit;
}

/* --- From the peer --- */

/* Which of the routers it is for; TUNNEL_ROUTERS_MAX: none. */
static unsigned check(const struct tunnel *t, const uint8_t hello[TUNNEL_HELLO_BYTES], int64_t *time_ms_out)
{
        for (unsigned i = 0; i < TUNNEL_ROUTERS_MAX; i++) {
                const struct tunnel_router *router = &t->config.routers->list[i];
                struct tunnel_hello_keys keys = { .sender = t->config.peer_key, .receiver = t->config.key,
                                                  .router = router->public_key, .auth = router->auth_key };

                if (router->held && tunnel_hello_check(hello, &keys, time_ms_out))
                        return i;
        }
        return TUNNEL_ROUTERS_MAX;
}

static bool is_in_time(const struct tunnel *t, int64_t time_ms, usec_t now_us)
{
        int64_t own_ms = wall_ms(t, now_us);

        return time_ms >= own_ms - SKEW_MAX_MS && time_ms <= own_ms + SKEW_MAX_MS + TUNNEL_LEAD_MS;
}

bool tunnel_proof_heard(const struct tunnel *t)
{
        return t->up || t->verdict == TUNNEL_SAME_ROLE;
}

/* Who is it, and may it speak. */
void tunnel_proof_on_hello(struct tunnel *t, usec_t now_us)
{
        enum tunnel_role role = t->input.frame.channel == 1 ? TUNNEL_GATEWAY : TUNNEL_PROVIDER;
        int64_t time_ms;
        unsigned router = check(t, t->input.small, &time_ms);

        if (router == TUNNEL_ROUTERS_MAX) {
                tunnel_fail(t, TUNNEL_BAD_AUTH);
                return;
        }
        if (!is_in_time(t, time_ms, now_us)) {
                tunnel_fail(t, TUNNEL_SKEW);
                return;
        }
        t->skew_ms = time_ms - wall_ms(t, now_us);
        t->peer_time_ms = time_ms;
        t->peer_role = role;
        t->router = router;
        if (role == TUNNEL_PROVIDER && t->config.role == TUNNEL_PROVIDER) {
                tunnel_fail(t, TUNNEL_SAME_ROLE);
                return;
        }
        t->proven = 1u << router;
        t->up = true;
        t->hello_due_us = USEC_NEVER;
        t->advert_due_us = now_us;
}

void tunnel_proof_on_proof(struct tunnel *t, usec_t now_us)
{
        struct reader r = reader_over(t->input.small, t->input.small_len);
        const uint8_t *hello;
        int64_t time_ms;
        unsigned router;
        uint8_t flags;

        if (!tunnel_proof_read(&r, &flags, &hello)) {
                tunnel_ignore(t);
                return;
        }
        router = check(t, hello, &time_ms);
        if (router == TUNNEL_ROUTERS_MAX || !is_in_time(t, time_ms, now_us)) {
                tunnel_ignore(t);       /* we may come to hold that one later, and then say so */
                return;
        }
        t->proven |= 1u << router;
        if (!(flags & TUNNEL_PROOF_MUTUAL))
                t->to_confirm |= 1u << router;
}

/* --- What there is to prove --- */

void tunnel_add_router(struct tunnel *t, unsigned router)
{
        t->to_prove |= 1u << router;
}

void tunnel_drop_router(struct tunnel *t, unsigned router)
{
        t->proven &= ~(1u << router);
        t->to_prove &= ~(1u << router);
        t->to_confirm &= ~(1u << router);
        if (t->config.router == router)
                t->config.router = t->config.routers->newest;
}

unsigned tunnel_proven(const struct tunnel *t)
{
        return t->proven;
}
