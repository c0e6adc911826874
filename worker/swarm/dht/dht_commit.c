/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows the walk of an announcement or a withdrawal: signed for one node and its token, sent to each that counts. */
#include "dht_private.h"

#include <assert.h>

enum { RELAYS_BYTES = DHT_PEER_RELAYS_MAX * WIRE_ADDR_BYTES };

/* Into @bytes, and the record leads there. */
static struct dht_record record_of(const uint8_t secret_key[DHT_SECRET_KEY_BYTES], const struct addr *relays, size_t count,
                                   uint8_t bytes[RELAYS_BYTES])
{
        struct writer w = writer_over(bytes, RELAYS_BYTES);

        for (size_t i = 0; i < count; i++)
                wire_write_addr(&w, &relays[i]);
        assert(!w.failed);
        return (struct dht_record){ secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, bytes, count };
}

struct rpc_request *dht_claim_send(struct dht *dht, const struct dht_claim_spec *spec, const struct now *now)
{
        uint8_t relays[RELAYS_BYTES], signature[DHT_SIGNATURE_BYTES], value[DHT_ANNOUNCE_MAX];
        struct writer w = writer_over(value, sizeof(value));
        struct dht_announce announce = {
                .has_record = true,
                .record = record_of(spec->secret_key, spec->relays, spec->relay_count, relays),
                .signature = signature,
        };
        struct dht_scope scope = { spec->target, spec->node_id, spec->token };
        struct rpc_request_spec request = {
                .to = spec->to,
                .command = spec->claim == DHT_CLAIM_ANNOUNCE ? DHT_COMMAND_ANNOUNCE : DHT_COMMAND_UNANNOUNCE,
                .target = spec->target, .token = spec->token, .value = value, .retries = spec->retries, .kind = spec->ask,
                .context = spec->context,
        };

        dht_claim_sign(spec->claim, &scope, &announce, spec->secret_key, signature);
        dht_announce_write(&w, &announce);
        assert(!w.failed);
        request.value_len = writer_len(&w);
        return rpc_request(dht->rpc, &request, now->mono_us);
}

static void commit_send(struct dht *dht, struct dht_query *query, struct dht_visit *visit, enum dht_commit_state commit,
                        const struct now *now)
{
        bool announces = commit == DHT_COMMIT_ANNOUNCING;
        struct dht_claim_spec spec = {
                .claim = announces ? DHT_CLAIM_ANNOUNCE : DHT_CLAIM_UNANNOUNCE,
                .target = query->target, .secret_key = query->secret_key, .node_id = visit->id, .token = visit->token,
                .relays = query->relays, .relay_count = announces ? query->relay_count : 0,
                .to = visit->addr, .retries = RPC_RETRIES, .ask = DHT_ASK_COMMIT, .context = query,
        };

        visit->request = dht_claim_send(dht, &spec, now);
        visit->commit = visit->request ? commit : DHT_COMMIT_SETTLED;
        query->committing += visit->request != NULL;
}

void dht_commit_withdraw(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct now *now)
{
        commit_send(dht, query, visit, DHT_COMMIT_WITHDRAWING, now);
}

static bool is_closest(const struct dht_query *query, const struct dht_visit *visit)
{
        for (size_t i = 0; i < query->closest_count; i++)
                if (&query->visits[query->closest[i]] == visit)
                        return true;
        return false;
}

static void finish_if_settled(struct dht *dht, struct dht_query *query, const struct now *now)
{
        if (query->phase == DHT_QUERY_COMMITTING && query->committing == 0)
                dht_query_finish(dht, query, now);
}

static bool is_among_nearest(const struct dht *dht, const struct dht_query *query)
{
        return query->closest_count < DHT_K ||
               dht_id_compare(query->target, dht->id, query->visits[query->closest[DHT_K - 1]].id) < 0;
}

/* Nobody asks itself, but others may ask us. HyperDHT withdraws from its own store, too (index.js lookupAndUnannounce()), but never
 * announces there: who was all of a network would not be found in it. */
static void commit_here(struct dht *dht, struct dht_query *query, const struct now *now)
{
        uint8_t relays[RELAYS_BYTES];
        struct dht_record record = record_of(query->secret_key, query->relays, query->relay_count, relays);

        if (query->operation == DHT_UNANNOUNCE)
                dht_store_remove(dht->store, query->target, record.public_key);
        else if (query->operation == DHT_ANNOUNCE && is_among_nearest(dht, query))
                query->accepted += dht_store_add(dht->store, query->target, &record, &dht->public_addr, now->mono_us);
}

void dht_commit_begin(struct dht *dht, struct dht_query *query, const struct now *now)
{
        if (dht->persistent)
                commit_here(dht, query, now);
        for (size_t i = 0; query->operation == DHT_ANNOUNCE && i < query->closest_count; i++) {
                struct dht_visit *visit = &query->visits[query->closest[i]];

                if (visit->has_token && visit->commit != DHT_COMMIT_WITHDRAWING)
                        commit_send(dht, query, visit, DHT_COMMIT_ANNOUNCING, now);
        }
        finish_if_settled(dht, query, now);
}

/* The token had run out while we walked; the refusal brings a fresh one. */
static bool take_new_token(struct dht_visit *visit, const struct rpc_event *event)
{
        const struct rpc_message *message = &event->message;

        if (event->kind != RPC_RESPONSE || message->error != RPC_ERROR_INVALID_TOKEN || !message->token || visit->retried)
                return false;
        memcpy(visit->token, message->token, sizeof(visit->token));
        visit->retried = true;
        return true;
}

static void commit_settled(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct rpc_event *event,
                           const struct now *now)
{
        enum dht_commit_state commit = visit->commit;
        bool counts = (commit == DHT_COMMIT_ANNOUNCING) == (query->operation == DHT_ANNOUNCE);

        visit->commit = DHT_COMMIT_SETTLED;
        if (take_new_token(visit, event))
                commit_send(dht, query, visit, commit, now);
        else if (event->kind == RPC_RESPONSE && event->message.error == RPC_ERROR_NONE && counts)
                query->accepted++;
        /* An announcement waited for the withdrawal there: overtaken by it, it would be gone. */
        if (visit->commit == DHT_COMMIT_SETTLED && commit == DHT_COMMIT_WITHDRAWING && query->operation == DHT_ANNOUNCE &&
            query->phase == DHT_QUERY_COMMITTING && is_closest(query, visit))
                commit_send(dht, query, visit, DHT_COMMIT_ANNOUNCING, now);
}

void dht_query_committed(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_query *query = event->context;

        if (event->kind == RPC_SLOW)
                return;
        for (size_t i = 0; i < query->visit_count; i++) {
                struct dht_visit *visit = &query->visits[i];

                if (visit->request != event->request)
                        continue;
                visit->request = NULL;
                query->committing--;
                commit_settled(dht, query, visit, event, now);
                break;
        }
        finish_if_settled(dht, query, now);
}
