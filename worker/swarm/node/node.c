/* SPDX-License-Identifier: BSD-3-Clause */
#include "node.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node_state.h"

_Static_assert((int)NODE_KNOWN_MAX == (int)DHT_KNOWN_MAX, "none is dropped on its way");
_Static_assert((int)NODE_SOCKETS_MAX == (int)PEER_SOCKETS_MAX, "node.h says what peer.h does");

#define RECEIVE_BYTES (4 * 1024 * 1024)
#define SLEPT_US SECONDS(15)            /* without a turn, of which there is one in 5 s at least: swarm.md 7 */
#define GIVEN_UP_US SECONDS(25)         /* who hears nothing for so long has given us up: libudx does after 18 s */

static int make_stack(struct node *node, const struct now *now)
{
        const struct node_config *config = &node->config;
        struct dht_config dht = {
                .random = config->random,
                .server_socket = config->server_socket,
                .client_socket = config->client_socket,
                .server_port = config->server_local.port,
                .persistent = config->persistent,
                .public_addr = config->public_addr,
        };
        struct peer_config peer = {
                .random = config->random,
                .server_socket = config->server_socket,
                .server_local = config->server_local,
                .cipher = config->cipher,
        };
        int r;

        node->mux = udx_mux_new(&config->random);
        if (!node->mux)
                return -ENOMEM;
        if (config->marks_streams)
                udx_mux_mark(node->mux, config->stream_mark);
        r = dht_new(&node->dht, &dht, now);
        if (r < 0)
                return r;
        peer.udx = node->mux;
        peer.dht = node->dht;
        return peer_set_new(&node->peers, &peer);
}

int node_new(struct node **node_out, const struct node_config *config, const struct now *now)
{
        struct node *node = calloc(1, sizeof(*node));
        uint8_t map_key[16];
        int r;

        if (!node)
                return -ENOMEM;
        node->config = *config;
        if (!node->config.receive_bytes)
                node->config.receive_bytes = RECEIVE_BYTES;
        node->now = *now;
        node->turned_boot_us = now->boot_us;
        node->next_channel = 1;
        node->leave_us = USEC_NEVER;
        list_init(&node->links);
        list_init(&node->parting);
        list_init(&node->active);
        list_init(&node->unflushed);
        list_init(&node->sated);
        list_init(&node->flying);
        list_init(&node->questions);
        list_init(&node->answers);
        random_fill(&config->random, map_key, sizeof(map_key));
        node_relay_init(node);
        map_init(&node->channels, map_key);
        r = make_stack(node, now);
        if (r < 0) {
                node_free(node);
                return r;
        }
        node_link_deal_windows(node);
        *node_out = node;
        return 0;
}

void node_free(struct node *node)
{
        if (!node)
                return;
        list_for_each(at, &node->parting)
                node_link_free(list_entry(at, struct node_link, in_links));
        list_for_each(at, &node->links)
                node_link_free(list_entry(at, struct node_link, in_links));
        node_ask_fini(node);
        peer_set_free(node->peers);
        dht_free(node->dht);
        udx_mux_free(node->mux);
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        node_join_fini(&node->joins[role]);
        map_fini(&node->channels);
        node_relay_fini(node);
        sodium_memzero(&node->routers, sizeof(node->routers));
        sodium_memzero(node->proofs, sizeof(node->proofs));
        free(node->advert);
        free(node);
}

int node_set_bootstrap(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        node->now = *now;
        return dht_set_bootstrap(node->dht, addrs, count, now);
}

void node_set_known(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        node->now = *now;
        dht_set_known(node->dht, addrs, count, now);
}

size_t node_known(const struct node *node, struct addr *out, size_t max)
{
        return dht_known(node->dht, out, max);
}

/* The network is not the one it was. */
static void look_around(struct node *node, bool doubts)
{
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        swarm_wake(node->joins[role].swarm, node->now.mono_us);
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (doubts)
                        node_link_prove(link);
                else
                        node_link_ping(link);
        }
        node->fresh = true;
}

/* A network that comes back with us needs its time, so that no connection is doubted which a peer may still have. */
static void wake(struct node *node, usec_t slept_us)
{
        dht_wake(node->dht, &node->now);
        look_around(node, slept_us > GIVEN_UP_US);
}

static bool is_among(const struct addr *addr, const struct addr *addrs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (addr_host_equal(&addrs[i], addr))
                        return true;
        return false;
}

static bool is_on_a_network(const struct node *node)
{
        for (size_t i = 0; i < node->local_count; i++)
                if (node->local[i].ip[0] != 127)
                        return true;
        return false;
}

static void settle_in(struct node *node)
{
        memcpy(node->home, node->local, node->local_count * sizeof(*node->local));
        node->home_count = node->local_count;
}

/* Connections may have gone with an address. With all of them gone we are elsewhere; but a cable that was out for a while is no
 * reason to think so. */
static void compare_with_home(struct node *node)
{
        size_t stayed = 0;

        for (size_t i = 0; i < node->home_count; i++)
                stayed += is_among(&node->home[i], node->local, node->local_count);
        if (stayed)
                dht_look_around(node->dht, &node->now);
        else
                dht_wake(node->dht, &node->now);
        look_around(node, stayed < node->home_count);
}

int node_set_local_addresses(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        size_t kept = MIN(count, ARRAY_LEN(node->local));
        bool same = kept == node->local_count, first = !node->local_count;

        node->now = *now;
        for (size_t i = 0; same && i < kept; i++)
                same = addr_host_equal(&addrs[i], &node->local[i]);
        if (same)
                return 0;
        memcpy(node->local, addrs, kept * sizeof(*addrs));
        node->local_count = kept;
        peer_set_local_addresses(node->peers, addrs, kept);
        if (!is_on_a_network(node))
                return 0;
        if (!first)
                compare_with_home(node);
        settle_in(node);
        return 0;
}

static struct node_appointed *appointed(struct node *node, const uint8_t key[NODE_KEY_BYTES])
{
        for (size_t i = 0; i < node->appointed_count; i++)
                if (memcmp(node->appointed[i].key, key, NODE_KEY_BYTES) == 0)
                        return &node->appointed[i];
        return node->appointed_count < ARRAY_LEN(node->appointed) ? &node->appointed[node->appointed_count++] : NULL;
}

int node_appoint(struct node *node, const struct node_appointed *peers, size_t count, const struct now *now)
{
        int r = 0;

        node->now = *now;
        for (size_t i = 0; i < count; i++) {
                struct node_appointed *one = appointed(node, peers[i].key);

                if (!one)
                        return -E2BIG;
                *one = peers[i];
        }
        for (size_t role = 0; role < NODE_ROLES && r == 0; role++)
                if (node->joins[role].node)
                        r = node_join_appoint(&node->joins[role]);
        node->fresh = true;
        return r;
}

int node_join(struct node *node, enum node_role role, const uint8_t seed[NODE_KEY_BYTES], const struct now *now)
{
        struct node_join *join = &node->joins[role];
        int r;

        node->now = *now;
        if (join->node || node->leaving != NODE_STAYS)
                return -EEXIST;
        node->fresh = true;
        r = node_join_init(join, node, role, seed);
        node_link_deal_windows(node);
        return r;
}

int node_advertise(struct node *node, const void *bytes, size_t len, const struct now *now)
{
        uint8_t *copy;
        int r = 0;

        if (len > TUNNEL_ADVERT_MAX)
                return -EMSGSIZE;
        copy = malloc(len + 1);
        if (!copy)
                return -ENOMEM;
        if (len)
                memcpy(copy, bytes, len);
        free(node->advert);
        node->advert = copy;
        node->advert_len = len;
        node->now = *now;
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (!link->tunnel || link->join->role != NODE_PROVIDER)
                        continue;
                if (tunnel_advertise(link->tunnel, bytes, len, now->mono_us) < 0)
                        r = -ENOMEM;
                node_link_touch(link);
        }
        return r;
}

/* --- Leaving --- */

void node_leave(struct node *node, usec_t limit_us, const struct now *now)
{
        usec_t drain_us = usec_add(now->mono_us, limit_us - limit_us / 4);      /* the rest is for the last bytes to arrive */

        node->now = *now;
        if (node->leaving != NODE_STAYS)
                return;
        node->leaving = NODE_LEAVES;
        node->leave_us = usec_add(now->mono_us, limit_us);
        node->fresh = true;
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        node_join_leave(&node->joins[role]);
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->state != NODE_LINK_LINGERING)
                        node_link_leave(link, drain_us);
        }
}

/* Everybody knows that we go, or the time is up; and the application has heard all. */
static bool take_left(struct node *node, struct node_event *out)
{
        bool gone = list_empty(&node->links) && node_join_has_left(&node->joins[NODE_GATEWAY]) &&
                    node_join_has_left(&node->joins[NODE_PROVIDER]);

        if (node->leaving != NODE_LEAVES || (!gone && node->now.mono_us < node->leave_us))
                return false;
        node->leaving = NODE_HAS_LEFT;
        node->leave_us = USEC_NEVER;
        *out = (struct node_event){ .kind = NODE_LEFT };
        return true;
}

/* --- The turn --- */

void node_receive(struct node *node, const struct datagram *in, const struct now *now)
{
        const uint8_t *bytes = in->iov[0].iov_base;
        size_t segment = in->segment_bytes ? in->segment_bytes : in->len, at = 0;

        assert(in->iov_len == 1);
        node->now = *now;
        node->fresh = true;
        node->datagrams_in += segment ? (in->len + segment - 1) / segment : 0;
        while (at < in->len) {
                at += udx_mux_receive_run(node->mux, in->socket, &in->remote, bytes + at, in->len - at, segment, now->mono_us);
                if (at < in->len) {
                        size_t len = MIN(segment, in->len - at);

                        if (len == 1)
                                peer_receive_probe(node->peers, in->socket, &in->remote, now);
                        else if (dht_receive(node->dht, in->socket, &in->remote, bytes + at, len, now) != RPC_OK)
                                node->datagrams_dropped++;
                        at += len;
                }
        }
}

/* The machine slept, or this process alone was stopped or frozen: by a clock that counts both. */
static void notice_sleep(struct node *node)
{
        if (node->now.boot_us > node->turned_boot_us + SLEPT_US)
                wake(node, node->now.boot_us - node->turned_boot_us);
        node->turned_boot_us = node->now.boot_us;
}

void node_advance(struct node *node, const struct now *now)
{
        struct heap_entry *due;

        node->now = *now;
        node->fresh = true;
        notice_sleep(node);
        udx_mux_advance(node->mux, now->mono_us);
        dht_advance(node->dht, now);
        peer_advance(node->peers, now);
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        swarm_advance(node->joins[role].swarm, now->mono_us);
        while ((due = heap_pop_due(&node->timers, now->mono_us)))
                node_link_due(container_of(due, struct node_link, timer));
        node_link_next_turn(node);
}

usec_t node_deadline(const struct node *node)
{
        usec_t due_us;

        if (node->fresh || !list_empty(&node->parting) || !list_empty(&node->active) || !list_empty(&node->unflushed) ||
            !list_empty(&node->sated))
                return 0;
        due_us = usec_min(usec_min(udx_mux_deadline(node->mux), dht_deadline(node->dht)), peer_deadline(node->peers));
        due_us = usec_min(due_us, usec_min(heap_deadline(&node->timers), node->leave_us));
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        due_us = usec_min(due_us, swarm_deadline(node->joins[role].swarm));
        return due_us;
}

static void move(struct node *node)
{
        list_for_each(at, &node->links)
                node_link_moved(list_entry(at, struct node_link, in_links));
}

/* Nobody was heard for a while, and now somebody is: whatever waits because something failed need not wait any more. */
static void come_back(struct node *node)
{
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        swarm_come_back(node->joins[role].swarm, node->now.mono_us);
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->dial)
                        peer_dial_again(link->dial, &node->now);
        }
}

/* Events of the stack below, until it has no more. */
static void take_below(struct node *node)
{
        struct dht_event dht;
        struct peer_event peer;
        bool any;

        node_relay_look(node);
        do {
                any = false;
                while (dht_event(node->dht, &dht)) {
                        any = true;
                        if (dht.kind == DHT_MOVED)
                                move(node);
                        else if (dht.kind == DHT_HEARD_AGAIN)
                                come_back(node);
                        else if (!node_ask_dht_event(node, &dht) && !peer_dht_event(node->peers, &dht, &node->now) && dht.context)
                                node_join_dht_event(dht.context, &dht);
                }
                while (peer_event(node->peers, &peer, &node->now)) {
                        any = true;
                        if (peer.listener)
                                node_join_peer_event(peer.context, &peer);
                        else if (peer.context)
                                node_link_peer_event(peer.context, &peer);
                }
                for (size_t role = 0; role < NODE_ROLES; role++)
                        if (node->joins[role].node)
                                node_join_work(&node->joins[role]);
        } while (any);
}

/* Acknowledgements make room, and tell a tunnel that what it waits for has arrived. */
static void look_at_flying(struct node *node)
{
        list_for_each(at, &node->flying) {
                struct node_link *link = list_entry(at, struct node_link, in_flying);
                size_t unacked_bytes = conn_unacked_bytes(link->conn);

                if (unacked_bytes != link->unacked_bytes)
                        node_link_touch(link);
                if (!unacked_bytes)
                        list_remove(&link->in_flying);
        }
}

static bool take_sockets(struct node *node, struct node_event *out)
{
        *out = (struct node_event){ .kind = NODE_SOCKET_DONE };
        if (peer_socket_done(node->peers, &out->socket, &node->now))
                return true;
        *out = (struct node_event){ .kind = NODE_SOCKETS_WANTED, .count = peer_sockets_wanted(node->peers) };
        return out->count > 0;
}

bool node_event(struct node *node, struct node_event *out, const struct now *now)
{
        struct list *first;

        node->now = *now;
        for (;;) {
                take_below(node);
                if (node->fresh)
                        look_at_flying(node);
                node->fresh = false;
                if (node_attempt_event(node, out))
                        return true;
                if ((first = list_first(&node->parting))) {     /* before anything of a link that follows it */
                        if (node_link_part(list_entry(first, struct node_link, in_links), out))
                                return true;
                } else if ((first = list_first(&node->active))) {
                        if (node_link_event(list_entry(first, struct node_link, in_active), out))
                                return true;
                } else {
                        return node_ask_event(node, out) || take_sockets(node, out) || take_left(node, out);
                }
        }
}

void node_add_socket(struct node *node, uint32_t socket, const struct now *now)
{
        node->now = *now;
        node->fresh = true;
        peer_add_socket(node->peers, socket, now);
}

void node_no_sockets(struct node *node, const struct now *now)
{
        node->now = *now;
        peer_no_sockets(node->peers, now);
}

static bool take_probe(struct node *node, struct datagram *out)
{
        static const uint8_t zero;
        struct peer_probe probe;

        if (!peer_transmit(node->peers, &probe))
                return false;
        node->iov = (struct iovec){ (uint8_t *)(uintptr_t)&zero, 1 };
        *out = (struct datagram){ .socket = probe.socket, .remote = probe.to, .iov = &node->iov, .iov_len = 1, .len = 1,
                                  .ttl = probe.short_lived ? PEER_SHORT_TTL : 0 };
        node->datagrams_out++;
        return true;
}

static bool take_dht(struct node *node, struct datagram *out)
{
        struct rpc_send send;

        if (!dht_transmit(node->dht, &send))
                return false;
        node->iov = (struct iovec){ (uint8_t *)(uintptr_t)send.bytes, send.len };
        *out = (struct datagram){ .socket = send.socket, .remote = send.to, .iov = &node->iov, .iov_len = 1, .len = send.len };
        node->datagrams_out++;
        return true;
}

bool node_transmit(struct node *node, struct datagram *out, const struct now *now)
{
        struct udx_send send;
        struct list *first;

        node->now = *now;
        while ((first = list_first(&node->unflushed)))
                node_link_flush(list_entry(first, struct node_link, in_unflushed));
        if (take_probe(node, out) || take_dht(node, out))
                return true;
        if (!udx_mux_transmit(node->mux, &send, now->mono_us))
                return false;
        *out = (struct datagram){ .socket = send.socket, .remote = send.remote, .iov = send.iov, .iov_len = send.iov_len,
                                  .len = send.bytes, .segment_bytes = send.segments > 1 ? send.segment_bytes : 0,
                                  .pieces = send.pieces };
        node->datagrams_out += send.segments;
        return true;
}

void node_unsent(struct node *node, const struct datagram *out, int error)
{
        node->unsent += out->segment_bytes ? (out->len + out->segment_bytes - 1) / out->segment_bytes : 1;
        if (error == EMSGSIZE && !out->pieces)
                udx_mux_refused(node->mux, out->socket, &out->remote, out->segment_bytes ? out->segment_bytes : out->len);
}

void node_trim(struct node *node)
{
        udx_mux_trim(node->mux);
}

void node_stats(const struct node *node, struct node_stats *out)
{
        struct dht_stats dht;
        struct node_stats stats = { 0 };
        struct peer_stats peers;

        peer_stats(node->peers, &peers);
        stats.half_open = (uint32_t)peers.half_open;
        stats.sockets = (uint32_t)peers.sockets;
        dht_stats(node->dht, &dht);
        stats.table_nodes = dht_is_alone(node->dht, &node->now) ? 0 : (uint32_t)dht.nodes;
        stats.bootstrapped = dht.bootstrapped;
        for (size_t role = 0; role < NODE_ROLES; role++) {
                stats.announced += node_join_is_announced(&node->joins[role]);
                stats.peers[role] = node->peer_counts[role];
        }
        stats.channels = (uint32_t)node->channels.count;
        if (!dht_public_addr(node->dht, &stats.public_addr))
                stats.public_addr = (struct addr){ 0 };
        stats.datagrams_in = node->datagrams_in;
        stats.datagrams_out = node->datagrams_out;
        stats.datagrams_dropped = node->datagrams_dropped;
        stats.unsent = node->unsent;
        stats.channel_datagrams_dropped = node->channel_datagrams_dropped;
        list_for_each(at, &node->links)
                stats.channel_datagrams_dropped += node_link_dropped(list_entry(at, struct node_link, in_links));
        node_relay_stats(node, &stats);
        list_for_each(at, &node->links) {
                const struct node_link *link = list_entry(at, struct node_link, in_links);

                stats.outdated += link->told_up && node_router_outdated(link);
                stats.relayed += link->told_up && link->conn && conn_is_relayed(link->conn);
        }
        *out = stats;
}
