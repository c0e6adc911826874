/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_sim_datagrams.h"

#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "node_sim_app.h"

enum { HEAD_BYTES = 16, BATCH = 8, LOOP_US = 20 };

/* How long datagram @number of a channel is: now and then one of nothing, or of all there can be. */
static size_t length_of(uint64_t number)
{
        if (number % 17 == 16)
                return 0;
        return number % 61 == 60 ? NODE_DATAGRAM_MAX : HEAD_BYTES + (number * 0x9e3779b97f4a7c15 >> 40) % 1400;
}

static uint8_t pattern(uint64_t tag, uint64_t number, size_t at)
{
        return (uint8_t)((at + number * 31) * 17 + at / 251 + tag * 7);
}

static size_t compose(uint64_t tag, uint64_t number, uint8_t *out)
{
        size_t len = length_of(number);

        for (size_t i = HEAD_BYTES; i < len; i++)
                out[i] = pattern(tag, number, i);
        if (len) {
                memcpy(out, &tag, sizeof(tag));
                memcpy(out + sizeof(tag), &number, sizeof(number));
        }
        return len;
}

void node_sim_datagrams_say(struct node_sim_channel *channel)
{
        static uint8_t buffer[BATCH][NODE_DATAGRAM_MAX];
        struct node *node = channel->host->node;
        struct now now = node_sim_now(channel->host->sim);
        struct iovec datagrams[BATCH];
        size_t count = 0;

        if (channel->sent == channel->to_send)
                return;
        if (node_writable(node, channel->id)) {
                while (count < BATCH && channel->sent < channel->to_send) {
                        datagrams[count] = (struct iovec){ buffer[count], compose(channel->tag, channel->sent, buffer[count]) };
                        channel->sent++;
                        count++;
                }
                node_send(node, channel->id, datagrams, count, &now);
        }
        if (node_writable(node, channel->id))
                channel->host->say_us = usec_min(channel->host->say_us, now.mono_us + LOOP_US);
}

/* Whole, of this channel, and none of those that were heard before; only of a channel that nobody reads for a while are some lost. */
static bool is_right(struct node_sim_channel *channel, const struct iovec *datagram)
{
        uint64_t tag = channel->tag, number = channel->next;
        const uint8_t *bytes = datagram->iov_base;

        if (datagram->iov_len >= HEAD_BYTES) {
                memcpy(&tag, bytes, sizeof(tag));
                memcpy(&number, bytes + sizeof(tag), sizeof(number));
        } else {
                while (length_of(number))
                        number++;       /* an empty one, the next there may be */
        }
        if (!channel->tag)
                channel->tag = tag;
        if (tag != channel->tag || number < channel->next || (number > channel->next && !channel->lossy) ||
            datagram->iov_len != length_of(number))
                return false;
        channel->next = number + 1;
        for (size_t i = HEAD_BYTES; i < datagram->iov_len; i++)
                if (bytes[i] != pattern(tag, number, i))
                        return false;
        return true;
}

void node_sim_datagrams_hear(struct node_sim_channel *channel)
{
        struct node *node = channel->host->node;
        struct now now = node_sim_now(channel->host->sim);
        struct iovec datagrams[BATCH];
        bool echo = channel->service == NODE_SIM_DATAGRAMS;
        size_t count;

        if (!channel->reads)
                return;
        while ((!echo || node_writable(node, channel->id)) && (count = node_datagrams(node, channel->id, datagrams, BATCH)) > 0) {
                for (size_t i = 0; i < count; i++)
                        channel->host->mistakes += !is_right(channel, &datagrams[i]);
                channel->received += count;
                if (echo)
                        node_send(node, channel->id, datagrams, count, &now);
                node_datagrams_done(node, channel->id, count, &now);
        }
}
