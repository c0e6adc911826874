/* SPDX-License-Identifier: BSD-3-Clause */
/* A blind relay among peers that say anything: what is read can be written and reads the same again; the relay's books stay right,
 * whatever its sessions do, and its answers are frames. Input: messages, each with a byte that chooses the speaker and one that is
 * its length. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "relay_client.h"
#include "relay_pairing.h"
#include "steps.h"

enum {
        SPEAKERS = 4,
        JOINTS = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void fill(void *context, void *out, size_t len)
{
        (void)context;
        memset(out, 7, len);
}

static void rewrite(const uint8_t *bytes, size_t len)
{
        struct relay_frames frames;
        struct relay_frame frame, again;

        relay_frames_init(&frames, bytes, len);
        while (relay_frames_next(&frames, &frame)) {
                uint8_t out[RELAY_FRAME_MAX];
                struct writer w = writer_over(out, sizeof(out));
                struct relay_message message, same;

                if (frame.kind != RELAY_FRAME_MESSAGE || !relay_message_read(frame.type, frame.body, frame.body_len, &message))
                        continue;
                relay_message_write(&w, frame.channel, &message);
                assert(!w.failed);
                relay_frames_init(&frames, out, writer_len(&w));
                assert(relay_frames_next(&frames, &again) && again.kind == RELAY_FRAME_MESSAGE && again.channel == frame.channel);
                assert(relay_message_read(again.type, again.body, again.body_len, &same));
                assert(memcmp(&same.token, &message.token, sizeof(same.token)) == 0 && same.stream_id == message.stream_id &&
                       same.initiator == message.initiator && same.seq == message.seq);
                return;
        }
}

/* The ends of a channel are frames that say so. */
static void check_ends(uint64_t channel)
{
        static void (*const write[])(struct writer *, uint64_t) = { relay_reject_write, relay_close_write };

        for (size_t i = 0; i < 2; i++) {
                uint8_t out[RELAY_FRAME_MAX];
                struct writer w = writer_over(out, sizeof(out));
                struct relay_frames frames;
                struct relay_frame frame;

                write[i](&w, channel);
                relay_frames_init(&frames, out, writer_len(&w));
                assert(!w.failed && relay_frames_next(&frames, &frame) && frame.kind != RELAY_FRAME_MESSAGE && frame.channel == channel);
        }
}

struct stage {
        struct relay_pairing *pairing;
        struct relay_session *sessions[SPEAKERS];
        struct relay_client client;
        bool joints[JOINTS];
};

static bool *free_joint(struct stage *stage)
{
        for (unsigned i = 0; i < JOINTS; i++)
                if (!stage->joints[i])
                        return &stage->joints[i];
        return NULL;
}

static void settle(struct stage *stage)
{
        static const uint32_t ids[2] = { 1, 2 };
        uint8_t frame[RELAY_FRAME_MAX];
        struct relay_event event;
        struct relay_stats stats;
        size_t len, joined = 0;
        void *context;

        while (relay_pairing_event(stage->pairing, &event)) {
                bool *joint = event.kind == RELAY_PAIR_OVER ? event.joint : free_joint(stage);

                if (event.kind == RELAY_PAIR_OVER) {
                        assert(*joint);
                        *joint = false;
                } else if (joint) {
                        *joint = true;
                        relay_pair_join(event.pair, joint, ids);
                } else {
                        relay_pair_drop(event.pair);
                }
        }
        while (relay_pairing_frame(stage->pairing, &context, frame, &len))
                relay_client_take(&stage->client, frame, len);
        relay_pairing_stats(stage->pairing, &stats);
        for (unsigned i = 0; i < JOINTS; i++)
                joined += stage->joints[i];
        assert(stats.pairs == joined && stats.waiting + stats.pairs <= RELAY_PER_SESSION_MAX * SPEAKERS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        struct random random = { .fill = fill };
        static const struct relay_limits limits;
        static const uint8_t key[RELAY_KEY_BYTES], token[RELAY_TOKEN_BYTES];
        struct stage stage = { .pairing = relay_pairing_new(&limits, &random) };
        static const struct addr host = { .ip = { 10, 0, 0, 1 } };
        struct reader r = steps_begin(bytes, len);
        usec_t now_us = 0;

        rewrite(bytes, len);
        check_ends(len ? (uint64_t)bytes[0] << len % 40 : 0);
        assert(stage.pairing);
        relay_client_init(&stage.client, true, token, 1, 0);
        relay_client_connected(&stage.client, key);
        while (reader_left(&r) >= 2 && steps_next(&r)) {
                uint8_t who = read_u8(&r) % (SPEAKERS + 2);
                size_t said = read_u8(&r), size = MIN(said, reader_left(&r));
                const uint8_t *message = read_bytes(&r, size);

                if (who == SPEAKERS) {
                        relay_pairing_advance(stage.pairing, now_us += SECONDS(1) * size);
                } else if (who > SPEAKERS) {
                        relay_client_take(&stage.client, message, size);
                } else {
                        if (!stage.sessions[who])
                                stage.sessions[who] = relay_session_new(stage.pairing, key, &host, &stage);
                        if (!relay_session_take(stage.sessions[who], message, size, now_us)) {
                                relay_session_free(stage.sessions[who]);
                                stage.sessions[who] = NULL;
                        }
                }
                settle(&stage);
        }
        relay_pairing_free(stage.pairing);
        return 0;
}
