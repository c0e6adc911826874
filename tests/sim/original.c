/* SPDX-License-Identifier: BSD-3-Clause */
#include "original.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dht.h"
#include "node_sim_app.h"
#include "peer.h"
#include "tunnel.h"
#include "udx.h"

enum {
        KNOCKS_MAX = 8,
        FEW = 8,                        /* probes of a punch without chance */
};

#define RETRY_PROVEN_US SECONDS(1)      /* swarm.md 4 */
#define RETRY_US SECONDS(5)             /* and how often Hypergate looks for peers */
#define PACE_US MSEC(20)                /* of what it sends by chance: ours has the same probes every 2 ms */
#define SHUT_US SECONDS(20)             /* after it has punched by chance: connect.md 5.4 */
#define ABANDONED_US SECONDS(10)        /* until a stream gives up whose other end never speaks */

/* What there is for the key of its peer: _allConnections. */
enum existing {
        NOTHING,
        ATTEMPT,                        /* a dial */
        TAKEN,                          /* an incoming one, of which only the handshake was here */
        OPEN,
};

struct knock {
        peer_knock_id id;
        usec_t due_us;
};

struct original {
        struct node_sim_host *host;
        struct udx_mux *mux;
        struct dht *dht;
        struct peer_set *peers;
        struct peer_listener *listener;
        struct dht_query *query;
        struct tunnel_routers routers;  /* the one */
        enum node_role role;
        uint8_t secret_key[PEER_SECRET_KEY_BYTES], remote_key[PEER_KEY_BYTES];
        enum existing existing;
        struct peer_dial *dial;
        struct conn *conn;
        struct tunnel *tunnel;
        bool incoming, proven;
        usec_t abandoned_us;            /* TAKEN: gives up then */
        usec_t dial_us;
        bool bets;                      /* the dial punches by chance */
        unsigned probes;
        usec_t probe_us;                /* the next one leaves then, and what comes sooner does not */
        usec_t shut_us;                 /* until then another one may not */
        usec_t busy_us;
        struct knock knocks[KNOCKS_MAX];
        size_t knock_count;
        bool fresh;
        struct iovec iov;
        struct original_stats stats;
};

/* --- One connection a key --- */

static void lose_tunnel(struct original *o)
{
        o->stats.up = false;
        tunnel_free(o->tunnel);
        o->tunnel = NULL;
}

/* It is over: a client's own attempts are tried again by a timer, all others when the peer is looked for again. */
static void become_nothing(struct original *o, const struct now *now)
{
        if (o->dial)
                peer_dial_cancel(o->dial, now);
        conn_free(o->conn);
        lose_tunnel(o);
        o->dial_us = now->mono_us + (!o->incoming && o->proven ? RETRY_PROVEN_US : RETRY_US);
        o->dial = NULL;
        o->bets = false;
        o->conn = NULL;
        o->existing = NOTHING;
        o->abandoned_us = USEC_NEVER;
}

static void start_dial(struct original *o, const struct now *now)
{
        struct peer_dial_spec spec = { .secret_key = o->secret_key, .remote_key = o->remote_key, .context = o };

        o->dial_us = USEC_NEVER;
        if (o->existing != NOTHING)
                return;
        assert(peer_dial(o->peers, &spec, &o->dial, now) == 0);
        o->existing = ATTEMPT;
        o->incoming = o->proven = false;
}

/* The rule, as swarm.md 5 has it. */
static bool keeps_new(const struct original *o)
{
        bool outdated = o->conn && conn_is_used(o->conn);
        bool expected_initiator = memcmp(o->secret_key + 32, o->remote_key, PEER_KEY_BYTES) > 0;

        return outdated || !expected_initiator;
}

static void choose(struct original *o, const struct now *now)
{
        o->stats.crossed += o->existing != NOTHING;
        if (o->existing != NOTHING && !keeps_new(o)) {
                if (o->conn)
                        conn_ping(o->conn, now->mono_us);
                return;
        }
        o->stats.dropped += o->existing != NOTHING;
        become_nothing(o, now);
        o->existing = TAKEN;
        o->incoming = true;
        o->abandoned_us = now->mono_us + ABANDONED_US;
}

/* The client is answered in any case; one that is not wanted is cut off as soon as it comes. */
static void take_knock(struct original *o, peer_knock_id id, const struct now *now)
{
        peer_admit(o->peers, id, true, now);
        if (!o->host->nat)
                choose(o, now);
}

/* It does not wait. */
static void look_at_gate(struct original *o, const struct now *now)
{
        if (!o->dial || o->bets || !peer_dial_bets(o->dial))
                return;
        o->bets = now->mono_us >= o->shut_us;
        o->stats.shut_out += !o->bets;
        if (!o->bets)
                become_nothing(o, now);
}

static void greet(struct original *o, struct conn *conn, const struct now *now)
{
        struct tunnel_config config = { .role = o->role == NODE_GATEWAY ? TUNNEL_GATEWAY : TUNNEL_PROVIDER,
                                        .random = *o->host->random };

        memcpy(config.key, conn_local_key(conn), sizeof(config.key));
        memcpy(config.peer_key, o->remote_key, sizeof(config.peer_key));
        config.routers = &o->routers;
        o->existing = OPEN;
        o->proven = true;
        o->abandoned_us = USEC_NEVER;
        o->dial = NULL;
        o->conn = conn;
        conn_set_context(conn, o);
        assert(tunnel_new(&o->tunnel, &config, now) == 0);
        if (o->role == NODE_PROVIDER)
                assert(tunnel_advertise(o->tunnel, "original", 8, now->mono_us) == 0);
}

/* --- The turn: what node.c does --- */

static void on_peer_event(struct original *o, const struct peer_event *event, const struct now *now)
{
        switch (event->kind) {
        case PEER_KNOCK:
                if (o->knock_count < KNOCKS_MAX)
                        o->knocks[o->knock_count++] = (struct knock){ event->knock, now->mono_us + o->busy_us };
                break;
        case PEER_CONNECTED:
                greet(o, event->conn, now);
                break;
        case PEER_DIAL_FAILED:
                o->dial = NULL;
                become_nothing(o, now);
                break;
        case PEER_ACCEPTED:
                if (o->host->nat)
                        choose(o, now);
                if (o->existing == TAKEN)
                        greet(o, event->conn, now);
                else
                        conn_free(event->conn);
                break;
        case PEER_CONN_CLOSED:
                if (event->conn == o->conn)
                        become_nothing(o, now);
                else
                        conn_free(event->conn);
                break;
        case PEER_RELAYS_CHANGED:
                if (!o->query) {
                        struct addr relays[DHT_RELAYS_MAX];
                        struct dht_query_spec spec = {
                                .operation = DHT_ANNOUNCE,
                                .target = o->routers.list[0].public_key,
                                .secret_key = o->secret_key,
                                .relays = relays,
                                .relay_count = peer_listener_relays(o->listener, relays),
                                .context = o,
                        };

                        o->query = dht_query(o->dht, &spec, now);
                }
                break;
        default:
                break;
        }
}

static void work_on_handshakes(struct original *o, const struct now *now)
{
        while (o->knock_count && o->knocks[0].due_us <= now->mono_us) {
                peer_knock_id id = o->knocks[0].id;

                memmove(&o->knocks[0], &o->knocks[1], --o->knock_count * sizeof(o->knocks[0]));
                take_knock(o, id, now);
        }
}

static void talk(struct original *o, const struct now *now)
{
        struct tunnel_message message;
        struct tunnel_event event;
        const uint8_t *bytes;
        size_t len;

        if (!o->tunnel)
                return;
        tunnel_progress(o->tunnel, conn_room_bytes(o->conn), conn_unacked_bytes(o->conn), now->mono_us);
        tunnel_advance(o->tunnel, now->mono_us);
        while ((len = conn_peek(o->conn, &bytes)) > 0)
                conn_consume(o->conn, tunnel_receive(o->tunnel, bytes, len, now->mono_us));
        while (tunnel_event(o->tunnel, &event, now->mono_us)) {
                if (event.kind != TUNNEL_UP)
                        continue;
                conn_trust(o->conn);
                o->stats.up = true;
                o->stats.ups++;
        }
        while (tunnel_transmit(o->tunnel, &message, now->mono_us))
                assert(conn_seal(o->conn, message.bytes, message.len, now->mono_us));
}

static void turn(void *self, const struct now *now)
{
        struct original *o = self;
        struct peer_event peer;
        struct dht_event dht;
        bool any;

        udx_mux_advance(o->mux, now->mono_us);
        dht_advance(o->dht, now);
        peer_advance(o->peers, now);
        do {
                any = false;
                while (dht_event(o->dht, &dht)) {
                        any = true;
                        peer_dht_event(o->peers, &dht, now);
                }
                while (peer_event(o->peers, &peer, now)) {
                        any = true;
                        on_peer_event(o, &peer, now);
                }
        } while (any);
        work_on_handshakes(o, now);
        look_at_gate(o, now);
        if (now->mono_us >= o->abandoned_us)
                become_nothing(o, now);
        if (now->mono_us >= o->dial_us)
                start_dial(o, now);
        talk(o, now);
        o->fresh = false;
}

static usec_t deadline(const void *self)
{
        const struct original *o = self;
        usec_t due_us = usec_min(usec_min(udx_mux_deadline(o->mux), dht_deadline(o->dht)), peer_deadline(o->peers));

        if (o->fresh)
                return 0;
        if (o->tunnel)
                due_us = usec_min(due_us, tunnel_deadline(o->tunnel));
        if (o->knock_count)
                due_us = usec_min(due_us, o->knocks[0].due_us);
        return usec_min(due_us, usec_min(o->abandoned_us, o->dial_us));
}

static void receive(void *self, const struct datagram *in, const struct now *now)
{
        struct original *o = self;
        const uint8_t *bytes = in->iov[0].iov_base;
        size_t segment = in->segment_bytes ? in->segment_bytes : in->len;

        o->fresh = true;
        for (size_t at = 0; at < in->len; at += segment) {
                size_t len = MIN(segment, in->len - at);

                if (udx_mux_receive(o->mux, in->socket, &in->remote, bytes + at, len, now->mono_us) != UDX_NOT_OURS)
                        continue;
                if (len == 1)
                        peer_receive_probe(o->peers, in->socket, &in->remote, now);
                else
                        dht_receive(o->dht, in->socket, &in->remote, bytes + at, len, now);
        }
}

/* The next probe that it sends, too. */
static bool next_probe(struct original *o, struct peer_probe *out, const struct now *now)
{
        while (peer_transmit(o->peers, out)) {
                if (out->short_lived)
                        return true;
                o->probes++;
                if (o->probes > FEW)
                        o->shut_us = now->mono_us + SHUT_US;
                if (o->probes > FEW && now->mono_us < o->probe_us)
                        continue;
                o->probe_us = now->mono_us + PACE_US;
                return true;
        }
        return false;
}

static bool transmit(void *self, struct datagram *out, const struct now *now)
{
        static uint8_t zero;
        struct original *o = self;
        struct peer_probe probe;
        struct rpc_send rpc;
        struct udx_send udx;

        if (next_probe(o, &probe, now)) {
                o->iov = (struct iovec){ &zero, 1 };
                *out = (struct datagram){ .socket = probe.socket, .remote = probe.to, .iov = &o->iov, .iov_len = 1, .len = 1,
                                          .ttl = probe.short_lived ? PEER_SHORT_TTL : 0 };
                return true;
        }
        if (dht_transmit(o->dht, &rpc)) {
                o->iov = (struct iovec){ (uint8_t *)(uintptr_t)rpc.bytes, rpc.len };
                *out = (struct datagram){ .socket = rpc.socket, .remote = rpc.to, .iov = &o->iov, .iov_len = 1, .len = rpc.len };
                return true;
        }
        if (!udx_mux_transmit(o->mux, &udx, now->mono_us))
                return false;
        *out = (struct datagram){ .socket = udx.socket, .remote = udx.remote, .iov = udx.iov, .iov_len = udx.iov_len, .len = udx.bytes,
                                  .segment_bytes = udx.segments > 1 ? udx.segment_bytes : 0 };
        return true;
}

/* --- From outside --- */

static void free_original(void *self)
{
        struct original *o = self;

        if (o->dial)
                peer_dial_cancel(o->dial, &(struct now){ .mono_us = net_now(o->host->sim->net) });
        conn_free(o->conn);
        tunnel_free(o->tunnel);
        peer_set_free(o->peers);
        dht_free(o->dht);
        udx_mux_free(o->mux);
        free(o);
}

static void make_stack(struct original *o, const struct now *now)
{
        const struct node_sim_host *host = o->host;
        struct dht_config dht = { .random = *host->random, .server_socket = NODE_SIM_SERVER, .client_socket = NODE_SIM_CLIENT,
                                  .server_port = host->addr.port };
        struct peer_config peer = { .random = *host->random, .server_socket = NODE_SIM_SERVER, .server_local = host->addr };
        struct peer_listen_spec listen = { .secret_key = o->secret_key, .ask = true, .context = o };

        o->mux = udx_mux_new(host->random);
        assert(o->mux && dht_new(&o->dht, &dht, now) == 0);
        peer.udx = o->mux;
        peer.dht = o->dht;
        assert(peer_set_new(&o->peers, &peer) == 0 && dht_set_bootstrap(o->dht, &host->sim->bootstrap, 1, now) == 0);
        peer_set_local_addresses(o->peers, &host->addr, 1);
        assert(peer_listen(o->peers, &listen, &o->listener, now) == 0);
}

struct original *original_new(struct node_sim *sim, struct net_nat *nat, enum node_role role, uint8_t identity,
                              const uint8_t remote_key[NODE_KEY_BYTES])
{
        struct original *o = calloc(1, sizeof(*o));
        struct node_sim_guest guest = { receive, turn, transmit, deadline, free_original, o };
        struct now now = node_sim_now(sim);
        uint8_t seed[NODE_KEY_BYTES], key[NODE_KEY_BYTES];

        assert(o);
        node_sim_seed(role, identity, seed);
        crypto_sign_seed_keypair(key, o->secret_key, seed);
        memcpy(o->remote_key, remote_key, sizeof(o->remote_key));
        o->role = role;
        o->routers.list[0].held = true;
        memcpy(o->routers.list[0].public_key, sim->router.public_key, NODE_KEY_BYTES);
        memcpy(o->routers.list[0].auth_key, sim->router.auth_key, NODE_AUTH_KEY_BYTES);
        o->abandoned_us = o->dial_us = USEC_NEVER;
        o->host = node_sim_add_guest(sim, nat, &guest);
        make_stack(o, &now);
        return o;
}

void original_discover(struct original *original)
{
        original->dial_us = 0;
        original->fresh = true;
        node_sim_touch(original->host);
}

void original_set_busy(struct original *original, usec_t busy_us)
{
        original->busy_us = busy_us;
}

struct original_stats original_stats(const struct original *original)
{
        return original->stats;
}
