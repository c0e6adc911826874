/* SPDX-License-Identifier: BSD-3-Clause */
/* The search for the longest datagram: by itself, and in a stream whose every packet is looked at. */
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "udx_private.h"

enum { SOCKET = 1, LOCAL_ID = 77, REMOTE_ID = 88, SENT_MAX = 4096 };

static const struct addr remote = { { 10, 0, 0, 1 }, 1000 };

/* --- the search alone --- */

/* Probes until none is wanted, on a path that takes datagrams of @carried bytes; how many probes. */
static unsigned search(struct udx_mtu *mtu, size_t carried, usec_t now_us)
{
        static uint32_t seq;
        unsigned probes = 0;

        for (size_t bytes; (bytes = udx_mtu_wanted(mtu, now_us)); probes++) {
                check(probes < 100 && bytes > mtu->bytes && bytes <= UDX_DATAGRAM_MAX && bytes - mtu->bytes <= UDX_PADDING_MAX);
                udx_mtu_probed(mtu, ++seq, bytes);
                check_equal(udx_mtu_wanted(mtu, now_us), 0);            /* one at a time */
                if (bytes <= carried)
                        udx_mtu_passed(mtu, seq, now_us);
                else
                        udx_mtu_lost(mtu, seq, now_us);
        }
        return probes;
}

TEST(udx_mtu_searches_from_the_largest_down)
{
        static const struct { size_t carried, found; unsigned probes; } rows[] = {
                { 1472, 1472, 2 },      /* 1,422 is as far as the padding goes */
                { 1471, 1464, 5 },
                { 1422, 1422, 10 },
                { 1400, 1392, 4 },
                { 1252, 1252, 16 },
                { 1172, 1172, 18 },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct udx_mtu mtu;

                udx_mtu_init(&mtu, true);
                check_equal(mtu.bytes, UDX_PACKET_BASE);
                check_equal(search(&mtu, rows[i].carried, SECONDS(1)), rows[i].probes);
                check_equal(mtu.bytes, rows[i].found);
        }
}

TEST(udx_mtu_may_not_grow)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, false);
        check_equal(udx_mtu_wanted(&mtu, SECONDS(1)), 0);
}

/* A probe that is no longer the one under way, as after a move, says nothing. */
TEST(udx_mtu_knows_its_probe)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        udx_mtu_passed(&mtu, 0, SECONDS(1));
        udx_mtu_lost(&mtu, 0, SECONDS(1));
        udx_mtu_probed(&mtu, 7, udx_mtu_wanted(&mtu, SECONDS(1)));
        udx_mtu_passed(&mtu, 6, SECONDS(1));
        check_equal(mtu.bytes, UDX_PACKET_BASE);
        udx_mtu_lost(&mtu, 6, SECONDS(1));
        check_equal(mtu.failures, 0);
        check(mtu.probe_bytes);
        udx_mtu_passed(&mtu, 7, SECONDS(1));
        check_equal(mtu.bytes, 1422);
}

/* A probe that is lost twice is lost by chance, as far as we know. */
TEST(udx_mtu_tries_three_times)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        for (uint32_t i = 0; i < 3; i++) {
                check_equal(udx_mtu_wanted(&mtu, SECONDS(1)), 1422);
                udx_mtu_probed(&mtu, i, 1422);
                udx_mtu_lost(&mtu, i, SECONDS(1));
        }
        check_equal(udx_mtu_wanted(&mtu, SECONDS(1)), 1392);
}

TEST(udx_mtu_tries_what_failed_again_ten_minutes_later)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        search(&mtu, 1392, SECONDS(1));
        check_equal(udx_mtu_wanted(&mtu, SECONDS(600)), 0);
        check_equal(udx_mtu_wanted(&mtu, SECONDS(601)), 1472);
        search(&mtu, 1392, SECONDS(601));                       /* in vain: what passes is not lost for it */
        check_equal(mtu.bytes, 1392);
        search(&mtu, 1472, SECONDS(1201));
        check_equal(mtu.bytes, 1472);
}

/* After a fall it waits, each time longer; one that lasted begins anew. */
TEST(udx_mtu_waits_after_a_fall)
{
        static const unsigned pauses_s[] = { 5, 10, 20, 40, 80, 160, 320, 600, 600 };
        usec_t now_us = SECONDS(1000);
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
                search(&mtu, 1472, now_us);
                check_equal(mtu.bytes, 1472);
                udx_mtu_fall(&mtu, 0, ++now_us);
                check_equal(mtu.bytes, UDX_PACKET_BASE);
                check_equal(udx_mtu_wanted(&mtu, now_us + SECONDS(pauses_s[i]) - 1), 0);
                now_us += SECONDS(pauses_s[i]);
                check(udx_mtu_wanted(&mtu, now_us));
        }
        search(&mtu, 1472, now_us);
        udx_mtu_fall(&mtu, 0, now_us + SECONDS(600));
        check(udx_mtu_wanted(&mtu, now_us + SECONDS(605)));
}

TEST(udx_mtu_believes_a_refusal_at_once)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        udx_mtu_probed(&mtu, 1, udx_mtu_wanted(&mtu, SECONDS(1)));
        udx_mtu_refused(&mtu, 1422, SECONDS(1));        /* the probe */
        check_equal(udx_mtu_wanted(&mtu, SECONDS(1)), 1392);
        search(&mtu, 1400, SECONDS(1));
        check_equal(mtu.bytes, 1392);
        udx_mtu_refused(&mtu, UDX_PACKET_BASE, SECONDS(1));     /* there is nothing shorter */
        check_equal(mtu.bytes, 1392);
        udx_mtu_refused(&mtu, 1392, SECONDS(2));
        check_equal(mtu.bytes, UDX_PACKET_BASE);
        check_equal(search(&mtu, 1472, SECONDS(3)), 0);
        search(&mtu, 1472, SECONDS(7));                         /* it is known to be shorter for the next ten minutes */
        check_equal(mtu.bytes, 1372);
}

/* --- messages --- */

TEST(udx_mtu_is_asked_for_no_more_than_messages_take)
{
        static const struct { size_t message, probes[3]; } rows[] = {
                { 1172, { 0 } },
                { 1173, { 1252 } },
                { 1252, { 1252 } },
                { 1253, { 1292 } },
                { 1449, { 1422, 1452 } },       /* as far as the padding goes, and then */
                { 1472, { 1422, 1472 } },
                { 1473, { 0 } },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct udx_mtu mtu;

                udx_mtu_init(&mtu, true);
                check_equal(udx_mtu_asked(&mtu, SECONDS(1)), 0);
                check_equal(udx_mtu_takes_message(&mtu, rows[i].message, MSEC(40), SECONDS(1)), rows[i].message <= UDX_PACKET_BASE);
                for (uint32_t seq = 0; seq < 3; seq++) {
                        size_t bytes = udx_mtu_asked(&mtu, SECONDS(1));

                        check_equal(bytes, rows[i].probes[seq]);
                        if (!bytes)
                                break;
                        udx_mtu_probed(&mtu, seq, bytes);
                        udx_mtu_passed(&mtu, seq, SECONDS(1));
                }
                check_equal(udx_mtu_takes_message(&mtu, rows[i].message, MSEC(40), SECONDS(1)), rows[i].message <= UDX_DATAGRAM_MAX);
        }
}

/* A message that never passes does not keep shorter ones from being asked for. */
TEST(udx_mtu_asks_for_what_may_still_pass)
{
        struct udx_mtu mtu;

        udx_mtu_init(&mtu, true);
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), SECONDS(1)));
        check(!udx_mtu_takes_message(&mtu, 9000, MSEC(40), SECONDS(1)));
        check_equal(udx_mtu_asked(&mtu, SECONDS(1)), 1422);
        search(&mtu, 1300, SECONDS(1));
        check_equal(mtu.bytes, 1292);
        check_equal(udx_mtu_asked(&mtu, SECONDS(1)), 0);
        udx_mtu_fall(&mtu, 1292, SECONDS(1));
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), SECONDS(1)));
        check(!udx_mtu_takes_message(&mtu, 1249, MSEC(40), SECONDS(1)));
        check_equal(udx_mtu_asked(&mtu, SECONDS(5)), 0);
        check_equal(udx_mtu_asked(&mtu, SECONDS(6)), 1252);
}

/* Nobody acknowledges a message: twice a second one as long goes as data, and without that none does as a message after a second. */
TEST(udx_mtu_wants_proof_for_messages)
{
        struct udx_mtu mtu;
        usec_t now_us = SECONDS(1);

        udx_mtu_init(&mtu, true);
        search(&mtu, 1472, now_us);
        check(udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us));
        check(udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(500) - 1));
        now_us += MSEC(500);
        check(udx_mtu_takes_message(&mtu, 1249, MSEC(40), now_us));     /* too short to prove anything for the other */
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us));
        check(udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us));
        udx_mtu_proved(&mtu, 1450, now_us);
        check(udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(499)));
        check(!udx_mtu_takes_message(&mtu, 1451, MSEC(40), now_us + MSEC(499)));
        udx_mtu_proved(&mtu, 1250, now_us + MSEC(499));                 /* less than what goes beside: no news */
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(500)));
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(1000)));
        check(udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(1079)));
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(1080)));
        check(udx_mtu_takes_message(&mtu, UDX_PACKET_BASE, MSEC(40), now_us + MSEC(1080)));
        udx_mtu_proved(&mtu, 1250, now_us + MSEC(1080));
        check(udx_mtu_takes_message(&mtu, 1249, MSEC(40), now_us + MSEC(1081)));
        check(!udx_mtu_takes_message(&mtu, 1449, MSEC(40), now_us + MSEC(1081)));
        udx_mtu_fall(&mtu, 0, now_us + MSEC(1082));
        check(!udx_mtu_takes_message(&mtu, 1249, MSEC(40), now_us + MSEC(1082)));
        check(udx_mtu_takes_message(&mtu, UDX_PACKET_BASE, MSEC(40), now_us + MSEC(1082)));
}

/* --- in a stream --- */

struct sent {
        struct udx_packet packet;
        size_t len;
        bool pieces, zeros;             /* padding is zeros */
};

struct bench {
        struct udx_mux *mux;
        struct udx_stream *stream;
        usec_t now_us;
        struct sent sent[SENT_MAX];     /* by all drains */
        unsigned count;
        uint32_t probe;                 /* the packet that is the first probe, */
        unsigned probe_at;              /* of those sent */
};

static void bench_fini(struct bench *b)
{
        udx_mux_free(b->mux);
}

static void keep(struct bench *b, const uint8_t *bytes, size_t len, bool pieces)
{
        struct sent *sent = &b->sent[b->count];

        check(b->count < SENT_MAX);
        check_equal(udx_packet_read(bytes, len, &sent->packet), UDX_OK);
        sent->len = len;
        sent->pieces = pieces;
        sent->zeros = true;
        for (unsigned i = 0; i < sent->packet.data_offset; i++)
                sent->zeros = sent->zeros && !bytes[UDX_HEADER_BYTES + i];
        b->count++;
}

static void drain(struct bench *b)
{
        static uint8_t flat[UDX_RUN_BYTES];
        struct udx_send out;

        udx_mux_advance(b->mux, b->now_us);
        while (udx_mux_transmit(b->mux, &out, b->now_us)) {
                size_t len = 0;

                check(out.bytes <= UDX_RUN_BYTES && out.iov_len <= ARRAY_LEN(b->mux->run.iov));
                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        keep(b, flat + at, MIN(out.segment_bytes, len - at), out.pieces);
        }
}

/* The peer has everything before @ack and, if @sack is no NULL, that too. */
static void acknowledge(struct bench *b, uint32_t ack, const struct udx_sack *sack)
{
        uint8_t bytes[UDX_HEADER_BYTES + UDX_SACK_BYTES];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct udx_packet packet = { .type = sack ? UDX_SACK : 0, .stream_id = LOCAL_ID, .window_bytes = UDX_BUFFER_MAX, .ack = ack };

        udx_header_write(&w, &packet);
        if (sack)
                udx_sack_write(&w, sack);
        b->now_us += MSEC(20);
        check_equal(udx_mux_receive(b->mux, SOCKET, &remote, bytes, writer_len(&w), b->now_us), UDX_OK);
        drain(b);
}

static void write_all(struct bench *b, size_t len)
{
        static const uint8_t bytes[UDX_BUFFER_MAX];

        check_equal(udx_stream_write(b->stream, bytes, len), len);
}

static const struct sent *find_probe(const struct bench *b, unsigned from)
{
        for (unsigned i = from; i < b->count; i++)
                if (b->sent[i].packet.data_offset)
                        return &b->sent[i];
        return NULL;
}

static size_t longest(const struct bench *b, unsigned from)
{
        size_t len = 0;

        for (unsigned i = from; i < b->count; i++)
                len = MAX(len, b->sent[i].len);
        return len;
}

/* Enough to say, and the path's rate is known: a probe is out. */
static void bench_init(struct bench *b)
{
        static uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };
        struct udx_path path = { .socket = SOCKET, .remote_id = REMOTE_ID, .remote = remote };

        *b = (struct bench){ .mux = udx_mux_new(&random), .now_us = SECONDS(1) };
        check(b->mux);
        check_equal(udx_stream_new(b->mux, LOCAL_ID, NULL, &b->stream), 0);
        udx_stream_let_datagrams_grow(b->stream, true);
        udx_stream_connect(b->stream, &path, b->now_us);
        write_all(b, 200000);
        drain(b);
        check_equal(b->count, 10);
        for (unsigned i = 0; i < b->count; i++)
                check(!b->sent[i].packet.data_offset && b->sent[i].len == UDX_PACKET_BASE);
        acknowledge(b, 4, NULL);
        check(!find_probe(b, 0));
        acknowledge(b, 8, NULL);
        check(find_probe(b, 0));
        b->probe = find_probe(b, 0)->packet.seq;
        b->probe_at = (unsigned)(find_probe(b, 0) - b->sent);
}

#define BENCH(name) cleanup_with(bench_fini) struct bench name; bench_init(&name)

TEST(udx_stream_probes_with_zeros_behind_the_header)
{
        BENCH(b);
        const struct sent *probe = &b.sent[b.probe_at];
        unsigned count;

        check(probe->zeros && !probe->pieces);
        check_equal(probe->len, 1422);
        check_equal(probe->packet.type, UDX_DATA);
        check_equal(probe->packet.payload_len, UDX_PAYLOAD_BASE);
        check(!find_probe(&b, b.probe_at + 1));
        count = b.count;
        acknowledge(&b, b.probe + 1, NULL);
        check_equal(b.stream->mtu.bytes, 1422);
        check_equal(longest(&b, count), 1472);
        check_equal(find_probe(&b, count)->packet.payload_len, 1402);
        acknowledge(&b, find_probe(&b, count)->packet.seq + 1, NULL);
        check_equal(b.stream->mtu.bytes, 1472);
}

TEST(udx_stream_takes_a_probe_that_is_sacked)
{
        BENCH(b);
        struct udx_sack sack = { b.probe, b.probe + 1 };

        acknowledge(&b, 8, &sack);
        check_equal(b.stream->mtu.bytes, 1422);
}

/* RFC 8899 3: what it carries is sent again as it is; nothing else slows down for it. */
TEST(udx_stream_takes_a_lost_probe_for_no_congestion)
{
        BENCH(b);
        const uint64_t lost = b.stream->recovery.rate.lost;
        unsigned count = b.count, again = 0;
        struct udx_sack sack = { b.probe + 1, b.stream->recovery.nxt };

        check(sack.end - sack.start >= 3);
        acknowledge(&b, b.probe, &sack);
        for (unsigned i = count; i < b.count; i++)
                if (b.sent[i].packet.seq == b.probe) {
                        again++;
                        check(!b.sent[i].packet.data_offset && b.sent[i].len == UDX_PACKET_BASE && !b.sent[i].pieces);
                }
        check_equal(again, 1);
        check_equal(b.stream->mtu.failures, 1);
        check_equal(b.stream->congestion.phase, UDX_CONGESTION_OPEN);
        check_equal(udx_mux_counters(b.mux)->recoveries, 0);
        check_equal(udx_mux_counters(b.mux)->losses_by_rack, 0);
        check_equal(b.stream->recovery.rate.lost, lost);
        acknowledge(&b, b.probe + 1, NULL);
        check_equal(b.stream->mtu.bytes, UDX_PACKET_BASE);      /* what arrived was not the probe */
}

/* As far as the socket says. */
TEST(udx_stream_believes_its_socket)
{
        static const struct addr other = { { 10, 0, 0, 2 }, 1000 };
        BENCH(b);

        udx_mux_refused(b.mux, SOCKET, &other, 1172 + 1);
        udx_mux_refused(b.mux, SOCKET + 1, &remote, 1172 + 1);
        check_equal(b.stream->mtu.probe_bytes, 1422);
        acknowledge(&b, b.probe + 1, NULL);
        check_equal(b.stream->mtu.bytes, 1422);
        udx_mux_refused(b.mux, SOCKET, &remote, 1472);
        check_equal(b.stream->mtu.bytes, 1422);
        udx_mux_refused(b.mux, SOCKET, &remote, 1422);
        check_equal(b.stream->mtu.bytes, UDX_PACKET_BASE);
}

/* Long packets are under way when the path narrows: of two that ask after them the short one arrives and the long one doesn't, and all that are sent again may be cut,
 * as each keeps the number and the length it had. */
TEST(udx_stream_sends_again_in_pieces_what_is_too_long_now)
{
        BENCH(b);
        unsigned count, pieces = 0;
        uint32_t una, nxt;
        struct udx_sack sack;

        acknowledge(&b, b.probe + 1, NULL);
        acknowledge(&b, find_probe(&b, b.probe_at + 1)->packet.seq + 1, NULL);
        check_equal(b.stream->mtu.bytes, 1472);
        write_all(&b, udx_stream_writable_bytes(b.stream));
        drain(&b);
        acknowledge(&b, b.stream->recovery.nxt, NULL);
        una = b.stream->recovery.una;
        check(b.stream->recovery.nxt - una >= 10);
        check_equal(longest(&b, b.count - 5), 1472);
        do {                    /* nothing comes back */
                count = b.count;
                b.now_us = udx_mux_deadline(b.mux);
                drain(&b);
        } while (b.count == count || b.sent[b.count - 1].len > UDX_PACKET_BASE);
        check_equal(b.stream->timeouts, 0);
        check_equal(b.count, count + 2);
        check(b.sent[count].packet.seq == una && b.sent[count].len == 1472 && !b.sent[count].pieces);
        check(!b.sent[count + 1].pieces);
        nxt = b.sent[count + 1].packet.seq;
        count = b.count;
        sack = (struct udx_sack){ nxt, nxt + 1 };
        acknowledge(&b, una, &sack);
        count = b.count;
        b.now_us += MSEC(20);                   /* it may just have been overtaken */
        drain(&b);
        check_equal(udx_mux_counters(b.mux)->black_holes, 1);
        check_equal(b.stream->mtu.bytes, UDX_PACKET_BASE);
        for (unsigned i = count; i < b.count; i++) {
                check_equal(b.sent[i].pieces, b.sent[i].len > UDX_PACKET_BASE);
                pieces += b.sent[i].pieces;
        }
        check(pieces >= 2);
}

/* A message is as long as the path is known to carry, and what waits as that becomes less may be cut. */
TEST(udx_stream_takes_messages_as_long_as_packets)
{
        static const uint8_t bytes[UDX_MESSAGE_MAX + 1];
        BENCH(b);
        unsigned count;

        check(udx_stream_takes_message(b.stream, UDX_MESSAGE_BASE, b.now_us));
        check(!udx_stream_takes_message(b.stream, UDX_MESSAGE_BASE + 1, b.now_us));
        check(!udx_stream_send_message(b.stream, bytes, UDX_MESSAGE_BASE + 1));
        acknowledge(&b, b.probe + 1, NULL);
        acknowledge(&b, find_probe(&b, b.probe_at + 1)->packet.seq + 1, NULL);
        check(udx_stream_takes_message(b.stream, UDX_MESSAGE_MAX, b.now_us));
        check(!udx_stream_takes_message(b.stream, UDX_MESSAGE_MAX + 1, b.now_us));
        check(!udx_stream_send_message(b.stream, bytes, UDX_MESSAGE_MAX + 1));
        count = b.count;
        check(udx_stream_send_message(b.stream, bytes, UDX_MESSAGE_MAX));
        drain(&b);
        check(b.sent[count].packet.type == UDX_MESSAGE && b.sent[count].len == UDX_DATAGRAM_MAX && !b.sent[count].pieces);
        count = b.count;
        check(udx_stream_send_message(b.stream, bytes, UDX_MESSAGE_MAX));
        udx_mux_refused(b.mux, SOCKET, &remote, UDX_DATAGRAM_MAX);
        check(!udx_stream_takes_message(b.stream, UDX_MESSAGE_BASE + 1, b.now_us));
        drain(&b);
        check(b.sent[count].packet.type == UDX_MESSAGE && b.sent[count].len == UDX_DATAGRAM_MAX && b.sent[count].pieces);
}

TEST(udx_stream_does_not_probe_when_it_may_not)
{
        BENCH(b);
        unsigned count;

        acknowledge(&b, b.probe + 1, NULL);
        check_equal(b.stream->mtu.bytes, 1422);
        udx_stream_let_datagrams_grow(b.stream, true);          /* no news */
        check_equal(b.stream->mtu.bytes, 1422);
        udx_stream_let_datagrams_grow(b.stream, false);
        check_equal(b.stream->mtu.bytes, UDX_PACKET_BASE);
        count = b.count;
        acknowledge(&b, b.stream->recovery.nxt, NULL);
        acknowledge(&b, b.stream->recovery.nxt, NULL);
        check(b.count > count);
        check_equal(longest(&b, count), UDX_PACKET_BASE);
}
