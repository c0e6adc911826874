/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_sim.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "peer_sim_dht.h"

enum { RUN_BYTES = 65536, TURNS_MAX = 4 };

static uint8_t pattern(bool accepted, uint64_t at)
{
        return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16) + accepted);
}

struct now peer_sim_now(const struct peer_sim *sim)
{
        usec_t now_us = net_now(sim->net);

        return (struct now){ .mono_us = now_us, .boot_us = now_us, .wall_us = now_us };
}

struct peer_sim *peer_sim_new(uint64_t seed, const struct net_link *link)
{
        struct peer_sim *sim = calloc(1, sizeof(*sim));

        assert(sim && sodium_init() >= 0);
        sim->net = net_new(seed);
        sim->relay_us = link->delay_us + MSEC(1);
        sim->query_us = 2 * link->delay_us + MSEC(1);
        assert(sim->net);
        return sim;
}

void peer_sim_free(struct peer_sim *sim)
{
        if (!sim)
                return;
        for (unsigned i = 0; i < sim->node_count; i++) {
                peer_set_free(sim->node[i].set);
                udx_mux_free(sim->node[i].mux);
        }
        for (unsigned i = 0; i < sim->node_count; i++)
                peer_sim_dht_free(sim->node[i].dht);
        net_free(sim->net);
        free(sim);
}

void peer_sim_freep(struct peer_sim **sim)
{
        peer_sim_free(*sim);
}

struct peer_sim_node *peer_sim_add(struct peer_sim *sim, const struct addr *addr)
{
        struct peer_sim_node *node = &sim->node[sim->node_count];
        const struct random *random = net_random(sim->net);
        struct peer_config config;
        uint8_t seed[32];

        assert(sim->node_count < PEER_SIM_NODES);
        *node = (struct peer_sim_node){ .sim = sim, .index = sim->node_count++, .addr = *addr, .seen = *addr, .admits = true };
        node->trusts = true;
        node->sighted = 3;
        node->socket = net_endpoint_add(sim->net, addr);
        node->mux = udx_mux_new(random);
        node->dht = peer_sim_dht_new(node);
        random_fill(random, seed, sizeof(seed));
        crypto_sign_seed_keypair(node->secret_key + 32, node->secret_key, seed);
        memcpy(node->secret_key, seed, sizeof(seed));
        config = (struct peer_config){
                .random = *random,
                .udx = node->mux,
                .dht = node->dht,
                .server_socket = node->socket,
                .server_local = { .port = addr->port },
        };
        assert(node->mux && peer_set_new(&node->set, &config) == 0);
        peer_set_local_addresses(node->set, addr, 1);
        return node;
}

const uint8_t *peer_sim_key(const struct peer_sim_node *node)
{
        return node->secret_key + 32;
}

static void list(struct peer_sim_node *node)
{
        node->entry.listed = true;
        node->entry.relay_count = 2;
        for (unsigned i = 0; i < PEER_SIM_RELAYS; i++)
                node->entry.relays[i] = (struct addr){ .ip = { 198, 51, 99, (uint8_t)(10 * node->index + i) }, .port = 49737 };
}

void peer_sim_listen(struct peer_sim_node *node, bool ask)
{
        struct peer_listen_spec spec = { .secret_key = node->secret_key, .ask = ask, .context = node };
        struct now now = peer_sim_now(node->sim);

        assert(peer_listen(node->set, &spec, &node->listener, &now) == 0);
        list(node);
}

void peer_sim_relay(struct peer_sim_node *node, unsigned pairs, uint64_t bytes_per_s)
{
        uint8_t proofs[1][PEER_PROOF_BYTES];
        struct peer_relay_spec spec = { .secret_key = node->secret_key, .pairs = pairs,
                                        .proofs = proofs, .proof_count = node->relay_proof != NULL,
                                        .bytes_per_s = bytes_per_s, .bytes_per_s_per_host = node->relay_rate_per_host };
        struct now now = peer_sim_now(node->sim);

        if (node->relay_proof)
                memcpy(proofs[0], node->relay_proof, sizeof(proofs[0]));
        assert(peer_relay_start(node->set, &spec, &now) == 0);
        list(node);
}

static struct peer_sim *pair(uint64_t seed, const struct net_link *link, bool ask)
{
        static const struct addr addrs[] = { { .ip = { 198, 51, 1, 1 }, .port = 1001 }, { .ip = { 198, 51, 2, 2 }, .port = 2002 } };
        struct peer_sim *sim = peer_sim_new(seed, link);

        for (unsigned i = 0; i < 2; i++)
                net_link_set(sim->net, peer_sim_add(sim, &addrs[i])->socket, link);
        peer_sim_listen(&sim->node[1], ask);
        return sim;
}

struct peer_sim *peer_sim_pair(uint64_t seed, const struct net_link *link)
{
        return pair(seed, link, false);
}

struct peer_sim *peer_sim_pair_that_asks(uint64_t seed, const struct net_link *link)
{
        return pair(seed, link, true);
}

struct peer_dial *peer_sim_dial(struct peer_sim_node *from, const struct peer_sim_node *to, size_t known)
{
        struct peer_dial_spec spec = {
                .secret_key = from->secret_key,
                .remote_key = peer_sim_key(to),
                .relays = to->entry.relays,
                .relay_count = known,
                .relay_through = from->relay_through,
                .relay_proof = from->relay_proof,
                .context = from,
        };
        struct now now = peer_sim_now(from->sim);
        struct peer_dial *dial;

        from->dialled_us = now.mono_us;
        assert(peer_dial(from->set, &spec, &dial, &now) == 0);
        return dial;
}

void peer_sim_write(struct peer_sim_end *end, uint64_t bytes, bool end_after)
{
        end->to_write += bytes;
        end->end_after = end_after;
}

/* --- The application --- */

static void app_write(struct peer_sim_end *end, usec_t now_us)
{
        static uint8_t bytes[CONN_MESSAGE_MAX];

        while (end->written < end->to_write) {
                size_t len = MIN((size_t)(1 + end->written * 7919 % CONN_MESSAGE_MAX), end->to_write - end->written);

                if (conn_room_bytes(end->conn) < len + CONN_SEAL_BYTES)
                        return;
                for (size_t i = 0; i < len; i++)
                        bytes[i] = pattern(end->accepted, end->written + i);
                if (!conn_seal(end->conn, bytes, len, now_us))
                        return;
                end->written += len;
        }
        if (end->end_after && !end->ended)
                conn_end(end->conn);
        end->ended = end->ended || end->end_after;
}

static void app_read(struct peer_sim_end *end)
{
        const uint8_t *bytes;
        size_t len;

        while (end->reads && (len = conn_peek(end->conn, &bytes))) {
                size_t part = 1 + (len - 1) * 2 / 3;    /* in two pieces, to see that the second is still there */

                for (size_t i = 0; i < part; i++)
                        end->wrong = end->wrong || bytes[i] != pattern(!end->accepted, end->read + i);
                conn_consume(end->conn, part);
                end->read += part;
        }
        end->at_end = end->reads && conn_at_end(end->conn);
}

static struct peer_sim_end *end_add(struct peer_sim_node *node, const struct peer_event *event)
{
        struct peer_sim_end *end = &node->end[node->end_count++];

        assert(node->end_count <= PEER_SIM_CONNS);
        *end = (struct peer_sim_end){ .conn = event->conn, .accepted = event->kind == PEER_ACCEPTED, .reads = true };
        end->opened_us = net_now(node->sim->net);
        end->remote = event->remote;
        memcpy(end->remote_key, event->remote_key, sizeof(end->remote_key));
        assert(memcmp(event->remote_key, conn_remote_key(end->conn), PEER_KEY_BYTES) == 0);
        assert(conn_is_initiator(end->conn) == !end->accepted);
        conn_set_context(end->conn, end);
        if (node->trusts)
                conn_trust(end->conn);
        return end;
}

static void on_conn_event(struct peer_sim_node *node, const struct peer_event *event)
{
        struct peer_sim_end *end = event->context;

        assert(end->conn == event->conn && !end->closed);
        if (event->kind == PEER_CONN_READABLE)
                end->readable_events++;
        if (event->kind == PEER_CONN_WRITABLE)
                end->writable_events++;
        if (event->kind == PEER_CONN_ENDED)
                end->end_arrived = true;
        app_read(end);
        if (event->kind != PEER_CONN_CLOSED)
                return;
        end->closed = true;
        end->reason = event->reason;
        end->too_long_bytes = event->frame_bytes;
        end->closed_us = net_now(node->sim->net);
        conn_free(end->conn);
        end->conn = NULL;
}

static void on_event(struct peer_sim_node *node, const struct peer_event *event, const struct now *now)
{
        switch (event->kind) {
        case PEER_CONNECTED:
                node->connected++;
                node->took_us = now->mono_us - node->dialled_us;
                node->context = event->context;
                end_add(node, event);
                break;
        case PEER_ACCEPTED:
                assert(event->listener == node->listener && event->context == node);
                node->accepted++;
                end_add(node, event);
                break;
        case PEER_DIAL_FAILED:
                node->failed++;
                node->took_us = now->mono_us - node->dialled_us;
                node->failure = event->failure;
                node->context = event->context;
                break;
        case PEER_KNOCK:
                node->knocks++;
                node->knock = event->knock;
                if (node->admits)
                        peer_admit(node->set, event->knock, true, now);
                break;
        case PEER_UNLISTENED:
                node->unlistened++;
                node->listener = NULL;
                break;
        case PEER_RELAYS_CHANGED:
                break;
        default:
                on_conn_event(node, event);
        }
}

/* --- The turn --- */

static bool lets_in(const struct peer_sim_node *node, const struct addr *from)
{
        if (net_now(node->sim->net) < node->only_until_us)
                return addr_equal(from, &node->only_from);
        if (!node->filtered)
                return true;
        for (unsigned i = 0; i < node->sent_to_count; i++)
                if (addr_equal(&node->sent_to[i], from))
                        return true;
        return false;
}

static void note_sent(struct peer_sim_node *node, const struct addr *to)
{
        unsigned i = 0;

        while (i < node->sent_to_count && !addr_equal(&node->sent_to[i], to))
                i++;
        if (i == node->sent_to_count && node->sent_to_count < 64)
                node->sent_to[node->sent_to_count++] = *to;
}

static void send_run(struct peer_sim_node *node, const struct udx_send *out)
{
        static uint8_t flat[RUN_BYTES];
        size_t len = 0;

        for (unsigned i = 0; i < out->iov_len; i++) {
                memcpy(flat + len, out->iov[i].iov_base, out->iov[i].iov_len);
                len += out->iov[i].iov_len;
        }
        note_sent(node, &out->remote);
        for (size_t at = 0, piece; at < len; at += piece) {
                piece = MIN(len - at, (size_t)out->segment_bytes);
                (out->pieces ? net_send_pieces : net_send)(node->sim->net, node->socket, &out->remote, flat + at, piece);
        }
        node->udx_out += out->segments;
}

static void send_probes(struct peer_sim_node *node)
{
        struct peer_probe probe;

        while (peer_transmit(node->set, &probe)) {
                note_sent(node, &probe.to);
                (probe.short_lived ? net_send_short : net_send)(node->sim->net, node->socket, &probe.to, "", 1);
        }
}

static void give_sockets(struct peer_sim_node *node, const struct now *now)
{
        uint32_t socket;
        size_t wanted;

        while ((wanted = peer_sockets_wanted(node->set))) {
                if (node->lacks_sockets)
                        peer_no_sockets(node->set, now);
                for (; wanted && !node->lacks_sockets; wanted--)
                        peer_add_socket(node->set, PEER_SIM_SOCKETS + node->sockets++, now);
        }
        while (peer_socket_done(node->set, &socket, now))
                assert(socket >= PEER_SIM_SOCKETS && socket < PEER_SIM_SOCKETS + node->sockets);
}

static bool drain(struct peer_sim_node *node, const struct now *now)
{
        struct peer_event event;
        struct dht_event news;
        bool any = false;

        while (dht_event(node->dht, &news)) {
                assert(peer_dht_event(node->set, &news, now));
                any = true;
        }
        while (peer_event(node->set, &event, now)) {
                on_event(node, &event, now);
                any = true;
        }
        return any;
}

static void turn(struct peer_sim_node *node)
{
        struct now now = peer_sim_now(node->sim);
        struct udx_send out;

        udx_mux_advance(node->mux, now.mono_us);
        peer_advance(node->set, &now);
        while (drain(node, &now))
                ;
        for (unsigned i = 0; i < node->end_count; i++) {
                if (!node->end[i].conn)
                        continue;
                app_read(&node->end[i]);
                app_write(&node->end[i], now.mono_us);
        }
        while (drain(node, &now))
                ;
        give_sockets(node, &now);
        send_probes(node);
        while (udx_mux_transmit(node->mux, &out, now.mono_us))
                send_run(node, &out);
}

/* What is due at once has its turn at once, but not for ever. */
static void settle(struct peer_sim_node *node)
{
        unsigned turns = 0;

        do {
                assert(++turns < TURNS_MAX);
                turn(node);
        } while (peer_deadline(node->set) <= net_now(node->sim->net));
}

void peer_sim_settle(struct peer_sim *sim)
{
        for (unsigned i = 0; i < sim->node_count; i++)
                settle(&sim->node[i]);
}

static usec_t deadline(const struct peer_sim *sim)
{
        usec_t first_us = net_deadline(sim->net);

        for (unsigned i = 0; i < sim->node_count; i++) {
                first_us = usec_min(first_us, udx_mux_deadline(sim->node[i].mux));
                first_us = usec_min(first_us, dht_deadline(sim->node[i].dht));
                first_us = usec_min(first_us, peer_deadline(sim->node[i].set));
        }
        return first_us;
}

static void receive(struct peer_sim *sim)
{
        struct net_packet packet;

        while (net_receive(sim->net, &packet)) {
                struct peer_sim_node *node = sim->node;

                while (node->socket != packet.endpoint)
                        node++;
                if (!lets_in(node, &packet.from))
                        continue;
                if (packet.len == 1) {
                        struct now now = peer_sim_now(sim);

                        peer_receive_probe(node->set, node->socket, &packet.from, &now);
                        continue;
                }
                node->udx_in++;
                udx_mux_receive(node->mux, node->socket, &packet.from, packet.bytes, packet.len, net_now(sim->net));
        }
}

void peer_sim_run(struct peer_sim *sim, usec_t us)
{
        usec_t end_us = net_now(sim->net) + us, next_us;

        peer_sim_settle(sim);
        while ((next_us = deadline(sim)) <= end_us) {
                net_run_to(sim->net, usec_max(next_us, net_now(sim->net)));
                receive(sim);
                peer_sim_settle(sim);
        }
        net_run_to(sim->net, end_us);
}

void peer_sim_inject(struct peer_sim_node *node, const struct addr *from, const void *bytes, size_t len)
{
        udx_mux_receive(node->mux, node->socket, from, bytes, len, net_now(node->sim->net));
}
