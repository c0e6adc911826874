/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret of a router is exchanged for another one: who says hello when, by which, and what both prove later. */
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel.h"
#include "tunnel_frame.h"
#include "tunnel_hello.h"

enum { ROOM = 1 << 20 };

#define LISTENS_US SECONDS(2)

/* Each has secrets of its own; what is at one place here is at another there. */
struct end {
        struct tunnel *t;
        struct tunnel_routers routers;
        bool up;
        enum tunnel_verdict verdict;
};

struct ends {
        struct end end[2];              /* by role */
        usec_t now_us;
        uint64_t seed;
        unsigned proofs[2];             /* sent */
};

static void hold(struct end *end, unsigned number, uint8_t secret)
{
        struct tunnel_router *router = &end->routers.list[number];

        router->held = true;
        memset(router->public_key, secret, sizeof(router->public_key));
        memset(router->auth_key, 100 + secret, sizeof(router->auth_key));
}

static void begin(struct ends *ends, enum tunnel_role role, unsigned router, usec_t listen_us)
{
        struct tunnel_config config = { .role = role, .random = { test_random_fill, &ends->seed }, .router = router,
                                        .routers = &ends->end[role].routers, .listen_us = listen_us };
        struct now now = { .mono_us = ends->now_us, .wall_us = SECONDS(1700000000) };

        memset(config.key, 1 + role, sizeof(config.key));
        memset(config.peer_key, 2 - role, sizeof(config.peer_key));
        check_equal(tunnel_new(&ends->end[role].t, &config, &now), 0);
        tunnel_progress(ends->end[role].t, ROOM, 0, ends->now_us);
}

static void ends_free(struct ends *ends)
{
        for (int role = 0; role < 2; role++)
                tunnel_free(ends->end[role].t);
}

static struct ends ends_new(void)
{
        return (struct ends){ .now_us = SECONDS(100), .seed = 1 };
}

/* A message is a frame. */
static bool carry(struct ends *ends, enum tunnel_role from)
{
        struct end *to = &ends->end[!from];
        struct tunnel_message message;
        struct tunnel_event event;
        bool any = false;

        while (tunnel_transmit(ends->end[from].t, &message, ends->now_us)) {
                any = true;
                ends->proofs[from] += message.bytes[4] == TUNNEL_ACTION_PROOF;
                check_equal(tunnel_receive(to->t, message.bytes, message.len, ends->now_us), message.len);
                tunnel_progress(ends->end[from].t, ROOM, 0, ends->now_us);
        }
        while (tunnel_event(to->t, &event, ends->now_us)) {
                to->up = to->up || event.kind == TUNNEL_UP;
                if (event.kind == TUNNEL_FAILED)
                        to->verdict = event.verdict;
        }
        return any;
}

static void settle(struct ends *ends)
{
        for (bool any = true; any;) {
                any = carry(ends, TUNNEL_GATEWAY);
                any = carry(ends, TUNNEL_PROVIDER) || any;
        }
}

static void later(struct ends *ends, usec_t us)
{
        ends->now_us += us;
        for (int role = 0; role < 2; role++)
                tunnel_advance(ends->end[role].t, ends->now_us);
        settle(ends);
}

static unsigned proven(const struct ends *ends, enum tunnel_role by)
{
        return tunnel_proven(ends->end[!by].t);
}

static bool both_are_up(const struct ends *ends)
{
        return ends->end[0].up && ends->end[1].up;
}

TEST(who_knows_several_secrets_answers_by_the_one_he_hears)
{
        for (unsigned secret = 1; secret <= 2; secret++) {
                cleanup_with(ends_free) struct ends ends = ends_new();

                hold(&ends.end[TUNNEL_PROVIDER], 3, 2);
                hold(&ends.end[TUNNEL_PROVIDER], 5, 1);
                ends.end[TUNNEL_PROVIDER].routers.newest = 3;
                hold(&ends.end[TUNNEL_GATEWAY], 0, (uint8_t)secret);
                begin(&ends, TUNNEL_PROVIDER, 3, LISTENS_US);
                begin(&ends, TUNNEL_GATEWAY, 0, 0);
                settle(&ends);
                check(both_are_up(&ends));
                check_equal(proven(&ends, TUNNEL_GATEWAY), secret == 2 ? 1u << 3 : 1u << 5);
                check_equal(proven(&ends, TUNNEL_PROVIDER), 1);
        }
}

TEST(the_silence_of_two_who_know_several_ends)
{
        cleanup_with(ends_free) struct ends ends = ends_new();

        for (int role = 0; role < 2; role++) {
                hold(&ends.end[role], 0, 1);
                hold(&ends.end[role], 1, 2);
                ends.end[role].routers.newest = 1;
        }
        begin(&ends, TUNNEL_PROVIDER, 1, 2 * LISTENS_US);
        begin(&ends, TUNNEL_GATEWAY, 0, LISTENS_US);
        settle(&ends);
        check(!ends.end[0].up && !ends.end[1].up);
        check_equal(tunnel_deadline(ends.end[TUNNEL_GATEWAY].t), ends.now_us + LISTENS_US);
        later(&ends, LISTENS_US);
        check(both_are_up(&ends));
        check_equal(proven(&ends, TUNNEL_GATEWAY), 3);  /* the other one by a proof */
        check_equal(proven(&ends, TUNNEL_PROVIDER), 3);
}

/* The provider comes first, the gateway later; what one says too early is said again by the other's asking. */
TEST(what_was_proven_by_the_old_secret_is_proven_by_the_new_one_in_place)
{
        cleanup_with(ends_free) struct ends ends = ends_new();
        struct end *provider = &ends.end[TUNNEL_PROVIDER], *gateway = &ends.end[TUNNEL_GATEWAY];
        unsigned said;

        hold(provider, 0, 1);
        hold(gateway, 0, 1);
        begin(&ends, TUNNEL_PROVIDER, 0, 0);
        begin(&ends, TUNNEL_GATEWAY, 0, 0);
        settle(&ends);
        check(both_are_up(&ends));
        check_equal(ends.proofs[0] + ends.proofs[1], 0);

        hold(provider, 1, 2);
        provider->routers.newest = 1;
        tunnel_add_router(provider->t, 1);
        settle(&ends);
        check_equal(ends.proofs[TUNNEL_PROVIDER], 1);
        check_equal(proven(&ends, TUNNEL_PROVIDER), 1);
        check_equal(proven(&ends, TUNNEL_GATEWAY), 1);

        hold(gateway, 4, 2);
        gateway->routers.newest = 4;
        tunnel_add_router(gateway->t, 4);
        settle(&ends);
        check_equal(proven(&ends, TUNNEL_GATEWAY), 1 | 1 << 1);
        check_equal(proven(&ends, TUNNEL_PROVIDER), 1 | 1 << 4);
        said = ends.proofs[0] + ends.proofs[1];
        later(&ends, SECONDS(1));
        check_equal(ends.proofs[0] + ends.proofs[1], said);     /* and that is all there is to say */

        provider->routers.list[0].held = gateway->routers.list[0].held = false;
        tunnel_drop_router(provider->t, 0);
        tunnel_drop_router(gateway->t, 0);
        check_equal(proven(&ends, TUNNEL_GATEWAY), 1 << 1);
        check_equal(proven(&ends, TUNNEL_PROVIDER), 1 << 4);
        check(!provider->verdict && !gateway->verdict);
}

TEST(who_does_not_know_the_new_secret_has_proven_nothing_once_the_old_one_is_dropped)
{
        cleanup_with(ends_free) struct ends ends = ends_new();
        struct end *provider = &ends.end[TUNNEL_PROVIDER];

        hold(provider, 0, 1);
        hold(&ends.end[TUNNEL_GATEWAY], 0, 1);
        begin(&ends, TUNNEL_PROVIDER, 0, 0);
        begin(&ends, TUNNEL_GATEWAY, 0, 0);
        settle(&ends);
        hold(provider, 1, 2);
        provider->routers.newest = 1;
        tunnel_add_router(provider->t, 1);
        provider->routers.list[0].held = false;
        tunnel_drop_router(provider->t, 0);
        settle(&ends);
        check(both_are_up(&ends));
        check_equal(proven(&ends, TUNNEL_GATEWAY), 0);
}

/* One that was heard of another peer, or of another time, or is cut short. */
TEST(a_proof_is_the_peers_own_and_whole)
{
        enum { DAY_MS = 24 * 60 * 60 * 1000 };
        static const struct { uint8_t sender; int64_t ahead_ms; size_t missing; bool good; } cases[] = {
                { 1, 0, 0, true }, { 3, 0, 0, false }, { 1, 3 * DAY_MS, 0, false }, { 1, -3 * DAY_MS, 0, false }, { 1, 0, 1, false },
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                cleanup_with(ends_free) struct ends ends = ends_new();
                struct end *provider = &ends.end[TUNNEL_PROVIDER];
                uint8_t sender[32], receiver[32], frame[128];
                struct tunnel_hello_keys keys = { .sender = sender, .receiver = receiver };
                struct writer w = writer_over(frame, sizeof(frame));
                int64_t time_ms = INT64_C(1700000000000) + cases[i].ahead_ms;

                hold(provider, 0, 1);
                hold(provider, 1, 2);
                hold(&ends.end[TUNNEL_GATEWAY], 0, 1);
                begin(&ends, TUNNEL_PROVIDER, 1, LISTENS_US);
                begin(&ends, TUNNEL_GATEWAY, 0, 0);
                settle(&ends);
                memset(sender, cases[i].sender, sizeof(sender));
                memset(receiver, 2, sizeof(receiver));
                keys.router = provider->routers.list[1].public_key;
                keys.auth = provider->routers.list[1].auth_key;
                tunnel_hello_make(tunnel_proof_write(&w, 0), &keys, time_ms);
                frame[3] = (uint8_t)(frame[3] - cases[i].missing);
                tunnel_receive(provider->t, frame, writer_len(&w) - cases[i].missing, ends.now_us);
                check_equal(tunnel_proven(provider->t), cases[i].good ? 3 : 1);
                settle(&ends);
                check(!provider->verdict);
        }
}

TEST(hello_by_a_secret_that_nobody_holds_any_more_ends_it)
{
        cleanup_with(ends_free) struct ends ends = ends_new();
        struct end *provider = &ends.end[TUNNEL_PROVIDER];

        hold(provider, 0, 1);
        hold(provider, 1, 2);
        hold(&ends.end[TUNNEL_GATEWAY], 0, 1);
        begin(&ends, TUNNEL_PROVIDER, 0, LISTENS_US);
        begin(&ends, TUNNEL_GATEWAY, 0, 0);
        provider->routers.newest = 1;
        provider->routers.list[0].held = false;
        tunnel_drop_router(provider->t, 0);
        settle(&ends);
        check_equal(provider->verdict, TUNNEL_BAD_AUTH);
        check(!provider->up);
}

/* The one that was called knows several secrets, and has listened so far: the other must hear that it has called a provider, or it
 * would call again. */
TEST(a_provider_that_hears_a_provider_says_hello_and_then_parts)
{
        cleanup_with(ends_free) struct ends ends = ends_new();
        struct end *called = &ends.end[TUNNEL_PROVIDER];
        struct tunnel_hello_keys keys;
        uint8_t us[32], them[32], frame[128];
        struct writer w = writer_over(frame, sizeof(frame));
        struct tunnel_message message;
        struct tunnel_event event;
        int64_t time_ms;

        memset(us, 2, sizeof(us));
        memset(them, 1, sizeof(them));
        hold(called, 0, 2);
        hold(called, 1, 1);
        begin(&ends, TUNNEL_PROVIDER, 0, MINUTES(1));
        check(!tunnel_transmit(called->t, &message, ends.now_us));
        keys = (struct tunnel_hello_keys){ .sender = them, .receiver = us, .router = called->routers.list[1].public_key,
                                           .auth = called->routers.list[1].auth_key };
        tunnel_frame_write(&w, TUNNEL_ACTION_HELLO, 0, 0, TUNNEL_HELLO_BYTES);
        tunnel_hello_make(write_reserve(&w, TUNNEL_HELLO_BYTES), &keys, INT64_C(1700000000000));
        tunnel_receive(called->t, frame, writer_len(&w), ends.now_us);
        check(tunnel_event(called->t, &event, ends.now_us));
        check_equal(event.kind, TUNNEL_FAILED);
        check_equal(event.verdict, TUNNEL_SAME_ROLE);
        check(tunnel_transmit(called->t, &message, ends.now_us));
        check_equal(message.len, writer_len(&w));
        keys.sender = us;
        keys.receiver = them;
        check(tunnel_hello_check(message.bytes + TUNNEL_HEADER_BYTES, &keys, &time_ms));
        check(!tunnel_transmit(called->t, &message, ends.now_us));
        check_equal(tunnel_deadline(called->t), USEC_NEVER);
}
