/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel.h"

#include <stdlib.h>

#include "cleanup.h"

#define CHANNELS_UNANSWERED_US SECONDS(30)      /* a session without an answer: hypergate.md 14.10 */

struct channels *channels_of(const struct channel *channel)
{
        return container_of(channel->pump.room, struct channels, room);
}

struct channel *channel_find(const struct channels *channels, node_channel_id id)
{
        struct map_entry *entry = map_first(&channels->by_id, map_hash(&channels->by_id, &id, sizeof(id)));

        while (entry && container_of(entry, struct channel, by_id)->pump.channel != id)
                entry = map_next(entry);
        return entry ? container_of(entry, struct channel, by_id) : NULL;
}

static uint64_t number_hash(const struct channels *channels, uint32_t forward, uint64_t number)
{
        uint64_t key[2] = { forward, number };

        return map_hash(&channels->by_number, key, sizeof(key));
}

struct channel *channel_find_running(const struct channels *channels, uint32_t from, uint64_t number)
{
        struct map_entry *entry = map_first(&channels->by_number, number_hash(channels, from, number));

        for (; entry; entry = map_next(entry)) {
                struct channel *channel = container_of(entry, struct channel, by_number);

                if (channel->forward == from && channel->number == number && channel->state == CHANNEL_RUNNING)
                        return channel;
        }
        return NULL;
}

struct channel *channel_new(struct channels *channels, enum channel_state state, node_channel_id id, uint16_t protocol, uint32_t forward,
                            uint64_t number, int fd)
{
        struct channel *channel = calloc(1, sizeof(*channel));

        if (!channel || map_insert(&channels->by_id, &channel->by_id, map_hash(&channels->by_id, &id, sizeof(id))) < 0) {
                free(channel);
                return NULL;
        }
        if (map_insert(&channels->by_number, &channel->by_number, number_hash(channels, forward, number)) < 0) {
                map_remove(&channels->by_id, &channel->by_id);
                free(channel);
                return NULL;
        }
        channel->state = state;
        channel->protocol = protocol;
        channel->forward = forward;
        channel->number = number;
        channel->since_us = channels->room.now->mono_us;
        pump_init(&channel->pump, &channels->room, id, protocol == IPC_UDP ? PUMP_SESSION : PUMP_STREAM, fd);
        return channel;
}

void channel_free(struct channel *channel)
{
        struct channels *channels = channels_of(channel);

        map_remove(&channels->by_id, &channel->by_id);
        map_remove(&channels->by_number, &channel->by_number);
        heap_remove(&channels->idle, &channel->idle);
        shares_give_back(&channels->shares, channel->share);
        fingerprint_free(channel->fingerprint);
        channel_client_free(channel->client);
        free(channel);
}

bool channel_tell(const struct channel *channel, enum ipc_type type, const void *payload, int fd)
{
        const struct channels *channels = channels_of(channel);
        struct worker_link *link = channels->forward(channels->context, channel->forward);

        return channel->forward && link && worker_send(link, type, payload, &fd, fd >= 0 ? 1 : 0) == 0;
}

/* As channel_tell(), when nobody waits for it. */
static void mention(const struct channel *channel, enum ipc_type type, const void *payload)
{
        const struct channels *channels = channels_of(channel);
        struct worker_link *link = channels->forward(channels->context, channel->forward);

        if (channel->forward && link)
                worker_post(link, type, payload);
}

void channel_conclude(struct channel *channel, enum ipc_reason reason)
{
        struct channels *channels = channels_of(channel);
        struct ipc_channel_closed closed = {
                .channel = channel->number,
                .sent_bytes = channel->pump.sent_bytes,
                .received_bytes = channel->pump.received_bytes,
                .duration_us = channels->room.now->mono_us - channel->since_us,
                .reason = reason,
        };

        channels->sent_bytes += closed.sent_bytes;
        channels->received_bytes += closed.received_bytes;
        mention(channel, IPC_CHANNEL_CLOSED, &closed);
        channel_free(channel);
}

void channel_tell_opened(struct channel *channel)
{
        struct ipc_channel opened = { .channel = channel->number };

        mention(channel, IPC_CHANNEL_OPENED, &opened);
}

/* A service that has not answered is given less time to begin: who asked it may not be there. */
static usec_t idle_at_us(const struct channel *channel)
{
        bool answered = channel->protocol != IPC_UDP || channel->pump.sent_bytes > 0;

        return usec_add(channel->pump.last_us, answered ? channel->idle_us : usec_min(channel->idle_us, CHANNELS_UNANSWERED_US));
}

static void arm_idle_check(struct channels *channels)
{
        usec_t at_us = heap_deadline(&channels->idle), now_us = channels->room.now->mono_us;

        ev_timer_stop(channels->room.loop, &channels->idle_check);
        if (at_us == USEC_NEVER)
                return;
        ev_timer_set(&channels->idle_check, at_us > now_us ? (double)(at_us - now_us) / 1e6 : 0.0, 0.0);
        ev_timer_start(channels->room.loop, &channels->idle_check);
}

void channel_cut(struct channel *channel, enum ipc_reason reason)
{
        struct channels *channels = channels_of(channel);

        node_abort(channels->node, channel->pump.channel, channels->room.now);
        pump_close(&channel->pump, false);
        channel_conclude(channel, reason);
}

/* A channel that was used moves on only now: a datagram costs nothing here. */
void channels_on_silence(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct channels *channels = timer->data;
        usec_t now_us = channels->room.now->mono_us;
        struct heap_entry *due;

        while ((due = heap_pop_due(&channels->idle, now_us))) {
                struct channel *channel = container_of(due, struct channel, idle);
                usec_t at_us = idle_at_us(channel);

                if (at_us > now_us) {
                        heap_insert(&channels->idle, &channel->idle, at_us);
                        continue;
                }
                channel_cut(channel, IPC_REASON_IDLE);
        }
        arm_idle_check(channels);
}

void channel_mind_silence(struct channel *channel)
{
        struct channels *channels = channels_of(channel);

        channel->pump.last_us = channels->room.now->mono_us;
        heap_set(&channels->idle, &channel->idle, channel->idle_us ? idle_at_us(channel) : USEC_NEVER);
        arm_idle_check(channels);
}

void channel_run(struct channel *channel)
{
        channel->state = CHANNEL_RUNNING;
        if (channel->idle_us)
                channel_mind_silence(channel);
}
