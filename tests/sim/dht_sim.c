/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_sim.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 49737, CLIENT_PORT = 30000 };

#define WALL_US (SECONDS(1700000000))
#define BORN_US (SECONDS(1000))

struct dht_sim *dht_sim_new(uint64_t seed, const struct net_link *link)
{
        struct dht_sim *sim = calloc(1, sizeof(*sim));

        assert(sim);
        sim->net = net_new(seed);
        sim->link = *link;
        list_init(&sim->touched);
        return sim;
}

static void node_stop(struct dht_sim *sim, struct dht_sim_node *node)
{
        heap_remove(&sim->dues, &node->due);
        list_remove(&node->touched);
        dht_free(node->dht);
        node->dht = NULL;
}

void dht_sim_free(struct dht_sim *sim)
{
        if (!sim)
                return;
        for (unsigned i = 0; i < sim->count; i++) {
                node_stop(sim, &sim->nodes[i]);
                free(sim->nodes[i].events);
        }
        net_free(sim->net);
        free(sim);
}

void dht_sim_freep(struct dht_sim **sim)
{
        dht_sim_free(*sim);
}

struct addr dht_sim_addr(const struct dht_sim *sim, unsigned node)
{
        if (sim->one_lan)
                return (struct addr){ .ip = { 10, 0, (uint8_t)((node + 1) >> 8), (uint8_t)(node + 1) }, .port = PORT };
        return (struct addr){ .ip = { 80, (uint8_t)(1 + (node >> 8)), (uint8_t)node, 7 }, .port = PORT };
}

struct now dht_sim_now(const struct dht_sim *sim)
{
        usec_t now_us = BORN_US + net_now(sim->net);

        return (struct now){ .mono_us = now_us, .boot_us = now_us, .wall_us = WALL_US + now_us };
}

/* --- Nodes --- */

static unsigned endpoint_add(struct dht_sim *sim, const struct addr *addr)
{
        unsigned endpoint = net_endpoint_add(sim->net, addr);

        net_link_set(sim->net, endpoint, &sim->link);
        return endpoint;
}

void dht_sim_start(struct dht_sim *sim, unsigned number)
{
        struct dht_sim_node *node = &sim->nodes[number];
        struct now now = dht_sim_now(sim);
        struct dht_config config = {
                .random = *node->random, .server_socket = node->server, .client_socket = node->client,
                .server_port = node->addr.port, .persistent = node->persistent, .public_addr = node->addr,
        };

        net_endpoint_set_up(sim->net, node->server, true);
        net_endpoint_set_up(sim->net, node->client, true);
        if (dht_new(&node->dht, &config, &now) < 0 ||
            dht_set_bootstrap(node->dht, sim->bootstrap, sim->bootstrap_count, &now) < 0)
                abort();
}

unsigned dht_sim_add(struct dht_sim *sim, bool persistent)
{
        struct dht_sim_node *node = &sim->nodes[sim->count];
        struct addr client;

        assert(sim->count < DHT_SIM_NODES_MAX);
        list_init(&node->touched);
        node->persistent = persistent;
        node->addr = client = dht_sim_addr(sim, sim->count);
        client.port = CLIENT_PORT;
        node->server = endpoint_add(sim, &node->addr);
        node->client = endpoint_add(sim, &client);
        node->random = net_random(sim->net);
        dht_sim_start(sim, sim->count);
        return sim->count++;
}

void dht_sim_firewall(struct dht_sim *sim, unsigned node)
{
        net_endpoint_set_up(sim->net, sim->nodes[node].server, false);
}

void dht_sim_kill(struct dht_sim *sim, unsigned number)
{
        struct dht_sim_node *node = &sim->nodes[number];

        node_stop(sim, node);
        net_endpoint_set_up(sim->net, node->server, false);
        net_endpoint_set_up(sim->net, node->client, false);
}

/* --- Time --- */

static void keep_event(struct dht_sim *sim, struct dht_sim_node *node, const struct dht_event *event)
{
        struct dht_sim_event *kept;

        if (node->event_count == node->event_capacity) {
                node->event_capacity = node->event_capacity ? 2 * node->event_capacity : 16;
                node->events = realloc(node->events, node->event_capacity * sizeof(*node->events));
                assert(node->events);
        }
        kept = &node->events[node->event_count++];
        kept->at_us = net_now(sim->net);
        kept->event = *event;
        assert(event->noise_len <= sizeof(kept->noise));
        if (event->noise_len)
                memcpy(kept->noise, event->noise, event->noise_len);
        kept->event.noise = NULL;
        net_note(sim->net, &kept->event.kind, sizeof(kept->event.kind));
        net_note(sim->net, kept->event.public_key, sizeof(kept->event.public_key));
}

static void touch(struct dht_sim *sim, struct dht_sim_node *node)
{
        if (list_empty(&node->touched))
                list_push_back(&sim->touched, &node->touched);
}

/* Its turn. */
static void settle(struct dht_sim *sim, struct dht_sim_node *node)
{
        struct now now = dht_sim_now(sim);
        struct dht_event event;
        struct rpc_send send;

        list_remove(&node->touched);
        dht_advance(node->dht, &now);
        while (dht_event(node->dht, &event))
                keep_event(sim, node, &event);
        while (dht_transmit(node->dht, &send))
                net_send(sim->net, send.socket, &send.to, send.bytes, send.len);
        assert(dht_deadline(node->dht) > now.mono_us);
        heap_set(&sim->dues, &node->due, dht_deadline(node->dht));
}

static struct dht_sim_node *node_of(struct dht_sim *sim, unsigned endpoint)
{
        return &sim->nodes[endpoint / 2];
}

static void deliver(struct dht_sim *sim)
{
        struct now now = dht_sim_now(sim);
        struct net_packet packet;

        while (net_receive(sim->net, &packet)) {
                struct dht_sim_node *node = node_of(sim, packet.endpoint);

                if (!node->dht)
                        continue;
                node->received++;
                touch(sim, node);
                dht_receive(node->dht, packet.endpoint, &packet.from, packet.bytes, packet.len, &now);
        }
}

static usec_t next_due(const struct dht_sim *sim)
{
        usec_t node_us = heap_deadline(&sim->dues);

        return usec_max(usec_min(net_deadline(sim->net), node_us == USEC_NEVER ? node_us : node_us - BORN_US), net_now(sim->net));
}

/* Whoever was called from outside since: that may be anybody. */
static void settle_all(struct dht_sim *sim)
{
        for (unsigned i = 0; i < sim->count; i++)
                if (sim->nodes[i].dht)
                        settle(sim, &sim->nodes[i]);
}

static bool step(struct dht_sim *sim, usec_t until_us)
{
        usec_t due_us = next_due(sim);
        struct heap_entry *due;

        if (due_us > until_us)
                return false;
        net_run_to(sim->net, due_us);
        deliver(sim);
        while ((due = heap_pop_due(&sim->dues, BORN_US + due_us)))
                touch(sim, container_of(due, struct dht_sim_node, due));
        while (!list_empty(&sim->touched))
                settle(sim, list_entry(list_first(&sim->touched), struct dht_sim_node, touched));
        return true;
}

void dht_sim_run(struct dht_sim *sim, usec_t us)
{
        usec_t until_us = net_now(sim->net) + us;

        settle_all(sim);
        while (step(sim, until_us))
                ;
        net_run_to(sim->net, until_us);
}

static const struct dht_sim_event *find(const struct dht_sim_node *node, enum dht_event_kind kind, size_t from)
{
        for (size_t i = from; i < node->event_count; i++)
                if (node->events[i].event.kind == kind)
                        return &node->events[i];
        return NULL;
}

const struct dht_sim_event *dht_sim_wait(struct dht_sim *sim, unsigned node, enum dht_event_kind kind, size_t from,
                                         usec_t limit_us)
{
        usec_t until_us = net_now(sim->net) + limit_us;

        settle_all(sim);
        while (!find(&sim->nodes[node], kind, from) && step(sim, until_us))
                ;
        return find(&sim->nodes[node], kind, from);
}

void dht_sim_forget(struct dht_sim *sim, unsigned number)
{
        struct dht_sim_node *node = &sim->nodes[number];

        free(node->events);
        node->events = NULL;
        node->event_count = node->event_capacity = 0;
}

size_t dht_sim_events(const struct dht_sim *sim, unsigned node, enum dht_event_kind kind, size_t from)
{
        size_t count = 0;

        for (size_t i = from; i < sim->nodes[node].event_count; i++)
                count += sim->nodes[node].events[i].event.kind == kind;
        return count;
}

void dht_sim_key(unsigned number, uint8_t secret_key_out[DHT_SECRET_KEY_BYTES])
{
        uint8_t seed[32] = { (uint8_t)number, (uint8_t)(number >> 8), 0x5e };
        uint8_t public_key[DHT_KEY_BYTES];

        crypto_sign_seed_keypair(public_key, secret_key_out, seed);
}
