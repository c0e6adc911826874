/* SPDX-License-Identifier: BSD-3-Clause */
/* A side that leaves, byte by byte as a peer of our kind and an original see it. */
#include <errno.h>

#include "test.h"
#include "tunnel_peer.h"

#define NOW SECONDS(1)
#define OURS "4001000000003001010000007f00040000"       /* our second HGX: all seven features */
#define THEIRS "400100000000300101000000130000ffff"      /* order, credit, bye */
#define OLD "4001000000003001010000000f0000ffff"         /* a peer of our kind, from before there was a bye */
#define BYE "42010000000030"
#define OPEN "0100000000050000005000"

static struct tunnel *up_with(enum tunnel_role role, const char *hgx)
{
        struct tunnel *t = peer_tunnel_up(role);

        peer_feed(t, hgx, NOW);
        peer_expect(t, OURS, NOW);
        return t;
}

TEST(bye_is_said_once_and_then_nothing_is_opened_or_advertised)
{
        struct tunnel *t = up_with(TUNNEL_PROVIDER, THEIRS);
        struct tunnel_channel *ch;
        struct tunnel_event event;

        peer_feed(t, OPEN, NOW);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        ch = event.channel;
        tunnel_accept(ch, NULL, NOW);
        peer_expect(t, OPEN, NOW);
        check(tunnel_bye(t, NOW));
        peer_expect(t, BYE, NOW);
        check(tunnel_bye(t, NOW));
        check_equal(tunnel_advertise(t, "{}", 2, NOW), 0);
        check(peer_is_silent(t, NOW));
        check_equal(tunnel_deadline(t), USEC_NEVER);

        peer_feed(t, "0100000000060000005000", NOW);    /* it did not know yet */
        peer_expect(t, "01150000000622" "50726f7669646572206973206c656176696e67" "22", NOW);
        check(!tunnel_event(t, &event, NOW));
        peer_feed(t, "0200000000056162", NOW);          /* what runs goes on */
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check(event.channel == ch && tunnel_writable(ch) > 0);
        tunnel_free(t);
}

TEST(a_gateway_that_leaves_opens_nothing)
{
        struct tunnel *t = up_with(TUNNEL_GATEWAY, THEIRS);
        struct tunnel_channel *ch;

        check(tunnel_bye(t, NOW));
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, NOW), -ENOTCONN);
        peer_expect(t, BYE, NOW);
        check(peer_is_silent(t, NOW));
        tunnel_free(t);
}

/* Neither an original nor a peer of our kind that says nothing of it. */
TEST(who_does_not_know_bye_is_told_none)
{
        for (int role = TUNNEL_GATEWAY; role <= TUNNEL_PROVIDER; role++) {
                struct tunnel *original = peer_tunnel_up(role), *old = up_with(role, OLD);

                check(!tunnel_bye(original, NOW) && peer_is_silent(original, NOW));
                check(!tunnel_bye(old, NOW) && peer_is_silent(old, NOW));
                tunnel_free(original);
                tunnel_free(old);
        }
}

TEST(a_peer_that_leaves_is_told_of_once_and_asked_for_nothing)
{
        struct tunnel *t = up_with(TUNNEL_GATEWAY, THEIRS);
        struct tunnel_channel *runs, *ch;
        struct tunnel_event event;

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &runs, NOW), 0);
        peer_expect(t, "0100000000010000005000", NOW);
        peer_feed(t, "0100000000010000005000", NOW);
        check_equal(peer_event(t, &event), TUNNEL_OPENED);
        peer_feed(t, "0400000000007b7d", NOW);          /* true no more when it is read */
        peer_feed(t, BYE, NOW);
        peer_feed(t, BYE, NOW);
        peer_feed(t, "0400000000007b7d", NOW);
        check_equal(peer_event(t, &event), TUNNEL_BYE);
        check(!tunnel_event(t, &event, NOW));
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, NOW), -ENOTCONN);
        peer_feed(t, "0200000000016162", NOW);
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check(event.channel == runs && tunnel_writable(runs) > 0);
        tunnel_free(t);
}

TEST(a_bye_that_is_none_is_counted)
{
        static const char *const none[] = { "420100000000", "42010000000031", "42000000000030", "42020000000030" };
        struct tunnel *t = up_with(TUNNEL_GATEWAY, THEIRS);
        struct tunnel_event event;
        struct tunnel_stats stats;

        for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++)
                peer_feed(t, none[i], NOW);
        check(!tunnel_event(t, &event, NOW));
        tunnel_stats(t, &stats);
        check_equal(stats.frames_ignored, 4);
        tunnel_free(t);
}
