/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay_frame.h"

#include "wire.h"

enum control {
        CONTROL_BATCH = 0,
        CONTROL_OPEN = 1,
        CONTROL_REJECT = 2,
        CONTROL_CLOSE = 3,
};

#define FLAG_INITIATOR 1

static const char protocol[] = "blind-relay";

void relay_frames_init(struct relay_frames *frames, const void *bytes, size_t len)
{
        *frames = (struct relay_frames){ .r = reader_over(bytes, len) };
}

/* Absent: a length of 0, as compact-encoding writes an optional buffer. */
static void read_open(struct reader *r, struct relay_frame *frame)
{
        frame->kind = RELAY_FRAME_OPEN;
        frame->channel = wire_read_uint(r);
        frame->protocol = wire_read_buffer(r, &frame->protocol_len);
        frame->id = wire_read_buffer(r, &frame->id_len);
}

static void read_control(struct reader *r, uint64_t type, struct relay_frame *frame)
{
        switch (type) {
        case CONTROL_OPEN:
                read_open(r, frame);
                break;
        case CONTROL_REJECT:
                frame->kind = RELAY_FRAME_REJECT;
                frame->channel = wire_read_uint(r);
                break;
        case CONTROL_CLOSE:
                frame->kind = RELAY_FRAME_CLOSE;
                frame->channel = wire_read_uint(r);
                break;
        default:
                frame->kind = RELAY_FRAME_OTHER;
        }
}

/* The frame on @channel that fills the rest of @r. */
static void read_frame(struct reader *r, uint64_t channel, struct relay_frame *frame)
{
        uint64_t type = wire_read_uint(r);

        *frame = (struct relay_frame){ .kind = RELAY_FRAME_OTHER };
        if (!channel) {
                read_control(r, type, frame);
                return;
        }
        frame->kind = RELAY_FRAME_MESSAGE;
        frame->channel = channel;
        frame->type = type;
        frame->body_len = reader_left(r);
        frame->body = read_bytes(r, frame->body_len);
}

/* A batch within a batch is one that ends here: the original would follow it down. */
static bool next_of_batch(struct relay_frames *frames, struct relay_frame *out)
{
        while (reader_left(&frames->r) && !frames->r.failed) {
                size_t len;
                const uint8_t *bytes = wire_read_buffer(&frames->r, &len);
                struct reader inner;

                if (!bytes)
                        return false;
                if (!len) {
                        frames->channel = wire_read_uint(&frames->r);
                        continue;
                }
                inner = reader_over(bytes, len);
                read_frame(&inner, frames->channel, out);
                frames->r.failed = inner.failed;
                return !inner.failed;
        }
        return false;
}

bool relay_frames_next(struct relay_frames *frames, struct relay_frame *out)
{
        struct reader ahead;

        if (frames->batch)
                return next_of_batch(frames, out);
        if (frames->begun || !reader_left(&frames->r))
                return false;
        frames->begun = true;
        frames->channel = wire_read_uint(&frames->r);
        ahead = frames->r;
        if (!frames->channel && wire_read_uint(&ahead) == CONTROL_BATCH && !ahead.failed) {
                frames->batch = true;
                frames->channel = wire_read_uint(&ahead);
                frames->r = ahead;
                return next_of_batch(frames, out);
        }
        read_frame(&frames->r, frames->channel, out);
        return !frames->r.failed;
}

/* npm compact-encoding-bitfield of 7 flags is one byte. */
bool relay_message_read(uint64_t type, const void *body, size_t len, struct relay_message *message_out)
{
        struct reader r = reader_over(body, len);
        struct relay_message message = { .type = type == RELAY_PAIR ? RELAY_PAIR : RELAY_UNPAIR };
        uint8_t flags = read_u8(&r);
        uint64_t id = 0;

        read_copy(&r, message.token, sizeof(message.token));
        if (type == RELAY_PAIR) {
                message.initiator = flags & FLAG_INITIATOR;
                id = wire_read_uint(&r);
                message.seq = wire_read_uint(&r);
        }
        if (r.failed || type > RELAY_UNPAIR || id > UINT32_MAX)
                return false;
        message.stream_id = (uint32_t)id;
        *message_out = message;
        return true;
}

void relay_open_write(struct writer *w, uint64_t channel, const uint8_t id[RELAY_KEY_BYTES])
{
        wire_write_uint(w, 0);
        wire_write_uint(w, CONTROL_OPEN);
        wire_write_uint(w, channel);
        wire_write_buffer(w, protocol, sizeof(protocol) - 1);
        wire_write_buffer(w, id, RELAY_KEY_BYTES);
}

void relay_reject_write(struct writer *w, uint64_t channel)
{
        wire_write_uint(w, 0);
        wire_write_uint(w, CONTROL_REJECT);
        wire_write_uint(w, channel);
}

void relay_close_write(struct writer *w, uint64_t channel)
{
        wire_write_uint(w, 0);
        wire_write_uint(w, CONTROL_CLOSE);
        wire_write_uint(w, channel);
}

void relay_message_write(struct writer *w, uint64_t channel, const struct relay_message *message)
{
        bool pair = message->type == RELAY_PAIR;

        wire_write_uint(w, channel);
        wire_write_uint(w, message->type);
        wire_write_uint(w, pair && message->initiator ? FLAG_INITIATOR : 0);
        write_bytes(w, message->token, sizeof(message->token));
        if (!pair)
                return;
        wire_write_uint(w, message->stream_id);
        wire_write_uint(w, message->seq);
}
