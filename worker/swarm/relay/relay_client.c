/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay_client.h"

enum client_event {
        CLIENT_CONNECTED,
        CLIENT_ANSWERED,
        CLIENT_LOST,
        CLIENT_EVENTS
};

/* Empty cell: nothing changes. RELAY_CONNECTING is where nobody returns to. */
static const enum relay_client_state next_state[RELAY_GIVEN_UP + 1][CLIENT_EVENTS] = {
        [RELAY_CONNECTING] = { [CLIENT_CONNECTED] = RELAY_PAIRING, [CLIENT_LOST] = RELAY_GIVEN_UP },
        [RELAY_PAIRING]    = { [CLIENT_ANSWERED] = RELAY_PAIRED, [CLIENT_LOST] = RELAY_GIVEN_UP },
};

static void step(struct relay_client *client, enum client_event event)
{
        enum relay_client_state next = next_state[client->state][event];

        if (next == RELAY_CONNECTING)
                return;
        client->state = next;
        if (next != RELAY_PAIRING)
                client->limit_us = USEC_NEVER;
}

void relay_client_init(struct relay_client *client, bool initiator, const uint8_t token[RELAY_TOKEN_BYTES], uint32_t stream_id,
                       usec_t now_us)
{
        *client = (struct relay_client){
                .state = RELAY_CONNECTING,
                .question = { .type = RELAY_PAIR, .initiator = initiator, .stream_id = stream_id },
                .limit_us = now_us + RELAY_PATIENCE_US,
        };
        memcpy(client->question.token, token, RELAY_TOKEN_BYTES);
}

void relay_client_connected(struct relay_client *client, const uint8_t key[RELAY_KEY_BYTES])
{
        relay_channel_init(&client->channel, key);
        step(client, CLIENT_CONNECTED);
}

/* The open and, right behind it, the question. */
bool relay_client_frame(struct relay_client *client, uint8_t out[RELAY_FRAME_MAX], size_t *len_out)
{
        struct writer w = writer_over(out, RELAY_FRAME_MAX);

        if (client->state != RELAY_PAIRING || client->frames_sent == 2)
                return false;
        if (client->frames_sent++ == 0)
                relay_open_write(&w, RELAY_CHANNEL, client->channel.id);
        else
                relay_message_write(&w, RELAY_CHANNEL, &client->question);
        *len_out = writer_len(&w);
        return true;
}

static bool is_answer(const struct relay_client *client, const struct relay_message *message)
{
        return message->type == RELAY_PAIR && message->initiator == client->question.initiator &&
               memcmp(message->token, client->question.token, RELAY_TOKEN_BYTES) == 0;
}

void relay_client_take(struct relay_client *client, const void *bytes, size_t len)
{
        struct relay_frames frames;
        struct relay_frame frame;
        struct relay_message message;

        if (client->state != RELAY_PAIRING)
                return;
        relay_frames_init(&frames, bytes, len);
        while (client->state == RELAY_PAIRING && relay_frames_next(&frames, &frame)) {
                enum relay_verdict verdict = relay_channel_take(&client->channel, &frame, &message);

                if (verdict == RELAY_CLOSED || verdict == RELAY_MALFORMED)
                        step(client, CLIENT_LOST);
                if (verdict != RELAY_MESSAGE || !is_answer(client, &message))
                        continue;
                client->relay_id = message.stream_id;
                step(client, CLIENT_ANSWERED);
        }
        if (frames.r.failed)
                step(client, CLIENT_LOST);
}

void relay_client_lost(struct relay_client *client)
{
        step(client, CLIENT_LOST);
}

void relay_client_advance(struct relay_client *client, usec_t now_us)
{
        if (now_us >= client->limit_us)
                step(client, CLIENT_LOST);
}
