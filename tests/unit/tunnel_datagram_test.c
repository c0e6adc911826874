/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels of datagrams between two tunnels, and between one of ours and an original; frames go over at once, or when told. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel.h"
#include "tunnel_datagram.h"
#include "tunnel_peer.h"

enum { ROOM = 4 << 20, PORT = 5353 };

static const usec_t start_us = SECONDS(100);
static uint64_t seed;
static usec_t now_us;
static struct tunnel *ends[2];          /* by role */
static uint8_t large[TUNNEL_DATAGRAM_MAX];

static const struct tunnel_routers routers = {
        .list = { { .held = true, .public_key = { [0 ... TUNNEL_KEY_BYTES - 1] = 7 },
                    .auth_key = { [0 ... TUNNEL_AUTH_KEY_BYTES - 1] = 9 } } },
};

static struct tunnel *end_of(enum tunnel_role role, size_t receive_limit_bytes)
{
        struct tunnel_config config = { .role = role, .random = { test_random_fill, &seed },
                                        .receive_limit_bytes = receive_limit_bytes, .routers = &routers };
        struct now now = { .mono_us = now_us, .wall_us = SECONDS(1700000000) };
        struct tunnel *t;

        memset(config.key, 1 + role, sizeof(config.key));
        memset(config.peer_key, 2 - role, sizeof(config.peer_key));
        check_equal(tunnel_new(&t, &config, &now), 0);
        tunnel_progress(t, ROOM, 0, now_us);
        return t;
}

/* All that one end has to say, in pieces of @cut bytes. False: it had nothing. */
static bool carry(enum tunnel_role from, size_t cut)
{
        struct tunnel_message message;
        bool any = false;

        while (tunnel_transmit(ends[from], &message, now_us)) {
                any = true;
                for (size_t at = 0; at < message.len; at += cut) {
                        size_t len = MIN(cut, message.len - at);

                        check_equal(tunnel_receive(ends[!from], message.bytes + at, len, now_us), len);
                }
                tunnel_progress(ends[from], ROOM, 0, now_us);
        }
        return any;
}

static void settle(void)
{
        for (bool any = true; any;) {
                any = carry(TUNNEL_GATEWAY, SIZE_MAX);
                any = carry(TUNNEL_PROVIDER, SIZE_MAX) || any;
        }
}

static void expect(enum tunnel_role role, enum tunnel_event_kind kind, struct tunnel_event *event)
{
        check(tunnel_event(ends[role], event, now_us));
        check_equal(event->kind, kind);
}

static void expect_none(enum tunnel_role role)
{
        struct tunnel_event event;

        check(!tunnel_event(ends[role], &event, now_us));
}

static void begin(size_t receive_limit_bytes)
{
        struct tunnel_event event;

        now_us = start_us;
        for (unsigned role = 0; role < 2; role++)
                ends[role] = end_of((enum tunnel_role)role, receive_limit_bytes);
        settle();
        for (unsigned role = 0; role < 2; role++)
                expect((enum tunnel_role)role, TUNNEL_UP, &event);
        settle();
        for (size_t i = 0; i < sizeof(large); i++)
                large[i] = (uint8_t)(i * 13 + i / 257);
}

static void finish(void)
{
        tunnel_free(ends[TUNNEL_GATEWAY]);
        tunnel_free(ends[TUNNEL_PROVIDER]);
}

/* The gateway asks; *@arrived_out is what the provider has not answered. */
static struct tunnel_channel *ask(struct tunnel_channel **arrived_out)
{
        struct tunnel_channel *ch;
        struct tunnel_event event;

        check_equal(tunnel_open(ends[TUNNEL_GATEWAY], PORT, TUNNEL_UDP, NULL, 0, USEC_NEVER, NULL, &ch, now_us), 0);
        settle();
        do
                check(tunnel_event(ends[TUNNEL_PROVIDER], &event, now_us));
        while (event.kind == TUNNEL_READABLE);
        check_equal(event.kind, TUNNEL_ARRIVED);
        check_equal(event.protocol, TUNNEL_UDP);
        *arrived_out = event.channel;
        return ch;
}

/* An open channel, by role. */
static void open_channel(struct tunnel_channel *out[2])
{
        struct tunnel_event event;

        out[TUNNEL_GATEWAY] = ask(&out[TUNNEL_PROVIDER]);
        tunnel_accept(out[TUNNEL_PROVIDER], NULL, now_us);
        settle();
        expect(TUNNEL_GATEWAY, TUNNEL_OPENED, &event);
}

/* One datagram of @len bytes from large[@from] on. */
static void say(struct tunnel_channel *ch, size_t from, size_t len)
{
        struct iovec iov = { large + from, len };

        check(tunnel_writable(ch) > 0);
        tunnel_send(ch, &iov, 1, now_us);
        settle();
}

/* The next is those bytes; it is taken. */
static void hear(struct tunnel_channel *ch, size_t from, size_t len)
{
        struct iovec iov;

        check_equal(tunnel_datagrams(ch, &iov, 1), 1);
        check_equal(iov.iov_len, len);
        if (len)
                check_bytes(iov.iov_base, large + from, len);
        tunnel_datagrams_done(ch, 1, now_us);
}

static size_t waiting(const struct tunnel_channel *ch)
{
        static struct iovec iov[20000];

        return tunnel_datagrams(ch, iov, ARRAY_LEN(iov));
}

static struct tunnel_stats stats_of(enum tunnel_role role)
{
        struct tunnel_stats stats;

        tunnel_stats(ends[role], &stats);
        return stats;
}

TEST(borders_are_kept_both_ways_in_any_cut)
{
        static const size_t lens[] = { 0, 1, 1200, 0, 61440, 61441, TUNNEL_DATAGRAM_MAX, 3 };
        static const size_t cuts[] = { 1, 7, 4096, SIZE_MAX };
        struct tunnel_channel *ch[2];
        struct iovec iov[ARRAY_LEN(lens)];

        begin(0);
        open_channel(ch);
        for (size_t c = 0; c < ARRAY_LEN(cuts); c++)
                for (unsigned from = 0; from < 2; from++) {
                        for (size_t i = 0; i < ARRAY_LEN(lens); i++)
                                iov[i] = (struct iovec){ large + MIN(i, sizeof(large) - lens[i]), lens[i] };
                        check(tunnel_writable(ch[from]) > 0);
                        tunnel_send(ch[from], iov, ARRAY_LEN(lens), now_us);
                        check_equal(tunnel_writable(ch[from]), 0);      /* until they have left */
                        carry((enum tunnel_role)from, cuts[c]);
                        check_equal(waiting(ch[!from]), ARRAY_LEN(lens));
                        for (size_t i = 0; i < ARRAY_LEN(lens); i++)
                                hear(ch[!from], (size_t)((uint8_t *)iov[i].iov_base - large), lens[i]);
                        check_equal(stats_of((enum tunnel_role)!from).queued_bytes, 0);
                }
        finish();
}

TEST(who_reads_hears_once_until_he_has_read_all)
{
        struct tunnel_channel *ch[2];
        struct tunnel_event event;

        begin(0);
        open_channel(ch);
        for (unsigned i = 0; i < 3; i++)
                say(ch[TUNNEL_GATEWAY], i, 10);
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        expect_none(TUNNEL_PROVIDER);
        hear(ch[TUNNEL_PROVIDER], 0, 10);
        say(ch[TUNNEL_GATEWAY], 3, 10);
        expect_none(TUNNEL_PROVIDER);
        for (unsigned i = 1; i < 4; i++)
                hear(ch[TUNNEL_PROVIDER], i, 10);
        check_equal(waiting(ch[TUNNEL_PROVIDER]), 0);
        say(ch[TUNNEL_GATEWAY], 4, 10);
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        hear(ch[TUNNEL_PROVIDER], 4, 10);
        finish();
}

/* A client's first burst is there before its service is. */
TEST(what_comes_before_the_answer_waits_for_it_within_bounds)
{
        struct tunnel_channel *arrived;
        struct tunnel_event event;

        begin(0);
        ask(&arrived);
        for (unsigned i = 0; i < 20; i++) {     /* the gateway may not send yet: an original does */
                uint8_t header[] = { 0, 0, 0, 0, 2, 0, 0, 0, 0, 1 };
                uint32_t len = 6 + 60000;

                header[2] = (uint8_t)(len >> 8);
                header[1] = (uint8_t)(len >> 16);
                header[3] = (uint8_t)len;
                check_equal(tunnel_receive(ends[TUNNEL_PROVIDER], header, sizeof(header), now_us), sizeof(header));
                check_equal(tunnel_receive(ends[TUNNEL_PROVIDER], large, 60000, now_us), 60000);
        }
        expect_none(TUNNEL_PROVIDER);
        check_equal(waiting(arrived), 0);
        tunnel_accept(arrived, NULL, now_us);
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        check_equal(waiting(arrived), TUNNEL_DATAGRAMS_MAX / (60000 + TUNNEL_DATAGRAM_COST));
        check_equal(stats_of(TUNNEL_PROVIDER).datagrams_dropped, 20 - TUNNEL_DATAGRAMS_MAX / (60000 + TUNNEL_DATAGRAM_COST));
        hear(arrived, 0, 60000);
        finish();
}

TEST(the_newest_are_dropped_where_nobody_reads_and_empty_ones_cost_too)
{
        static const size_t lens[] = { 0, 1000 };
        struct tunnel_channel *ch[2];

        for (size_t k = 0; k < ARRAY_LEN(lens); k++) {
                size_t fit = TUNNEL_DATAGRAMS_MAX / (lens[k] + TUNNEL_DATAGRAM_COST);

                begin(0);
                open_channel(ch);
                for (size_t i = 0; i < fit + 5; i++)
                        say(ch[TUNNEL_GATEWAY], i % 100, lens[k]);
                check_equal(waiting(ch[TUNNEL_PROVIDER]), fit);
                check_equal(stats_of(TUNNEL_PROVIDER).datagrams_dropped, 5);
                hear(ch[TUNNEL_PROVIDER], 0, lens[k]);
                say(ch[TUNNEL_GATEWAY], 7, lens[k]);
                check_equal(waiting(ch[TUNNEL_PROVIDER]), fit);
                for (size_t i = 1; i < fit; i++)
                        hear(ch[TUNNEL_PROVIDER], i % 100, lens[k]);
                hear(ch[TUNNEL_PROVIDER], 7, lens[k]);
                check_equal(stats_of(TUNNEL_PROVIDER).queued_bytes, 0);
                finish();
        }
}

/* A hundred that nobody reads, each sent as much as it may have: one that is read goes on, and so does the next. */
TEST(channels_nobody_reads_leave_room_for_those_that_are_read)
{
        enum { SLOW = 100 };
        struct tunnel_channel *slow[2], *quick[2], *late[2];

        begin(0);
        open_channel(quick);
        for (unsigned i = 0; i < SLOW; i++) {
                open_channel(slow);
                for (unsigned k = 0; k < 600; k++)
                        say(slow[TUNNEL_GATEWAY], 0, 1000);
                say(quick[TUNNEL_GATEWAY], i, 1200);
                hear(quick[TUNNEL_PROVIDER], i, 1200);
        }
        check(stats_of(TUNNEL_PROVIDER).queued_bytes <= TUNNEL_RECEIVE_LIMIT_BYTES / 4);
        open_channel(late);
        say(late[TUNNEL_GATEWAY], 5, 1200);
        hear(late[TUNNEL_PROVIDER], 5, 1200);
        finish();
}

TEST(the_largest_datagram_finds_room_where_memory_is_short)
{
        struct tunnel_channel *ch[2];

        begin(4 * (TUNNEL_DATAGRAM_MAX + TUNNEL_DATAGRAM_COST));
        open_channel(ch);
        say(ch[TUNNEL_GATEWAY], 0, TUNNEL_DATAGRAM_MAX);
        say(ch[TUNNEL_GATEWAY], 0, 1);
        check_equal(stats_of(TUNNEL_PROVIDER).datagrams_dropped, 1);
        hear(ch[TUNNEL_PROVIDER], 0, TUNNEL_DATAGRAM_MAX);
        say(ch[TUNNEL_GATEWAY], 9, 1);
        hear(ch[TUNNEL_PROVIDER], 9, 1);
        finish();
}

/* Its own kind of close: what came before it is read, and then it is done. */
TEST(a_close_by_either_side_is_told_after_what_came_before_it)
{
        for (unsigned closer = 0; closer < 2; closer++)
                for (unsigned unread = 0; unread < 2; unread++) {
                        struct tunnel_channel *ch[2];
                        struct tunnel_event event;
                        enum tunnel_role other = closer ? TUNNEL_GATEWAY : TUNNEL_PROVIDER;

                        begin(0);
                        open_channel(ch);
                        if (unread)
                                say(ch[closer], 3, 100);
                        tunnel_abort(ch[closer], now_us);
                        settle();
                        if (unread) {
                                expect(other, TUNNEL_READABLE, &event);
                                expect_none(other);
                                check_equal(tunnel_writable(ch[other]), 0);
                                hear(ch[other], 3, 100);
                        }
                        expect(other, TUNNEL_CLOSED, &event);
                        check_equal(event.reason, TUNNEL_DONE);
                        expect_none(other);
                        expect_none(closer ? TUNNEL_PROVIDER : TUNNEL_GATEWAY);
                        check_equal(stats_of(other).queued_bytes, 0);
                        settle();
                        check_equal(stats_of(TUNNEL_GATEWAY).channels + stats_of(TUNNEL_PROVIDER).channels, 0);
                        finish();
                }
}

/* Both go at the same time, each with something on its way. */
TEST(datagrams_in_flight_to_a_channel_that_is_gone_fall_silent)
{
        struct tunnel_channel *ch[2], *next[2];
        struct iovec iov = { large, 500 };

        begin(0);
        open_channel(ch);
        for (unsigned role = 0; role < 2; role++) {
                check(tunnel_writable(ch[role]) > 0);
                tunnel_send(ch[role], &iov, 1, now_us);
                tunnel_abort(ch[role], now_us);
        }
        settle();
        for (unsigned role = 0; role < 2; role++) {
                expect_none((enum tunnel_role)role);
                check_equal(stats_of((enum tunnel_role)role).queued_bytes, 0);
                check_equal(stats_of((enum tunnel_role)role).channels, 0);
        }
        open_channel(next);
        say(next[TUNNEL_GATEWAY], 1, 10);
        hear(next[TUNNEL_PROVIDER], 1, 10);
        finish();
}

/* A reader that never comes back is waited for half a minute. */
TEST(what_is_unread_behind_a_close_is_given_up_after_half_a_minute)
{
        struct tunnel_channel *ch[2];
        struct tunnel_event event;

        begin(0);
        open_channel(ch);
        say(ch[TUNNEL_GATEWAY], 0, 100);
        tunnel_abort(ch[TUNNEL_GATEWAY], now_us);
        settle();
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        check_equal(tunnel_deadline(ends[TUNNEL_PROVIDER]), now_us + SECONDS(30));
        now_us += SECONDS(30);
        tunnel_advance(ends[TUNNEL_PROVIDER], now_us);
        expect(TUNNEL_PROVIDER, TUNNEL_CLOSED, &event);
        check_equal(event.reason, TUNNEL_RESET);
        check_equal(stats_of(TUNNEL_PROVIDER).queued_bytes, 0);
        finish();
}

TEST(a_lost_connection_ends_channels_of_datagrams_and_drops_what_they_have)
{
        struct tunnel_channel *ch[2];
        struct tunnel_event event;

        begin(0);
        open_channel(ch);
        say(ch[TUNNEL_GATEWAY], 0, 100);
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        for (unsigned role = 0; role < 2; role++) {
                tunnel_disconnect(ends[role], now_us);
                expect((enum tunnel_role)role, TUNNEL_CLOSED, &event);
                check_equal(event.reason, TUNNEL_LOST);
                check_equal(stats_of((enum tunnel_role)role).queued_bytes, 0);
        }
        finish();
}

/* While control leaves in pieces nobody may send; a batch larger than the room leaves in pieces too, ahead of control. */
TEST(a_batch_larger_than_the_room_leaves_bit_by_bit_and_in_order)
{
        struct tunnel_channel *ch[2], *other[2];
        struct iovec iov[16];
        struct tunnel_message message;
        struct tunnel_event event;
        unsigned pieces = 0;

        begin(0);
        open_channel(ch);
        open_channel(other);
        for (unsigned i = 0; i < 16; i++)
                iov[i] = (struct iovec){ large + i, 60000 };
        check(tunnel_writable(ch[TUNNEL_GATEWAY]) > 0);
        tunnel_send(ch[TUNNEL_GATEWAY], iov, 16, now_us);
        tunnel_abort(other[TUNNEL_GATEWAY], now_us);            /* a close that has to wait for its turn */
        for (size_t room = 1000;; room += 1000, pieces++) {
                tunnel_progress(ends[TUNNEL_GATEWAY], room, 500, now_us);
                if (!tunnel_transmit(ends[TUNNEL_GATEWAY], &message, now_us))
                        break;
                check_equal(tunnel_receive(ends[TUNNEL_PROVIDER], message.bytes, message.len, now_us), message.len);
                if (pieces < 10)
                        check_equal(tunnel_writable(ch[TUNNEL_GATEWAY]), 0);
        }
        check(pieces > 20);
        for (unsigned i = 0; i < TUNNEL_DATAGRAMS_MAX / (60000 + TUNNEL_DATAGRAM_COST); i++)
                hear(ch[TUNNEL_PROVIDER], i, 60000);
        check_equal(waiting(ch[TUNNEL_PROVIDER]), 0);
        expect(TUNNEL_PROVIDER, TUNNEL_READABLE, &event);
        expect(TUNNEL_PROVIDER, TUNNEL_CLOSED, &event);
        check(event.channel == other[TUNNEL_PROVIDER]);
        check_equal(stats_of(TUNNEL_PROVIDER).frames_ignored, 0);
        finish();
}

/* --- An original on the other side --- */

TEST(an_original_is_sent_no_empty_datagram_and_may_send_them)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct iovec iov[] = { { NULL, 0 }, { (void *)(uintptr_t)"ab", 2 }, { NULL, 0 } };
        struct tunnel_message message;
        struct tunnel_event event;

        peer_feed(t, "01000000000500000050" "01", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        check_equal(event.protocol, TUNNEL_UDP);
        tunnel_accept(event.channel, NULL, SECONDS(1));
        peer_expect(t, "0100000000050000005001", SECONDS(1));
        check(tunnel_writable(event.channel) > 0);
        tunnel_send(event.channel, iov, 3, SECONDS(1));
        peer_expect(t, "0200000000056162", SECONDS(1));
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        check(tunnel_writable(event.channel) > 0);
        tunnel_send(event.channel, iov, 1, SECONDS(1));
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        peer_feed(t, "020000000005", SECONDS(1));
        peer_feed(t, "02000000000563", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check_equal(tunnel_datagrams(event.channel, iov, 3), 2);
        check(iov[0].iov_len == 0 && iov[1].iov_len == 1 && *(char *)iov[1].iov_base == 'c');
        peer_feed(t, "050000000005", SECONDS(1));               /* an end closes what has none */
        tunnel_datagrams_done(event.channel, 2, SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_CLOSED);
        check_equal(event.reason, TUNNEL_DONE);
        tunnel_free(t);
}

/* Its gateway puts one byte more into a frame than a datagram has: nothing of it is handed on. */
TEST(a_frame_longer_than_a_datagram_is_skipped_and_counted)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        static uint8_t frame[TUNNEL_HEADER_BYTES + TUNNEL_DATAGRAM_MAX + 1] = { 0, 0, 0, 0, 2, 0, 0, 0, 0, 5 };
        uint32_t len = sizeof(frame) - 4;
        struct tunnel_event event;
        struct tunnel_stats stats;
        struct iovec iov;

        peer_feed(t, "0100000000050000005001", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_accept(event.channel, NULL, SECONDS(1));
        for (unsigned i = 0; i < 4; i++)
                frame[i] = (uint8_t)(len >> 8 * (3 - i));
        check_equal(tunnel_receive(t, frame, sizeof(frame), SECONDS(1)), sizeof(frame));
        check(!tunnel_event(t, &(struct tunnel_event){ 0 }, SECONDS(1)));
        peer_feed(t, "02000000000564", SECONDS(1));
        check_equal(tunnel_datagrams(event.channel, &iov, 1), 1);
        check_equal(iov.iov_len, 1);
        tunnel_stats(t, &stats);
        check_equal(stats.datagrams_dropped, 1);
        tunnel_free(t);
}

/* The same id again while datagrams wait: they belong to nobody now. */
TEST(an_id_that_is_asked_for_anew_starts_empty)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_channel *old;
        struct tunnel_event event;
        struct tunnel_stats stats;

        peer_feed(t, "0100000000050000005001", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        old = event.channel;
        tunnel_accept(old, NULL, SECONDS(1));
        peer_feed(t, "02000000000564", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        peer_feed(t, "0100000000050000005001", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_CLOSED);
        check(event.channel == old);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_accept(event.channel, NULL, SECONDS(1));
        check_equal(tunnel_datagrams(event.channel, &(struct iovec){ 0 }, 1), 0);
        tunnel_stats(t, &stats);
        check_equal(stats.queued_bytes, 0);
        tunnel_free(t);
}
