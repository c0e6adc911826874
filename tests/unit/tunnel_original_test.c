/* SPDX-License-Identifier: BSD-3-Clause */
/* With an original on the other end: the recorded session of two of its processes (tests/vectors/hypergate-session.json)
 * replayed into ours, and each of its habits that would lose bytes or time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel_frame.h"
#include "tunnel_peer.h"

/* The recorded session: what arrived at one end goes into a tunnel of ours in that role. */
struct replay {
        struct tunnel *t;
        enum tunnel_role role;
        unsigned arrived, readable, adverts, closed, opened, refused, frames;
        size_t data_bytes;
        char datagrams[64];             /* each in brackets */
};

enum { RECORDED_UDP_PORT = 28253 };

static void replay_datagrams(struct replay *replay, struct tunnel_channel *ch, usec_t now_us)
{
        struct iovec iov;

        while (tunnel_datagrams(ch, &iov, 1)) {
                size_t len = strlen(replay->datagrams);

                snprintf(replay->datagrams + len, sizeof(replay->datagrams) - len, "[%.*s]", (int)iov.iov_len,
                         (const char *)iov.iov_base);
                tunnel_datagrams_done(ch, 1, now_us);
        }
}

static void replay_event(struct replay *replay, const struct tunnel_event *event, usec_t now_us)
{
        const uint8_t *bytes;
        bool ended;
        size_t len;

        switch (event->kind) {
        case TUNNEL_ARRIVED:
                replay->arrived++;
                check(event->gate_port == 28280 || event->gate_port == 28281 || event->gate_port == RECORDED_UDP_PORT);
                check_equal(event->protocol, event->gate_port == RECORDED_UDP_PORT ? TUNNEL_UDP : TUNNEL_TCP);
                if (event->gate_port != 28281)
                        tunnel_accept(event->channel, replay, now_us);
                else
                        tunnel_refuse(event->channel, "no", 2, now_us);
                return;
        case TUNNEL_READABLE:
                replay->readable++;
                replay_datagrams(replay, event->channel, now_us);
                while ((len = tunnel_peek(event->channel, &bytes, &ended)) > 0) {
                        replay->data_bytes += len;
                        tunnel_consume(event->channel, len, now_us);
                }
                if (!ended)
                        return;
                tunnel_consume_end(event->channel, now_us);
                tunnel_end(event->channel, now_us);
                return;
        case TUNNEL_ADVERT:
                replay->adverts++;
                check_equal(event->len, 432);
                return;
        case TUNNEL_OPENED:
                replay->opened++;
                return;
        case TUNNEL_REFUSED:
                replay->refused++;
                return;
        case TUNNEL_CLOSED:
                replay->closed++;
                return;
        case TUNNEL_UP:
        case TUNNEL_FAILED:
        case TUNNEL_BYE:
        case TUNNEL_RELAY:
        case TUNNEL_WRITABLE:
                return;
        }
}

static void replay_settle(struct replay *replay, usec_t now_us)
{
        struct tunnel_message message;
        struct tunnel_event event;

        tunnel_progress(replay->t, 1 << 20, 0, now_us);
        while (tunnel_deadline(replay->t) <= now_us && tunnel_deadline(replay->t))
                tunnel_advance(replay->t, now_us);
        while (tunnel_event(replay->t, &event, now_us))
                replay_event(replay, &event, now_us);
        while (tunnel_transmit(replay->t, &message, now_us))
                replay->frames++;
}

/* The gateway's own opens, so that the provider's answers find them. */
static void replay_open(struct replay *replay, const json_t *frame, usec_t now_us)
{
        bool udp = peer_number(frame, "channel") == 2;
        struct tunnel_channel *ch;

        if (replay->role == TUNNEL_GATEWAY && strcmp(peer_text(frame, "action"), "open") == 0)
                check_equal(tunnel_open(replay->t, udp ? RECORDED_UDP_PORT : 28280, udp ? TUNNEL_UDP : TUNNEL_TCP, NULL, 0, USEC_NEVER,
                                        NULL, &ch, now_us), 0);
        replay_settle(replay, now_us);
}

static void replay_run(struct replay *replay, const char *at, unsigned until_ms)
{
        json_t *root = peer_vectors("hypergate-session.json");
        const json_t *frames = json_object_get(root, "frames"), *frame;
        size_t i;

        replay->t = peer_tunnel_up(replay->role);
        json_array_foreach(frames, i, frame) {
                usec_t now_us = SECONDS(1) + MSEC(peer_number(frame, "t_ms"));

                if (json_object_get(frame, "step") || strcmp(peer_text(frame, "at"), at) != 0)
                        continue;
                if (peer_number(frame, "t_ms") > until_ms)
                        break;
                if (strcmp(peer_text(frame, "dir"), "out") == 0) {
                        replay_open(replay, frame, now_us);
                        continue;
                }
                replay_settle(replay, now_us);
                peer_feed(replay->t, peer_text(frame, "frame_hex"), now_us);
                replay_settle(replay, now_us);
        }
        replay_settle(replay, MINUTES(10));
        json_decref(root);
}

TEST(a_recorded_gateway_finds_a_provider_in_us)
{
        struct replay replay = { .role = TUNNEL_PROVIDER };
        struct tunnel_stats stats;

        replay_run(&replay, "provider (1st process)", 60000);
        check_equal(replay.arrived, 7);                 /* channels 1 to 4 and three tries of 5 */
        check_equal(replay.data_bytes, 89 + 5 + 5);
        check(strcmp(replay.datagrams, "[ping1][ping2]") == 0);
        check_equal(replay.closed, 3);                  /* 1 and 4 both ended, 3 was reset */
        tunnel_stats(replay.t, &stats);
        check_equal(stats.channels, 1);                 /* UDP's lasts an hour */
        tunnel_free(replay.t);
}

TEST(a_recorded_provider_finds_a_gateway_in_us)
{
        struct replay replay = { .role = TUNNEL_GATEWAY };

        replay_run(&replay, "gateway (1st process)", 30000);
        check_equal(replay.adverts, 5);
        check_equal(replay.opened, 4);
        check_equal(replay.refused, 1);                 /* 5, by an error for channel 0 */
        check_equal(replay.data_bytes, 185 + 19 + 10 + 19 - 10);
        check(strcmp(replay.datagrams, "[echo:ping1][echo:ping2]") == 0);
        tunnel_free(replay.t);
}

static const usec_t start_us = SECONDS(1);

static void settle(struct tunnel *t, usec_t now_us)
{
        tunnel_progress(t, 1 << 20, 0, now_us);
        tunnel_advance(t, now_us);
}

static bool no_message(struct tunnel *t, usec_t now_us)
{
        struct tunnel_message message;

        return !tunnel_transmit(t, &message, now_us);
}

/* The next event is @kind, for @ch. */
static void expect_event(struct tunnel *t, enum tunnel_event_kind kind, const struct tunnel_channel *ch,
                         enum tunnel_reason reason, usec_t now_us)
{
        struct tunnel_event event;

        check(tunnel_event(t, &event, now_us));
        check_equal(event.kind, kind);
        check(event.channel == ch);
        check(event.reason == reason || (kind != TUNNEL_CLOSED && kind != TUNNEL_REFUSED));
}

static void no_event(struct tunnel *t, usec_t now_us)
{
        struct tunnel_event event;

        check(!tunnel_event(t, &event, now_us));
}

/* All that can be read now is @text, and whether it ends there. */
static void expect_read(struct tunnel_channel *ch, const char *text, bool ends, usec_t now_us)
{
        const uint8_t *bytes;
        bool ended;
        size_t len = tunnel_peek(ch, &bytes, &ended);

        check_equal(len, strlen(text));
        check(!len || memcmp(bytes, text, len) == 0);
        check_equal(ended, ends);
        tunnel_consume(ch, len, now_us);
}

/* A gateway with channel 1 open to an original provider. */
static struct tunnel *gateway_open(struct tunnel_channel **ch_out)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);

        check_equal(tunnel_open(t, 8080, TUNNEL_TCP, NULL, 0, SECONDS(16), NULL, ch_out, start_us), 0);
        peer_expect(t, "01000000000100001f9000", start_us);
        peer_feed(t, "01000000000100001f9000", start_us);
        expect_event(t, TUNNEL_OPENED, *ch_out, 0, start_us);
        return t;
}

/* Data for nobody, as others' would come. */
static void feed_bulk(struct tunnel *t, size_t len, usec_t now_us)
{
        static uint8_t frame[TUNNEL_MESSAGE_MAX];
        struct writer w = writer_over(frame, sizeof(frame));

        tunnel_frame_write(&w, TUNNEL_ACTION_STREAM, 0, 255, len);
        check_equal(tunnel_receive(t, frame, TUNNEL_HEADER_BYTES + len, now_us), TUNNEL_HEADER_BYTES + len);
}

/* After a burst in which the original's queue may have filled. */
TEST(weakness_14_17_data_that_an_end_has_overtaken_is_delivered_before_it)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;

        feed_bulk(t, 16383, now_us);
        peer_feed(t, "02000000000161", now_us);
        peer_feed(t, "050000000001", now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "a", false, now_us);
        now_us += MSEC(90);
        settle(t, now_us);
        peer_feed(t, "02000000000162", now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "b", false, now_us);
        now_us += MSEC(99);
        settle(t, now_us);
        no_event(t, now_us);
        now_us += MSEC(1);
        settle(t, now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "", true, now_us);
        peer_feed(t, "02000000000163", now_us); /* too late for anyone */
        expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* A close does so, too. */
TEST(weakness_14_17_data_that_a_close_has_overtaken_is_delivered_before_the_reset)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;

        feed_bulk(t, 16383, now_us);
        peer_feed(t, "02000000000161", now_us);
        peer_feed(t, "030000000001", now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "a", false, now_us);
        now_us += MSEC(90);
        settle(t, now_us);
        peer_feed(t, "02000000000162", now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "b", false, now_us);
        now_us += MSEC(99);
        settle(t, now_us);
        no_event(t, now_us);
        now_us += MSEC(1);
        settle(t, now_us);
        expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
        tunnel_free(t);
}

/* It had nothing to queue: less than a stream takes at once has come since the last lull. */
TEST(an_end_after_little_is_held_back_a_moment)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;

        feed_bulk(t, 61440, now_us);
        now_us += MSEC(50);
        feed_bulk(t, 16383, now_us);
        peer_feed(t, "050000000001", now_us);
        check_equal(tunnel_deadline(t), now_us + MSEC(5));
        settle(t, now_us + MSEC(5));
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* And still something comes after it: whoever overtakes once may have overtaken more. */
TEST(an_end_seen_to_overtake_is_held_back_longer)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;

        peer_feed(t, "050000000001", now_us);
        now_us += MSEC(4);
        settle(t, now_us);
        peer_feed(t, "02000000000161", now_us);
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "a", false, now_us);
        settle(t, now_us + MSEC(99));
        no_event(t, now_us + MSEC(99));
        settle(t, now_us + MSEC(100));
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        expect_read(ch, "", true, now_us);
        tunnel_free(t);
}

/* How long an end is held back while @len bytes for others come each @every_us. */
static usec_t hold_time(size_t len, usec_t every_us)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;
        struct tunnel_event event;
        const uint8_t *bytes;
        bool ended = false;

        feed_bulk(t, 61440, now_us);
        peer_feed(t, "050000000001", now_us);
        while (!ended && now_us < start_us + SECONDS(9)) {
                now_us += every_us;
                feed_bulk(t, len, now_us);
                settle(t, now_us);
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
        struct tunnel *t = gateway_open(&ch);
        usec_t now_us = start_us;

        peer_feed(t, "02000000000161", now_us);
        peer_feed(t, "030000000001", now_us);
        peer_feed(t, "02000000000162", now_us);         /* it overtakes as an end does */
        expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
        check_equal(tunnel_writable(ch), 0);
        now_us += MSEC(100);
        settle(t, now_us);
        no_event(t, now_us);                            /* not before it is read */
        expect_read(ch, "ab", false, now_us);
        expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
        check(no_message(t, now_us));
        tunnel_free(t);
}

TEST(close_zero_closes_all)
{
        struct tunnel_channel *open, *opening, *unsent;
        struct tunnel *t = gateway_open(&open);

        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &opening, start_us), 0);
        peer_expect(t, "0100000000020000005000", start_us);
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &unsent, start_us), 0);
        peer_feed(t, "030000000000", start_us);
        expect_event(t, TUNNEL_REFUSED, opening, TUNNEL_RESET, start_us);
        settle(t, start_us + MSEC(100));
        expect_event(t, TUNNEL_CLOSED, open, TUNNEL_RESET, start_us + MSEC(100));
        peer_expect(t, "0100000000030000005000", start_us + MSEC(100));         /* it could not mean this one */
        no_event(t, start_us);
        tunnel_free(t);
}

/* A gateway that has sent @len bytes on channel 1. */
static struct tunnel *gateway_sent(size_t len, struct tunnel_channel **ch_out)
{
        uint8_t header[TUNNEL_HEADER_BYTES];
        struct tunnel *t = gateway_open(ch_out);

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
        check(no_message(t, now_us));
        settle(t, now_us);              /* all acknowledged */
        check_equal(tunnel_deadline(t), now_us + MSEC(100));
        settle(t, now_us + MSEC(99));
        check(no_message(t, now_us + MSEC(99)));
        settle(t, now_us + MSEC(100));
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
        check(no_message(t, now_us));
        settle(t, now_us);
        peer_expect(t, "050000000001", now_us);
        tunnel_free(t);
}

/* The wait is over before it begins when the last acknowledgement is older than that. */
TEST(an_end_long_after_the_last_acknowledgement_waits_for_nothing)
{
        struct tunnel_channel *ch;
        struct tunnel *t = gateway_sent(20000, &ch);
        usec_t now_us = start_us + MSEC(50);

        settle(t, now_us);
        settle(t, now_us + MSEC(60));
        tunnel_end(ch, now_us + MSEC(60));
        check(no_message(t, now_us + MSEC(60)));
        check_equal(tunnel_deadline(t), now_us + MSEC(100));
        tunnel_free(t);

        t = gateway_sent(20000, &ch);
        settle(t, now_us);
        tunnel_end(ch, now_us + MSEC(100));
        peer_expect(t, "050000000001", now_us + MSEC(100));
        tunnel_free(t);
}

/* The usual end: theirs, ours, their close. Without their close ours goes after 10 s. */
TEST(both_ends_and_a_close_are_done)
{
        for (int closes = 0; closes < 2; closes++) {
                struct tunnel_channel *ch;
                struct tunnel *t = gateway_open(&ch);
                usec_t now_us = start_us;

                tunnel_end(ch, now_us); /* nothing was sent: at once */
                peer_expect(t, "050000000001", now_us);
                peer_feed(t, "050000000001", now_us);
                if (closes)
                        peer_feed(t, "030000000001", now_us);
                now_us += MSEC(100);
                settle(t, now_us);
                expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
                expect_read(ch, "", true, now_us);
                tunnel_consume_end(ch, now_us);
                if (!closes) {
                        no_event(t, now_us);
                        check_equal(tunnel_deadline(t), now_us + SECONDS(10));
                        now_us += SECONDS(10);
                        settle(t, now_us);
                        peer_expect(t, "030000000001", now_us);
                }
                expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_DONE, now_us);
                check(no_message(t, now_us));
                tunnel_free(t);
        }
}

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
        settle(t, now_us);
        expect_event(t, TUNNEL_REFUSED, first, TUNNEL_TIMED_OUT, now_us);
        peer_expect(t, "030000000001", now_us);
        peer_feed(t, "010400000000226e6f22", now_us);   /* the first's, though nobody waits for it any more */
        no_event(t, now_us);
        peer_feed(t, "010400000000226e6f22", now_us);
        expect_event(t, TUNNEL_REFUSED, second, TUNNEL_DECLINED, now_us);
        peer_feed(t, "0100000000030000005200", now_us);
        expect_event(t, TUNNEL_OPENED, third, 0, now_us);
        peer_feed(t, "010400000000226e6f22", now_us);   /* nobody's */
        no_event(t, now_us);
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
        expect_event(t, TUNNEL_REFUSED, first, TUNNEL_DECLINED, start_us);
        expect_event(t, TUNNEL_OPENED, second, 0, start_us);
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
        check(no_message(t, start_us));
        no_event(t, start_us);
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
        expect_event(t, TUNNEL_CLOSED, old, TUNNEL_RESET, start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        check(no_message(t, start_us));                 /* no close: it would hit the new one */
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
        no_event(t, start_us);
        check(no_message(t, start_us));
        check_equal(tunnel_deadline(t), start_us + SECONDS(1));
        settle(t, start_us + SECONDS(1));
        for (unsigned i = 0; i < 4; i++) {
                struct tunnel_message message;

                check(tunnel_transmit(t, &message, start_us + SECONDS(1)));
                check(message.bytes[4] == TUNNEL_ACTION_OPEN && message.bytes[5] == message.len - TUNNEL_HEADER_BYTES);
                check(message.bytes[9] >= 5 && message.bytes[9] <= 8);
        }
        check(no_message(t, start_us + SECONDS(1)));
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
        peer_expect(t, "4001000000003001010000003f00040000", start_us);
        for (unsigned i = 0; i < 2; i++) {
                if (i)
                        peer_feed(t, "400100000000300101000000030000ffff", start_us);
                peer_feed(t, opens[i], start_us);
                check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
                tunnel_refuse(event.channel, "no", 2, start_us);
                check_equal(no_message(t, start_us), i == 0);   /* the second is answered at once */
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
        peer_expect(t, "4001000000003001010000003f00040000", start_us);
        peer_expect(t, "0100000000020000005000", start_us);
        peer_feed(t, "0100000000020000005000", start_us);       /* it does not answer in order */
        expect_event(t, TUNNEL_OPENED, extended, 0, start_us);
        peer_feed(t, "0100000000010000005000", start_us);
        expect_event(t, TUNNEL_OPENED, plain, 0, start_us);
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
        peer_expect(t, "4001000000003001010000003f00040000", start_us);
        peer_feed(t, "0100000000010000005000", start_us);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_accept(event.channel, NULL, start_us);
        peer_expect(t, "0100000000010000005000", start_us);
        check_equal(tunnel_writable(event.channel), TUNNEL_DATA_MAX);
        check_equal(tunnel_receive(t, frame, sizeof(frame) - 1, start_us), sizeof(frame) - 1);  /* exactly the window */
        expect_event(t, TUNNEL_READABLE, event.channel, 0, start_us);
        peer_feed(t, "02000000000100", start_us);
        expect_event(t, TUNNEL_CLOSED, event.channel, TUNNEL_LIMIT, start_us);
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
                        expect_event(t, TUNNEL_CLOSED, event.channel, TUNNEL_RESET, start_us);
                } else if (how == 1) {
                        tunnel_refuse(event.channel, "no", 2, start_us);
                } else {
                        tunnel_abort(event.channel, start_us);
                }
                no_event(t, start_us);
                check(no_message(t, start_us));
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
        no_event(t, start_us);
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
        settle(t, start_us + SECONDS(2));
        check(no_message(t, start_us + SECONDS(2)));
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
        settle(t, now_us);
        no_event(t, now_us);
        tunnel_accept(event.channel, NULL, now_us);
        expect_event(t, TUNNEL_READABLE, event.channel, 0, now_us);
        expect_read(event.channel, "a", true, now_us);
        tunnel_free(t);
}

/* An abort that lies behind unread data is told when that is read, or taken as read when the caller aborts too; a reader who
 * never comes is waited for half a minute. */
TEST(an_abort_waits_for_the_reader_but_not_for_ever)
{
        for (unsigned reads = 0; reads < 2; reads++) {
                struct tunnel_channel *ch;
                struct tunnel *t = gateway_open(&ch);
                usec_t now_us = start_us + MSEC(100);

                peer_feed(t, "02000000000161", start_us);
                peer_feed(t, "030000000001", start_us);
                settle(t, now_us);
                expect_event(t, TUNNEL_READABLE, ch, 0, now_us);
                no_event(t, now_us);
                check_equal(tunnel_deadline(t), now_us + SECONDS(30));
                settle(t, now_us + SECONDS(30) - 1);
                no_event(t, now_us);
                if (reads) {
                        tunnel_abort(ch, now_us);
                } else {
                        settle(t, now_us + SECONDS(30));
                        expect_event(t, TUNNEL_CLOSED, ch, TUNNEL_RESET, now_us);
                }
                no_event(t, now_us);
                check(no_message(t, now_us));
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
        check(no_message(t, start_us));
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
