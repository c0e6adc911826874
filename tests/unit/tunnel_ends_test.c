/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends and closes with an original on the other end: they overtake data there, and here they must not. */
#include <string.h>

#include "test.h"
#include "tunnel_frame.h"
#include "tunnel_peer.h"

static const usec_t start_us = SECONDS(1);

/* Data for nobody, as others' would come. */
static void feed_bulk(struct tunnel *t, size_t len, usec_t now_us)
{
        static uint8_t frame[TUNNEL_MESSAGE_MAX];
        struct writer w = writer_over(frame, sizeof(frame));

        tunnel_frame_write(&w, TUNNEL_ACTION_STREAM, 0, 255, len);
        check_equal(tunnel_receive(t, frame, TUNNEL_HEADER_BYTES + len, now_us), TUNNEL_HEADER_BYTES + len);
}

/* Data comes before @frame and after it, which waits until no more has come for a while; when it is heard. */
static usec_t overtake(struct tunnel *t, struct tunnel_channel *ch, const char *frame)
{
        usec_t now_us = start_us;

        feed_bulk(t, 16383, now_us);
        peer_feed(t, "02000000000161", now_us);
        peer_feed(t, frame, now_us);
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "a", false, now_us);
        now_us += MSEC(90);
        peer_settle(t, now_us);
        peer_feed(t, "02000000000162", now_us);
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "b", false, now_us);
        now_us += MSEC(99);
        peer_settle(t, now_us);
        peer_expect_no_event(t, now_us);
        now_us += MSEC(1);
        peer_settle(t, now_us);
        return now_us;
}

/* After a burst in which the original's queue may have filled. */
TEST(weakness_14_17_data_that_an_end_has_overtaken_is_delivered_before_it)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = overtake(t, ch, "050000000001");

        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "", true, now_us);
        peer_feed(t, "02000000000163", now_us); /* too late for anyone */
        peer_expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* A close does so, too. */
TEST(weakness_14_17_data_that_a_close_has_overtaken_is_delivered_before_the_reset)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = overtake(t, ch, "030000000001");

        peer_expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
        tunnel_free(t);
}

/* It had nothing to queue: less than a stream takes at once has come since the last lull. */
TEST(an_end_after_little_is_held_back_a_moment)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = start_us;

        feed_bulk(t, 61440, now_us);
        now_us += MSEC(50);
        feed_bulk(t, 16383, now_us);
        peer_feed(t, "050000000001", now_us);
        check_equal(tunnel_deadline(t), now_us + MSEC(5));
        peer_settle(t, now_us + MSEC(5));
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* And still something comes after it: whoever overtakes once may have overtaken more. */
TEST(an_end_seen_to_overtake_is_held_back_longer)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = start_us;

        peer_feed(t, "050000000001", now_us);
        now_us += MSEC(4);
        peer_settle(t, now_us);
        peer_feed(t, "02000000000161", now_us);
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "a", false, now_us);
        peer_settle(t, now_us + MSEC(99));
        peer_expect_no_event(t, now_us + MSEC(99));
        peer_settle(t, now_us + MSEC(100));
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        peer_expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* How long an end is held back while @len bytes for others come each @every_us. */
static usec_t hold_time(size_t len, usec_t every_us)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = start_us;
        struct tunnel_event event;
        const uint8_t *bytes;
        bool ended = false;

        feed_bulk(t, 61440, now_us);
        peer_feed(t, "050000000001", now_us);
        while (!ended && now_us < start_us + SECONDS(9)) {
                now_us += every_us;
                feed_bulk(t, len, now_us);
                peer_settle(t, now_us);
                (void)tunnel_event(t, &event, now_us);
                (void)tunnel_peek(ch, &bytes, &ended);
        }
        tunnel_free(t);
        return now_us - start_us;
}

/* While others' data flows the overtaken may still be queued at the peer; a trickle is no queue, and no queue is endless. */
TEST(an_end_waits_longer_beside_bulk_than_beside_a_trickle)
{
        usec_t trickle_us = hold_time(100, MSEC(10)), slow_us = hold_time(10000, MSEC(20)), fast_us = hold_time(61440, MSEC(4));

        check(trickle_us >= MSEC(300) && trickle_us <= MSEC(330));      /* 10 KB/s */
        check(slow_us >= SECONDS(2) && slow_us <= SECONDS(2) + MSEC(40));       /* 500 KB/s */
        check(fast_us >= MSEC(140) && fast_us <= MSEC(180));            /* 15 MB/s: 2 MiB have come */
}

/* Their service died: what it said before is delivered, then the client sees a reset, not an end. */
TEST(a_close_without_an_end_is_a_reset_behind_the_data)
{
        struct tunnel_channel *ch;
        struct tunnel *t = peer_gateway_open(&ch);
        usec_t now_us = start_us;

        peer_feed(t, "02000000000161", now_us);
        peer_feed(t, "030000000001", now_us);
        peer_feed(t, "02000000000162", now_us);         /* it overtakes as an end does */
        peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        check_equal(tunnel_writable(ch), 0);
        now_us += MSEC(100);
        peer_settle(t, now_us);
        peer_expect_no_event(t, now_us);                            /* not before it is read */
        peer_expect_read(ch, "ab", false, now_us);
        peer_expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
        check(peer_is_silent(t, now_us));
        tunnel_free(t);
}

TEST(close_zero_closes_all)
{
        struct tunnel_channel *open, *opening, *unsent;
        struct tunnel *t = peer_gateway_open(&open);

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &opening, start_us), 0);
        peer_expect(t, "0100000000020000005000", start_us);
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &unsent, start_us), 0);
        peer_feed(t, "030000000000", start_us);
        peer_expect_event(t, TUNNEL_REFUSED, opening, TUNNEL_RESET, start_us);
        peer_settle(t, start_us + MSEC(100));
        peer_expect_event(t, TUNNEL_CLOSED, open, TUNNEL_RESET, start_us + MSEC(100));
        peer_expect(t, "0100000000030000005000", start_us + MSEC(100));         /* it could not mean this one */
        peer_expect_no_event(t, start_us);
        tunnel_free(t);
}

/* A gateway that has sent @len bytes on channel 1. */
static struct tunnel *gateway_sent(size_t len, struct tunnel_channel **ch_out)
{
        uint8_t header[TUNNEL_HEADER_BYTES];
        struct tunnel *t = peer_gateway_open(ch_out);

        check(tunnel_writable(*ch_out) >= len);
        tunnel_write(*ch_out, len, header, start_us);
        return t;
}

/* An original ends its socket the moment an end comes: so the data must be through, and 100 ms more. */
TEST(weakness_14_16_an_end_waits_for_acknowledgements)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_sent(16384, &ch);
        usec_t now_us = start_us;

        tunnel_end(ch, now_us);
        now_us += SECONDS(5);
        tunnel_progress(t, 1 << 20, 1, now_us);
        tunnel_advance(t, now_us);
        check(peer_is_silent(t, now_us));
        peer_settle(t, now_us);              /* all acknowledged */
        check_equal(tunnel_deadline(t), now_us + MSEC(100));
        peer_settle(t, now_us + MSEC(99));
        check(peer_is_silent(t, now_us + MSEC(99)));
        peer_settle(t, now_us + MSEC(100));
        peer_expect(t, "050000000001", now_us + MSEC(100));
        tunnel_free(t);
}

/* What its socket takes at once is handed on when it is acknowledged. */
TEST(an_end_after_little_waits_for_acknowledgements_alone)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_sent(16383, &ch);
        usec_t now_us = start_us + SECONDS(5);

        tunnel_end(ch, start_us);
        tunnel_progress(t, 1 << 20, 1, now_us);
        check(peer_is_silent(t, now_us));
        peer_settle(t, now_us);
        peer_expect(t, "050000000001", now_us);
        tunnel_free(t);
}

/* The wait is over before it begins when the last acknowledgement is older than that. */
TEST(an_end_long_after_the_last_acknowledgement_waits_for_nothing)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_sent(20000, &ch);
        usec_t now_us = start_us + MSEC(50);

        peer_settle(t, now_us);
        peer_settle(t, now_us + MSEC(60));
        tunnel_end(ch, now_us + MSEC(60));
        check(peer_is_silent(t, now_us + MSEC(60)));
        check_equal(tunnel_deadline(t), now_us + MSEC(100));
        tunnel_free(t);

        t = gateway_sent(20000, &ch);
        peer_settle(t, now_us);
        tunnel_end(ch, now_us + MSEC(100));
        peer_expect(t, "050000000001", now_us + MSEC(100));
        tunnel_free(t);
}

/* The usual end: theirs, ours, their close. Without their close ours goes after 10 s. */
TEST(both_ends_and_a_close_are_done)
{
        for (int closes = 0; closes < 2; closes++) {
                struct tunnel_channel *ch;
                struct tunnel *t = peer_gateway_open(&ch);
                usec_t now_us = start_us;

                tunnel_end(ch, now_us); /* nothing was sent: at once */
                peer_expect(t, "050000000001", now_us);
                peer_feed(t, "050000000001", now_us);
                if (closes)
                        peer_feed(t, "030000000001", now_us);
                now_us += MSEC(100);
                peer_settle(t, now_us);
                peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
                peer_expect_read(ch, "", true, now_us);
                tunnel_consume_end(ch, now_us);
                if (!closes) {
                        peer_expect_no_event(t, now_us);
                        check_equal(tunnel_deadline(t), now_us + SECONDS(10));
                        now_us += SECONDS(10);
                        peer_settle(t, now_us);
                        peer_expect(t, "030000000001", now_us);
                }
                peer_expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_DONE, now_us);
                check(peer_is_silent(t, now_us));
                tunnel_free(t);
        }
}
