/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_sim_app.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node_sim_datagrams.h"

enum {
        LOOP_US = 20,                   /* a turn of the process around the node */
        FLOOD_BYTES = 1000000,
};

/* --- Channels of the application --- */

static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                hash = (hash ^ bytes[i]) * 0x100000001b3;
        return hash;
}

static struct node_sim_channel *find_channel(struct node_sim_host *host, node_channel_id id)
{
        struct map_entry *at = map_first(&host->by_id, map_hash(&host->by_id, &id, sizeof(id)));

        while (at && container_of(at, struct node_sim_channel, by_id)->id != id)
                at = map_next(at);
        return at ? container_of(at, struct node_sim_channel, by_id) : NULL;
}

static struct node_sim_channel *new_channel(struct node_sim_host *host, node_channel_id id, unsigned service)
{
        struct node_sim_channel *channel = calloc(1, sizeof(*channel));

        assert(channel && !find_channel(host, id));
        *channel = (struct node_sim_channel){ .host = host, .id = id, .service = service, .reads = service != NODE_SIM_DEAF };
        list_push_back(&host->channels, &channel->in_host);
        if (map_insert(&host->by_id, &channel->by_id, map_hash(&host->by_id, &id, sizeof(id))) < 0)
                abort();
        return channel;
}

static void put(struct node_sim_channel *channel, uint8_t *data, size_t len)
{
        struct now now = node_sim_now(channel->host->sim);

        channel->sent_hash = mix(channel->sent_hash, data, len);
        channel->sent += len;
        node_write(channel->host->node, channel->id, data, len, &now);
}

/* Sends the next piece of what it has to say, as a pump does at each turn of its loop. */
static void say_bytes(struct node_sim_channel *channel)
{
        static uint8_t buffer[NODE_HEADROOM + NODE_WRITE_MAX];
        uint8_t *data = buffer + NODE_HEADROOM;
        struct now now = node_sim_now(channel->host->sim);
        size_t len = channel->sent < channel->to_send ? node_writable(channel->host->node, channel->id) : 0;

        len = len < channel->to_send - channel->sent ? len : (size_t)(channel->to_send - channel->sent);
        if (len) {
                for (size_t i = 0; i < len; i++)
                        data[i] = (uint8_t)((channel->sent + i) * 31 + (channel->sent + i) / 253 + channel->id * 7);
                put(channel, data, len);
        }
        if (channel->sent < channel->to_send && node_writable(channel->host->node, channel->id))
                channel->host->say_us = usec_min(channel->host->say_us, now.mono_us + LOOP_US);
        if (channel->end_after && !channel->ended && channel->sent == channel->to_send) {
                channel->ended = true;
                node_end(channel->host->node, channel->id, &now);
        }
}

void node_sim_app_say(struct node_sim_channel *channel)
{
        if (channel->datagrams)
                node_sim_datagrams_say(channel);
        else
                say_bytes(channel);
}

static void heard_end(struct node_sim_channel *channel)
{
        struct now now = node_sim_now(channel->host->sim);

        channel->remote_ended = true;
        channel->remote_ended_us = now.mono_us;
        node_consume_end(channel->host->node, channel->id, &now);
        if (channel->service == NODE_SIM_LATE)
                channel->to_send = channel->received;
        if (channel->service == NODE_SIM_ECHO || channel->service == NODE_SIM_SINK || channel->service == NODE_SIM_LATE) {
                channel->end_after = true;
                node_sim_app_say(channel);
        }
}

/* Reads what there is; an echo only as much as it can send back. */
static void hear_bytes(struct node_sim_channel *channel)
{
        static uint8_t buffer[NODE_HEADROOM + NODE_WRITE_MAX];
        struct node *node = channel->host->node;
        struct now now = node_sim_now(channel->host->sim);
        const uint8_t *bytes;
        bool ended = false;
        size_t len;

        if (!channel->reads || channel->remote_ended)
                return;
        while ((len = node_peek(node, channel->id, &bytes, &ended)) > 0) {
                if (channel->service == NODE_SIM_ECHO) {
                        size_t fits = node_writable(node, channel->id);

                        len = len < fits ? len : fits;
                        if (!len)
                                return;
                        node_peek(node, channel->id, &bytes, &ended);
                        memcpy(buffer + NODE_HEADROOM, bytes, len);
                }
                channel->received_hash = mix(channel->received_hash, bytes, len);
                channel->received += len;
                if (channel->service == NODE_SIM_ECHO)
                        put(channel, buffer + NODE_HEADROOM, len);
                node_consume(node, channel->id, len, &now);
        }
        if (channel->service == NODE_SIM_ECHO)
                channel->to_send = channel->sent;
        if (ended)
                heard_end(channel);
}

static void hear(struct node_sim_channel *channel)
{
        if (channel->datagrams)
                node_sim_datagrams_hear(channel);
        else
                hear_bytes(channel);
}

static void set_kind(struct node_sim_channel *channel, unsigned service)
{
        channel->game = service == NODE_SIM_GAME || service == NODE_SIM_VIDEO;
        channel->video = service == NODE_SIM_VIDEO;
}

static struct node_sim_channel *open_channel(struct node_sim_host *host, uint8_t provider, unsigned service, uint16_t protocol)
{
        static const char metadata[] = "{\"protocol\":\"tcp\"}";         /* opaque here */
        struct now now = node_sim_now(host->sim);
        uint8_t key[NODE_KEY_BYTES];
        struct node_sim_channel *channel;
        node_channel_id id;

        node_sim_key(NODE_PROVIDER, provider, key);
        if (node_open(host->node, key, (uint16_t)service, protocol, metadata, sizeof(metadata) - 1, SECONDS(15), &id, &now) < 0)
                return NULL;
        channel = new_channel(host, id, 0);
        channel->datagrams = protocol == NODE_UDP;
        channel->tag = channel->datagrams ? id : 0;
        node_sim_touch(host);
        return channel;
}

struct node_sim_channel *node_sim_open(struct node_sim_host *host, uint8_t provider, unsigned service, uint64_t bytes,
                                       bool end_after)
{
        struct node_sim_channel *channel = open_channel(host, provider, service, NODE_TCP);

        if (channel) {
                channel->to_send = bytes;
                channel->end_after = end_after;
        }
        return channel;
}

struct node_sim_channel *node_sim_open_datagrams(struct node_sim_host *host, uint8_t provider, unsigned service, uint64_t count,
                                                 usec_t every_us)
{
        struct node_sim_channel *channel = open_channel(host, provider, service, NODE_UDP);

        if (channel) {
                channel->to_send = count;
                channel->every_us = every_us;
                set_kind(channel, service);
        }
        return channel;
}

void node_sim_close(struct node_sim_channel *channel)
{
        struct now now = node_sim_now(channel->host->sim);

        channel->fate = NODE_SIM_CLOSED;
        channel->over_us = now.mono_us;
        node_abort(channel->host->node, channel->id, &now);
        node_sim_touch(channel->host);
}

bool node_sim_echoed(const struct node_sim_channel *channel)
{
        return channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE && channel->sent == channel->to_send &&
               channel->received == channel->sent && channel->received_hash == channel->sent_hash;
}

/* --- Events --- */

static void on_arrived(struct node_sim_host *host, const struct node_event *event)
{
        static const char text[] = "Service not found";
        struct now now = node_sim_now(host->sim);
        struct node_sim_channel *channel;
        bool datagrams = event->gate_port >= NODE_SIM_DATAGRAMS && event->gate_port <= NODE_SIM_VIDEO;

        if (datagrams != (event->protocol == NODE_UDP))
                host->mistakes++;
        if (!datagrams && event->gate_port != NODE_SIM_ECHO && event->gate_port != NODE_SIM_SINK && event->gate_port != NODE_SIM_LATE &&
            event->gate_port != NODE_SIM_FLOOD && event->gate_port != NODE_SIM_SILENT && event->gate_port != NODE_SIM_DEAF) {
                node_refuse(host->node, event->channel, text, sizeof(text) - 1, &now);
                return;
        }
        channel = new_channel(host, event->channel, event->gate_port);
        channel->datagrams = datagrams;
        channel->named = event->service;
        set_kind(channel, event->gate_port);
        if (event->gate_port == NODE_SIM_SILENT)
                return;
        channel->fate = NODE_SIM_OPEN;
        channel->opened_us = now.mono_us;
        node_accept(host->node, event->channel, &now);
        if (event->gate_port == NODE_SIM_FLOOD) {
                channel->to_send = FLOOD_BYTES;
                channel->end_after = true;
        }
        node_sim_app_say(channel);
        hear(channel);
}

static void on_over(struct node_sim_channel *channel, const struct node_event *event)
{
        channel->fate = event->kind == NODE_CHANNEL_REFUSED ? NODE_SIM_REFUSED : NODE_SIM_CLOSED;
        channel->reason = event->reason;
        channel->over_us = net_now(channel->host->sim->net);
        if (event->len && event->len < sizeof(channel->text))
                memcpy(channel->text, event->bytes, event->len);
}

static void on_channel(struct node_sim_host *host, const struct node_event *event)
{
        struct node_sim_channel *channel = find_channel(host, event->channel);

        if (!channel || channel->fate == NODE_SIM_REFUSED || channel->fate == NODE_SIM_CLOSED) {
                host->mistakes++;       /* the dead don't speak */
                return;
        }
        switch (event->kind) {
        case NODE_CHANNEL_OPENED:
                channel->fate = NODE_SIM_OPEN;
                channel->opened_us = net_now(host->sim->net);
                node_sim_app_say(channel);
                hear(channel);
                break;
        case NODE_CHANNEL_READABLE:
                hear(channel);
                break;
        case NODE_CHANNEL_WRITABLE:
                hear(channel);
                node_sim_app_say(channel);
                break;
        default:
                on_over(channel, event);
        }
}

struct node_sim_peer *node_sim_app_peer(struct node_sim_host *host, enum node_role role, const uint8_t key[NODE_KEY_BYTES])
{
        for (size_t i = 0; i < host->peer_count; i++)
                if (host->peers[i].role == role && memcmp(host->peers[i].key, key, NODE_KEY_BYTES) == 0)
                        return &host->peers[i];
        return NULL;
}

static void on_peer(struct node_sim_host *host, const struct node_event *event)
{
        struct node_sim_peer *peer = node_sim_app_peer(host, event->role, event->peer);

        if (!peer && event->kind == NODE_PEER_UP) {
                assert(host->peer_count < NODE_SIM_PEERS);
                peer = &host->peers[host->peer_count++];
                *peer = (struct node_sim_peer){ .role = event->role };
                memcpy(peer->key, event->peer, NODE_KEY_BYTES);
        }
        if (!peer || peer->up != (event->kind != NODE_PEER_UP)) {
                host->mistakes++;
                return;
        }
        switch (event->kind) {
        case NODE_PEER_UP:
                peer->up = true;
                peer->ups++;
                if (!host->first_up_us)
                        host->first_up_us = net_now(host->sim->net);
                break;
        case NODE_PEER_DOWN:
                peer->up = false;
                peer->downs++;
                peer->left = event->reason == NODE_REASON_PEER_LEFT;
                host->mistakes += peer->left != peer->leaves;
                peer->leaves = false;
                break;
        case NODE_PEER_LEAVES:
                host->mistakes += peer->leaves;
                peer->leaves = true;
                break;
        default:
                peer->adverts++;
                if (event->len < sizeof(peer->advert)) {
                        memcpy(peer->advert, event->bytes, event->len);
                        peer->advert[event->len] = '\0';
                }
                if (!host->first_advert_us)
                        host->first_advert_us = net_now(host->sim->net);
        }
}

static void on_attempt(struct node_sim_host *host, const struct node_event *event)
{
        struct node_sim_attempt *attempt;

        if (host->attempt_count == NODE_SIM_ATTEMPTS) {
                host->attempt_count--;
                memmove(&host->attempts[0], &host->attempts[1], host->attempt_count * sizeof(host->attempts[0]));
        }
        attempt = &host->attempts[host->attempt_count++];
        *attempt = (struct node_sim_attempt){ .what = event->attempt, .over_us = net_now(host->sim->net) };
        memcpy(attempt->key, event->peer, sizeof(attempt->key));
        if ((event->attempt.failure == NODE_REACHED) != (event->attempt.path != NODE_PATH_NONE))
                host->mistakes++;
}

void node_sim_app_event(struct node_sim_host *host, const struct node_event *event)
{
        uint64_t note[2] = { event->kind, event->channel };

        net_note(host->sim->net, note, sizeof(note));
        net_note(host->sim->net, event->peer, sizeof(event->peer));
        switch (event->kind) {
        case NODE_PEER_UP:
        case NODE_PEER_DOWN:
        case NODE_PEER_LEAVES:
        case NODE_ADVERT:
                on_peer(host, event);
                break;
        case NODE_CHANNEL_ARRIVED:
                on_arrived(host, event);
                break;
        case NODE_ATTEMPT:
                on_attempt(host, event);
                break;
        case NODE_MOVED:
                host->moves[event->attempt.path == NODE_PATH_RELAY]++;
                break;
        case NODE_SOCKETS_WANTED:
                node_sim_add_sockets(host, event->count);
                break;
        case NODE_SOCKET_DONE:
                node_sim_close_socket(host, event->socket);
                break;
        case NODE_LEFT:
                host->left_us = net_now(host->sim->net);
                break;
        default:
                on_channel(host, event);
        }
}
