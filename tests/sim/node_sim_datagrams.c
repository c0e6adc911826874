/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_sim_datagrams.h"

#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "node_sim_app.h"

enum { HEAD_BYTES = 24, BATCH = 8, NUMBERS = NODE_SIM_DATAGRAMS_MAX };

struct head {
        uint64_t tag, number;
        usec_t said_us;
};

_Static_assert(sizeof(struct head) == HEAD_BYTES, "no holes");

/* How long datagram @number of a channel is: now and then one of nothing, or of all there can be. */
static size_t length_of(const struct node_sim_channel *channel, uint64_t number)
{
        size_t any = (number * 0x9e3779b97f4a7c15 >> 40) % 1400;

        if (channel->video)
                return number % 3 ? 1200 : 1400;
        if (channel->game)
                return HEAD_BYTES + any % 300;
        if (number % 17 == 16)
                return 0;
        return number % 61 == 60 ? NODE_DATAGRAM_MAX : HEAD_BYTES + any;
}

static uint8_t pattern(uint64_t tag, uint64_t number, size_t at)
{
        return (uint8_t)((at + number * 31) * 17 + at / 251 + tag * 7);
}

static size_t compose(const struct node_sim_channel *channel, uint64_t number, usec_t now_us, uint8_t *out)
{
        size_t len = length_of(channel, number);
        struct head head = { channel->tag, number, now_us };

        for (size_t i = HEAD_BYTES; i < len; i++)
                out[i] = pattern(channel->tag, number, i);
        if (len)
                memcpy(out, &head, sizeof(head));
        return len;
}

void node_sim_datagrams_say(struct node_sim_channel *channel)
{
        static uint8_t buffer[NODE_DATAGRAM_MAX];
        struct node *node = channel->host->node;
        struct now now = node_sim_now(channel->host->sim);
        struct iovec datagram = { .iov_base = buffer };

        while (channel->sent < channel->to_send && now.mono_us >= channel->opened_us + channel->sent * channel->every_us) {
                if (!node_writable(node, channel->id))
                        return;         /* told when it is */
                datagram.iov_len = compose(channel, channel->sent, now.mono_us, buffer);
                channel->sent++;
                node_send(node, channel->id, &datagram, 1, &now);
        }
        if (channel->sent < channel->to_send)
                channel->host->say_us = usec_min(channel->host->say_us, channel->opened_us + channel->sent * channel->every_us);
}

/* Whole, of this channel, and none that was here before. */
static bool is_right(struct node_sim_channel *channel, const struct iovec *datagram, usec_t now_us)
{
        const uint8_t *bytes = datagram->iov_base;
        struct head head;

        if (datagram->iov_len < HEAD_BYTES)
                return !datagram->iov_len && !channel->game;
        memcpy(&head, bytes, sizeof(head));
        if (!channel->tag)
                channel->tag = head.tag;
        if (head.tag != channel->tag || head.number >= NUMBERS || datagram->iov_len != length_of(channel, head.number) ||
            channel->seen[head.number / 8] >> head.number % 8 & 1)
                return false;
        channel->seen[head.number / 8] |= (uint8_t)(1 << head.number % 8);
        channel->latest_us = usec_max(channel->latest_us, now_us - head.said_us);
        for (size_t i = HEAD_BYTES; i < datagram->iov_len; i++)
                if (bytes[i] != pattern(head.tag, head.number, i))
                        return false;
        return true;
}

void node_sim_datagrams_hear(struct node_sim_channel *channel)
{
        struct node *node = channel->host->node;
        struct now now = node_sim_now(channel->host->sim);
        struct iovec datagrams[BATCH];
        bool echo = channel->service;           /* the provider's end */
        size_t count;

        if (!channel->reads)
                return;
        while ((!echo || node_writable(node, channel->id)) && (count = node_datagrams(node, channel->id, datagrams, BATCH)) > 0) {
                for (size_t i = 0; i < count; i++)
                        channel->host->mistakes += !is_right(channel, &datagrams[i], now.mono_us);
                channel->received += count;
                if (echo)
                        node_send(node, channel->id, datagrams, count, &now);
                node_datagrams_done(node, channel->id, count, &now);
        }
}
