/* SPDX-License-Identifier: BSD-3-Clause */
/* One stream and a hand-made peer: what no two of our own ends, nor libudx, would do to each other. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "udx_private.h"

enum { SOCKET = 1, LOCAL_ID = 77, REMOTE_ID = 88 };

static const struct addr remote = { { 10, 0, 0, 1 }, 1000 };

/* One end of ours, and what it last sent. */
struct bench {
        struct udx_mux *mux;
        struct udx_stream *stream;
        usec_t now_us;
        unsigned sent;                  /* datagrams in the last drain, */
        uint32_t first_seq;             /* the first one's, */
        struct udx_packet last;         /* and the last one of them; its payload is gone */
        struct udx_sack sacks[UDX_SACK_MAX];
        unsigned events;                /* all that were reported, as bits */
        enum udx_reason reason;
};

static void bench_fini(struct bench *b)
{
        udx_mux_free(b->mux);
}

static void bench_init_at(struct bench *b, uint32_t nxt, uint32_t next)
{
        static uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };
        struct udx_path path = { .socket = SOCKET, .remote_id = REMOTE_ID, .remote = remote };

        *b = (struct bench){ .mux = udx_mux_new(&random), .now_us = SECONDS(1) };
        check(b->mux);
        check_equal(udx_stream_new(b->mux, LOCAL_ID, NULL, &b->stream), 0);
        b->stream->recovery.una = b->stream->recovery.nxt = nxt;
        b->stream->assembly.next = next;
        b->stream->window_seq = next - 1;
        udx_stream_connect(b->stream, &path, b->now_us);
}

#define BENCH(name)                                             \
        cleanup_with(bench_fini) struct bench name;             \
        bench_init_at(&name, 0, 0)

static void keep(struct bench *b, const uint8_t *bytes, size_t len)
{
        check_equal(udx_packet_read(bytes, len, &b->last), UDX_OK);
        for (unsigned i = 0; i < b->last.sack_count; i++)
                b->sacks[i] = udx_packet_sack(&b->last, i);
        if (!b->sent++)
                b->first_seq = b->last.seq;
}

static void drain(struct bench *b)
{
        static uint8_t flat[UDX_RUN_BYTES];
        struct udx_send out;
        struct udx_event event;

        b->sent = 0;
        udx_mux_advance(b->mux, b->now_us);
        while (udx_mux_event(b->mux, &event)) {
                b->events |= 1u << event.type;
                if (event.type == UDX_CLOSED)
                        b->reason = event.reason;
        }
        while (udx_mux_transmit(b->mux, &out, b->now_us)) {
                size_t len = 0;

                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        keep(b, flat + at, MIN(out.segment_bytes, len - at));
        }
        check(udx_mux_deadline(b->mux) > b->now_us);
}

/* A packet from the peer; @sack may be NULL. */
static enum udx_verdict arrive_for(struct bench *b, uint32_t id, uint8_t type, uint32_t seq, uint32_t ack, uint32_t window_bytes,
                                   const struct udx_sack *sack, size_t payload)
{
        uint8_t bytes[UDX_DATAGRAM_MAX] = { 0 };
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct udx_packet packet = {
                .type = type, .stream_id = id, .window_bytes = window_bytes, .seq = seq, .ack = ack,
        };

        udx_header_write(&w, &packet);
        if (sack)
                udx_sack_write(&w, sack);
        check(write_reserve(&w, payload) || !payload);
        b->events = 0;
        return udx_mux_receive(b->mux, SOCKET, &remote, bytes, writer_len(&w), b->now_us);
}

static enum udx_verdict arrive_with(struct bench *b, uint8_t type, uint32_t seq, uint32_t ack, uint32_t window_bytes,
                                    const struct udx_sack *sack, size_t payload)
{
        return arrive_for(b, LOCAL_ID, type, seq, ack, window_bytes, sack, payload);
}

static enum udx_verdict arrive(struct bench *b, uint8_t type, uint32_t seq, uint32_t ack, const struct udx_sack *sack,
                               size_t payload)
{
        return arrive_with(b, type, seq, ack, UDX_BUFFER_MAX, sack, payload);
}

static size_t write_all(struct bench *b, size_t len)
{
        static const uint8_t bytes[UDX_BUFFER_MAX];

        return udx_stream_write(b->stream, bytes, len);
}

static void read_some(struct bench *b, size_t len)
{
        uint8_t *span;

        check(udx_stream_peek(b->stream, &span) >= len);
        udx_stream_consume(b->stream, len);
}

/* Its answer came from one address and its first packet from another, both before anybody looked: the packet counts, and whoever
 * connects to the first address still hears of the second. */
TEST(udx_tells_of_another_source_after_it_was_connected)
{
        static const struct addr elsewhere = { { 10, 0, 0, 1 }, 2000 };

        for (unsigned allowed = 0; allowed < 2; allowed++) {
                BENCH(b);
                struct udx_path path = { .socket = SOCKET, .remote_id = REMOTE_ID, .remote = elsewhere };
                uint8_t *span;

                udx_stream_free(b.stream);
                drain(&b);
                check_equal(udx_stream_new(b.mux, LOCAL_ID + 1, NULL, &b.stream), 0);
                udx_stream_allow_moves(b.stream, allowed);
                check_equal(arrive_for(&b, LOCAL_ID + 1, UDX_DATA, 0, 0, UDX_BUFFER_MAX, NULL, 10), UDX_HELD);
                udx_stream_connect(b.stream, &path, b.now_us);
                drain(&b);
                check_equal(b.events, allowed ? 1u << UDX_PATH | 1u << UDX_READABLE : 0);
                check_equal(udx_stream_peek(b.stream, &span), allowed ? 10 : 0);
        }
}

/* The peer SACKs everything, even what it could acknowledge, and acknowledges it later: then nothing is newly delivered, but room
 * is free. */
TEST(udx_tells_of_space_that_an_ack_without_news_frees)
{
        BENCH(b);

        udx_stream_set_send_limit(b.stream, UDX_BUFFER_MIN);
        check_equal(write_all(&b, UDX_BUFFER_MAX), UDX_BUFFER_MIN);
        drain(&b);
        while (b.stream->queue.unsent_bytes) {
                struct udx_sack all = { 0, b.stream->recovery.nxt };

                b.now_us += 1000;
                check_equal(arrive(&b, UDX_SACK, 0, 0, &all, 0), UDX_OK);
                drain(&b);
                check(!(b.events & 1u << UDX_WRITABLE));
        }
        check_equal(arrive(&b, UDX_SACK, 0, 0, &(struct udx_sack){ 0, b.stream->recovery.nxt }, 0), UDX_OK);
        check_equal(arrive(&b, 0, 0, b.stream->recovery.nxt, NULL, 0), UDX_OK);
        drain(&b);
        check_equal(udx_stream_unacked_bytes(b.stream), 0);
        check(b.events & 1u << UDX_WRITABLE);
}

/* The window counts from what is acknowledged on. What was SACKed fills it too: beyond it the peer can hold nothing, and would let
 * what comes be lost again and again. */
TEST(udx_sends_nothing_beyond_the_window_though_all_but_one_packet_is_sacked)
{
        BENCH(b);
        struct udx_sack rest = { 1, 0 };

        b.stream->peer_window_bytes = 100000;
        check(write_all(&b, 250000) == 250000);
        drain(&b);
        for (unsigned i = 0; i < 1000; i++) {
                rest.end = b.stream->recovery.nxt;
                b.now_us += 10000;
                check_equal(arrive_with(&b, UDX_SACK, 0, 0, 100000, &rest, 0), UDX_OK);
                drain(&b);
        }
        check(b.stream->recovery.nxt * UDX_PAYLOAD_BASE <= 100000);
        check(b.stream->recovery.nxt * UDX_PAYLOAD_BASE > 100000 - UDX_PAYLOAD_BASE);
        check_equal(arrive_with(&b, 0, 0, b.stream->recovery.nxt, 100000, NULL, 0), UDX_OK);
        drain(&b);
        check(b.sent > 0 && b.last.type == UDX_DATA);
}

/* A peer that is short of memory drops what is far ahead, and may have dropped the packet that it waits for, too. Nothing moves before it
 * gets that one, so it comes first each time, however long ago the others were lost. */
TEST(udx_resends_first_what_the_peer_waits_for)
{
        BENCH(b);
        const struct udx_sack held = { 1, 4 };

        check(write_all(&b, 250000) == 250000);
        drain(&b);
        check_equal(b.sent, 10);
        b.now_us += 1000;
        check_equal(arrive(&b, UDX_SACK, 0, 0, &held, 0), UDX_OK);
        drain(&b);
        check_equal(b.first_seq, 0);
        for (unsigned timeouts = 1; timeouts < 6; timeouts++) {
                while (udx_mux_counters(b.mux)->timeouts < timeouts) {
                        b.now_us = udx_mux_deadline(b.mux);
                        drain(&b);
                }
                check(b.sent > 0);
                check_equal(b.first_seq, 0);
                check_equal(arrive(&b, UDX_SACK, 0, 0, &held, 0), UDX_OK);      /* the other one was dropped again */
                drain(&b);
        }
        check_equal(arrive(&b, UDX_SACK, 0, 4, NULL, 0), UDX_OK);
        drain(&b);
        check_equal(b.first_seq, 4);
        check(b.sent > 0);
}

/* The window counts from the ack it comes with. A packet sent again has an old seq and all the same the newest of both; taking one
 * without the other would reach beyond what the peer can hold. */
TEST(udx_takes_the_window_of_whatever_brings_progress)
{
        BENCH(b);

        check(write_all(&b, 250000) == 250000);
        check_equal(arrive_with(&b, 0, 5, 0, 100000, NULL, 0), UDX_OK);
        drain(&b);
        check_equal(b.sent, 10);
        check_equal(arrive_with(&b, UDX_DATA, 0, 10, 0, NULL, 1), UDX_OK);
        drain(&b);
        check_equal(b.stream->peer_window_bytes, 0);
        check_equal(b.stream->recovery.nxt, 10);
}

TEST(udx_takes_no_older_window_for_news)
{
        BENCH(b);

        check_equal(arrive_with(&b, 0, 0, 0, 7000, NULL, 0), UDX_OK);   /* the first one counts, whatever it is */
        check_equal(b.stream->peer_window_bytes, 7000);
        check_equal(arrive_with(&b, 0, 3, 0, 2000, NULL, 0), UDX_OK);
        check_equal(b.stream->peer_window_bytes, 2000);
        check_equal(arrive_with(&b, 0, 2, 0, 9000, NULL, 0), UDX_OK);
        check_equal(b.stream->peer_window_bytes, 2000);
        check_equal(arrive_with(&b, 0, 3, 0, 0, NULL, 0), UDX_OK);      /* overtaken by the news that it opened */
        check_equal(b.stream->peer_window_bytes, 2000);
        check_equal(arrive_with(&b, 0, 3, 0, 3000, NULL, 0), UDX_OK);
        check_equal(b.stream->peer_window_bytes, 3000);
}

/* A window counts as told only when a packet told it: a drain that sends nothing tells nobody. */
TEST(udx_tells_of_an_opened_window_though_a_drain_before_had_nothing_to_say)
{
        BENCH(b);
        uint32_t seq = 0;

        udx_stream_set_receive_limit(b.stream, UDX_BUFFER_MIN);
        check(write_all(&b, 100000) == 100000);
        drain(&b);                              /* ten packets are out; the rest waits for the congestion window */
        check_equal(b.sent, 10);
        while (arrive(&b, UDX_DATA, seq, 0, NULL, UDX_PAYLOAD_BASE) == UDX_OK)
                seq++;
        drain(&b);
        check(b.last.window_bytes == 0);
        read_some(&b, 30000);                   /* no news: a packet or two could come of it, and the peer asks anyway */
        drain(&b);
        check_equal(b.sent, 0);
        check(write_all(&b, 1) == 1);
        drain(&b);
        check_equal(b.sent, 0);
        read_some(&b, 60000);
        drain(&b);
        check_equal(b.sent, 1);
        check(b.last.window_bytes > 60000);
}

TEST(udx_numbers_wrap_in_both_directions)
{
        cleanup_with(bench_fini) struct bench b;
        uint32_t ours = UINT32_MAX - 5, theirs = UINT32_MAX - 3;
        size_t read = 0;
        uint8_t *span;

        bench_init_at(&b, ours, theirs);
        check(write_all(&b, 10 * UDX_PAYLOAD_BASE) == 10 * UDX_PAYLOAD_BASE);
        drain(&b);
        check_equal(b.sent, 10);
        check_equal(b.last.seq, 3);
        for (uint32_t i = 0; i < 8; i += 2) {   /* every second one first */
                check_equal(arrive(&b, UDX_DATA, theirs + i + 1, ours, NULL, 7), UDX_OK);
                drain(&b);
                check_equal(b.last.ack, theirs + i);
                check_equal(b.last.sack_count, 1);
                check_equal(b.sacks[0].start, theirs + i + 1);
                check_equal(b.sacks[0].end, theirs + i + 2);
                check_equal(arrive(&b, UDX_DATA, theirs + i, ours, NULL, 7), UDX_OK);
                drain(&b);
                check_equal(b.last.ack, theirs + i + 2);
                read += udx_stream_peek(b.stream, &span);
                udx_stream_consume(b.stream, udx_stream_peek(b.stream, &span));
        }
        check_equal(read, 8 * 7);
        b.now_us += 20000;
        check_equal(arrive(&b, UDX_SACK, theirs + 8, ours + 1, &(struct udx_sack){ ours + 4, ours + 9 }, 0), UDX_OK);
        drain(&b);                              /* across the wrap: 1 to 3 are lost, 4 to 8 are here, 9 is under way */
        check_equal(udx_mux_counters(b.mux)->packets_resent, 3);
        b.now_us += 20000;
        check_equal(arrive(&b, 0, theirs + 8, ours + 10, NULL, 0), UDX_OK);
        drain(&b);
        check_equal(udx_stream_unacked_bytes(b.stream), 0);
        check_equal(udx_mux_deadline(b.mux), USEC_NEVER);
}

TEST(udx_answers_a_question_and_acknowledges_it_in_one_packet)
{
        BENCH(b);

        check_equal(arrive(&b, UDX_DATA, 0, 0, NULL, 100), UDX_OK);
        drain(&b);
        check_equal(b.sent, 0);
        b.now_us += 999;
        check_equal(write_all(&b, 10), 10);
        drain(&b);
        check_equal(b.sent, 1);
        check_equal(b.last.type, UDX_DATA);
        check_equal(b.last.ack, 1);
        check_equal(arrive(&b, 0, 1, 1, NULL, 0), UDX_OK);
        drain(&b);
        check_equal(udx_mux_deadline(b.mux), USEC_NEVER);
        check_equal(udx_mux_counters(b.mux)->acks_sent, 0);
}

TEST(udx_acknowledges_what_it_has_no_answer_to_within_a_millisecond)
{
        BENCH(b);

        check_equal(arrive(&b, UDX_DATA, 0, 0, NULL, 100), UDX_OK);
        drain(&b);
        check_equal(b.sent, 0);
        check_equal(udx_mux_deadline(b.mux), b.now_us + 1000);
        b.now_us += 1000;
        drain(&b);
        check_equal(b.sent, 1);
        check_equal(b.last.type, 0);
        check_equal(b.last.ack, 1);
        check_equal(udx_mux_deadline(b.mux), USEC_NEVER);
}

/* Two packets, a full one, an END, a duplicate, and whatever lies behind a gap or closes one. */
TEST(udx_acknowledges_all_but_a_lone_unfilled_packet_at_once)
{
        static const struct { uint8_t type; uint32_t seq, ack; size_t payload; bool waits; } rows[] = {
                { UDX_DATA, 0, 1, 100, true },
                { UDX_DATA, 1, 2, 100, false },
                { UDX_DATA, 2, 3, UDX_PAYLOAD_BASE, false },
                { UDX_DATA, 2, 3, 100, false },
                { UDX_DATA, 4, 3, 100, false },
                { UDX_DATA, 3, 5, 100, false },
                { UDX_DATA, 5, 6, UDX_PAYLOAD_BASE - 1, true },
                { UDX_DATA | UDX_END, 6, 7, 100, false },
        };
        BENCH(b);

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                check_equal(arrive(&b, rows[i].type, rows[i].seq, 0, NULL, rows[i].payload), UDX_OK);
                drain(&b);
                check_equal(b.sent, rows[i].waits ? 0 : 1);
                check(rows[i].waits || b.last.ack == rows[i].ack);
        }
}

TEST(udx_refuses_what_is_outside_its_windows)
{
        BENCH(b);

        check_equal(arrive(&b, UDX_DATA, UDX_REORDER_MAX, 0, NULL, 1), UDX_OUT_OF_WINDOW);
        check_equal(arrive(&b, UDX_DATA, UINT32_MAX, 0, NULL, 1), UDX_OK);       /* a duplicate, for all we know */
        check_equal(arrive(&b, UDX_DESTROY, UINT32_MAX, 0, NULL, 0), UDX_OUT_OF_WINDOW);
        check_equal(arrive(&b, UDX_DESTROY, UDX_REORDER_MAX + 1, 0, NULL, 0), UDX_OUT_OF_WINDOW);
        check_equal(arrive(&b, UDX_DATA, 0, 1, NULL, 1), UDX_WRONG_ACK);
        drain(&b);
        check(!(b.events & 1u << UDX_READABLE));
        check_equal(b.stream->assembly.next, 0);
        check_equal(arrive(&b, UDX_DATA | UDX_END, 5, 0, NULL, 1), UDX_OK);
        check_equal(arrive(&b, UDX_DATA, 6, 0, NULL, 1), UDX_OUT_OF_WINDOW);     /* beyond its own END */
        check_equal(arrive(&b, UDX_DESTROY, 0, 0, NULL, 0), UDX_OK);
        drain(&b);
        check(b.events & 1u << UDX_CLOSED);
        check_equal(b.reason, UDX_RESET);
}

TEST(udx_ignores_sacks_that_make_no_sense)
{
        static const struct udx_sack senseless[] = {
                { 5, 5 }, { 6, 5 }, { 10, 12 }, { 8, 11 }, { UINT32_MAX, 3 }, { 0, UINT32_MAX }, { 0x80000000, 0x80000001 },
        };
        BENCH(b);

        check(write_all(&b, 10 * UDX_PAYLOAD_BASE) == 10 * UDX_PAYLOAD_BASE);
        drain(&b);
        for (size_t i = 0; i < ARRAY_LEN(senseless); i++) {
                check_equal(arrive(&b, UDX_SACK, 0, 0, &senseless[i], 0), UDX_OK);
                check_equal(b.stream->recovery.sacked, 0);
                check_equal(b.stream->recovery.flying.count, 10);
        }
}

/* The peer has packet 9 of us, who have sent three. */
static void tell_of_a_stray(struct bench *b, usec_t after_us, uint32_t end)
{
        struct udx_sack stray = { 9, end };

        b->now_us += after_us;
        check_equal(arrive(b, UDX_SACK, 0, 3, &stray, 0), UDX_OK);
        drain(b);
}

/* A packet whose seq was changed on its way: it lies there until we get to its number, and then takes the place of the right one. */
TEST(udx_breaks_when_its_peer_keeps_what_was_never_sent)
{
        BENCH(b);

        write_all(&b, 3 * UDX_PAYLOAD_BASE);
        drain(&b);
        check_equal(b.stream->recovery.nxt, 3);
        tell_of_a_stray(&b, MSEC(20), 10);
        tell_of_a_stray(&b, MSEC(500), 10);             /* a copy of the same, perhaps */
        tell_of_a_stray(&b, MSEC(1), 12);               /* another one */
        tell_of_a_stray(&b, MSEC(900), 12);
        check_equal(b.events & 1u << UDX_CLOSED, 0);
        tell_of_a_stray(&b, MSEC(200), 12);
        check(b.events & 1u << UDX_CLOSED);
        check_equal(b.reason, UDX_DAMAGED);
        check(b.last.type & UDX_DESTROY);               /* the peer gets to know */
}

/* What a changed SACK said does not come again, and by the time it does that number was sent. */
TEST(udx_goes_on_when_its_peer_seemed_once_to_have_what_was_never_sent)
{
        BENCH(b);

        write_all(&b, 3 * UDX_PAYLOAD_BASE);
        drain(&b);
        tell_of_a_stray(&b, MSEC(20), 10);
        write_all(&b, 7 * UDX_PAYLOAD_BASE);
        b.now_us += MSEC(20);
        drain(&b);
        check_equal(b.stream->recovery.nxt, 10);
        tell_of_a_stray(&b, SECONDS(2), 10);
        check_equal(b.events & 1u << UDX_CLOSED, 0);
        check_equal(arrive(&b, 0, 0, 10, NULL, 0), UDX_OK);
        check_equal(b.stream->recovery.una, 10);
}

TEST(udx_answers_a_flood_of_heartbeats_twenty_times_a_second)
{
        BENCH(b);
        unsigned answers = 0;

        for (unsigned i = 0; i < 1000; i++, b.now_us += 1000) {
                check_equal(arrive(&b, UDX_HEARTBEAT, 0, 0, NULL, 0), UDX_OK);
                drain(&b);
                answers += b.sent;
        }
        check_equal(answers, 20);
}

/* Between two bursts, with some of the first still out and some unread. */
TEST(udx_memory_is_given_back_whenever_it_is_asked_for)
{
        BENCH(b);

        for (uint32_t round = 0; round < 3; round++) {
                check_equal(write_all(&b, 9 * UDX_PAYLOAD_BASE), 9 * UDX_PAYLOAD_BASE);
                drain(&b);
                check_equal(arrive(&b, UDX_DATA, 2 * round, 9 * round + 4, NULL, 1000), UDX_OK);
                check_equal(arrive(&b, UDX_DATA, 2 * round + 1, 9 * round + 8, NULL, 1000), UDX_OK);
                udx_mux_trim(b.mux);
                check_equal(b.mux->pool.kept_bytes, 0);
                read_some(&b, 2000);
                check_equal(arrive(&b, 0, 2 * round + 2, 9 * round + 9, NULL, 0), UDX_OK);
                drain(&b);
                check_equal(udx_stream_unacked_bytes(b.stream), 0);
        }
}

/* What was SACKed stays: the peer can't send it again. */
TEST(udx_keeps_what_it_sacked_whatever_comes)
{
        BENCH(b);
        unsigned held = 0;

        udx_stream_set_receive_limit(b.stream, UDX_BUFFER_MIN);
        for (uint32_t seq = 1; seq < 4000; seq++) {
                enum udx_verdict verdict = arrive(&b, UDX_DATA, seq, 0, NULL, 1000);

                check(verdict == UDX_OK || verdict == UDX_NO_ROOM);
                held += verdict == UDX_OK;
        }
        drain(&b);
        check(held > 100 && held <= UDX_BUFFER_MIN / 1000);
        check_equal(b.last.sack_count, 1);
        check_equal(b.sacks[0].end - b.sacks[0].start, held);
        check_equal(arrive(&b, UDX_DATA, 0, 0, NULL, 1000), UDX_OK);
        drain(&b);
        check_equal(b.last.ack, held + 1);
        check_equal(b.last.window_bytes, MAX(UDX_BUFFER_MIN - (int)(held + 1) * 1000, 0));
}

/* Tiny packets must not cost what large ones would not. */
TEST(udx_memory_for_tiny_packets_behind_a_gap_is_bounded)
{
        BENCH(b);

        udx_stream_set_receive_limit(b.stream, UDX_BUFFER_MIN);
        for (uint32_t seq = 2; seq < UDX_REORDER_MAX; seq += 2)
                arrive(&b, UDX_DATA, seq, 0, NULL, 1);
        check(b.stream->assembly.held_memory <= 2 * UDX_BUFFER_MIN);
        check(b.stream->assembly.range_count <= 2 * UDX_BUFFER_MIN / UDX_POOL_SMALLEST);
        drain(&b);
        check_equal(b.last.sack_count, UDX_SACK_MAX);
}

TEST(udx_reserves_nothing_where_nothing_can_be_said_any_more)
{
        BENCH(b);

        check(udx_stream_reserve(b.stream, 0));
        udx_stream_end(b.stream);
        check(!udx_stream_reserve(b.stream, 0));
        check(!udx_stream_reserve(b.stream, 1));
        udx_stream_destroy(b.stream);
        check(!udx_stream_reserve(b.stream, 0));
        check_equal(write_all(&b, 10), 0);
}

/* A probe to where the stream is not connected goes there, and nothing else does. */
TEST(udx_probes_another_path_beside_its_own)
{
        BENCH(b);
        struct udx_path other = { .socket = SOCKET + 1, .remote_id = 4711, .remote = { { 10, 0, 0, 9 }, 900 } };
        struct udx_send out;

        check(udx_stream_probe(b.stream, &other));
        check_equal(write_all(&b, 100), 100);
        check(udx_mux_transmit(b.mux, &out, b.now_us));
        check_equal(out.socket, SOCKET + 1);
        check(addr_equal(&out.remote, &other.remote));
        check_equal(udx_packet_read(out.iov[0].iov_base, out.bytes, &b.last), UDX_OK);
        check_equal(b.last.type, UDX_MESSAGE);
        check_equal(b.last.stream_id, 4711);
        check(udx_mux_transmit(b.mux, &out, b.now_us));
        check_equal(out.socket, SOCKET);
        check(addr_equal(&out.remote, &remote));
        check_equal(udx_packet_read(out.iov[0].iov_base, UDX_HEADER_BYTES, &b.last), UDX_OK);
        check_equal(b.last.stream_id, REMOTE_ID);
        check(!udx_mux_transmit(b.mux, &out, b.now_us));
}

/* A message of @byte in what is handed out, and where it ends. */
static size_t check_message(const struct udx_send *out, size_t iov, uint8_t byte, size_t len)
{
        struct udx_packet packet;
        uint8_t expected[UDX_MESSAGE_BASE];

        memset(expected, byte, sizeof(expected));
        check_equal(out->iov[iov].iov_len, UDX_HEADER_BYTES);
        check_equal(udx_packet_read(out->iov[iov].iov_base, UDX_HEADER_BYTES, &packet), UDX_OK);
        check(packet.type == UDX_MESSAGE && packet.stream_id == REMOTE_ID);
        if (!len)
                return iov + 1;
        check_equal(out->iov[iov + 1].iov_len, len);
        check(memcmp(out->iov[iov + 1].iov_base, expected, len) == 0);
        return iov + 2;
}

TEST(messages_of_one_length_leave_in_one_run_which_a_shorter_one_ends)
{
        static const struct { unsigned count; size_t len; } runs[] = { { 3, 1000 }, { 1, 1100 }, { 2, UDX_MESSAGE_BASE }, { 2, 5 } };
        static const size_t lens[] = { 1000, 1000, 10, 1100, UDX_MESSAGE_BASE, 5, 5, 0 };
        uint8_t bytes[UDX_MESSAGE_BASE], number = 0;
        struct udx_path other = { .socket = SOCKET + 1, .remote_id = 4711, .remote = { { 10, 0, 0, 9 }, 900 } };
        struct udx_send out;
        BENCH(b);

        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                memset(bytes, (int)i, sizeof(bytes));
                check(udx_stream_send_message(b.stream, bytes, lens[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
                size_t iov = 0;

                check(udx_mux_transmit(b.mux, &out, b.now_us));
                check(out.segments == runs[i].count && out.segment_bytes == UDX_HEADER_BYTES + runs[i].len && !out.pieces);
                for (unsigned n = 0; n < out.segments; n++, number++)
                        iov = check_message(&out, iov, number, lens[number]);
                check_equal(iov, out.iov_len);
        }
        check(!udx_mux_transmit(b.mux, &out, b.now_us));

        check(udx_stream_send_message(b.stream, bytes, 0));     /* what goes elsewhere goes alone */
        check(udx_stream_probe(b.stream, &other) && udx_stream_probe(b.stream, &other));
        for (unsigned i = 0; i < 3; i++)
                check(udx_mux_transmit(b.mux, &out, b.now_us) && out.segments == 1 && out.socket == SOCKET + (i > 0));

        memset(bytes, 7, sizeof(bytes));
        for (unsigned i = 0; i < 2 * UDX_RUN_SEGMENTS; i++)     /* as much as one system call takes */
                check(udx_stream_send_message(b.stream, bytes, sizeof(bytes)));
        for (unsigned left = 2 * UDX_RUN_SEGMENTS; left; left -= out.segments)
                check(udx_mux_transmit(b.mux, &out, b.now_us) && out.bytes <= UDX_RUN_BYTES && out.segments >= MIN(left, 50U));
}

TEST(ids_of_streams_bear_the_mark_and_are_random_otherwise)
{
        enum { STREAMS = 200 };
        uint64_t seed = 7;
        struct random random = { test_random_fill, &seed };
        struct udx_mux *mux = udx_mux_new(&random);
        uint32_t differing = 0, before = 0;

        check(mux);
        for (int i = 0; i < 2 * STREAMS; i++) {
                struct udx_stream *stream;
                uint32_t id;

                if (i == STREAMS) {
                        check_equal(differing, UINT32_MAX);     /* each bit has been both */
                        udx_mux_mark(mux, 0xa7);
                        differing = 0;
                }
                check_equal(udx_stream_new(mux, 0, NULL, &stream), 0);
                id = udx_stream_local_id(stream);
                check(i < STREAMS || id >> 24 == 0xa7);
                if (i != STREAMS)
                        differing |= id ^ before;
                before = id;
        }
        check_equal(differing, 0x00ffffff);
        udx_mux_free(mux);
}
