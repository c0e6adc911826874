/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows of many streams that read as fast as can be: each has a bound, and so have all of them together. */
#include "cleanup.h"
#include "test.h"
#include "udx_private.h"

enum { STREAMS = 12, FIRST_ID = 100, MIB = 1024 * 1024, FIRST = UDX_BUFFER_MIN, ROUNDS = 40 };

#define RTT_US SECONDS(5)                       /* far enough for the largest window there is */
#define ALL_BYTES ((size_t)256 * MIB)           /* of what windows grow by: udx_window.c */

struct crowd {
        struct udx_mux *mux;
        struct udx_stream *streams[STREAMS];    /* NULL: gone */
        usec_t now_us;
};

static void crowd_fini(struct crowd *crowd)
{
        udx_mux_free(crowd->mux);
}

static struct udx_stream *add(struct crowd *crowd, unsigned i)
{
        struct udx_path path = { .socket = 1, .remote_id = FIRST_ID + i, .remote = { { 10, 0, 0, 1 }, 1000 } };
        struct udx_stream *stream;

        check_equal(udx_stream_new(crowd->mux, FIRST_ID + i, NULL, &stream), 0);
        udx_stream_set_receive_limit(stream, FIRST);
        udx_stream_connect(stream, &path, crowd->now_us);
        udx_rtt_sample(&stream->rtt, RTT_US, crowd->now_us);
        return stream;
}

static void crowd_init(struct crowd *crowd)
{
        static uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };

        *crowd = (struct crowd){ .mux = udx_mux_new(&random), .now_us = SECONDS(1) };
        check(crowd->mux);
        udx_mux_advance(crowd->mux, crowd->now_us);
        for (unsigned i = 0; i < STREAMS; i++) {
                crowd->streams[i] = add(crowd, i);
                udx_stream_let_window_grow(crowd->streams[i]);
        }
}

static size_t window(const struct crowd *crowd, unsigned i)
{
        return crowd->streams[i]->assembly.limit_bytes;
}

/* Beyond what they began with; none has less, and none too much. */
static size_t all_grown(const struct crowd *crowd)
{
        size_t sum = 0;

        for (unsigned i = 0; i < STREAMS; i++) {
                if (!crowd->streams[i])
                        continue;
                check(window(crowd, i) >= FIRST && window(crowd, i) <= UDX_WINDOW_MAX);
                sum += window(crowd, i) - FIRST;
        }
        check_equal(sum, crowd->mux->grown_bytes);
        return sum;
}

/* Those from @first up to @end read their whole windows in each round trip; the others are there and read nothing. */
static void read_rounds(struct crowd *crowd, unsigned first, unsigned end, unsigned rounds)
{
        while (rounds--) {
                crowd->now_us += RTT_US;
                crowd->mux->now_us = crowd->now_us;
                for (unsigned i = first; i < end; i++)
                        if (crowd->streams[i])
                                udx_window_arrived(crowd->streams[i], window(crowd, i));
                check(all_grown(crowd) <= ALL_BYTES);
        }
}

TEST(window_of_one_stream_grows_to_its_bound_and_one_that_may_not_stays)
{
        cleanup_with(crowd_fini) struct crowd crowd;

        crowd_init(&crowd);
        crowd.streams[1]->window_grows = false;
        read_rounds(&crowd, 0, 2, ROUNDS);
        check_equal(window(&crowd, 0), UDX_WINDOW_MAX);
        check_equal(window(&crowd, 1), FIRST);
}

/* What came and waits for the reader is no reason for more; what waits behind a gap is: it will be read at once. */
TEST(window_of_a_reader_that_rests_does_not_grow)
{
        cleanup_with(crowd_fini) struct crowd crowd;
        struct udx_assembly *assembly;

        crowd_init(&crowd);
        assembly = &crowd.streams[0]->assembly;
        assembly->end = FIRST / 2;
        for (unsigned round = 0; round < 3; round++) {
                crowd.now_us += RTT_US;
                crowd.mux->now_us = crowd.now_us;
                udx_window_arrived(crowd.streams[0], FIRST / 2);
                check_equal(window(&crowd, 0), FIRST);
        }
        assembly->end = 0;
        assembly->held_bytes = FIRST / 2;
        crowd.now_us += RTT_US;
        crowd.mux->now_us = crowd.now_us;
        udx_window_arrived(crowd.streams[0], FIRST / 2);
        check_equal(window(&crowd, 0), 2 * FIRST);
}

TEST(window_takes_a_frame_that_is_larger_and_no_more_than_there_is_for_all)
{
        cleanup_with(crowd_fini) struct crowd crowd;

        crowd_init(&crowd);
        check(udx_stream_hold_frame(crowd.streams[0], FIRST / 2));
        check_equal(window(&crowd, 0), FIRST);
        check(!udx_stream_hold_frame(crowd.streams[0], UDX_BUFFER_MAX / 2 + 1));
        check_equal(window(&crowd, 0), FIRST);
        check(udx_stream_hold_frame(crowd.streams[0], UDX_BUFFER_MAX / 2));
        check_equal(window(&crowd, 0), UDX_BUFFER_MAX);
        check_equal(all_grown(&crowd), UDX_BUFFER_MAX - FIRST);
        read_rounds(&crowd, 1, 6, ROUNDS);      /* others have all that there is */
        check(!udx_stream_hold_frame(crowd.streams[7], FIRST));
        check_equal(window(&crowd, 7), FIRST);
}

TEST(windows_of_all_streams_grow_by_no_more_than_there_is_for_all)
{
        cleanup_with(crowd_fini) struct crowd crowd;

        crowd_init(&crowd);
        read_rounds(&crowd, 0, STREAMS, ROUNDS);
        check_equal(all_grown(&crowd), ALL_BYTES);
}

TEST(windows_of_those_who_came_too_late_grow_by_what_others_give_back)
{
        cleanup_with(crowd_fini) struct crowd crowd;
        size_t given;

        crowd_init(&crowd);
        read_rounds(&crowd, 0, 5, ROUNDS);      /* four have all they may, the fifth the rest */
        check_equal(all_grown(&crowd), ALL_BYTES);
        read_rounds(&crowd, 0, 6, ROUNDS);
        check_equal(window(&crowd, 5), FIRST);

        given = window(&crowd, 0) - FIRST;      /* a stream goes */
        udx_stream_free(crowd.streams[0]);
        crowd.streams[0] = NULL;
        check_equal(all_grown(&crowd), ALL_BYTES - given);
        read_rounds(&crowd, 5, 6, ROUNDS);
        check_equal(window(&crowd, 5), FIRST + given);

        for (unsigned i = 0; i < 4; i++) {      /* one reads little for long, each round trip a little */
                crowd.now_us += RTT_US;
                crowd.mux->now_us = crowd.now_us;
                udx_window_arrived(crowd.streams[1], 1);
        }
        check(window(&crowd, 1) < UDX_WINDOW_MAX / 8);
        given = ALL_BYTES - all_grown(&crowd);
        check(given > 0);
        read_rounds(&crowd, 6, 7, ROUNDS);
        check_equal(window(&crowd, 6), FIRST + given);

        udx_stream_set_receive_limit(crowd.streams[2], FIRST);          /* one is told to be content with less */
        check_equal(window(&crowd, 2), FIRST);
        check(all_grown(&crowd) < ALL_BYTES);
}
