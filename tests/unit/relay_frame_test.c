/* SPDX-License-Identifier: BSD-3-Clause */
/* Every frame and message body of tests/vectors/relay.json, read and written. */
#include "relay_frame.h"

#include <string.h>

#include "test.h"
#include "vectors.h"

static bool next_of(const uint8_t *bytes, size_t len, struct relay_frame *frame)
{
        struct relay_frames frames;

        relay_frames_init(&frames, bytes, len);
        return relay_frames_next(&frames, frame) && !frames.r.failed;
}

TEST(relay_messages_are_the_reference)
{
        json_t *codec = vector_at(vectors("relay.json"), "codec"), *item;
        size_t i;

        check_equal(json_array_size(codec), 6);
        json_array_foreach(codec, i, item) {
                bool pair = strcmp(vector_text(item, "message"), "pair") == 0;
                struct relay_message message;
                uint8_t body[64], written[RELAY_FRAME_MAX];
                size_t len = vector_bytes(item, "body_hex", body, sizeof(body));
                struct writer w = writer_over(written, sizeof(written));

                check(relay_message_read(pair ? RELAY_PAIR : RELAY_UNPAIR, body, len, &message));
                check_equal(message.type, pair ? RELAY_PAIR : RELAY_UNPAIR);
                check_equal(message.token[31], 31);
                if (pair) {
                        check_equal(message.initiator, vector_true(item, "isInitiator"));
                        check_equal(message.stream_id, vector_number(item, "id"));
                        check_equal(message.seq, vector_number(item, "seq"));
                }
                relay_message_write(&w, 1, &message);
                check_equal(writer_len(&w), len + 2);
                check_bytes(written + 2, body, len);
                for (size_t cut = 0; cut < len; cut++)
                        check(!relay_message_read(message.type, body, cut, &message));
        }
}

static size_t rewrite(const struct relay_frame *frame, uint8_t out[RELAY_FRAME_MAX])
{
        struct writer w = writer_over(out, RELAY_FRAME_MAX);
        struct relay_message message;

        switch (frame->kind) {
        case RELAY_FRAME_OPEN:
                check_equal(frame->id_len, RELAY_KEY_BYTES);
                relay_open_write(&w, frame->channel, frame->id);
                break;
        case RELAY_FRAME_REJECT:
                relay_reject_write(&w, frame->channel);
                break;
        case RELAY_FRAME_CLOSE:
                relay_close_write(&w, frame->channel);
                break;
        case RELAY_FRAME_MESSAGE:
                check(relay_message_read(frame->type, frame->body, frame->body_len, &message));
                relay_message_write(&w, frame->channel, &message);
                break;
        case RELAY_FRAME_OTHER:
                break;
        }
        return writer_len(&w);
}

TEST(relay_frames_are_the_reference)
{
        json_t *scenarios = vector_at(vectors("relay.json"), "scenarios"), *scenario, *event;
        size_t i, k;
        unsigned seen[RELAY_FRAME_MESSAGE + 1] = { 0 };

        json_array_foreach(scenarios, i, scenario) {
                json_array_foreach(vector_at(scenario, "events"), k, event) {
                        uint8_t bytes[128], written[RELAY_FRAME_MAX];
                        struct relay_frame frame;
                        size_t len;

                        if (strcmp(vector_text(event, "kind"), "mux") != 0)
                                continue;
                        len = vector_bytes(event, "hex", bytes, sizeof(bytes));
                        if (!len)       /* a keep-alive */
                                continue;
                        check(next_of(bytes, len, &frame));
                        check_equal(rewrite(&frame, written), len);
                        check_bytes(written, bytes, len);
                        seen[frame.kind]++;
                }
        }
        check(seen[RELAY_FRAME_OPEN] >= 20 && seen[RELAY_FRAME_MESSAGE] >= 20 && seen[RELAY_FRAME_CLOSE] >= 1);
}

TEST(relay_frames_of_a_batch_are_read_one_by_one)
{
        static const uint8_t batch[] = {
                0, 0, 1,                        /* a batch, for channel 1 first */
                3, 7, 'a', 'b',                 /* a message of type 7 */
                2, 9, 'c',
                0, 0,                           /* now for channel 0: control frames */
                2, 3, 5,                        /* close 5 */
                0, 2, 1, 8,                     /* and for channel 2 */
        };
        struct relay_frames frames;
        struct relay_frame frame;

        relay_frames_init(&frames, batch, sizeof(batch));
        check(relay_frames_next(&frames, &frame));
        check(frame.kind == RELAY_FRAME_MESSAGE && frame.channel == 1 && frame.type == 7 && frame.body_len == 2);
        check_bytes(frame.body, "ab", 2);
        check(relay_frames_next(&frames, &frame));
        check(frame.type == 9 && frame.body_len == 1);
        check(relay_frames_next(&frames, &frame));
        check(frame.kind == RELAY_FRAME_CLOSE && frame.channel == 5);
        check(relay_frames_next(&frames, &frame));
        check(frame.kind == RELAY_FRAME_MESSAGE && frame.channel == 2 && frame.type == 8 && frame.body_len == 0);
        check(!relay_frames_next(&frames, &frame));
        check(!frames.r.failed);
        relay_frames_init(&frames, batch, 6);
        check(!relay_frames_next(&frames, &frame));
        check(frames.r.failed);
}

TEST(relay_frames_that_say_nothing_are_none)
{
        static const uint8_t future[] = { 0, 77, 1, 2, 3 }, half[] = { 0 };
        struct relay_frame frame;
        struct relay_frames frames;

        relay_frames_init(&frames, future, 0);
        check(!relay_frames_next(&frames, &frame));
        check(!frames.r.failed);
        check(next_of(future, sizeof(future), &frame));
        check_equal(frame.kind, RELAY_FRAME_OTHER);
        check(!next_of(half, sizeof(half), &frame));
}
