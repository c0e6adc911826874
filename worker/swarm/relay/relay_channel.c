/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay_channel.h"

static const char protocol[] = "blind-relay";

void relay_channel_init(struct relay_channel *channel, const uint8_t id[RELAY_KEY_BYTES])
{
        *channel = (struct relay_channel){ .state = RELAY_CHANNEL_OPENING };
        memcpy(channel->id, id, sizeof(channel->id));
}

static bool is_ours(const struct relay_channel *channel, const struct relay_frame *frame)
{
        return frame->protocol_len == sizeof(protocol) - 1 && memcmp(frame->protocol, protocol, sizeof(protocol) - 1) == 0 &&
               frame->id_len == RELAY_KEY_BYTES && memcmp(frame->id, channel->id, RELAY_KEY_BYTES) == 0;
}

static enum relay_verdict take_open(struct relay_channel *channel, const struct relay_frame *frame)
{
        if (!frame->channel)
                return RELAY_MALFORMED;
        if (!is_ours(channel, frame) || channel->state != RELAY_CHANNEL_OPENING)
                return RELAY_REFUSED;
        channel->state = RELAY_CHANNEL_OPEN;
        channel->remote = frame->channel;
        return RELAY_OPENED;
}

static enum relay_verdict take_end(struct relay_channel *channel)
{
        channel->state = RELAY_CHANNEL_CLOSED;
        return RELAY_CLOSED;
}

/* Before our channel is open there, @remote is 0, which names no channel. */
enum relay_verdict relay_channel_take(struct relay_channel *channel, const struct relay_frame *frame,
                                      struct relay_message *message_out)
{
        switch (frame->kind) {
        case RELAY_FRAME_OPEN:
                return take_open(channel, frame);
        case RELAY_FRAME_REJECT:
                return frame->channel == RELAY_CHANNEL && channel->state == RELAY_CHANNEL_OPENING ? take_end(channel)
                                                                                                  : RELAY_IGNORED;
        case RELAY_FRAME_CLOSE:
                return frame->channel == channel->remote && channel->state == RELAY_CHANNEL_OPEN ? take_end(channel)
                                                                                                 : RELAY_IGNORED;
        case RELAY_FRAME_MESSAGE:
                if (channel->state != RELAY_CHANNEL_OPEN || frame->channel != channel->remote || frame->type > RELAY_UNPAIR)
                        return RELAY_IGNORED;
                return relay_message_read(frame->type, frame->body, frame->body_len, message_out) ? RELAY_MESSAGE : RELAY_MALFORMED;
        case RELAY_FRAME_OTHER:
                break;
        }
        return RELAY_IGNORED;
}
