/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

static bool is_listening(const struct peer_set *set, const uint8_t secret_key[PEER_SECRET_KEY_BYTES])
{
        list_for_each(at, &set->listeners) {
                struct peer_listener *listener = list_entry(at, struct peer_listener, all);

                if (memcmp(peer_listener_key(listener), secret_key + 32, PEER_KEY_BYTES) == 0)
                        return true;
        }
        return false;
}

int peer_listen(struct peer_set *set, const struct peer_listen_spec *spec, struct peer_listener **listener_out,
                const struct now *now)
{
        struct peer_listener *listener;

        if (is_listening(set, spec->secret_key))
                return -EEXIST;
        listener = calloc(1, sizeof(*listener));
        if (!listener)
                return -ENOMEM;
        listener->dht_listener = dht_listen(set->dht, spec->secret_key, listener, now);
        if (!listener->dht_listener) {
                free(listener);
                return -ENOMEM;
        }
        peer_source_init(&listener->source, PEER_SOURCE_LISTENER, set);
        list_push_back(&set->listeners, &listener->all);
        memcpy(listener->secret_key, spec->secret_key, sizeof(listener->secret_key));
        listener->context = spec->context;
        listener->ask = spec->ask;
        *listener_out = listener;
        return 0;
}

void peer_listener_free(struct peer_listener *listener)
{
        peer_source_fini(&listener->source);
        list_remove(&listener->all);
        sodium_memzero(listener->secret_key, sizeof(listener->secret_key));
        sodium_memzero(listener->relay_proof, sizeof(listener->relay_proof));
        free(listener);
}

/* One that is open, but nobody was told of yet. Others may go with it. */
static bool free_untold(const struct peer_listener *listener)
{
        list_for_each(at, &listener->source.set->conns) {
                struct conn *conn = list_entry(at, struct conn, all);

                if (conn->listener != listener)
                        continue;
                conn_free(conn);
                return true;
        }
        return false;
}

void peer_unlisten(struct peer_listener *listener, const struct now *now)
{
        struct peer_set *set = listener->source.set;

        if (listener->closing)
                return;
        listener->closing = true;
        list_for_each(at, &set->sessions) {
                struct peer_session *session = list_entry(at, struct peer_session, all);

                if (session->listener == listener)
                        peer_session_free(session);
        }
        while (free_untold(listener))
                ;
        dht_unlisten(set->dht, listener->dht_listener, false, now);
}

void peer_listener_tell(struct peer_listener *listener, enum peer_event_kind kind, struct peer_event *out)
{
        out->listener = listener;
        out->context = listener->context;
        if (kind == PEER_UNLISTENED)
                peer_listener_free(listener);
}

void peer_listener_relay_through(struct peer_listener *listener, const uint8_t *key, const uint8_t *proof, bool always)
{
        listener->has_relay_through = key != NULL;
        listener->has_proof = proof != NULL;
        listener->always_offers = always;
        if (key)
                memcpy(listener->relay_key, key, sizeof(listener->relay_key));
        if (proof)
                memcpy(listener->relay_proof, proof, sizeof(listener->relay_proof));
}

const uint8_t *peer_listener_key(const struct peer_listener *listener)
{
        return listener->secret_key + 32;
}

/* A server that strangers reach is the first of its own relays. */
size_t peer_listener_relays(const struct peer_listener *listener, struct addr out[DHT_RELAYS_MAX])
{
        struct dht_relay relays[DHT_RELAYS_MAX];
        size_t relay_count = listener->closing ? 0 : dht_listener_relays(listener->dht_listener, relays);
        size_t count = relay_count && dht_open_addr(listener->source.set->dht, &out[0]) ? 1 : 0;

        for (size_t i = 0; i < relay_count && count < DHT_RELAYS_MAX; i++)
                out[count++] = relays[i].relay;
        return count;
}
