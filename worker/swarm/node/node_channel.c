/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels by number: what the application says to them, and what it hears. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node_state.h"

_Static_assert((int)NODE_WRITE_MAX == (int)TUNNEL_DATA_MAX && (int)NODE_HEADROOM >= (int)TUNNEL_HEADER_BYTES &&
               (int)NODE_TEXT_MAX == (int)TUNNEL_TEXT_MAX && (int)TUNNEL_MESSAGE_MAX <= (int)CONN_MESSAGE_MAX &&
               (int)TUNNEL_SEAL_BYTES == (int)CONN_SEAL_BYTES && (int)NODE_DATAGRAM_MAX == (int)TUNNEL_DATAGRAM_MAX &&
               (int)NODE_TCP == (int)TUNNEL_TCP && (int)NODE_UDP == (int)TUNNEL_UDP, "what is written here passes there");
_Static_assert(TUNNEL_MESSAGE_MAX + TUNNEL_SEAL_BYTES == UDX_RUN_SEGMENTS * UDX_PAYLOAD_BASE, "a full write leaves as one full run");

static uint64_t id_hash(const struct node *node, node_channel_id id)
{
        return map_hash(&node->channels, &id, sizeof(id));
}

static struct node_channel *find(const struct node *node, node_channel_id id)
{
        for (struct map_entry *at = map_first(&node->channels, id_hash(node, id)); at; at = map_next(at))
                if (container_of(at, struct node_channel, by_id)->id == id)
                        return container_of(at, struct node_channel, by_id);
        return NULL;
}

static struct node_channel *new_channel(struct node_link *link)
{
        struct node_channel *channel = calloc(1, sizeof(*channel));
        struct node *node = link->node;

        if (!channel)
                return NULL;
        channel->id = node->next_channel;
        if (map_insert(&node->channels, &channel->by_id, id_hash(node, channel->id)) < 0) {
                free(channel);
                return NULL;
        }
        node->next_channel++;
        channel->link = link;
        list_push_back(&link->channels, &channel->in_link);
        return channel;
}

void node_channel_free(struct node_channel *channel)
{
        map_remove(&channel->link->node->channels, &channel->by_id);
        list_remove(&channel->in_link);
        free(channel);
}

int node_open(struct node *node, const uint8_t peer[NODE_KEY_BYTES], uint16_t gate_port, uint16_t protocol,
              const void *metadata, size_t len, usec_t limit_us, node_channel_id *channel_out, const struct now *now)
{
        struct node_link *link = node_link_find(node, NODE_GATEWAY, peer);
        struct node_channel *channel;
        int r;

        node->now = *now;
        if (!link || link->state != NODE_LINK_UP)
                return -ENOTCONN;
        if (protocol > TUNNEL_UDP)
                return -EPROTONOSUPPORT;
        channel = new_channel(link);
        if (!channel)
                return -ENOMEM;
        channel->opening = true;
        r = tunnel_open(link->tunnel, gate_port, (uint8_t)protocol, metadata, len, usec_add(now->mono_us, limit_us), channel,
                        &channel->tunnel_channel, now->mono_us);
        if (r < 0) {
                node_channel_free(channel);
                return r == -EMFILE ? -EBUSY : r;
        }
        node_link_touch(link);
        *channel_out = channel->id;
        return 0;
}

void node_name_service(struct node *node, node_channel_id id, uint64_t service)
{
        struct node_channel *channel = find(node, id);

        if (channel)
                tunnel_name_service(channel->tunnel_channel, service);
}

void node_channel_peer(const struct node *node, node_channel_id id, uint8_t key_out[NODE_KEY_BYTES])
{
        const struct node_channel *channel = find(node, id);

        if (channel)
                memcpy(key_out, channel->link->key, NODE_KEY_BYTES);
        else
                memset(key_out, 0, NODE_KEY_BYTES);
}

void node_accept(struct node *node, node_channel_id id, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_accept(channel->tunnel_channel, channel, now->mono_us);
        node_link_touch(channel->link);
}

void node_refuse(struct node *node, node_channel_id id, const char *text, size_t len, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_refuse(channel->tunnel_channel, text, len, now->mono_us);
        node_link_touch(channel->link);
        node_channel_free(channel);
}

size_t node_writable(const struct node *node, node_channel_id id)
{
        struct node_channel *channel = find(node, id);

        if (!channel || !channel->link->conn || channel->link->state != NODE_LINK_UP)
                return 0;
        node_link_flush(channel->link);         /* control goes first */
        if (channel->link->state != NODE_LINK_UP)
                return 0;
        return tunnel_unordered(channel->tunnel_channel) ? NODE_WRITE_MAX : tunnel_writable(channel->tunnel_channel);
}

void node_write(struct node *node, node_channel_id id, uint8_t *data, size_t len, const struct now *now)
{
        struct node_channel *channel = find(node, id);
        uint8_t *message = data - TUNNEL_HEADER_BYTES;
        struct node_link *link;

        assert(channel && channel->link->state == NODE_LINK_UP);
        node->now = *now;
        link = channel->link;
        tunnel_write(channel->tunnel_channel, len, message, now->mono_us);
        if (!conn_seal(link->conn, message, TUNNEL_HEADER_BYTES + len, now->mono_us))
                node_link_cut(link, SWARM_LOST, false);         /* no memory: a frame that is missing ends it all */
        else if (list_empty(&link->in_flying))
                list_push_back(&node->flying, &link->in_flying);
}

/* Beside the stream, if it may and fits; one that finds no place there is lost. */
static bool send_unordered(struct node_channel *channel, const struct iovec *datagram)
{
        struct node_link *link = channel->link;
        uint8_t message[CONN_UNORDERED_MAX];
        size_t len;

        if (!tunnel_unordered(channel->tunnel_channel) ||
            !conn_takes_unordered(link->conn, TUNNEL_UNORDERED_HEAD_BYTES + datagram->iov_len, link->node->now.mono_us))
                return false;
        len = tunnel_unordered_message(channel->tunnel_channel, datagram, message, sizeof(message));
        if (!conn_seal_unordered(link->conn, message, len))
                link->node->channel_datagrams_dropped++;
        return true;
}

void node_send(struct node *node, node_channel_id id, const struct iovec *datagrams, size_t count, const struct now *now)
{
        struct node_channel *channel = find(node, id);
        size_t rest = 0;

        assert(channel && channel->link->state == NODE_LINK_UP);
        node->now = *now;
        for (size_t i = 0; i < count; i++) {
                if (!send_unordered(channel, &datagrams[i])) {
                        rest++;
                        continue;
                }
                if (rest)
                        tunnel_send(channel->tunnel_channel, &datagrams[i - rest], rest, now->mono_us);
                rest = 0;
        }
        if (!rest)
                return;
        tunnel_send(channel->tunnel_channel, &datagrams[count - rest], rest, now->mono_us);
        node_link_flush(channel->link);
}

size_t node_datagrams(struct node *node, node_channel_id id, struct iovec *out, size_t max)
{
        struct node_channel *channel = find(node, id);

        return channel ? tunnel_datagrams(channel->tunnel_channel, out, max) : 0;
}

void node_datagrams_done(struct node *node, node_channel_id id, size_t count, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_datagrams_done(channel->tunnel_channel, count, now->mono_us);
        node_link_touch(channel->link);
}

void node_end(struct node *node, node_channel_id id, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_end(channel->tunnel_channel, now->mono_us);
        node_link_touch(channel->link);
}

void node_abort(struct node *node, node_channel_id id, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_abort(channel->tunnel_channel, now->mono_us);
        node_link_touch(channel->link);
        node_channel_free(channel);
}

size_t node_peek(struct node *node, node_channel_id id, const uint8_t **bytes_out, bool *ended_out)
{
        struct node_channel *channel = find(node, id);

        *ended_out = false;
        return channel ? tunnel_peek(channel->tunnel_channel, bytes_out, ended_out) : 0;
}

void node_consume(struct node *node, node_channel_id id, size_t len, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_consume(channel->tunnel_channel, len, now->mono_us);
        node_link_touch(channel->link);
}

void node_consume_end(struct node *node, node_channel_id id, const struct now *now)
{
        struct node_channel *channel = find(node, id);

        node->now = *now;
        if (!channel)
                return;
        tunnel_consume_end(channel->tunnel_channel, now->mono_us);
        node_link_touch(channel->link);
}

/* --- Events --- */

static const enum node_reason reasons[] = {
        [TUNNEL_DONE] = NODE_REASON_DONE,
        [TUNNEL_RESET] = NODE_REASON_RESET,
        [TUNNEL_LOST] = NODE_REASON_PEER_LOST,
        [TUNNEL_DECLINED] = NODE_REASON_REFUSED,
        [TUNNEL_TIMED_OUT] = NODE_REASON_TIMED_OUT,
        [TUNNEL_LIMIT] = NODE_REASON_LIMIT,
};

static enum node_reason reason_of(const struct node_link *link, enum tunnel_reason reason)
{
        return reason == TUNNEL_LOST && link->leaves ? NODE_REASON_PEER_LEFT : reasons[reason];
}

static bool on_arrived(struct node_link *link, const struct tunnel_event *event, struct node_event *out)
{
        static const char text[] = "out of memory";
        struct node_channel *channel = new_channel(link);

        if (!channel) {
                tunnel_refuse(event->channel, text, sizeof(text) - 1, link->node->now.mono_us);
                return false;
        }
        channel->tunnel_channel = event->channel;
        tunnel_channel_set_context(event->channel, channel);
        out->kind = NODE_CHANNEL_ARRIVED;
        out->channel = channel->id;
        out->gate_port = event->gate_port;
        out->protocol = event->protocol;
        out->service = event->service;
        out->bytes = event->bytes;
        out->len = event->len;
        return true;
}

/* The channel's last event. */
static bool on_outcome(struct node_channel *channel, enum node_event_kind kind, const struct tunnel_event *event,
                       struct node_event *out)
{
        out->kind = kind;
        out->reason = reason_of(channel->link, event->reason);
        out->bytes = event->bytes;
        out->len = event->len;
        node_channel_free(channel);
        return true;
}

bool node_channel_event(struct node_link *link, const struct tunnel_event *event, struct node_event *out)
{
        struct node_channel *channel = event->context;

        if (event->kind == TUNNEL_ARRIVED)
                return on_arrived(link, event, out);
        if (!channel)
                return false;   /* it arrived and went again before it was told */
        out->channel = channel->id;
        switch (event->kind) {
        case TUNNEL_OPENED:
                channel->opening = false;
                out->kind = NODE_CHANNEL_OPENED;
                return true;
        case TUNNEL_READABLE:
                out->kind = NODE_CHANNEL_READABLE;
                return true;
        case TUNNEL_WRITABLE:
                out->kind = NODE_CHANNEL_WRITABLE;
                return true;
        case TUNNEL_REFUSED:
                return on_outcome(channel, NODE_CHANNEL_REFUSED, event, out);
        case TUNNEL_CLOSED:
                return on_outcome(channel, NODE_CHANNEL_CLOSED, event, out);
        default:
                return false;
        }
}

bool node_channel_lose(struct node_link *link, struct node_event *out)
{
        static const struct tunnel_event lost = { .reason = TUNNEL_LOST };
        struct list *first = list_first(&link->channels);
        struct node_channel *channel;

        if (!first)
                return false;
        channel = list_entry(first, struct node_channel, in_link);
        out->channel = channel->id;
        return on_outcome(channel, channel->opening ? NODE_CHANNEL_REFUSED : NODE_CHANNEL_CLOSED, &lost, out);
}
