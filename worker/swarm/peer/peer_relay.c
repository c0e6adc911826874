/* SPDX-License-Identifier: BSD-3-Clause */
/* The relay's role: a listener of its own, whose clients name tokens (relay_pairing.h), and forwards between the streams of those who
 * named the same (udx_forward.h). Nothing of what passes can be read here. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

#define SWEEP_US SECONDS(10)            /* how often the silent are looked for */
#define LINGER_US SECONDS(20)           /* a pair that is over still passes packets: who has moved to a direct way resends by the old one */
#define SILENT_US SECONDS(60)           /* pairs without a packet, clients without a half: twelve keep-alives */
#define ASK_US SECONDS(10)              /* clients that never had a half: they ask with their first packet */

enum { OVER_MAX = 256 };                /* pairs that are over and linger */

/* One who wants to be relayed: its connection and what it asked for over it. */
struct peer_client {
        struct list all;
        struct peer_relay *relay;
        struct conn *conn;
        struct relay_session *session;
        usec_t busy_us;                 /* when it last had a half */
};

/* What is carried from and to a host. */
struct host_meter {
        struct list all;
        struct addr host;
        unsigned uses;                  /* ends of pairs there */
        struct udx_meter meter;
};

/* A pair whose streams are joined. */
struct joint {
        struct list all;
        struct relay_pair *pair;        /* NULL: over */
        struct udx_forward *forward;
        struct host_meter *meters[2];   /* NULL: no memory, no limit */
        usec_t over_us;
};

struct peer_relay {
        struct peer_source source;
        struct peer_listener *listener;
        struct relay_pairing *pairing;
        struct list clients, joints, meters;
        uint64_t bytes_per_s_per_host;
        struct list over;               /* joints whose pairs are, oldest first */
        size_t over_count;
        uint64_t packets, bytes, dropped;       /* of joints that are gone */
        usec_t sweep_us;
};

static void arm(struct peer_relay *relay)
{
        heap_set(&relay->source.set->timers, &relay->source.timer, usec_min(relay->sweep_us, relay_pairing_deadline(relay->pairing)));
}

static void add_up(struct peer_relay *relay, const struct joint *joint)
{
        struct udx_forward_stats stats;

        udx_forward_stats(joint->forward, &stats);
        relay->packets += stats.packets;
        relay->bytes += stats.bytes;
        relay->dropped += stats.dropped;
}

static struct host_meter *use_meter(struct peer_relay *relay, const struct addr *host)
{
        struct host_meter *meter;

        list_for_each(at, &relay->meters) {
                meter = list_entry(at, struct host_meter, all);
                if (addr_host_equal(&meter->host, host)) {
                        meter->uses++;
                        return meter;
                }
        }
        meter = calloc(1, sizeof(*meter));
        if (!meter)
                return NULL;
        meter->host = *host;
        meter->uses = 1;
        meter->meter.bytes_per_s = relay->bytes_per_s_per_host;
        list_push_back(&relay->meters, &meter->all);
        return meter;
}

static void leave_meter(struct host_meter *meter)
{
        if (!meter || --meter->uses)
                return;
        list_remove(&meter->all);
        free(meter);
}

static void take_apart(struct peer_relay *relay, struct joint *joint)
{
        relay->over_count -= !joint->pair;
        add_up(relay, joint);
        udx_forward_free(joint->forward);
        leave_meter(joint->meters[0]);
        leave_meter(joint->meters[1]);
        list_remove(&joint->all);
        free(joint);
}

/* The original lets go of it at once, and loses what its peers resend. */
static void part(struct peer_relay *relay, struct joint *joint, usec_t now_us)
{
        list_remove(&joint->all);
        list_push_back(&relay->over, &joint->all);
        joint->pair = NULL;
        joint->over_us = now_us;
        if (++relay->over_count > OVER_MAX)
                take_apart(relay, list_entry(list_first(&relay->over), struct joint, all));
}

static void client_free(struct peer_client *client)
{
        relay_session_free(client->session);
        client->conn->served = NULL;
        conn_free(client->conn);
        list_remove(&client->all);
        free(client);
}

/* --- Pairs --- */

static void meter(struct peer_relay *relay, struct joint *joint, const struct udx_path paths[2])
{
        struct udx_meter *meters[2];

        for (unsigned i = 0; i < 2; i++) {
                joint->meters[i] = use_meter(relay, &paths[i].remote);
                meters[i] = joint->meters[i] ? &joint->meters[i]->meter : NULL;
        }
        udx_forward_meter(joint->forward, meters);
}

static bool join(struct peer_relay *relay, const struct relay_event *event, usec_t now_us)
{
        struct joint *joint = calloc(1, sizeof(*joint));
        struct udx_path paths[2];
        uint32_t ids[2];

        if (!joint)
                return false;
        for (unsigned i = 0; i < 2; i++) {
                const struct peer_client *client = event->contexts[i];

                paths[i] = *udx_stream_path(client->conn->stream);
                paths[i].remote_id = event->stream_ids[i];
        }
        if (udx_forward_new(relay->source.set->udx, paths, now_us, &joint->forward) < 0) {
                free(joint);
                return false;
        }
        meter(relay, joint, paths);
        joint->pair = event->pair;
        list_push_back(&relay->joints, &joint->all);
        for (unsigned i = 0; i < 2; i++)
                ids[i] = udx_forward_id(joint->forward, i);
        relay_pair_join(event->pair, joint, ids);
        return true;
}

/* What the pairing has to say, to us and to clients. */
static void settle(struct peer_relay *relay, const struct now *now)
{
        uint8_t frame[RELAY_FRAME_MAX];
        struct relay_event event;
        void *context;
        size_t len;

        while (relay_pairing_event(relay->pairing, &event)) {
                if (event.kind == RELAY_PAIR_OVER)
                        part(relay, event.joint, now->mono_us);
                else if (!join(relay, &event, now->mono_us))
                        relay_pair_drop(event.pair);
        }
        while (relay_pairing_frame(relay->pairing, &context, frame, &len)) {
                struct peer_client *client = context;

                if (!conn_seal(client->conn, frame, len, now->mono_us))
                        conn_end(client->conn);         /* it doesn't read what it asked for */
        }
        arm(relay);
}

/* --- Clients --- */

static void welcome(struct peer_relay *relay, struct conn *conn, const struct now *now)
{
        struct peer_client *client = calloc(1, sizeof(*client));

        if (client)
                client->session = relay_session_new(relay->pairing, conn->remote_key, &udx_stream_path(conn->stream)->remote, client);
        if (!client || !client->session) {
                free(client);
                conn_free(conn);
                return;
        }
        client->relay = relay;
        client->conn = conn;
        client->busy_us = now->mono_us;
        conn->served = client;
        list_push_back(&relay->clients, &client->all);
}

static bool hear(struct peer_client *client, const struct now *now)
{
        const uint8_t *bytes;
        size_t len;

        while ((len = conn_peek(client->conn, &bytes))) {
                if (!relay_session_take(client->session, bytes, len, now->mono_us))
                        return false;
                conn_consume(client->conn, len);
        }
        return !conn_at_end(client->conn);
}

void peer_relay_event(struct peer_relay *relay, const struct peer_event *event, const struct now *now)
{
        struct peer_client *client = event->conn ? event->conn->served : NULL;

        if (event->kind == PEER_UNLISTENED) {
                if (relay->listener == event->listener)
                        relay->listener = NULL;
                return;
        }
        if (event->kind == PEER_ACCEPTED)
                welcome(relay, event->conn, now);
        else if (client && (event->kind == PEER_CONN_CLOSED || !hear(client, now)))
                client_free(client);
        settle(relay, now);
}

static void sweep(struct peer_relay *relay, usec_t now_us)
{
        list_for_each(at, &relay->joints) {
                struct joint *joint = list_entry(at, struct joint, all);
                struct udx_forward_stats stats;

                udx_forward_stats(joint->forward, &stats);
                if (now_us >= stats.passed_us + SILENT_US)
                        relay_pair_drop(joint->pair);
        }
        list_for_each(at, &relay->over) {
                struct joint *joint = list_entry(at, struct joint, all);

                if (now_us >= joint->over_us + LINGER_US)
                        take_apart(relay, joint);
        }
        list_for_each(at, &relay->clients) {
                struct peer_client *client = list_entry(at, struct peer_client, all);

                if (relay_session_is_busy(client->session))
                        client->busy_us = now_us;
                else if (now_us >= client->busy_us + (relay_session_has_asked(client->session) ? SILENT_US : ASK_US))
                        client_free(client);
        }
        relay->sweep_us = now_us + SWEEP_US;
}

void peer_relay_advance(struct peer_relay *relay, const struct now *now)
{
        relay_pairing_advance(relay->pairing, now->mono_us);
        if (now->mono_us >= relay->sweep_us)
                sweep(relay, now->mono_us);
        settle(relay, now);
}

bool peer_is_of_relay(struct peer_source *source)
{
        const struct peer_relay *relay = source->set->relay;
        const struct peer_listener *listener;
        const struct conn *conn;

        switch (source->kind) {
        case PEER_SOURCE_CONN:
                conn = container_of(source, struct conn, source);
                return conn->served || (relay && conn->listener && conn->listener == relay->listener);
        case PEER_SOURCE_LISTENER:
                listener = container_of(source, struct peer_listener, source);
                return listener->forgotten || (relay && listener == relay->listener);
        default:
                return false;
        }
}

/* --- From outside --- */

_Static_assert((int)PEER_PROOFS_MAX == (int)RELAY_PROOFS_MAX, "peer.h says what relay_token.h does");

static void set_limits(struct peer_relay *relay, const struct peer_relay_spec *spec)
{
        struct relay_limits limits = {
                .pairs = spec->pairs, .sessions = spec->pairs ? 2 * spec->pairs + 16 : 0, .per_host = spec->per_host,
        };

        relay_pairing_set_limits(relay->pairing, &limits);
        relay_pairing_demand_proof(relay->pairing, spec->proofs, spec->proof_count, spec->secret_key + 32);
        udx_mux_set_forward_rate(relay->source.set->udx, spec->bytes_per_s);
        relay->bytes_per_s_per_host = spec->bytes_per_s_per_host;
        list_for_each(at, &relay->meters)
                list_entry(at, struct host_meter, all)->meter.bytes_per_s = spec->bytes_per_s_per_host;
}

void peer_relay_free(struct peer_relay *relay)
{
        struct relay_event event;

        if (!relay)
                return;
        list_for_each(at, &relay->clients)
                client_free(list_entry(at, struct peer_client, all));
        while (relay_pairing_event(relay->pairing, &event))
                if (event.kind == RELAY_PAIR_OVER)
                        take_apart(relay, event.joint);
        list_for_each(at, &relay->over)
                take_apart(relay, list_entry(at, struct joint, all));
        relay_pairing_free(relay->pairing);
        peer_source_fini(&relay->source);
        relay->source.set->relay = NULL;
        free(relay);
}

int peer_relay_start(struct peer_set *set, const struct peer_relay_spec *spec, const struct now *now)
{
        struct peer_listen_spec listen_spec = { .secret_key = spec->secret_key };
        static const struct relay_limits no_limits;
        struct peer_relay *relay;
        int r;

        if (set->relay) {
                set_limits(set->relay, spec);
                return 0;
        }
        relay = calloc(1, sizeof(*relay));
        if (!relay)
                return -ENOMEM;
        peer_source_init(&relay->source, PEER_SOURCE_RELAY, set);
        list_init(&relay->clients);
        list_init(&relay->joints);
        list_init(&relay->over);
        list_init(&relay->meters);
        relay->sweep_us = now->mono_us + SWEEP_US;
        set->relay = relay;
        relay->pairing = relay_pairing_new(&no_limits, &set->random);
        r = relay->pairing ? peer_listen(set, &listen_spec, &relay->listener, now) : -ENOMEM;
        if (r < 0) {
                peer_relay_free(relay);
                return r;
        }
        set_limits(relay, spec);
        arm(relay);
        return 0;
}

/* Its clients' streams are cut off with it. The listener's withdrawal reports to nobody. */
void peer_relay_stop(struct peer_set *set, const struct now *now)
{
        if (!set->relay)
                return;
        if (set->relay->listener) {
                set->relay->listener->forgotten = true;
                peer_unlisten(set->relay->listener, now);
        }
        peer_relay_free(set->relay);
}

static void add_joints(const struct list *joints, struct peer_relay_stats *out)
{
        list_for_each(at, joints) {
                struct udx_forward_stats stats;

                udx_forward_stats(list_entry(at, struct joint, all)->forward, &stats);
                out->packets += stats.packets;
                out->bytes += stats.bytes;
                out->dropped += stats.dropped;
        }
}

bool peer_relay_stats(const struct peer_set *set, struct peer_relay_stats *out)
{
        const struct peer_relay *relay = set->relay;
        struct addr addrs[DHT_RELAYS_MAX];
        struct relay_stats stats;

        if (!relay)
                return false;
        relay_pairing_stats(relay->pairing, &stats);
        *out = (struct peer_relay_stats){
                .found = relay->listener && peer_listener_relays(relay->listener, addrs) > 0,
                .clients = stats.sessions,
                .waiting = stats.waiting,
                .pairs = stats.pairs,
                .made = stats.made,
                .refused = stats.limited + stats.evicted,
                .unproven = stats.unproven,
                .packets = relay->packets,
                .bytes = relay->bytes,
                .dropped = relay->dropped,
        };
        add_joints(&relay->joints, out);
        add_joints(&relay->over, out);
        return true;
}
