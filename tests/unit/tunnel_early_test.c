/* SPDX-License-Identifier: BSD-3-Clause */
/* Data that follows an open before its answer, byte by byte. */
#include "test.h"
#include "tunnel_peer.h"

#define NOW SECONDS(1)
#define OURS "4001000000003001010000007f00040000"       /* our second HGX: all seven features */
#define THEIRS "400100000000300101000000230000ffff"      /* order, credit, service; a window of 65,535 */
#define THEIRS_SMALL "400100000000300101000000230000000a"        /* the same with one of 10 */
#define OPEN "0100000000010000005000"

enum { EARLY_BYTES = 16 * 1024 };

static const uint8_t frame_of_five[TUNNEL_HEADER_BYTES] = { 0, 0, 0, 11, 2, 0, 0, 0, 0, 1 };

static struct tunnel_channel *asked(struct tunnel *t, const char *theirs)
{
        struct tunnel_channel *ch;

        if (theirs) {
                peer_feed(t, theirs, NOW);
                peer_expect(t, OURS, NOW);
        }
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, NOW), 0);
        return ch;
}

static void write_early(struct tunnel_channel *ch, size_t len, usec_t now_us)
{
        uint8_t header[TUNNEL_HEADER_BYTES];

        check(tunnel_writable(ch) >= len);
        tunnel_write(ch, len, header, now_us);
}

TEST(data_may_follow_an_open_at_once_and_is_a_frame_like_any_other)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch = asked(t, THEIRS);
        uint8_t header[TUNNEL_HEADER_BYTES];

        check_equal(tunnel_writable(ch), 0);    /* it would overtake the open */
        peer_expect(t, OPEN, NOW);
        check_equal(tunnel_writable(ch), EARLY_BYTES);
        tunnel_write(ch, 5, header, NOW);
        check_bytes(header, frame_of_five, sizeof(header));
        tunnel_free(t);
}

TEST(what_goes_early_is_little_and_part_of_the_window)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY), *small = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch = asked(t, THEIRS), *narrow = asked(small, THEIRS_SMALL);

        peer_expect(t, OPEN, NOW);
        write_early(ch, 5, NOW);
        write_early(ch, EARLY_BYTES - 5, NOW);
        check_equal(tunnel_writable(ch), 0);
        peer_feed(t, OPEN, NOW);
        peer_settle(t, NOW);
        peer_expect_event(t, TUNNEL_OPENED, ch, 0, NOW);
        check(tunnel_writable(ch) > EARLY_BYTES);

        peer_expect(small, OPEN, NOW);
        check_equal(tunnel_writable(narrow), 10);
        write_early(narrow, 4, NOW);
        peer_feed(small, OPEN, NOW);
        peer_expect_event(small, TUNNEL_OPENED, narrow, 0, NOW);
        check_equal(tunnel_writable(narrow), 6);
        tunnel_free(t);
        tunnel_free(small);
}

TEST(an_original_is_sent_nothing_before_it_answers)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch = asked(t, NULL);

        peer_expect(t, OPEN, NOW);
        check_equal(tunnel_writable(ch), 0);
        peer_feed(t, OPEN, NOW);
        peer_expect_event(t, TUNNEL_OPENED, ch, 0, NOW);
        check(tunnel_writable(ch) > 0);
        tunnel_free(t);
}

/* Who may be dead is not given what could go to another one. */
TEST(nothing_goes_early_to_who_has_not_been_heard_lately)
{
        static const usec_t later = NOW + MSEC(300);
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch = asked(t, THEIRS);

        peer_expect(t, OPEN, NOW);
        tunnel_advance(t, later);
        check_equal(tunnel_writable(ch), 0);
        peer_feed(t, "400100000000300101000000230000ffff", later);
        check_equal(tunnel_writable(ch), EARLY_BYTES);
        tunnel_free(t);
}

TEST(what_was_sent_early_is_over_with_a_refusal)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch = asked(t, THEIRS);

        peer_expect(t, OPEN, NOW);
        write_early(ch, 5, NOW);
        peer_feed(t, "010400000001226e6f22", NOW);
        peer_expect_event(t, TUNNEL_REFUSED, ch, TUNNEL_DECLINED, NOW);
        check(peer_is_silent(t, NOW));
        tunnel_free(t);
}

TEST(a_provider_keeps_what_comes_early_until_it_has_a_service)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;

        peer_feed(t, THEIRS, NOW);
        peer_expect(t, OURS, NOW);
        peer_feed(t, OPEN, NOW);
        peer_feed(t, "0200000000016561726c79", NOW);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        peer_expect_no_event(t, NOW);
        tunnel_accept(event.channel, NULL, NOW);
        peer_expect(t, OPEN, NOW);
        peer_expect_event(t, TUNNEL_READABLE, event.channel, 0, NOW);
        peer_expect_read(event.channel, "early", false, NOW);
        tunnel_free(t);
}

TEST(a_provider_that_refuses_drops_what_came_early_and_what_still_comes)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;
        struct tunnel_stats stats;

        peer_feed(t, THEIRS, NOW);
        peer_expect(t, OURS, NOW);
        peer_feed(t, OPEN, NOW);
        peer_feed(t, "0200000000016561726c79", NOW);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_refuse(event.channel, "no", 2, NOW);
        peer_expect(t, "010400000001226e6f22", NOW);
        peer_feed(t, "0200000000016561726c79", NOW);
        peer_expect_no_event(t, NOW);
        check(peer_is_silent(t, NOW));
        tunnel_stats(t, &stats);
        check(!stats.queued_bytes && !stats.channels && !stats.frames_ignored);
        tunnel_free(t);
}
