/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_sim.h"

#include <assert.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_sim_app.h"

enum {
        BATCH_BYTES = 65536,
        SETTLE_ROUNDS = 16,             /* as the driver */
        TURNS_MAX = 200,                /* without time passing: more is a node that spins */
        FIRST_PORT = 49737,
        WALL_S = 1700000000,
};

struct now node_sim_now(const struct node_sim *sim)
{
        usec_t mono_us = net_now(sim->net);

        return (struct now){ .mono_us = mono_us, .boot_us = mono_us + sim->slept_us,
                             .wall_us = SECONDS(WALL_S) + mono_us + sim->slept_us };
}

void node_sim_touch(struct node_sim_host *host)
{
        host->sim->due_us[host - host->sim->hosts] = 0;
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
        if (host->endpoints[out->socket] == UINT_MAX)
                return;
        for (size_t at = 0; at < len; at += segment)
                (out->ttl ? net_send_short : out->pieces ? net_send_pieces : net_send)(
                        host->sim->net, host->endpoints[out->socket], &out->remote, flat + at, len - at < segment ? len - at : segment);
}

static void transmit(struct node_sim_host *host)
{
        struct now now = node_sim_now(host->sim);
        struct datagram out;

        while (host->node ? node_transmit(host->node, &out, &now) : host->guest.transmit(host->guest.self, &out, &now))
                send_datagram(host, &out);
}

static bool report(struct node_sim_host *host)
{
        struct now now = node_sim_now(host->sim);
        struct node_event event;
        bool any = false;

        while (node_event(host->node, &event, &now)) {
                node_sim_app_event(host, &event);
                any = true;
        }
        return any;
}

static usec_t deadline(const struct node_sim_host *host)
{
        return host->node ? node_deadline(host->node) : host->guest.deadline(host->guest.self);
}

static void turn(struct node_sim_host *host)
{
        struct now now = node_sim_now(host->sim);
        int rounds = 0;

        if (!host->node) {
                host->guest.turn(host->guest.self, &now);
                transmit(host);
                return;
        }
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

        do {
                turn(host);
                assert(++turns < TURNS_MAX);
        } while (deadline(host) <= net_now(host->sim->net));
        host->sim->due_us[host - host->sim->hosts] = usec_min(deadline(host), host->say_us);
}

/* --- The network --- */

static bool runs(const struct node_sim_host *host)
{
        return (host->node || host->guest.self) && !host->stopped;
}

/* Opens socket @number of @host at @port. */
static void open_socket(struct node_sim_host *host, unsigned number, uint16_t port)
{
        struct node_sim *sim = host->sim;
        struct addr addr = host->addr;
        unsigned endpoint;

        addr.port = port;
        endpoint = net_endpoint_add_behind(sim->net, &addr, host->nat);
        net_link_set(sim->net, endpoint, &sim->link);
        net_endpoint_set_up(sim->net, endpoint, !host->cut_off);
        sim->sockets = realloc(sim->sockets, (endpoint + 1) * sizeof(*sim->sockets));
        assert(sim->sockets && endpoint == sim->socket_count);
        sim->sockets[sim->socket_count++] = (struct node_sim_socket){ host, number };
        host->endpoints[number] = endpoint;
}

/* What the supervisor allows. */
static size_t allowance(struct node_sim_host *host, size_t count, usec_t now_us)
{
        if (now_us >= host->granted_us + SECONDS(10)) {
                host->granted_us = now_us;
                host->granted = 0;
        }
        count = MIN(count, NODE_SIM_BURST - host->granted);
        host->granted += count;
        return count;
}

void node_sim_add_sockets(struct node_sim_host *host, size_t count)
{
        struct now now = node_sim_now(host->sim);
        size_t allowed = allowance(host, count, now.mono_us);
        bool all = allowed == count;

        count = allowed;
        for (unsigned number = NODE_SIM_SOCKETS; number < NODE_SIM_SOCKETS_MAX && count; number++) {
                if (host->endpoints[number] != UINT_MAX)
                        continue;
                open_socket(host, number, host->next_port++);
                host->socket_count++;
                count--;
                node_add_socket(host->node, number, &now);
        }
        if (count || !all)
                node_no_sockets(host->node, &now);
        node_sim_touch(host);
}

void node_sim_close_socket(struct node_sim_host *host, unsigned number)
{
        net_endpoint_remove(host->sim->net, host->endpoints[number]);
        host->endpoints[number] = UINT_MAX;
        host->socket_count--;
}

static void feed(struct node_sim *sim, const struct net_packet *first, uint8_t *batch, size_t len)
{
        struct node_sim_host *host = sim->sockets[first->endpoint].host;
        struct iovec iov = { batch, len };
        struct datagram in = { .socket = sim->sockets[first->endpoint].number, .remote = first->from, .iov = &iov, .iov_len = 1, .len = len,
                               .segment_bytes = (uint16_t)(len > first->len ? first->len : 0) };
        struct now now = node_sim_now(sim);

        if (!runs(host))
                return;
        if (host->node)
                node_receive(host->node, &in, &now);
        else
                host->guest.receive(host->guest.self, &in, &now);
        node_sim_touch(host);
}

/* The local sockets that can be read: in the real process, between what came from the network and the node's events. */
static void say_more(struct node_sim_host *host)
{
        host->say_us = USEC_NEVER;
        node_sim_touch(host);
        list_for_each(at, &host->channels) {
                struct node_sim_channel *channel = list_entry(at, struct node_sim_channel, in_host);

                if (channel->fate == NODE_SIM_OPEN && channel->sent < channel->to_send)
                        node_sim_app_say(channel);
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
                if (sim->due_us[i] < due_us && runs(&sim->hosts[i]))
                        due_us = sim->due_us[i];
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

                if (sim->due_us[i] > due_us || !runs(host))
                        continue;
                if (host->say_us <= due_us)
                        say_more(host);
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
        struct now now = node_sim_now(sim);
        struct node_config config = {
                .random = *host->random,
                .server_socket = NODE_SIM_SERVER,
                .client_socket = NODE_SIM_CLIENT,
                .server_local = host->addr,
                .persistent = host == sim->hosts || sim->dht_persistent,
                .public_addr = host->addr,
                .receive_bytes = sim->receive_bytes,
        };

        if (node_new(&host->node, &config, &now) < 0 || node_set_bootstrap(host->node, &sim->bootstrap, 1, &now) < 0 ||
            node_set_local_addresses(host->node, &host->addr, 1, &now) < 0)
                abort();
        node_sim_touch(host);
}

static struct addr next_addr(const struct node_sim *sim, struct net_nat *nat)
{
        const uint8_t *outer = nat ? nat_box_outer_ip(net_nat_box(nat)) : NULL;
        uint8_t neighbours = 0;

        if (!outer)
                return (struct addr){ .ip = { sim->first_octet, 77, (uint8_t)sim->host_count, 2 }, .port = FIRST_PORT };
        for (size_t i = 0; i < sim->host_count; i++)
                neighbours += sim->hosts[i].nat == nat;
        return (struct addr){ .ip = { 192, 168, outer[2], (uint8_t)(2 + neighbours) }, .port = FIRST_PORT };
}

static struct node_sim_host *add(struct node_sim *sim, struct net_nat *nat)
{
        struct node_sim_host *host = &sim->hosts[sim->host_count];

        assert(sim->host_count < NODE_SIM_HOSTS);
        *host = (struct node_sim_host){ .sim = sim, .random = net_random(sim->net), .addr = next_addr(sim, nat), .nat = nat };
        for (size_t i = NODE_SIM_SOCKETS; i < NODE_SIM_SOCKETS_MAX; i++)
                host->endpoints[i] = UINT_MAX;
        host->next_port = 50000;
        if (!sim->host_count++)
                sim->bootstrap = host->addr;
        open_socket(host, NODE_SIM_SERVER, host->addr.port);
        open_socket(host, NODE_SIM_CLIENT, host->addr.port + 1);
        list_init(&host->channels);
        map_init(&host->by_id, (const uint8_t *)sim->map_key);
        host->say_us = USEC_NEVER;
        return host;
}

struct node_sim_host *node_sim_add_behind(struct node_sim *sim, struct net_nat *nat)
{
        struct node_sim_host *host = add(sim, nat);

        be_born(host);
        return host;
}

struct node_sim_host *node_sim_add_guest(struct node_sim *sim, struct net_nat *nat, const struct node_sim_guest *guest)
{
        struct node_sim_host *host = add(sim, nat);

        host->guest = *guest;
        node_sim_touch(host);
        return host;
}

struct node_sim_host *node_sim_add(struct node_sim *sim)
{
        return node_sim_add_behind(sim, NULL);
}

void node_sim_add_dht(struct node_sim *sim, size_t count)
{
        while (count--)
                node_sim_add(sim);
}

static struct node_sim *new_network(uint64_t seed, const struct net_link *link, uint8_t first_octet)
{
        struct node_sim *sim = calloc(1, sizeof(*sim));

        assert(sim);
        sim->first_octet = first_octet;
        sim->net = net_new(seed);
        if (link)
                sim->link = *link;
        else
                sim->link.delay_us = 100;
        memset(sim->router.public_key, 0x42, sizeof(sim->router.public_key));
        memset(sim->router.auth_key, 0x17, sizeof(sim->router.auth_key));
        node_sim_add(sim);
        return sim;
}

struct node_sim *node_sim_new(uint64_t seed, const struct net_link *link)
{
        return new_network(seed, link, 10);
}

struct node_sim *node_sim_new_internet(uint64_t seed, const struct net_link *link)
{
        return new_network(seed, link, 45);
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
                if (sim->hosts[i].guest.self)
                        sim->hosts[i].guest.free(sim->hosts[i].guest.self);
                forget_channels(&sim->hosts[i]);
                map_fini(&sim->hosts[i].by_id);
        }
        net_free(sim->net);
        free(sim->sockets);
        free(sim);
}

void node_sim_freep(struct node_sim **sim)
{
        node_sim_free(*sim);
}

void node_sim_seed(enum node_role role, uint8_t identity, uint8_t seed[NODE_KEY_BYTES])
{
        memset(seed, 0, NODE_KEY_BYTES);
        seed[0] = identity;
        seed[1] = (uint8_t)role;
}

/* Made once: it is asked for at every step of those who wait for a peer. */
void node_sim_key(enum node_role role, uint8_t identity, uint8_t key_out[NODE_KEY_BYTES])
{
        static struct {
                bool made;
                uint8_t key[NODE_KEY_BYTES];
        } keys[NODE_ROLES][UINT8_MAX + 1];
        uint8_t seed[NODE_KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];

        if (!keys[role][identity].made) {
                node_sim_seed(role, identity, seed);
                crypto_sign_seed_keypair(keys[role][identity].key, secret, seed);
                keys[role][identity].made = true;
        }
        memcpy(key_out, keys[role][identity].key, NODE_KEY_BYTES);
}

void node_sim_join(struct node_sim_host *host, enum node_role role, uint8_t identity)
{
        struct node_sim *sim = host->sim;
        struct now now = node_sim_now(sim);
        uint8_t seed[NODE_KEY_BYTES];
        char text[32];
        int len = snprintf(text, sizeof(text), "identity %u", identity);

        node_sim_seed(role, identity, seed);
        if (node_set_routers(host->node, &sim->router, 1, &now) < 0 || node_join(host->node, role, seed, &now) < 0 ||
            (role == NODE_PROVIDER && node_advertise(host->node, text, (size_t)len, &now) < 0))
                abort();
        node_sim_touch(host);
}

void node_sim_kill(struct node_sim_host *host)
{
        node_free(host->node);
        host->node = NULL;
        for (unsigned number = NODE_SIM_SOCKETS; number < NODE_SIM_SOCKETS_MAX; number++)
                if (host->endpoints[number] != UINT_MAX)
                        node_sim_close_socket(host, number);
        host->sim->due_us[host - host->sim->hosts] = USEC_NEVER;
        forget_channels(host);
        host->peer_count = host->attempt_count = 0;
        host->first_advert_us = host->first_up_us = host->left_us = 0;
        host->say_us = USEC_NEVER;
}

void node_sim_revive(struct node_sim_host *host)
{
        be_born(host);
}

void node_sim_set_up(struct node_sim_host *host, bool up)
{
        host->cut_off = !up;
        for (size_t i = 0; i < ARRAY_LEN(host->endpoints); i++)
                if (host->endpoints[i] != UINT_MAX)
                        net_endpoint_set_up(host->sim->net, host->endpoints[i], up);
}

void node_sim_set_local(struct node_sim_host *host, const struct addr *addrs, size_t count)
{
        struct now now = node_sim_now(host->sim);

        if (node_set_local_addresses(host->node, addrs, count, &now) < 0)
                abort();
        node_sim_touch(host);
}

void node_sim_leave(struct node_sim_host *host, usec_t limit_us)
{
        struct now now = node_sim_now(host->sim);

        node_leave(host->node, limit_us, &now);
        node_sim_touch(host);
}

struct node_sim_peer *node_sim_peer(struct node_sim_host *host, enum node_role role, uint8_t identity)
{
        uint8_t key[NODE_KEY_BYTES];

        node_sim_key(role, identity, key);
        return node_sim_app_peer(host, role, key);
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
