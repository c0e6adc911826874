/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

void peer_source_init(struct peer_source *source, enum peer_source_kind kind, struct peer_set *set)
{
        source->kind = kind;
        source->set = set;
        list_init(&source->ready);
}

void peer_source_fini(struct peer_source *source)
{
        list_remove(&source->ready);
        heap_remove(&source->set->timers, &source->timer);
}

void peer_source_report(struct peer_source *source, enum peer_event_kind kind)
{
        source->events |= 1u << kind;
        if (list_empty(&source->ready))
                list_push_back(&source->set->ready, &source->ready);
}

int peer_set_new(struct peer_set **set_out, const struct peer_config *config)
{
        struct peer_set *set = calloc(1, sizeof(*set));
        uint8_t key[16], seed[crypto_sign_SEEDBYTES];

        if (!set)
                return -ENOMEM;
        *set = (struct peer_set){
                .random = config->random,
                .udx = config->udx,
                .dht = config->dht,
                .server_socket = config->server_socket,
                .server_local = config->server_local,
                .cipher = config->cipher,
                .receive_limit_bytes = config->receive_limit_bytes,
        };
        peer_guard_init(set);
        random_fill(&set->random, key, sizeof(key));
        map_init(&set->questions, key);
        random_fill(&set->random, seed, sizeof(seed));
        crypto_sign_seed_keypair(set->detour_secret_key + 32, set->detour_secret_key, seed);
        sodium_memzero(seed, sizeof(seed));
        list_init(&set->dials);
        list_init(&set->conns);
        list_init(&set->listeners);
        list_init(&set->sessions);
        list_init(&set->punches);
        list_init(&set->detours);
        list_init(&set->ready);
        *set_out = set;
        return 0;
}

void peer_set_free(struct peer_set *set)
{
        if (!set)
                return;
        peer_relay_free(set->relay);
        list_for_each(at, &set->detours)
                peer_detour_free(list_entry(at, struct peer_detour, all));
        list_for_each(at, &set->sessions)
                peer_session_free(list_entry(at, struct peer_session, all));
        list_for_each(at, &set->dials)
                peer_dial_free(list_entry(at, struct peer_dial, all));
        list_for_each(at, &set->listeners)
                peer_listener_free(list_entry(at, struct peer_listener, all));
        list_for_each(at, &set->conns)
                conn_free(list_entry(at, struct conn, all));
        map_fini(&set->questions);
        sodium_memzero(set->detour_secret_key, sizeof(set->detour_secret_key));
        free(set);
}

void peer_set_local_addresses(struct peer_set *set, const struct addr *addrs, size_t count)
{
        set->local_count = MIN(count, (size_t)PEER_LOCAL_MAX);
        for (size_t i = 0; i < set->local_count; i++)
                set->local[i] = addrs[i];
}

void peer_set_receive_limit(struct peer_set *set, size_t receive_limit_bytes)
{
        set->receive_limit_bytes = receive_limit_bytes;
}

static struct peer_dial *dial_of_query(struct peer_set *set, const struct dht_query *query)
{
        list_for_each(at, &set->dials) {
                struct peer_dial *dial = list_entry(at, struct peer_dial, all);

                if (dial->query == query)
                        return dial;
        }
        return NULL;
}

static void on_query_done(struct peer_dial *dial, const struct dht_event *event, const struct now *now)
{
        if (dial)
                peer_dial_dht_event(dial, event, now);
}

bool peer_dht_event(struct peer_set *set, const struct dht_event *event, const struct now *now)
{
        struct peer_listener *listener = event->context;
        struct peer_punch *punch;
        struct peer_dial *dial;

        set->now_us = now->mono_us;
        switch (event->kind) {
        case DHT_HANDSHAKE:
                peer_session_start(listener, event, now);
                return true;
        case DHT_RELAYS_CHANGED:
                peer_source_report(&listener->source, PEER_RELAYS_CHANGED);
                return true;
        case DHT_UNLISTENED:
                peer_source_report(&listener->source, PEER_UNLISTENED);
                return true;
        case DHT_PEER_FOUND:
        case DHT_HANDSHAKE_ANSWERED:
        case DHT_HANDSHAKE_FAILED:
                peer_dial_dht_event(event->context, event, now);
                return true;
        case DHT_PUNCH:
                punch = peer_punch_find(set, listener, event->punch_id, now);
                if (punch)
                        peer_punch_asked(punch, event, now);
                return true;
        case DHT_PUNCH_ANSWERED:
        case DHT_PUNCH_FAILED:
                peer_punch_dht_event(event->context, event, now);
                return true;
        case DHT_QUERY_DONE:    /* topics are somebody else's */
                dial = event->query ? dial_of_query(set, event->query) : NULL;
                on_query_done(dial, event, now);
                return dial != NULL;
        case DHT_ADDRESS_CHANGED:
        case DHT_MOVED:
                peer_detour_ground_moved(set, now);
                break;
        case DHT_BOOTSTRAPPED:
        case DHT_HEARD_AGAIN:
        case DHT_PEER_LISTED:
        case DHT_PONG:
        case DHT_PING_FAILED:
                break;
        }
        return false;
}

static void advance(struct peer_source *source, const struct now *now)
{
        switch (source->kind) {
        case PEER_SOURCE_CONN:
                conn_advance(container_of(source, struct conn, source), now->mono_us);
                break;
        case PEER_SOURCE_DIAL:
                peer_dial_advance(container_of(source, struct peer_dial, source), now);
                break;
        case PEER_SOURCE_SESSION:
                peer_session_advance(container_of(source, struct peer_session, source), now);
                break;
        case PEER_SOURCE_PUNCH:
                peer_punch_advance(container_of(source, struct peer_punch, source), now);
                break;
        case PEER_SOURCE_DETOUR:
                peer_detour_advance(container_of(source, struct peer_detour, source), now);
                break;
        case PEER_SOURCE_RELAY:
                peer_relay_advance(source->set->relay, now);
                break;
        case PEER_SOURCE_LISTENER:
                break;
        }
}

void peer_advance(struct peer_set *set, const struct now *now)
{
        struct heap_entry *entry;

        set->now_us = now->mono_us;
        while ((entry = heap_pop_due(&set->timers, now->mono_us)))
                advance(container_of(entry, struct peer_source, timer), now);
}

usec_t peer_deadline(const struct peer_set *set)
{
        return list_empty(&set->ready) ? usec_min(heap_deadline(&set->timers), peer_socket_deadline(set)) : 0;
}

/* May free what @source is in. */
static void tell(struct peer_source *source, enum peer_event_kind kind, struct peer_event *out)
{
        *out = (struct peer_event){ .kind = kind };
        switch (source->kind) {
        case PEER_SOURCE_CONN:
                conn_tell(container_of(source, struct conn, source), kind, out);
                break;
        case PEER_SOURCE_DIAL:
                peer_dial_tell(container_of(source, struct peer_dial, source), out);
                break;
        case PEER_SOURCE_SESSION:
                peer_session_tell(container_of(source, struct peer_session, source), out);
                break;
        case PEER_SOURCE_LISTENER:
                peer_listener_tell(container_of(source, struct peer_listener, source), kind, out);
                break;
        case PEER_SOURCE_PUNCH:         /* these tell whom they work for */
        case PEER_SOURCE_DETOUR:
        case PEER_SOURCE_RELAY:
                break;
        }
}

/* Whose detour to a relay @source is a part of, if it is one. */
static struct peer_detour *detour_of(struct peer_source *source)
{
        const struct conn *conn;

        switch (source->kind) {
        case PEER_SOURCE_DIAL:
                return container_of(source, struct peer_dial, source)->detour;
        case PEER_SOURCE_CONN:
                conn = container_of(source, struct conn, source);
                return conn->dial ? conn->dial->detour : conn->control_of;
        default:
                return NULL;
        }
}

/* The next event of whoever has one; false: nobody has. True for @ours: it was for ourselves. */
static bool next_event(struct peer_set *set, struct peer_event *out, bool *ours, const struct now *now)
{
        struct peer_source *source;
        struct udx_event event;
        enum peer_event_kind kind;
        struct peer_detour *detour;
        bool relays;

        while (udx_mux_event(set->udx, &event))
                conn_udx_event(event.context, &event, now);
        if (list_empty(&set->ready))
                return false;
        source = list_entry(list_first(&set->ready), struct peer_source, ready);
        kind = (enum peer_event_kind)__builtin_ctz(source->events);
        source->events &= ~(1u << kind);
        list_remove(&source->ready);
        if (source->events)
                list_push_back(&set->ready, &source->ready);
        detour = detour_of(source);
        relays = peer_is_of_relay(source);
        *ours = detour || relays;
        tell(source, kind, out);
        if (detour)
                peer_detour_event(detour, out, now);
        else if (relays && set->relay)
                peer_relay_event(set->relay, out, now);
        return true;
}

bool peer_event(struct peer_set *set, struct peer_event *out, const struct now *now)
{
        bool ours;

        set->now_us = now->mono_us;
        while (next_event(set, out, &ours, now))
                if (!ours)
                        return true;
        return false;
}

bool peer_struggles(const struct peer_set *set, const struct now *now)
{
        list_for_each(at, &set->dials)
                if (peer_dial_struggles(list_entry(at, struct peer_dial, all), now))
                        return true;
        list_for_each(at, &set->sessions)
                if (peer_session_struggles(list_entry(at, struct peer_session, all), now))
                        return true;
        return false;
}

/* A timer that is set while there is no connection belongs to an attempt, or to a relay's life. */
static size_t half_open(const struct peer_set *set)
{
        size_t count = set->dial_count + set->session_count + (set->gate.inside > 0) + (!set->conn_count && set->timers.root);

        list_for_each(at, &set->punches)
                count++;
        return count;
}

void peer_stats(const struct peer_set *set, struct peer_stats *out)
{
        *out = set->stats;
        out->dials = set->dial_count;
        out->sessions = set->session_count;
        out->conns = set->conn_count;
        out->half_open = half_open(set);
        out->sockets = set->sockets_out;
}

enum nat_class peer_nat(const struct peer_set *set)
{
        struct addr open;

        return dht_open_addr(set->dht, &open) ? NAT_OPEN : peer_own_class(set);
}
