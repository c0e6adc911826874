/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of a provider's services is meant, byte by byte. */
#include "test.h"
#include "tunnel_peer.h"

#define NOW SECONDS(1)
#define OURS "4001000000003001010000007f00040000"       /* our second HGX: all seven features */
#define THEIRS "400100000000300101000000230000ffff"      /* order, credit, service */
#define OLD "4001000000003001010000001f0000ffff"         /* a peer of our kind, from before services had names */
#define NAMED "46010000000130" "0123456789abcdef"
#define OPEN "0100000000010000005000"
#define NAME UINT64_C(0x0123456789abcdef)

static void open_named(struct tunnel *t, uint64_t name)
{
        struct tunnel_channel *ch;

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, NOW), 0);
        tunnel_name_service(ch, name);
}

/* Both frames leave as one message. */
TEST(a_name_goes_right_ahead_of_its_open)
{
        static const uint8_t frames[] = { 0, 0, 0, 15, 0x46, 1, 0, 0, 0, 1, 0x30, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                          0, 0, 0, 11, 1, 0, 0, 0, 0, 1, 0, 0, 0, 80, 0 };
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_message message;

        peer_feed(t, THEIRS, NOW);
        peer_expect(t, OURS, NOW);
        open_named(t, NAME);
        check(tunnel_transmit(t, &message, NOW));
        check_equal(message.len, sizeof(frames));
        check_bytes(message.bytes, frames, sizeof(frames));
        open_named(t, 0);
        peer_expect(t, "0100000000020000005000", NOW);
        tunnel_free(t);
}

TEST(who_does_not_know_names_is_sent_none)
{
        struct tunnel *original = peer_tunnel_up(TUNNEL_GATEWAY), *old = peer_tunnel_up(TUNNEL_GATEWAY);

        open_named(original, NAME);
        peer_expect(original, OPEN, NOW);
        check(peer_is_silent(original, NOW));
        peer_feed(old, OLD, NOW);
        peer_expect(old, OURS, NOW);
        open_named(old, NAME);
        peer_expect(old, OPEN, NOW);
        check(peer_is_silent(old, NOW));
        tunnel_free(original);
        tunnel_free(old);
}

static uint64_t asked(struct tunnel *t, const char *open)
{
        struct tunnel_event event;

        peer_feed(t, open, NOW);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        return event.service;
}

TEST(a_provider_hears_which_one_is_meant_and_only_for_that_open)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);

        peer_feed(t, THEIRS, NOW);
        peer_expect(t, OURS, NOW);
        peer_feed(t, NAMED, NOW);
        check_equal(asked(t, OPEN), NAME);
        check_equal(asked(t, "0100000000020000005000"), 0);
        peer_feed(t, "46010000000330" "0000000000000007", NOW);
        check_equal(asked(t, "0100000000040000005000"), 0);     /* it was for another one */
        check_equal(asked(t, "0100000000030000005000"), 0);     /* which did not follow */
        peer_feed(t, "46010000000530" "0000000000000007" "ff", NOW);     /* longer ones are to be understood */
        check_equal(asked(t, "0100000000050000005000"), 7);
        tunnel_free(t);
}

TEST(a_name_that_is_none_is_counted_and_the_open_asks_for_any)
{
        static const char *const none[] = { "46010000000130" "01234567", "46010000000131" "0123456789abcdef",
                                            "46000000000130" "0123456789abcdef", "460100000001" };
        struct tunnel *provider = peer_tunnel_up(TUNNEL_PROVIDER), *gateway = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_stats stats;
        struct tunnel_event event;

        for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++)
                peer_feed(provider, none[i], NOW);
        check_equal(asked(provider, OPEN), 0);
        tunnel_stats(provider, &stats);
        check_equal(stats.frames_ignored, 4);
        peer_feed(gateway, NAMED, NOW);         /* nobody opens anything at a gateway */
        check(!tunnel_event(gateway, &event, NOW));
        tunnel_stats(gateway, &stats);
        check_equal(stats.frames_ignored, 1);
        tunnel_free(provider);
        tunnel_free(gateway);
}
