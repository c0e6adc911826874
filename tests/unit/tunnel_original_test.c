/* SPDX-License-Identifier: BSD-3-Clause */
/* With an original on the other end: what its hellos, opens and answers mean, and each of its habits that would lose bytes or time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel_frame.h"
#include "tunnel_peer.h"

static const usec_t start_us = SECONDS(1);

/* Its open errors name no channel: each belongs to the oldest open without an answer, timed out or not. */
TEST(an_error_for_channel_zero_belongs_to_the_oldest_open)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *first, *second, *third;
        usec_t now_us = start_us;

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, now_us + SECONDS(1), NULL, &first, now_us), 0);
        check_equal(tunnel_open(t, 81, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &second, now_us), 0);
        check_equal(tunnel_open(t, 82, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &third, now_us), 0);
        peer_expect(t, "0100000000010000005000", now_us);
        peer_expect(t, "0100000000020000005100", now_us);
        peer_expect(t, "0100000000030000005200", now_us);
        now_us += SECONDS(1);
        peer_settle(t, now_us);
        peer_expect_event(t, TUNNEL_REFUSED, first, TUNNEL_TIMED_OUT, now_us);
        peer_expect(t, "030000000001", now_us);
        peer_feed(t, "010400000000226e6f22", now_us);   /* the first's, though nobody waits for it any more */
        peer_expect_no_event(t, now_us);
        peer_feed(t, "010400000000226e6f22", now_us);
        peer_expect_event(t, TUNNEL_REFUSED, second, TUNNEL_DECLINED, now_us);
        peer_feed(t, "0100000000030000005200", now_us);
        peer_expect_event(t, TUNNEL_OPENED, third, 0, now_us);
        peer_feed(t, "010400000000226e6f22", now_us);   /* nobody's */
        peer_expect_no_event(t, now_us);
        tunnel_free(t);
}

TEST(a_confirm_means_that_older_opens_have_failed)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *first, *second;

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &first, start_us), 0);
        check_equal(tunnel_open(t, 81, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &second, start_us), 0);
        peer_expect(t, "0100000000010000005000", start_us);
        peer_expect(t, "0100000000020000005100", start_us);
        peer_feed(t, "0100000000020000005100", start_us);
        peer_expect_event(t, TUNNEL_REFUSED, first, TUNNEL_DECLINED, start_us);
        peer_expect_event(t, TUNNEL_OPENED, second, 0, start_us);
        tunnel_free(t);
}

/* Else the provider would keep its connection to the service for ever. */
TEST(weakness_14_21_a_confirm_that_nobody_waits_for_is_answered_with_a_close)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch;

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, start_us), 0);
        peer_expect(t, "0100000000010000005000", start_us);
        tunnel_abort(ch, start_us);
        peer_expect(t, "030000000001", start_us);
        peer_feed(t, "0100000000010000005000", start_us);
        peer_expect(t, "030000000001", start_us);
        peer_feed(t, "0100000000090000005000", start_us);
        peer_expect(t, "030000000009", start_us);
        check(peer_is_silent(t, start_us));
        peer_expect_no_event(t, start_us);
        tunnel_free(t);
}

/* An original gateway tries again with the same id. */
TEST(weakness_14_22_an_open_for_a_known_id_replaces_the_channel)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;
        struct tunnel_channel *old;

        peer_feed(t, "0100000000050000005000", start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        old = event.channel;
        tunnel_accept(old, NULL, start_us);
        peer_feed(t, "0100000000050000005000", start_us);
        peer_expect_event(t, TUNNEL_CLOSED, old, TUNNEL_RESET, start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        check(peer_is_silent(t, start_us));                 /* no close: it would hit the new one */
        tunnel_accept(event.channel, NULL, start_us);
        peer_expect(t, "0100000000050000005000", start_us);
        tunnel_free(t);
}

TEST(weakness_14_14_a_refusal_names_the_channel_and_comes_a_second_later)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;

        peer_feed(t, "0100000000050000005000", start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_refuse(event.channel, "no", 2, start_us);
        peer_feed(t, "01000000000601000035", start_us);         /* 16,777,269, in the old format */
        peer_feed(t, "0100000000070000000000", start_us);       /* gate port 0 */
        peer_feed(t, "0100000000080001000000", start_us);       /* 65,536 */
        peer_expect_no_event(t, start_us);
        check(peer_is_silent(t, start_us));
        check_equal(tunnel_deadline(t), start_us + SECONDS(1));
        peer_settle(t, start_us + SECONDS(1));
        for (unsigned i = 0; i < 4; i++) {
                struct tunnel_message message;

                check(tunnel_transmit(t, &message, start_us + SECONDS(1)));
                check(message.bytes[4] == TUNNEL_ACTION_OPEN && message.bytes[5] == message.len - TUNNEL_HEADER_BYTES);
                check(message.bytes[9] >= 5 && message.bytes[9] <= 8);
        }
        check(peer_is_silent(t, start_us + SECONDS(1)));
        tunnel_free(t);
}

/* Answers that could pile up stop the reading instead. */
TEST(a_provider_flooded_with_opens_stops_reading)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_stats stats;
        struct tunnel_message message;
        uint8_t frame[15] = { 0, 0, 0, 11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0 };
        unsigned id = 0, answers = 0;

        for (size_t taken = sizeof(frame); taken == sizeof(frame) && id < 20000;) {
                id++;
                frame[8] = (uint8_t)(id >> 8);
                frame[9] = (uint8_t)id;
                taken = tunnel_receive(t, frame, sizeof(frame), start_us);
        }
        check_equal(id, 16384 + 64 + 1);
        check(tunnel_paused(t));
        while (tunnel_transmit(t, &message, start_us))
                answers++;
        check_equal(answers, 64);
        check(!tunnel_paused(t));
        check_equal(tunnel_receive(t, frame, sizeof(frame), start_us), sizeof(frame));
        tunnel_stats(t, &stats);
        check_equal(stats.channels, 16384);
        tunnel_free(t);
}

/* The time in our hello when theirs has come already, from a clock @ahead_ms ahead of ours. */
static int64_t answered_time(int64_t ahead_ms)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *row = json_array_get(json_object_get(root, "auth_blobs"), 0);
        struct tunnel_message message;
        struct peer_hello hello;
        struct tunnel *t;
        int64_t time_ms = 0;

        peer_hello_read(root, row, &hello);
        t = peer_tunnel(&hello, TUNNEL_PROVIDER, hello.time_ms - ahead_ms);
        peer_feed(t, peer_text(row, "hello_frame_gateway_hex"), start_us);
        check(tunnel_transmit(t, &message, start_us));
        check_equal(message.len, 83);
        hello.keys.sender = hello.target;
        hello.keys.receiver = hello.source;
        check(tunnel_hello_check(message.bytes + TUNNEL_HEADER_BYTES, &hello.keys, &time_ms));
        tunnel_free(t);
        json_decref(root);
        return time_ms - hello.time_ms;
}

/* To be young enough for a peer whose clock leads: six hours for all, and the time of one that came before. */
TEST(weakness_14_5_our_hello_is_no_older_than_theirs)
{
        check_equal(answered_time(7 * 3600 * 1000), 0);
        check_equal(answered_time(3600 * 1000), 5 * 3600 * 1000);
        check_equal(answered_time(-3600 * 1000), 7 * 3600 * 1000);
}

/* Which features a channel has is where its open stands in the stream, before or behind the gateway's second HGX: a refusal
 * by a provider that delays it, a close by a gateway that does not acknowledge with it, treat it as an original's. */
TEST(a_channel_has_the_features_its_open_came_behind)
{
        static const char *const opens[] = { "0100000000010000005000", "0100000000020000005000" };
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;

        peer_feed(t, "400100000000300100000000030000ffff", start_us);
        peer_expect(t, "4001000000003001010000007f00040000", start_us);
        for (unsigned i = 0; i < 2; i++) {
                if (i)
                        peer_feed(t, "400100000000300101000000030000ffff", start_us);
                peer_feed(t, opens[i], start_us);
                check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
                tunnel_refuse(event.channel, "no", 2, start_us);
                check_equal(peer_is_silent(t, start_us), i == 0);   /* the second is answered at once */
        }
        tunnel_free(t);
}

TEST(an_open_ahead_of_the_second_hgx_is_plain_for_the_gateway_too)
{
        struct tunnel_channel *plain, *extended;
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &plain, start_us), 0);
        peer_expect(t, "0100000000010000005000", start_us);
        peer_feed(t, "40010000000030010000000003000000ff", start_us);
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &extended, start_us), 0);
        peer_expect(t, "4001000000003001010000007f00040000", start_us);
        peer_expect(t, "0100000000020000005000", start_us);
        peer_feed(t, "0100000000020000005000", start_us);       /* it does not answer in order */
        peer_expect_event(t, TUNNEL_OPENED, extended, 0, start_us);
        peer_feed(t, "0100000000010000005000", start_us);
        peer_expect_event(t, TUNNEL_OPENED, plain, 0, start_us);
        check_equal(tunnel_writable(plain), 61440);
        check_equal(tunnel_writable(extended), 255);            /* the window it was given */
        tunnel_free(t);
}

/* More data than the window was good for is no mistake one makes. */
TEST(who_overruns_a_window_loses_the_channel)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        static uint8_t frame[TUNNEL_HEADER_BYTES + 262144 + 1] = { 0, 4, 0, 6, 2, 0, 0, 0, 0, 1 };
        struct tunnel_event event;

        peer_feed(t, "400100000000300101000000030000ffff", start_us);
        peer_expect(t, "4001000000003001010000007f00040000", start_us);
        peer_feed(t, "0100000000010000005000", start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_accept(event.channel, NULL, start_us);
        peer_expect(t, "0100000000010000005000", start_us);
        check_equal(tunnel_writable(event.channel), TUNNEL_DATA_MAX);
        check_equal(tunnel_receive(t, frame, sizeof(frame) - 1, start_us), sizeof(frame) - 1);  /* exactly the window */
        peer_expect_event(t, TUNNEL_READABLE, event.channel, 0, start_us);
        peer_feed(t, "02000000000100", start_us);
        peer_expect_event(t, TUNNEL_CLOSED, event.channel, TUNNEL_LIMIT, start_us);
        peer_expect(t, "030000000001", start_us);
        tunnel_free(t);
}

/* The peer's close and the caller's calls cross: until the event is drained the pointer is good and the calls are harmless. */
TEST(calls_on_a_channel_that_is_over_do_nothing)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;
        const uint8_t *bytes;
        struct tunnel_stats stats;
        bool ended = true;

        for (unsigned how = 0; how < 3; how++) {
                peer_feed(t, "0100000000050000005000", start_us);
                check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
                peer_feed(t, "030000000005", start_us);
                if (how == 0) {
                        tunnel_accept(event.channel, t, start_us);
                        check_equal(tunnel_writable(event.channel), 0);
                        check_equal(tunnel_peek(event.channel, &bytes, &ended), 0);
                        check(!ended);
                        tunnel_consume(event.channel, 0, start_us);
                        tunnel_consume_end(event.channel, start_us);
                        tunnel_end(event.channel, start_us);
                        peer_expect_event(t, TUNNEL_CLOSED, event.channel, TUNNEL_RESET, start_us);
                } else if (how == 1) {
                        tunnel_refuse(event.channel, "no", 2, start_us);
                } else {
                        tunnel_abort(event.channel, start_us);
                }
                peer_expect_no_event(t, start_us);
                check(peer_is_silent(t, start_us));
                tunnel_stats(t, &stats);
                check_equal(stats.channels, 0);
        }
        tunnel_free(t);
}

/* Asked and taken back before the caller drained a single event: it never hears of it. */
TEST(an_open_that_is_closed_unseen_is_never_told)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_stats stats;

        peer_feed(t, "0100000000050000005000", start_us);
        peer_feed(t, "02000000000561", start_us);
        peer_feed(t, "030000000005", start_us);
        peer_expect_no_event(t, start_us);
        tunnel_stats(t, &stats);
        check(stats.channels == 0 && stats.queued_bytes == 0);
        tunnel_free(t);
}

/* Refused, not told yet (that takes a second), and given up or asked again meanwhile. */
TEST(a_refusal_that_is_overtaken_is_not_sent)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;

        for (unsigned again = 0; again < 2; again++) {
                peer_feed(t, "0100000000050000005000", start_us);
                check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
                tunnel_refuse(event.channel, "no", 2, start_us);
                peer_feed(t, again ? "0100000000050000005000" : "030000000005", start_us);
        }
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        peer_settle(t, start_us + SECONDS(2));
        check(peer_is_silent(t, start_us + SECONDS(2)));
        tunnel_accept(event.channel, NULL, start_us + SECONDS(2));
        peer_expect(t, "0100000000050000005000", start_us + SECONDS(2));
        tunnel_free(t);
}

/* Data and even the end may be there before the service is: all of it waits for tunnel_accept(). */
TEST(what_came_before_the_answer_is_read_after_it)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_event event;
        usec_t now_us = start_us + SECONDS(1);

        peer_feed(t, "0100000000050000005000", start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        peer_feed(t, "02000000000561", start_us);
        peer_feed(t, "050000000005", start_us);
        peer_settle(t, now_us);
        peer_expect_no_event(t, now_us);
        tunnel_accept(event.channel, NULL, now_us);
        peer_expect_event(t, TUNNEL_READABLE, event.channel, 0, now_us);
        peer_expect_read(event.channel, "a", true, now_us);
        tunnel_free(t);
}

/* An abort that lies behind unread data is told when that is read, or taken as read when the caller aborts too; a reader who
 * never comes is waited for half a minute. */
TEST(an_abort_waits_for_the_reader_but_not_for_ever)
{
        for (unsigned reads = 0; reads < 2; reads++) {
                struct tunnel_channel *ch;
                struct tunnel *t = peer_gateway_open(&ch);
                usec_t now_us = start_us + MSEC(100);

                peer_feed(t, "02000000000161", start_us);
                peer_feed(t, "030000000001", start_us);
                peer_settle(t, now_us);
                peer_expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
                peer_expect_no_event(t, now_us);
                check_equal(tunnel_deadline(t), now_us + SECONDS(30));
                peer_settle(t, now_us + SECONDS(30) - 1);
                peer_expect_no_event(t, now_us);
                if (reads) {
                        tunnel_abort(ch, now_us);
                } else {
                        peer_settle(t, now_us + SECONDS(30));
                        peer_expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
                }
                peer_expect_no_event(t, now_us);
                check(peer_is_silent(t, now_us));
                tunnel_free(t);
        }
}

/* A wrong version, a short one, a credit for nobody: counted at most. */
TEST(odd_extension_frames_change_nothing)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_stats stats;

        peer_feed(t, "400100000000300201000000030000ffff", start_us);
        peer_feed(t, "4001000000003001010000", start_us);
        peer_feed(t, "400000000000300101000000030000ffff", start_us);   /* no error length: an original would log it */
        peer_feed(t, "41010000000130ffff", start_us);
        peer_feed(t, "4101000000073000000001", start_us);
        tunnel_stats(t, &stats);
        check(!stats.extended);
        check_equal(stats.frames_ignored, 4);
        check(peer_is_silent(t, start_us));
        tunnel_free(t);
}

/* What a peer says of relays is told each time, and what we say leaves once for each change, to one who understands it. */
TEST(relays_are_spoken_of_among_peers_who_can)
{
        static const char key[] = "0102030405060708091011121314151617181920212223242526272829303132",
                          none[] = "0000000000000000000000000000000000000000000000000000000000000000";
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_relay ours = { .wanted = true };
        struct tunnel_message message;
        struct tunnel_event event;
        char frame[256];

        check(tunnel_tell_relay(t, &ours));
        check(!tunnel_tell_relay(t, &ours));
        check(!tunnel_transmit(t, &message, SECONDS(1)));               /* an original, as far as we know */
        peer_feed(t, "400100000000300100000000030000ffff", SECONDS(1)); /* HGX without the feature */
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.bytes[4] == TUNNEL_ACTION_HGX);
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        tunnel_free(t);

        t = peer_tunnel_up(TUNNEL_GATEWAY);
        check(tunnel_tell_relay(t, &ours));
        peer_feed(t, "400100000000300100000000070000ffff", SECONDS(1));
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.bytes[4] == TUNNEL_ACTION_HGX);
        snprintf(frame, sizeof(frame), "4501000000003001%s", none);
        peer_expect(t, frame, SECONDS(1));
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        ours.offered = true;
        for (unsigned i = 0; i < sizeof(ours.key); i++)
                ours.key[i] = (uint8_t)(key[2 * i] - '0') * 16 + (uint8_t)(key[2 * i + 1] - '0');
        check(tunnel_tell_relay(t, &ours));
        snprintf(frame, sizeof(frame), "4501000000003003%s", key);
        peer_expect(t, frame, SECONDS(1));

        peer_feed(t, frame, SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_RELAY);
        check(event.relay.wanted && event.relay.offered);
        check_bytes(event.relay.key, ours.key, sizeof(ours.key));
        snprintf(frame, sizeof(frame), "450100000000300e%sff", key);    /* a key that is offered, unknown flags and more bytes */
        peer_feed(t, frame, SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_RELAY);
        check(!event.relay.wanted && event.relay.offered);
        snprintf(frame, sizeof(frame), "4501000000003000%s", key);      /* and one that is not */
        peer_feed(t, frame, SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_RELAY);
        check(!event.relay.offered && event.relay.key[0] == 0);
        snprintf(frame, sizeof(frame), "4501000000003003%.62s", key);   /* cut; not marked; with no error length */
        peer_feed(t, frame, SECONDS(1));
        snprintf(frame, sizeof(frame), "4501000000003103%s", key);
        peer_feed(t, frame, SECONDS(1));
        snprintf(frame, sizeof(frame), "4500000000003003%s", key);
        peer_feed(t, frame, SECONDS(1));
        check(!tunnel_event(t, &event, SECONDS(1)));
        tunnel_free(t);
}
