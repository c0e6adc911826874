/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams beside the stream, byte by byte as a peer of our kind sends and gets them. */
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel_peer.h"

enum { CHANNEL = 5, MESSAGE_MAX = 100, LARGE = 1000, ROOM = 1 << 20 };

#define OURS "4001000000003001010000007f00040000"       /* our second HGX: all seven features */
#define NOW SECONDS(1)

static uint8_t large[TUNNEL_DATAGRAM_MAX];

/* An open channel of ours as provider; the peer's features, and the protocol, are the last byte each. */
static struct tunnel_channel *open_with(struct tunnel *t, const char *hgx, const char *open)
{
        struct tunnel_event event;

        peer_feed(t, hgx, NOW);
        peer_expect(t, OURS, NOW);
        peer_feed(t, open, NOW);
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        tunnel_accept(event.channel, NULL, NOW);
        peer_expect(t, open, NOW);
        return event.channel;
}

static struct tunnel_channel *open_unordered(struct tunnel *t)
{
        return open_with(t, "4001000000003001010000000b0000ffff", "0100000000050000005001");
}

static void receive(struct tunnel *t, const char *bytes, size_t len)
{
        tunnel_receive_unordered(t, bytes, len, NOW);
}

static struct tunnel_stats stats_of(const struct tunnel *t)
{
        struct tunnel_stats stats;

        tunnel_stats(t, &stats);
        return stats;
}

TEST(a_datagram_is_a_message_with_its_channel_in_front)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_channel *ch = open_unordered(t);
        struct iovec iov = { (void *)(uintptr_t)"ab", 2 }, none = { NULL, 0 };
        uint8_t out[MESSAGE_MAX];

        check(tunnel_unordered(ch));
        check_equal(tunnel_unordered_message(ch, &iov, out, sizeof(out)), 7);
        check_bytes(out, "\1\0\0\0\5ab", 7);
        check_equal(tunnel_unordered_message(ch, &none, out, sizeof(out)), 5);
        check_bytes(out, "\1\0\0\0\5", 5);
        check_equal(tunnel_unordered_message(ch, &iov, out, 7), 7);
        check_equal(tunnel_unordered_message(ch, &iov, out, 6), 0);
        tunnel_progress(t, 0, 100, NOW);
        check_equal(tunnel_unordered_message(ch, &iov, out, sizeof(out)), 7);   /* whatever the stream has room for */
        tunnel_free(t);
}

TEST(messages_of_a_channel_are_its_datagrams_beside_those_of_the_stream)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_channel *ch = open_unordered(t);
        struct tunnel_event event;
        struct iovec iov[4];

        receive(t, "\1\0\0\0\5ab", 7);
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check(event.channel == ch);
        peer_feed(t, "02000000000563", NOW);
        receive(t, "\1\0\0\0\5", 5);
        check(!tunnel_event(t, &event, NOW));
        check_equal(tunnel_datagrams(ch, iov, 4), 3);
        check(iov[0].iov_len == 2 && memcmp(iov[0].iov_base, "ab", 2) == 0);
        check(iov[1].iov_len == 1 && *(char *)iov[1].iov_base == 'c');
        check_equal(iov[2].iov_len, 0);
        tunnel_datagrams_done(ch, 3, NOW);
        check_equal(stats_of(t).queued_bytes, 0);
        tunnel_free(t);
}

/* The gateway hears from its service before it hears that it may speak. */
TEST(what_overtakes_the_answer_waits_for_it)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch;
        struct tunnel_event event;
        struct iovec iov;

        peer_feed(t, "4001000000003001010000000b0000ffff", NOW);
        peer_expect(t, OURS, NOW);
        check_equal(tunnel_open(t, 80, TUNNEL_UDP, NULL, 0, USEC_NEVER, NULL, &ch, NOW), 0);
        receive(t, "\1\0\0\0\1x", 6);           /* it has not even left */
        check(!tunnel_unordered(ch));
        peer_expect(t, "0100000000010000005001", NOW);
        receive(t, "\1\0\0\0\1y", 6);
        check(!tunnel_event(t, &event, NOW));
        peer_feed(t, "0100000000010000005001", NOW);
        check_equal(peer_event(t, &event), TUNNEL_OPENED);
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check(tunnel_unordered(ch));
        check_equal(tunnel_datagrams(ch, &iov, 1), 1);
        check(iov.iov_len == 1 && *(char *)iov.iov_base == 'y');
        tunnel_free(t);
}

/* Both must know, the channel must be of datagrams, and whose open came before that is as ever. */
TEST(who_does_not_know_messages_is_sent_none_and_heard_of_none)
{
        static const struct {
                const char *hgx, *open;
        } others[] = {
                { "400100000000300101000000070000ffff", "0100000000050000005001" },     /* without the feature */
                { "400100000000300101000000080000ffff", "0100000000050000005001" },     /* with nothing else */
                { "4001000000003001010000000f0000ffff", "0100000000050000005000" },     /* no datagrams */
                { "4001000000003001000000000f0000ffff", "0100000000050000005001" },     /* it does not know that we know */
        };
        struct iovec iov = { large, 2 };
        uint8_t out[MESSAGE_MAX];

        for (size_t i = 0; i < ARRAY_LEN(others); i++) {
                struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
                struct tunnel_channel *ch = open_with(t, others[i].hgx, others[i].open);
                struct tunnel_event event;

                check(!tunnel_unordered(ch));
                check_equal(tunnel_unordered_message(ch, &iov, out, sizeof(out)), 0);
                receive(t, "\1\0\0\0\5ab", 7);
                check(!tunnel_event(t, &event, NOW));
                check_equal(stats_of(t).queued_bytes, 0);
                tunnel_free(t);
        }
}

TEST(messages_for_nobody_change_nothing)
{
        static const struct {
                const char *bytes;
                size_t len;
                unsigned ignored;
        } odd[] = {
                { "", 0, 1 }, { "\1\0\0\0", 4, 1 }, { "\2\0\0\0\5ab", 7, 1 }, { "\1\0\0\0\6ab", 7, 0 }, { "\1\xff\xff\xff\xff", 5, 0 },
        };
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_channel *ch = open_unordered(t);
        struct tunnel_event event;
        uint32_t ignored = 0;

        for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
                receive(t, odd[i].bytes, odd[i].len);
                ignored += odd[i].ignored;
                check_equal(stats_of(t).frames_ignored, ignored);
                check(!tunnel_event(t, &event, NOW));
        }
        tunnel_abort(ch, NOW);
        receive(t, "\1\0\0\0\5ab", 7);
        check_equal(stats_of(t).queued_bytes, 0);
        peer_expect(t, "030000000005", NOW);
        tunnel_disconnect(t, NOW);
        receive(t, "\1\0\0\0\5ab", 7);
        tunnel_free(t);
}

TEST(what_is_too_long_for_a_message_waits_for_the_stream_within_bounds)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        struct tunnel_channel *ch = open_unordered(t);
        struct iovec iov[2] = { { large, LARGE }, { large, TUNNEL_DATAGRAM_MAX } };
        struct tunnel_message message;
        struct tunnel_event event;
        size_t said = 0, left = 0;

        tunnel_progress(t, 0, ROOM, NOW);
        for (unsigned i = 0; i < 300; i++)
                tunnel_send(ch, iov, 1, NOW);
        said = 300 - stats_of(t).datagrams_dropped;
        check(said > 200 && said < 300);
        check(!tunnel_event(t, &event, NOW) && !tunnel_transmit(t, &message, NOW));
        for (unsigned turn = 0; turn < 40; turn++) {
                tunnel_progress(t, ROOM, ROOM, NOW);
                check(!tunnel_event(t, &event, NOW));
                while (tunnel_transmit(t, &message, NOW))
                        left += message.len;
        }
        check_equal(left, said * (TUNNEL_HEADER_BYTES + LARGE));
        tunnel_send(ch, &iov[1], 1, NOW);       /* there is room: nothing waits */
        check(tunnel_transmit(t, &message, NOW));
        check_equal(stats_of(t).datagrams_dropped, 300 - said);
        tunnel_send(ch, &iov[1], 1, NOW);       /* one waits, and its channel is closed */
        tunnel_abort(ch, NOW);
        tunnel_free(t);
}
