/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_sim.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        BATCH_BYTES = 65536,
        LOOP_US = 20,                   /* a turn of the process around the node */
        SETTLE_ROUNDS = 16,             /* as the driver */
        TURNS_MAX = 200,                /* without time passing: more is a node that spins */
        FLOOD_BYTES = 1000000,
        FIRST_PORT = 49737,
        WALL_S = 1700000000,
};

static struct now now_of(const struct node_sim *sim)
{
        usec_t mono_us = net_now(sim->net);

        return (struct now){ .mono_us = mono_us, .boot_us = mono_us + sim->slept_us,
                             .wall_us = SECONDS(WALL_S) + mono_us + sim->slept_us };
}

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
        struct now now = now_of(channel->host->sim);

        channel->sent_hash = mix(channel->sent_hash, data, len);
        channel->sent += len;
        node_write(channel->host->node, channel->id, data, len, &now);
}

/* Sends the next piece of what it has to say, as a pump does at each turn of its loop. */
static void say(struct node_sim_channel *channel)
{
        static uint8_t buffer[NODE_HEADROOM + NODE_WRITE_MAX];
        uint8_t *data = buffer + NODE_HEADROOM;
        struct now now = now_of(channel->host->sim);
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

static void heard_end(struct node_sim_channel *channel)
{
        struct now now = now_of(channel->host->sim);

        channel->remote_ended = true;
        channel->remote_ended_us = now.mono_us;
        node_consume_end(channel->host->node, channel->id, &now);
        if (channel->service == NODE_SIM_LATE)
                channel->to_send = channel->received;
        if (channel->service == NODE_SIM_ECHO || channel->service == NODE_SIM_SINK || channel->service == NODE_SIM_LATE) {
                channel->end_after = true;
                say(channel);
        }
}

/* Reads what there is; an echo only as much as it can send back. */
static void hear(struct node_sim_channel *channel)
{
        static uint8_t buffer[NODE_HEADROOM + NODE_WRITE_MAX];
        struct node *node = channel->host->node;
        struct now now = now_of(channel->host->sim);
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

struct node_sim_channel *node_sim_open(struct node_sim_host *host, uint8_t provider, unsigned service, uint64_t bytes,
                                       bool end_after)
{
        static const char metadata[] = "{\"protocol\":\"tcp\"}";
        struct now now = now_of(host->sim);
        uint8_t key[NODE_KEY_BYTES];
        struct node_sim_channel *channel;
        node_channel_id id;

        node_sim_key(NODE_PROVIDER, provider, key);
        if (node_open(host->node, key, (uint16_t)service, 0, metadata, sizeof(metadata) - 1, SECONDS(15), &id, &now) < 0)
                return NULL;
        channel = new_channel(host, id, 0);
        channel->to_send = bytes;
        channel->end_after = end_after;
        host->touched = true;
        return channel;
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
        struct now now = now_of(host->sim);
        struct node_sim_channel *channel;

        if (event->gate_port != NODE_SIM_ECHO && event->gate_port != NODE_SIM_SINK && event->gate_port != NODE_SIM_LATE &&
            event->gate_port != NODE_SIM_FLOOD && event->gate_port != NODE_SIM_SILENT && event->gate_port != NODE_SIM_DEAF) {
                node_refuse(host->node, event->channel, text, sizeof(text) - 1, &now);
                return;
        }
        channel = new_channel(host, event->channel, event->gate_port);
        if (event->gate_port == NODE_SIM_SILENT)
                return;
        channel->fate = NODE_SIM_OPEN;
        channel->opened_us = now.mono_us;
        node_accept(host->node, event->channel, &now);
        if (event->gate_port == NODE_SIM_FLOOD) {
                channel->to_send = FLOOD_BYTES;
                channel->end_after = true;
        }
        say(channel);
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
                say(channel);
                hear(channel);
                break;
        case NODE_CHANNEL_READABLE:
                hear(channel);
                break;
        case NODE_CHANNEL_WRITABLE:
                hear(channel);
                say(channel);
                break;
        default:
                on_over(channel, event);
        }
}

static struct node_sim_peer *peer_of(struct node_sim_host *host, enum node_role role, const uint8_t key[NODE_KEY_BYTES])
{
        for (size_t i = 0; i < host->peer_count; i++)
                if (host->peers[i].role == role && memcmp(host->peers[i].key, key, NODE_KEY_BYTES) == 0)
                        return &host->peers[i];
        return NULL;
}

static void on_peer(struct node_sim_host *host, const struct node_event *event)
{
        struct node_sim_peer *peer = peer_of(host, event->role, event->peer);

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

static void on_event(struct node_sim_host *host, const struct node_event *event)
{
        uint64_t note[2] = { event->kind, event->channel };

        net_note(host->sim->net, note, sizeof(note));
        net_note(host->sim->net, event->peer, sizeof(event->peer));
        switch (event->kind) {
        case NODE_PEER_UP:
        case NODE_PEER_DOWN:
        case NODE_ADVERT:
                on_peer(host, event);
                break;
        case NODE_CHANNEL_ARRIVED:
                on_arrived(host, event);
                break;
        case NODE_LEFT:
                host->left_us = net_now(host->sim->net);
                break;
        default:
                on_channel(host, event);
        }
}

/* --- The turn: what worker/swarm/driver.c does --- */

static void send_datagram(struct node_sim_host *host, const struct datagram *out)
{
        static uint8_t flat[BATCH_BYTES];
        size_t len = 0, segment = out->segment_bytes ? out->segment_bytes : out->len;

        for (unsigned i = 0; i < out->iov_len; i++) {
                assert(len + out->iov[i].iov_len <= sizeof(flat));
                memcpy(flat + len, out->iov[i].iov_base, out->iov[i].iov_len);
                len += out->iov[i].iov_len;
        }
        assert(len == out->len && len && segment <= 1472);
        for (size_t at = 0; at < len; at += segment)
                net_send(host->sim->net, host->endpoints[out->socket], &out->remote, flat + at,
                         len - at < segment ? len - at : segment);
}

static void transmit(struct node_sim_host *host)
{
        struct now now = now_of(host->sim);
        struct datagram out;

        while (node_transmit(host->node, &out, &now))
                send_datagram(host, &out);
}

static bool report(struct node_sim_host *host)
{
        struct now now = now_of(host->sim);
        struct node_event event;
        bool any = false;

        while (node_event(host->node, &event, &now)) {
                on_event(host, &event);
                any = true;
        }
        return any;
}

static void turn(struct node_sim_host *host)
{
        struct now now = now_of(host->sim);
        int rounds = 0;

        if (node_deadline(host->node) <= now.mono_us)
                node_advance(host->node, &now);
        do {
                report(host);
                transmit(host);
        } while (report(host) && ++rounds < SETTLE_ROUNDS);
        transmit(host);
}

/* A node that always wants another turn would spin in the real process. */
static void settle(struct node_sim_host *host)
{
        unsigned turns = 0;

        host->touched = false;
        do {
                turn(host);
                assert(++turns < TURNS_MAX);
        } while (node_deadline(host->node) <= net_now(host->sim->net));
}

/* --- The network --- */

static bool runs(const struct node_sim_host *host)
{
        return host->node && !host->stopped;
}

static struct node_sim_host *host_at(struct node_sim *sim, unsigned endpoint)
{
        return &sim->hosts[endpoint / 2];
}

static void feed(struct node_sim *sim, const struct net_packet *first, uint8_t *batch, size_t len)
{
        struct node_sim_host *host = host_at(sim, first->endpoint);
        struct iovec iov = { batch, len };
        struct datagram in = { .socket = first->endpoint % 2, .remote = first->from, .iov = &iov, .iov_len = 1, .len = len,
                               .segment_bytes = (uint16_t)(len > first->len ? first->len : 0) };
        struct now now = now_of(sim);

        if (!runs(host))
                return;
        node_receive(host->node, &in, &now);
        host->touched = true;
}

/* The local sockets that can be read: in the real process, between what came from the network and the node's events. */
static void say_more(struct node_sim_host *host)
{
        host->say_us = USEC_NEVER;
        host->touched = true;
        list_for_each(at, &host->channels) {
                struct node_sim_channel *channel = list_entry(at, struct node_sim_channel, in_host);

                if (channel->fate == NODE_SIM_OPEN && channel->sent < channel->to_send)
                        say(channel);
        }
}

/* What arrives at the same moment from the same remote, equally long, comes as one run, as with GRO. */
static void feed_arrivals(struct node_sim *sim)
{
        static uint8_t batch[BATCH_BYTES];
        struct net_packet packet, first = { .len = 0 };
        size_t len = 0, last = 0;
        bool some = false;

        while (net_receive(sim->net, &packet)) {
                bool joins = some && packet.endpoint == first.endpoint && addr_equal(&packet.from, &first.from) &&
                             last == first.len && packet.len <= first.len && len + packet.len < sizeof(batch);

                if (some && !joins)
                        feed(sim, &first, batch, len);
                if (!joins) {
                        first = packet;
                        len = 0;
                        some = true;
                }
                memcpy(batch + len, packet.bytes, packet.len);
                len += packet.len;
                last = packet.len;
        }
        if (some)
                feed(sim, &first, batch, len);
}

static usec_t next_due(const struct node_sim *sim)
{
        usec_t due_us = net_deadline(sim->net);

        for (size_t i = 0; i < sim->host_count; i++)
                if (runs(&sim->hosts[i]))
                        due_us = usec_min(usec_min(due_us, sim->hosts[i].say_us),
                                          sim->hosts[i].touched ? 0 : node_deadline(sim->hosts[i].node));
        return usec_max(due_us, net_now(sim->net));
}

static bool step(struct node_sim *sim, usec_t until_us)
{
        usec_t due_us = next_due(sim);

        if (due_us > until_us)
                return false;
        net_run_to(sim->net, due_us);
        feed_arrivals(sim);
        for (size_t i = 0; i < sim->host_count; i++) {
                struct node_sim_host *host = &sim->hosts[i];

                if (runs(host) && host->say_us <= due_us)
                        say_more(host);
                if (runs(host) && (host->touched || node_deadline(host->node) <= due_us))
                        settle(host);
        }
        return true;
}

void node_sim_run(struct node_sim *sim, usec_t us)
{
        usec_t until_us = net_now(sim->net) + us;

        while (step(sim, until_us))
                ;
        net_run_to(sim->net, until_us);
}

usec_t node_sim_run_until(struct node_sim *sim, bool (*done)(void *context), void *context, usec_t limit_us)
{
        usec_t start_us = net_now(sim->net);

        while (!done(context) && step(sim, start_us + limit_us))
                ;
        return net_now(sim->net) - start_us;
}

/* --- Hosts --- */

static void be_born(struct node_sim_host *host)
{
        struct node_sim *sim = host->sim;
        struct now now = now_of(sim);
        struct node_config config = {
                .random = *host->random,
                .server_socket = NODE_SIM_SERVER,
                .client_socket = NODE_SIM_CLIENT,
                .server_local = host->addr,
                .persistent = host == sim->hosts,
                .public_addr = host->addr,
                .receive_bytes = sim->receive_bytes,
        };

        if (node_new(&host->node, &config, &now) < 0 || node_set_bootstrap(host->node, &sim->bootstrap, 1, &now) < 0 ||
            node_set_local_addresses(host->node, &host->addr, 1, &now) < 0)
                abort();
        host->touched = true;
}

struct node_sim_host *node_sim_add(struct node_sim *sim)
{
        unsigned number = (unsigned)sim->host_count;
        struct node_sim_host *host = &sim->hosts[sim->host_count++];
        struct addr client;

        assert(number < NODE_SIM_HOSTS);
        *host = (struct node_sim_host){ .sim = sim, .random = net_random(sim->net),
                                        .addr = { .ip = { 10, 77, (uint8_t)number, 2 }, .port = FIRST_PORT } };
        client = host->addr;
        client.port++;
        if (!number)
                sim->bootstrap = host->addr;
        host->endpoints[NODE_SIM_SERVER] = net_endpoint_add(sim->net, &host->addr);
        host->endpoints[NODE_SIM_CLIENT] = net_endpoint_add(sim->net, &client);
        for (size_t i = 0; i < ARRAY_LEN(host->endpoints); i++)
                net_link_set(sim->net, host->endpoints[i], &sim->link);
        list_init(&host->channels);
        map_init(&host->by_id, (const uint8_t *)sim->map_key);
        host->say_us = USEC_NEVER;
        be_born(host);
        return host;
}

void node_sim_add_dht(struct node_sim *sim, size_t count)
{
        while (count--)
                node_sim_add(sim);
}

struct node_sim *node_sim_new(uint64_t seed, const struct net_link *link)
{
        struct node_sim *sim = calloc(1, sizeof(*sim));

        assert(sim);
        sim->net = net_new(seed);
        if (link)
                sim->link = *link;
        else
                sim->link.delay_us = 100;
        memset(sim->router_key, 0x42, sizeof(sim->router_key));
        memset(sim->auth_key, 0x17, sizeof(sim->auth_key));
        node_sim_add(sim);
        return sim;
}

static void forget_channels(struct node_sim_host *host)
{
        list_for_each(at, &host->channels)
                free(list_entry(at, struct node_sim_channel, in_host));
        list_init(&host->channels);
        map_fini(&host->by_id);
        map_init(&host->by_id, (const uint8_t *)host->sim->map_key);
}

void node_sim_free(struct node_sim *sim)
{
        if (!sim)
                return;
        for (size_t i = 0; i < sim->host_count; i++) {
                node_free(sim->hosts[i].node);
                forget_channels(&sim->hosts[i]);
                map_fini(&sim->hosts[i].by_id);
        }
        net_free(sim->net);
        free(sim);
}

void node_sim_freep(struct node_sim **sim)
{
        node_sim_free(*sim);
}

static void seed_of(enum node_role role, uint8_t identity, uint8_t seed[NODE_KEY_BYTES])
{
        memset(seed, 0, NODE_KEY_BYTES);
        seed[0] = identity;
        seed[1] = (uint8_t)role;
}

void node_sim_key(enum node_role role, uint8_t identity, uint8_t key_out[NODE_KEY_BYTES])
{
        uint8_t seed[NODE_KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];

        seed_of(role, identity, seed);
        crypto_sign_seed_keypair(key_out, secret, seed);
}

void node_sim_join(struct node_sim_host *host, enum node_role role, uint8_t identity)
{
        struct node_sim *sim = host->sim;
        struct now now = now_of(sim);
        uint8_t seed[NODE_KEY_BYTES];
        char text[32];
        int len = snprintf(text, sizeof(text), "identity %u", identity);

        seed_of(role, identity, seed);
        if (node_join(host->node, role, sim->router_key, sim->auth_key, seed, &now) < 0 ||
            (role == NODE_PROVIDER && node_advertise(host->node, text, (size_t)len, &now) < 0))
                abort();
        host->touched = true;
}

void node_sim_kill(struct node_sim_host *host)
{
        node_free(host->node);
        host->node = NULL;
        forget_channels(host);
        host->peer_count = 0;
        host->first_advert_us = host->first_up_us = host->left_us = 0;
        host->say_us = USEC_NEVER;
}

void node_sim_revive(struct node_sim_host *host)
{
        be_born(host);
}

void node_sim_set_up(struct node_sim_host *host, bool up)
{
        for (size_t i = 0; i < ARRAY_LEN(host->endpoints); i++)
                net_endpoint_set_up(host->sim->net, host->endpoints[i], up);
}

void node_sim_leave(struct node_sim_host *host, usec_t limit_us)
{
        struct now now = now_of(host->sim);

        node_leave(host->node, limit_us, &now);
        host->touched = true;
}

struct node_sim_peer *node_sim_peer(struct node_sim_host *host, enum node_role role, uint8_t identity)
{
        uint8_t key[NODE_KEY_BYTES];

        node_sim_key(role, identity, key);
        return peer_of(host, role, key);
}

bool node_sim_is_up(struct node_sim_host *host, enum node_role role, uint8_t identity)
{
        struct node_sim_peer *peer = node_sim_peer(host, role, identity);

        return peer && peer->up;
}

size_t node_sim_ups(const struct node_sim_host *host)
{
        size_t count = 0;

        for (size_t i = 0; i < host->peer_count; i++)
                count += host->peers[i].up;
        return count;
}
