/* SPDX-License-Identifier: BSD-3-Clause */
/* A punch and what it works for: a dial or a session. Its rounds are carried by the DHT, its probes leave by our sockets, and where
 * one of the peer's is heard the connection tries its luck: only the peer itself can prove that it is there. */
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

enum {
        PORTION = 64,                   /* sockets asked for at a time */
        PRESSED = 2,                    /* rounds after which a guess at our NAT is better than none: few nodes are there to see us */
};

#define SPARE_US SECONDS(3)             /* until a socket that is left over is given back: hyperdht's linger */
#define AGAIN_US SECONDS(1)             /* until sockets are asked for again when there were none */

/* Ours, as the nodes that answered us lately see it. Where strangers get through it is one address for all. */
static struct nat_view view(const struct peer_set *set, bool pressed)
{
        struct nat_samples samples = { .count = 0 };
        struct dht_sighting sightings[DHT_SIGHTINGS_MAX];
        size_t count = dht_sightings(set->dht, sightings);
        struct addr addr;

        if (dht_open_addr(set->dht, &addr))
                return (struct nat_view){ .class = NAT_CONSISTENT, .addresses = { addr }, .address_count = 1 };
        for (size_t i = 0; i < count; i++)
                nat_samples_add(&samples, &sightings[i].witness, &sightings[i].seen);
        return pressed ? nat_samples_guess(&samples) : nat_samples_judge(&samples);
}

enum nat_class peer_own_class(const struct peer_set *set)
{
        return view(set, false).class;
}

bool peer_is_random(const struct peer_set *set)
{
        return view(set, false).class == NAT_RANDOM;
}

static void arm(struct peer_punch *punch)
{
        heap_set(&punch->source.set->timers, &punch->source.timer, nat_punch_deadline(&punch->nat));
}

static void know(struct peer_punch *punch)
{
        struct nat_view own = view(punch->source.set, punch->nat.rounds >= PRESSED || dht_is_surveyed(punch->source.set->dht));

        nat_punch_know(&punch->nat, &own);
}

static struct peer_punch *punch_new(struct peer_set *set, const struct peer_punch_plan *plan, const uint8_t peer[NAT_PEER_BYTES],
                                    enum nat_class remote_class, const struct now *now)
{
        struct peer_punch *punch = calloc(1, sizeof(*punch));
        struct nat_punch_config config = {
                .role = plan->role, .random = &set->random, .gate = &set->gate, .peer = peer, .hash = plan->hash,
                .socket = plan->socket, .remote_class = remote_class, .remote = plan->remote,
        };

        if (!punch)
                return NULL;
        peer_source_init(&punch->source, PEER_SOURCE_PUNCH, set);
        list_push_back(&set->punches, &punch->all);
        punch->plan = *plan;
        nat_punch_init(&punch->nat, &config, now->mono_us);
        know(punch);
        arm(punch);
        return punch;
}

static void release(struct peer_set *set, uint32_t socket, bool spare, usec_t linger_us)
{
        set->released[set->released_count++] =
                (struct peer_released){ .socket = socket, .spare = spare, .due_us = usec_add(set->now_us, linger_us) };
}

static void spare_socket(struct peer_set *set, uint32_t socket)
{
        release(set, socket, true, SPARE_US);
}

static void return_sockets(struct peer_punch *punch)
{
        for (size_t i = 0; i < punch->nat.socket_count; i++)
                spare_socket(punch->source.set, punch->nat.sockets[i]);
        punch->nat.socket_count = punch->nat.opened = 0;
}

/* The one it goes by, whichever punch found it. */
static void keep_socket(struct conn *conn)
{
        const struct udx_path *path = conn ? udx_stream_path(conn->stream) : NULL;

        if (path)
                peer_change_socket(conn, path->socket);
}

void peer_punch_free(struct peer_punch *punch, struct conn *met)
{
        if (!punch)
                return;
        keep_socket(met);
        if (punch->carried)
                dht_handshake_cancel(punch->source.set->dht, punch->carried);
        return_sockets(punch);
        punch->source.set->sockets_wanted = 0;  /* whoever else wants some says so in its next turn */
        nat_punch_fini(&punch->nat, met, punch->source.set->now_us);
        peer_source_fini(&punch->source);
        list_remove(&punch->all);
        sodium_memzero(&punch->plan, sizeof(punch->plan));
        free(punch);
}

/* The client of the other session dialled twice, or we dialled it: what remains of its punch would hold sockets and the gate. */
void peer_punch_met(struct conn *conn, const struct now *now)
{
        keep_socket(conn);
        list_for_each(at, &conn->source.set->punches) {
                struct peer_session *session = list_entry(at, struct peer_punch, all)->session;

                if (session && session->conn != conn && memcmp(session->conn->remote_key, conn->remote_key, CONN_KEY_BYTES) == 0 &&
                    memcmp(session->conn->local_key, conn->local_key, CONN_KEY_BYTES) == 0)
                        peer_session_stop_punch(session, now);
        }
}

/* --- Rounds --- */

/* At the peer's own relay, or at the one that carried the handshake. */
static void carry(struct peer_punch *punch, const struct addr *server, const uint8_t *sealed, size_t len, const struct now *now)
{
        struct dht_punch_spec spec = {
                .relay = server->port ? punch->plan.relay : punch->plan.server_relay.relay,
                .server = server->port ? *server : punch->plan.server_relay.peer,
                .target = punch->plan.target,
                .id = punch->plan.id,
                .payload = sealed,
                .len = len,
                .eager = !nat_punch_is_random(&punch->nat),     /* by chance an original ends the punch over what it hears twice */
                .context = punch,
        };

        punch->by_own_relay = addr_equal(&spec.relay, &punch->plan.relay);
        punch->carried = dht_punch_send(punch->source.set->dht, &spec, now);
        if (!punch->carried)
                nat_punch_unanswered(&punch->nat, now->mono_us);
}

/* What others have left, then new ones: some at a time, as the punch may be over before they are there. */
static void want_sockets(struct peer_punch *punch)
{
        struct peer_set *set = punch->source.set;

        for (size_t i = set->released_count; i-- > 0 && nat_punch_wants_sockets(&punch->nat);) {
                if (!set->released[i].spare)
                        continue;
                nat_punch_give_socket(&punch->nat, set->released[i].socket);
                set->released[i] = set->released[--set->released_count];
        }
        if (!set->sockets_asked && set->now_us >= set->sockets_again_us)
                set->sockets_wanted = MIN(MIN(nat_punch_wants_sockets(&punch->nat), (size_t)PORTION), PEER_SOCKETS_MAX - set->sockets_out);
}

/* What the punch wants done now. */
static void work(struct peer_punch *punch, const struct now *now)
{
        uint8_t sealed[NAT_SEALED_MAX];
        struct addr server;
        size_t len;

        while (nat_punch_deadline(&punch->nat) <= now->mono_us)
                nat_punch_advance(&punch->nat, now->mono_us);
        if (punch->plan.role == NAT_INITIATOR && nat_punch_round(&punch->nat, sealed, &len, &server))
                carry(punch, &server, sealed, len, now);
        want_sockets(punch);
        arm(punch);
        if (punch->failed || nat_punch_failure(&punch->nat) == NAT_GOING)
                return;
        punch->failed = true;
        if (punch->detour)
                keep_socket(punch->detour->conn);
        return_sockets(punch);
        if (punch->detour)
                peer_detour_punch_failed(punch->detour);
        else if (punch->dial)
                peer_reach_punch_failed(punch->dial, nat_punch_failure(&punch->nat), now);
        else
                peer_session_punch_failed(punch->session, now);
}

void peer_punch_dht_event(struct peer_punch *punch, const struct dht_event *event, const struct now *now)
{
        static const struct addr nowhere = { .port = 0 };

        punch->carried = NULL;
        know(punch);
        if (event->kind == DHT_PUNCH_ANSWERED)
                nat_punch_answered(&punch->nat, event->noise, event->noise_len, punch->by_own_relay ? &event->server : &nowhere,
                                   now->mono_us);
        else
                nat_punch_unanswered(&punch->nat, now->mono_us);
        work(punch, now);
}

/* A round of a client's. */
void peer_punch_asked(struct peer_punch *punch, const struct dht_event *event, const struct now *now)
{
        struct peer_set *set = punch->source.set;
        uint8_t answer[NAT_SEALED_MAX];
        bool vouched = dht_listener_is_relay(event->listener, &event->inbound.from);
        size_t len;

        know(punch);
        len = nat_punch_asked(&punch->nat, event->noise, event->noise_len, &event->inbound.client, vouched, answer, now->mono_us);
        if (len) {
                punch->heard_us = now->mono_us;
                dht_punch_reply(set->dht, &event->inbound, answer, len);
                if (punch->session)
                        peer_session_asked(punch->session, now);
        }
        if (punch->session && nat_punch_is_probing(&punch->nat))
                peer_session_punching(punch->session, nat_punch_deadline_last(&punch->nat));
        work(punch, now);
}

void peer_punch_advance(struct peer_punch *punch, const struct now *now)
{
        know(punch);
        work(punch, now);
}

/* --- Beginnings --- */

static const struct noise_relay *choose_relay(const struct noise_payload *payload, const struct addr *ours)
{
        for (size_t i = 0; i < payload->relay_count; i++)
                if (addr_equal(&payload->relays[i].relay, ours))
                        return &payload->relays[i];
        return &payload->relays[0];
}

static enum nat_class class_of(const struct noise_payload *payload)
{
        return payload->firewall <= NAT_RANDOM ? (enum nat_class)payload->firewall : NAT_UNKNOWN;
}

void peer_punch_dial(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload,
                     const uint8_t hash[NAT_HASH_BYTES], const struct now *now)
{
        struct peer_set *set = dial->source.set;
        struct peer_punch_plan plan = {
                .role = NAT_INITIATOR, .id = payload->holepunch_id, .socket = dht_socket(set->dht), .remote = event->server,
                .relay = event->from, .server_relay = *choose_relay(payload, &event->from),
        };

        memcpy(plan.hash, hash, sizeof(plan.hash));
        memcpy(plan.target, dial->target, sizeof(plan.target));
        dial->punch = punch_new(set, &plan, conn_remote_key(dial->conn), class_of(payload), now);
        sodium_memzero(&plan, sizeof(plan));
        if (!dial->punch)
                return;
        dial->punch->dial = dial;
        peer_punch_advance(dial->punch, now);
}

void peer_punch_session(struct peer_session *session, const uint8_t hash[NAT_HASH_BYTES], const struct now *now)
{
        struct peer_punch_plan plan = {
                .role = NAT_RESPONDER, .id = session->id - 1, .socket = session->inbound.socket, .remote = session->inbound.client,
                .listener = session->listener,
        };

        memcpy(plan.hash, hash, sizeof(plan.hash));
        session->punch = punch_new(session->source.set, &plan, conn_remote_key(session->conn), class_of(&session->payload), now);
        sodium_memzero(&plan, sizeof(plan));
        if (session->punch)
                session->punch->session = session;
}

/* For a connection that goes over a relay, by the handshake that it began with. What the NATs are like is found out anew. */
bool peer_punch_again(struct peer_detour *detour, const struct now *now)
{
        detour->punch = punch_new(detour->source.set, &detour->plan, conn_remote_key(detour->conn), NAT_UNKNOWN, now);
        if (!detour->punch)
                return false;
        detour->punch->detour = detour;
        return true;
}

/* Where a client's round goes; it may be the first of one more. */
struct peer_punch *peer_punch_find(struct peer_set *set, const struct peer_listener *listener, uint64_t id, const struct now *now)
{
        struct peer_detour *detour;

        list_for_each(at, &set->punches) {
                struct peer_punch *punch = list_entry(at, struct peer_punch, all);

                if (punch->plan.role == NAT_RESPONDER && punch->plan.listener == listener && punch->plan.id == id)
                        return punch;
        }
        detour = peer_detour_find(set, listener, id, now->mono_us);
        return detour && peer_punch_again(detour, now) ? detour->punch : NULL;
}

/* --- Probes --- */

bool peer_transmit(struct peer_set *set, struct peer_probe *out)
{
        struct nat_probe probe;

        list_for_each(at, &set->punches) {
                struct peer_punch *punch = list_entry(at, struct peer_punch, all);

                if (!nat_punch_probe(&punch->nat, &probe))
                        continue;
                *out = (struct peer_probe){ .socket = probe.socket, .to = probe.to, .short_lived = probe.short_lived };
                return true;
        }
        return false;
}

/* Whose it is, its byte does not say: all who wait for one from there take it for theirs. */
void peer_receive_probe(struct peer_set *set, uint32_t socket, const struct addr *from, const struct now *now)
{
        struct peer_way way = { .socket = socket, .remote = *from };

        if (addr_is_unusable(from))
                return;
        list_for_each(at, &set->punches) {
                struct peer_punch *punch = list_entry(at, struct peer_punch, all);

                if (!nat_punch_concerns(&punch->nat, from))
                        continue;
                nat_punch_heard(&punch->nat, socket, from, now->mono_us);
                arm(punch);
                if (punch->dial)
                        peer_reach_heard(punch->dial, &way, now);
                else if (punch->detour)
                        peer_detour_heard(punch->detour, &way);
        }
}

/* --- Sockets --- */

/* Two connections go by one socket where dials cross and both find the same hole: who stays has it. */
static bool pass_on_socket(const struct conn *conn)
{
        list_for_each(at, &conn->source.set->conns) {
                struct conn *other = list_entry(at, struct conn, all);
                const struct udx_path *path = other == conn ? NULL : udx_stream_path(other->stream);

                if (!path || path->socket != conn->socket || other->owns_socket)
                        continue;
                other->owns_socket = true;
                other->socket = conn->socket;
                return true;
        }
        return false;
}

void peer_release_socket(const struct conn *conn, usec_t linger_us)
{
        if (!pass_on_socket(conn))
                release(conn->source.set, conn->socket, false, linger_us);
}

static bool is_shared(const struct conn *conn, uint32_t socket)
{
        list_for_each(at, &conn->source.set->conns) {
                const struct conn *other = list_entry(at, struct conn, all);

                if (other != conn && other->owns_socket && other->socket == socket)
                        return true;
        }
        return false;
}

/* An added socket that no connection has: left over, or in use by a punch, which need not be the one that it led somewhere for. */
static bool take_socket(struct peer_set *set, uint32_t socket)
{
        for (size_t i = 0; i < set->released_count; i++) {
                if (set->released[i].socket != socket)
                        continue;
                set->released[i] = set->released[--set->released_count];
                return true;
        }
        list_for_each(at, &set->punches)
                if (nat_punch_take_socket(&list_entry(at, struct peer_punch, all)->nat, socket))
                        return true;
        return false;
}

/* The connection goes by @socket from now on: one of the node's own, or one that was added, and that another may go by. False: it is
 * neither. */
bool peer_change_socket(struct conn *conn, uint32_t socket)
{
        struct peer_set *set = conn->source.set;
        bool added;

        if (conn->owns_socket && conn->socket == socket)
                return true;
        added = take_socket(set, socket);
        if (!added && socket != dht_socket(set->dht) && socket != set->server_socket && !is_shared(conn, socket))
                return false;
        if (conn->owns_socket && !pass_on_socket(conn))
                spare_socket(set, conn->socket);
        conn->owns_socket = added;
        conn->socket = socket;
        return true;
}

void peer_add_socket(struct peer_set *set, uint32_t socket, const struct now *now)
{
        set->now_us = now->mono_us;
        set->sockets_out++;
        set->sockets_asked -= set->sockets_asked > 0;
        list_for_each(at, &set->punches) {
                struct peer_punch *punch = list_entry(at, struct peer_punch, all);

                if (nat_punch_wants_sockets(&punch->nat)) {
                        nat_punch_give_socket(&punch->nat, socket);
                        want_sockets(punch);
                        return;
                }
        }
        spare_socket(set, socket);
}

/* There may be some later: the supervisor grants no more than some hundreds in ten seconds. */
void peer_no_sockets(struct peer_set *set, const struct now *now)
{
        set->sockets_asked = 0;
        set->sockets_again_us = now->mono_us + AGAIN_US;
}

/* When the next one may be closed. */
usec_t peer_socket_deadline(const struct peer_set *set)
{
        usec_t due_us = set->sockets_wanted ? 0 : USEC_NEVER;

        for (size_t i = 0; i < set->released_count; i++)
                due_us = usec_min(due_us, set->released[i].due_us);
        return due_us;
}

size_t peer_sockets_wanted(struct peer_set *set)
{
        size_t count = set->sockets_wanted;

        set->sockets_asked += count;
        set->sockets_wanted = 0;
        return count;
}

bool peer_socket_done(struct peer_set *set, uint32_t *socket_out, const struct now *now)
{
        for (size_t i = 0; i < set->released_count; i++) {
                if (set->released[i].due_us > now->mono_us)
                        continue;
                *socket_out = set->released[i].socket;
                set->released[i] = set->released[--set->released_count];
                set->sockets_out--;
                return true;
        }
        return false;
}
