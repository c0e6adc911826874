/* SPDX-License-Identifier: BSD-3-Clause */
/* What others ask of us, and what we answer: a row per command. Malformed or disallowed requests get silence. */
#include "dht_mutable.h"
#include "dht_private.h"

#include <sodium.h>
#include <stdlib.h>

enum {
        DELAY_MAX_MS = 10000,           /* dht-rpc lib/commands.js: a longer DELAYED_PING is not answered */
        PONGS_MAX = 1024,
        PONGS_PER_HOST = 4,
};

struct service {
        void (*serve)(struct dht *dht, const struct rpc_event *event, const struct now *now);
        bool needs_store;               /* only persistent nodes know this command */
};

static void reply_empty(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        rpc_reply(dht->rpc, event, &(struct rpc_reply){ .error = RPC_ERROR_NONE }, now->mono_us);
}

/* With the nodes nearest to the target, when there is one; @token: for what may follow. */
static void reply_closer(struct dht *dht, const struct rpc_event *event, uint64_t error, bool token, const void *value,
                         size_t value_len, const struct now *now)
{
        struct addr closer[DHT_K];
        struct rpc_reply reply = {
                .error = error, .token = token, .closer = closer, .closer_count = dht_closer(dht, event->message.target, closer),
                .value = value, .value_len = value_len,
        };

        rpc_reply(dht->rpc, event, &reply, now->mono_us);
}

/* --- Internal commands --- */

/* The answer goes to another port of the same host, by the socket the question came by. */
static void serve_ping_nat(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct reader r = reader_over(event->message.value, event->message.value_len);
        struct addr to = event->from;

        to.port = read_u16le(&r);
        if (!r.failed && to.port)
                rpc_reply_to(dht->rpc, event->socket, &to, event->message.tid, &(struct rpc_reply){ .error = RPC_ERROR_NONE },
                             now->mono_us);
}

static void serve_find_node(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        if (event->message.target)
                reply_closer(dht, event, RPC_ERROR_NONE, false, NULL, 0, now);
}

static void serve_down_hint(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct reader r = reader_over(event->message.value, event->message.value_len);
        struct addr down = wire_read_addr(&r);

        if (r.failed)
                return;
        if (rpc_allow(dht->rpc, &event->from, RPC_COST_RELAY, now->mono_us))
                dht_upkeep_doubt(dht, &down, now);
        reply_empty(dht, event, now);
}

static size_t pongs_of_host(const struct dht *dht, const struct addr *host)
{
        size_t count = 0;

        list_for_each(at, &dht->pongs)
                count += addr_host_equal(&list_entry(at, struct dht_pong, entry)->to, host);
        return count;
}

static void serve_delayed_ping(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct reader r = reader_over(event->message.value, event->message.value_len);
        uint32_t delay_ms = read_u32le(&r);
        struct dht_pong *pong;

        if (r.failed || delay_ms > DELAY_MAX_MS || !rpc_allow(dht->rpc, &event->from, RPC_COST_DELAY, now->mono_us) ||
            dht->pong_count >= PONGS_MAX || pongs_of_host(dht, &event->from) >= PONGS_PER_HOST)
                return;
        pong = calloc(1, sizeof(*pong));
        if (!pong)
                return;
        pong->due.kind = DHT_DUE_PONG;
        pong->socket = event->socket;
        pong->to = event->from;
        pong->tid = event->message.tid;
        list_push_back(&dht->pongs, &pong->entry);
        dht->pong_count++;
        dht_due_set(dht, &pong->due, now->mono_us + MSEC(delay_ms));
}

void dht_pong_free(struct dht *dht, struct dht_pong *pong)
{
        dht_due_set(dht, &pong->due, USEC_NEVER);
        list_remove(&pong->entry);
        dht->pong_count--;
        free(pong);
}

void dht_pong_due(struct dht *dht, struct dht_due *due, const struct now *now)
{
        struct dht_pong *pong = container_of(due, struct dht_pong, due);

        rpc_reply_to(dht->rpc, pong->socket, &pong->to, pong->tid, &(struct rpc_reply){ .error = RPC_ERROR_NONE }, now->mono_us);
        dht_pong_free(dht, pong);
}

/* --- Records --- */

/* A server of this process is reached right here, whatever else is announced to us about its key: hyperdht lib/router.js set(). */
static bool own_record(const struct dht *dht, const uint8_t *target, struct dht_record *out)
{
        const struct dht_listener *listener = dht_listener_of(dht, target);

        if (listener)
                *out = (struct dht_record){ .public_key = listener->secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES };
        return listener;
}

static void serve_find_peer(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        uint8_t value[DHT_KEPT_RECORD_MAX];
        struct writer w = writer_over(value, sizeof(value));
        struct dht_record record;

        if (!event->message.target)
                return;
        if (own_record(dht, event->message.target, &record) ||
            dht_store_forward_record(dht->store, event->message.target, &record))
                dht_record_write(&w, &record);
        reply_closer(dht, event, RPC_ERROR_NONE, true, writer_len(&w) ? value : NULL, writer_len(&w), now);
}

static void serve_lookup(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        uint8_t value[DHT_LOOKUP_MAX];
        struct writer w = writer_over(value, sizeof(value));
        struct dht_lookup lookup;
        struct dht_record own;

        if (!event->message.target)
                return;
        dht_store_lookup(dht->store, event->message.target, &lookup);
        if (lookup.count < DHT_RECORDS_PER_LOOKUP && own_record(dht, event->message.target, &own))
                lookup.records[lookup.count++] = own;
        if (lookup.count > 0)
                dht_lookup_write(&w, &lookup);
        reply_closer(dht, event, RPC_ERROR_NONE, true, writer_len(&w) ? value : NULL, writer_len(&w), now);
}

/* A claim of a peer's, signed for us and for a token of ours. The signature is what costs: it is looked at last. */
static bool read_claim(struct dht *dht, const struct rpc_event *event, enum dht_claim claim, struct dht_announce *out,
                       const struct now *now)
{
        const struct rpc_message *message = &event->message;
        struct dht_scope scope = { message->target, dht->id, message->token };

        return message->target && message->token && message->value &&
               dht_announce_decode(message->value, message->value_len, out) && out->has_record && out->signature &&
               rpc_allow(dht->rpc, &event->from, RPC_COST_SIGNATURE, now->mono_us) && dht_claim_verify(claim, &scope, out);
}

static bool is_self(const struct dht_announce *announce, const uint8_t *target)
{
        uint8_t own[DHT_TARGET_BYTES];

        dht_target(announce->record.public_key, own);
        return dht_id_equal(own, target);
}

/* What the store has no room for is answered as if it had: its sender has its share. */
static void serve_announce(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *target = event->message.target;
        struct dht_announce announce;

        if (!read_claim(dht, event, DHT_CLAIM_ANNOUNCE, &announce, now))
                return;
        if (is_self(&announce, target)) {
                if (!dht_listener_of(dht, target))
                        dht_store_forward_set(dht->store, target, &announce.record, &event->from, now->mono_us);
                dht_store_remove(dht->store, target, announce.record.public_key);
        } else {
                dht_store_add(dht->store, target, &announce.record, &event->from, now->mono_us);
                dht_store_bump(dht->store, target, announce.bump, now->wall_us / 1000);
        }
        reply_empty(dht, event, now);
}

static void serve_unannounce(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *target = event->message.target;
        struct dht_announce announce;

        if (!read_claim(dht, event, DHT_CLAIM_UNANNOUNCE, &announce, now))
                return;
        if (is_self(&announce, target))
                dht_store_forward_remove(dht->store, target);
        dht_store_remove(dht->store, target, announce.record.public_key);
        reply_empty(dht, event, now);
}

/* --- Values --- */

static void serve_mutable_get(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct reader r = reader_over(event->message.value, event->message.value_len);
        uint64_t wanted_seq = wire_read_uint(&r);
        struct dht_mutable held;
        const uint8_t *value;
        size_t len = 0;

        if (!event->message.target || r.failed)
                return;
        value = dht_vault_get(dht->vault, DHT_VAULT_MUTABLE, event->message.target, &len);
        if (value && (!dht_mutable_decode(value, len, &held) || held.seq < wanted_seq))
                value = NULL;
        reply_closer(dht, event, RPC_ERROR_NONE, true, value, value ? len : 0, now);
}

/* A value under its own key's target. The signature is what costs: it is looked at last. */
static bool read_mutable_put(struct dht *dht, const struct rpc_event *event, struct dht_mutable *out, const struct now *now)
{
        const struct rpc_message *message = &event->message;
        uint8_t target[DHT_TARGET_BYTES];

        if (!message->target || !message->token || !message->value ||
            !dht_mutable_put_decode(message->value, message->value_len, out))
                return false;
        dht_target(out->public_key, target);
        return dht_id_equal(target, message->target) && rpc_allow(dht->rpc, &event->from, RPC_COST_SIGNATURE, now->mono_us) &&
               dht_mutable_verify(out);
}

static uint64_t mutable_conflict(const struct dht *dht, const uint8_t *target, const struct dht_mutable *put)
{
        struct dht_mutable held;
        size_t len;
        const uint8_t *bytes = dht_vault_get(dht->vault, DHT_VAULT_MUTABLE, target, &len);

        if (!bytes || !dht_mutable_decode(bytes, len, &held))
                return RPC_ERROR_NONE;
        if (held.seq > put->seq)
                return RPC_ERROR_SEQ_TOO_LOW;
        if (held.seq < put->seq || (held.value_len == put->value_len && memcmp(held.value, put->value, put->value_len) == 0))
                return RPC_ERROR_NONE;
        return RPC_ERROR_SEQ_REUSED;
}

static void serve_mutable_put(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *target = event->message.target;
        uint8_t bytes[RPC_DATAGRAM_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct dht_mutable put;
        uint64_t error;

        if (!read_mutable_put(dht, event, &put, now))
                return;
        error = mutable_conflict(dht, target, &put);
        if (error == RPC_ERROR_NONE) {
                dht_mutable_write(&w, &put);
                dht_vault_put(dht->vault, DHT_VAULT_MUTABLE, target, bytes, writer_len(&w), &event->from, now->mono_us);
        }
        reply_closer(dht, event, error, error == RPC_ERROR_NONE, NULL, 0, now);
}

static void serve_immutable_get(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *value;
        size_t len = 0;

        if (!event->message.target)
                return;
        value = dht_vault_get(dht->vault, DHT_VAULT_IMMUTABLE, event->message.target, &len);
        reply_closer(dht, event, RPC_ERROR_NONE, true, value, len, now);
}

static void serve_immutable_put(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const struct rpc_message *message = &event->message;
        uint8_t target[DHT_TARGET_BYTES];

        if (!message->target || !message->token || !message->value)
                return;
        crypto_generichash(target, sizeof(target), message->value, message->value_len, NULL, 0);
        if (!dht_id_equal(target, message->target))
                return;
        dht_vault_put(dht->vault, DHT_VAULT_IMMUTABLE, target, message->value, message->value_len, &event->from, now->mono_us);
        reply_closer(dht, event, RPC_ERROR_NONE, true, NULL, 0, now);
}

/* --- Dispatch --- */

static const struct service internal_services[] = {
        [RPC_PING] = { reply_empty },
        [RPC_PING_NAT] = { serve_ping_nat },
        [RPC_FIND_NODE] = { serve_find_node },
        [RPC_DOWN_HINT] = { serve_down_hint },
        [RPC_DELAYED_PING] = { serve_delayed_ping },
};

static const struct service services[] = {
        [DHT_PEER_HANDSHAKE] = { dht_handshake_serve },
        [DHT_PEER_HOLEPUNCH] = { dht_punch_serve },
        [DHT_COMMAND_FIND_PEER] = { serve_find_peer, true },
        [DHT_COMMAND_LOOKUP] = { serve_lookup, true },
        [DHT_COMMAND_ANNOUNCE] = { serve_announce, true },
        [DHT_COMMAND_UNANNOUNCE] = { serve_unannounce, true },
        [DHT_MUTABLE_PUT] = { serve_mutable_put, true },
        [DHT_MUTABLE_GET] = { serve_mutable_get, true },
        [DHT_IMMUTABLE_PUT] = { serve_immutable_put, true },
        [DHT_IMMUTABLE_GET] = { serve_immutable_get, true },
};

static const struct service *service_of(const struct dht *dht, const struct rpc_message *message)
{
        const struct service *rows = message->internal ? internal_services : services;
        size_t count = message->internal ? ARRAY_LEN(internal_services) : ARRAY_LEN(services);

        if (message->command >= count || !rows[message->command].serve)
                return NULL;
        return rows[message->command].needs_store && !dht->persistent ? NULL : &rows[message->command];
}

void dht_serve(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const struct rpc_message *message = &event->message;
        const struct service *service = service_of(dht, message);

        if (message->token && !event->token_valid) {
                reply_closer(dht, event, RPC_ERROR_INVALID_TOKEN, true, NULL, 0, now);
                return;
        }
        dht_upkeep_heard(dht, event, now);
        if (service)
                service->serve(dht, event, now);
        else
                reply_closer(dht, event, RPC_ERROR_UNKNOWN_COMMAND, false, NULL, 0, now);
}
