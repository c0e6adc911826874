/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk: asks the nearest nodes known for nearer ones, until nobody nearer is left to ask. */
#include "dht_private.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum {
        CONCURRENCY = 10,
        CONCURRENCY_BACKGROUND = 2,     /* while anything else is going on */
        BUSY_IN_FLIGHT = 3,
        SUCCESSES_FEW = DHT_K / 4,      /* with fewer, seeds alone were not enough: ask the table too */
        NEW_PER_NET_AND_REPLY = 2,      /* nodes of one /24 that one reply may add */
        NEW_PER_NET = 8,                /* and all replies together */
};

#define PATIENCE_US MSEC(1500)          /* for those asked last, at most */
#define HELD_LIMIT_US SECONDS(10)

/* --- Asking --- */

struct question {
        bool internal;
        uint64_t command;
};

static struct question question_of(enum dht_operation operation)
{
        static const struct question questions[] = {
                [DHT_FIND_NODE] = { true, RPC_FIND_NODE },
                [DHT_FIND_PEER] = { false, DHT_COMMAND_FIND_PEER },
                [DHT_LOOKUP] = { false, DHT_COMMAND_LOOKUP },
                [DHT_ANNOUNCE] = { false, DHT_COMMAND_LOOKUP },
                [DHT_UNANNOUNCE] = { false, DHT_COMMAND_LOOKUP },
        };

        return questions[operation];
}

static void visit_ask(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct now *now)
{
        struct question question = question_of(query->operation);
        struct rpc_request_spec spec = {
                .to = visit->addr, .internal = question.internal, .command = question.command, .target = query->target,
                .retries = query->retries, .kind = DHT_ASK_VISIT, .context = query,
        };

        visit->asked_us = query->asked_us = now->mono_us;
        visit->request = rpc_request(dht->rpc, &spec, now->mono_us);
        visit->state = visit->request ? DHT_VISIT_ASKED : DHT_VISIT_DOWN;
        if (visit->request)
                query->in_flight++;
        else
                query->errors++;
}

static unsigned limit_of(const struct dht *dht, const struct dht_query *query)
{
        bool yields = query->background && rpc_in_flight(dht->rpc) >= BUSY_IN_FLIGHT;

        return (yields ? CONCURRENCY_BACKGROUND : CONCURRENCY) + query->slow;
}

/* As many answers from the part of the network it is about as it needs. */
static bool has_enough(const struct dht_query *query)
{
        return query->enough && query->closest_count >= query->enough &&
               dht_id_shared_bits(query->target, query->visits[query->closest[query->enough - 1]].id) >= query->enough_bits;
}

/* True: nobody is left to ask. */
static bool ask_pending(struct dht *dht, struct dht_query *query, const struct now *now)
{
        struct dht_visit *visit;

        while ((visit = dht_visit_nearest(query))) {
                if (has_enough(query) || (!visit->detour && !dht_visit_is_closer(query, visit->id)))
                        visit->state = DHT_VISIT_LEFT;
                else if (query->in_flight >= limit_of(dht, query))
                        return false;
                else
                        visit_ask(dht, query, visit, now);
        }
        return true;
}

static void add_bootstrap(struct dht *dht, struct dht_query *query)
{
        for (size_t i = 0; i < dht->bootstrap.count && dht_visits_pending(query) < DHT_K; i++)
                dht_visit_add(dht, query, &dht->bootstrap.addrs[i]);
}

static void add_from_table(struct dht *dht, struct dht_query *query)
{
        const struct dht_node *nodes[DHT_K];
        size_t count = dht_table_closest(dht->table, query->target, nodes, DHT_K);

        query->table_used = true;
        for (size_t i = 0; i < count && dht_visits_pending(query) < DHT_K; i++)
                dht_visit_add(dht, query, &nodes[i]->addr);
        add_bootstrap(dht, query);
}

/* --- The end of the walk --- */

static void hint_referrers(struct dht *dht, const struct dht_query *query, const struct dht_visit *visit, const struct now *now)
{
        for (unsigned i = 0; i < visit->referrer_count; i++)
                dht_upkeep_hint(dht, &query->visits[visit->referrers[i]].addr, &visit->addr, now);
}

/* Whoever has not answered by now is not waited for, and may be down. */
static void leave_visits(struct dht *dht, struct dht_query *query, const struct now *now)
{
        for (size_t i = 0; i < query->visit_count; i++) {
                struct dht_visit *visit = &query->visits[i];

                if (visit->state != DHT_VISIT_ASKED && visit->state != DHT_VISIT_SLOW)
                        continue;
                hint_referrers(dht, query, visit, now);
                dht_upkeep_missed(dht, &visit->addr, now);
                rpc_cancel(dht->rpc, visit->request);
                visit->request = NULL;
                visit->state = DHT_VISIT_LEFT;
        }
        query->in_flight = query->slow = 0;
}

/* How long those asked last may take when nobody else is left to ask: time for the answer to their second send, and to be much slower
 * than all the others. JavaScript nodes give slow ones up at once when there are DHT_K answers, which under loss misses a tenth of the
 * nearest, or else wait out all their sends, which in a small network is 6 s for every dead node in it. But a withdrawal has to reach
 * everybody. */
static usec_t patience(const struct dht *dht, const struct dht_query *query)
{
        if (query->operation == DHT_UNANNOUNCE || !query->slowest_us)
                return PATIENCE_US;
        return usec_min(usec_max(rpc_timer(dht->rpc) + 2 * query->slowest_us, 4 * query->slowest_us), PATIENCE_US);
}

/* Goes on as far as possible. The query may be gone afterwards, unless it is a caller's. */
static void pump(struct dht *dht, struct dht_query *query, const struct now *now)
{
        bool asked_all;

        do {
                asked_all = ask_pending(dht, query, now);
                if (asked_all && !query->table_used && query->in_flight == 0 && query->successes < SUCCESSES_FEW) {
                        add_from_table(dht, query);
                        asked_all = ask_pending(dht, query, now);
                }
                if (!asked_all || query->in_flight) {
                        dht_due_set(dht, &query->due,
                                    asked_all && query->closest_count ? query->asked_us + patience(dht, query) : USEC_NEVER);
                        return;
                }
        } while (!has_enough(query) && dht_detour(dht, query));
        dht_due_set(dht, &query->due, USEC_NEVER);
        query->phase = DHT_QUERY_COMMITTING;
        dht_commit_begin(dht, query, now);
}

void dht_query_due(struct dht *dht, struct dht_due *due, const struct now *now)
{
        struct dht_query *query = container_of(due, struct dht_query, due);

        if (query->phase == DHT_QUERY_HELD) {
                dht_query_finish(dht, query, now);
                return;
        }
        leave_visits(dht, query, now);
        pump(dht, query, now);
}

/* --- Answers --- */

static void closest_insert(struct dht_query *query, uint16_t index)
{
        size_t at = query->closest_count < DHT_K ? query->closest_count++ : DHT_K - 1;

        for (; at > 0; at--) {
                if (dht_id_compare(query->target, query->visits[index].id, query->visits[query->closest[at - 1]].id) > 0)
                        break;
                query->closest[at] = query->closest[at - 1];
        }
        query->closest[at] = index;
}

static size_t known_of_net(const struct dht *dht, const struct dht_query *query, const struct addr *addr)
{
        size_t count = 0;

        for (size_t i = 0; i < query->visit_count; i++)
                count += dht_same_net(dht, &query->visits[i].addr, addr);
        return count;
}

static void refer(struct dht *dht, struct dht_query *query, struct dht_visit *visit, uint16_t referrer, const struct now *now)
{
        if (visit->state == DHT_VISIT_DOWN)
                dht_upkeep_hint(dht, &query->visits[referrer].addr, &visit->addr, now);
        else if (visit->state != DHT_VISIT_DONE && visit->referrer_count < DHT_REFERRERS_MAX)
                visit->referrers[visit->referrer_count++] = referrer;
}

/* The nodes an answer names. */
static void add_closer(struct dht *dht, struct dht_query *query, uint16_t referrer, const struct rpc_message *message,
                       const struct now *now)
{
        struct addr added[RPC_CLOSER_MAX];
        size_t count = 0;

        for (size_t i = 0; i < message->closer_count && i < RPC_CLOSER_MAX; i++) {
                struct addr addr = rpc_message_closer(message, i);
                struct dht_visit *visit = dht_visit_find(query, &addr);
                size_t of_net = 0;

                for (size_t k = 0; k < count; k++)
                        of_net += dht_same_net(dht, &added[k], &addr);
                if (!visit && of_net < NEW_PER_NET_AND_REPLY && known_of_net(dht, query, &addr) < NEW_PER_NET) {
                        visit = dht_visit_add(dht, query, &addr);
                        if (visit) {
                                added[count++] = addr;
                                visit->hops = (uint8_t)(query->visits[referrer].hops + 1);
                        }
                }
                if (visit && addr_equal(&visit->addr, &query->visits[referrer].addr))
                        continue;
                if (visit)
                        refer(dht, query, visit, referrer, now);
        }
}

static struct dht_news *news_of(struct dht_query *query, enum dht_event_kind kind, const struct rpc_event *event,
                                const struct dht_record *record)
{
        struct dht_news *news = dht_news_new(kind, query->context, NULL, 0);

        if (!news)
                return NULL;
        news->event.query = query;
        news->event.from = event->from;
        news->event.to = event->message.to;
        memcpy(news->event.public_key, record->public_key, sizeof(news->event.public_key));
        while (news->event.relay_count < MIN(record->relay_count, (size_t)DHT_PEER_RELAYS_MAX)) {
                news->event.relays[news->event.relay_count] = dht_record_relay(record, news->event.relay_count);
                news->event.relay_count++;
        }
        return news;
}

/* A record of another key than the one asked for says nothing about it. */
static void tell_found(struct dht *dht, struct dht_query *query, const struct rpc_event *event)
{
        struct dht_record record;
        uint8_t target[DHT_TARGET_BYTES];

        if (!dht_record_decode(event->message.value, event->message.value_len, &record))
                return;
        dht_target(record.public_key, target);
        if (dht_id_equal(target, query->target))
                dht_news_push_bounded(dht, news_of(query, DHT_PEER_FOUND, event, &record));
}

static void tell_listed(struct dht *dht, struct dht_query *query, const struct rpc_event *event, const struct dht_lookup *lookup)
{
        for (size_t i = 0; i < lookup->count; i++) {
                struct dht_news *news = news_of(query, DHT_PEER_LISTED, event, &lookup->records[i]);

                if (news)
                        news->event.bump = lookup->bump;
                dht_news_push_bounded(dht, news);
        }
}

/* Listed there, or perhaps hidden by others: a lookup shows no more records than that. */
static bool may_be_listed(const struct dht_query *query, const struct dht_lookup *lookup)
{
        const uint8_t *ours = query->secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES;

        for (size_t i = 0; i < lookup->count; i++)
                if (memcmp(lookup->records[i].public_key, ours, DHT_KEY_BYTES) == 0)
                        return true;
        return lookup->count >= DHT_RECORDS_PER_LOOKUP;
}

static void take_value(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct rpc_event *event,
                       const struct now *now)
{
        struct dht_lookup lookup;

        if (query->purpose != DHT_FOR_CALLER || !event->message.value || query->operation == DHT_FIND_NODE)
                return;
        if (query->operation == DHT_FIND_PEER) {
                tell_found(dht, query, event);
                return;
        }
        if (!dht_lookup_decode(event->message.value, event->message.value_len, &lookup))
                return;
        tell_listed(dht, query, event, &lookup);
        if ((query->operation == DHT_UNANNOUNCE || (query->operation == DHT_ANNOUNCE && query->clear)) &&
            visit->has_token && may_be_listed(query, &lookup))
                dht_commit_withdraw(dht, query, visit, now);
}

static void take_answer(struct dht *dht, struct dht_query *query, struct dht_visit *visit, const struct rpc_event *event,
                        const struct now *now)
{
        const struct rpc_message *message = &event->message;
        uint16_t index = (uint16_t)(visit - query->visits);

        visit->to = message->to;
        if (event->sends == 1)
                query->slowest_us = usec_max(query->slowest_us, now->mono_us - visit->asked_us);
        if (message->error == RPC_ERROR_NONE) {
                query->successes++;
                visit->has_token = message->token && message->id;
                if (message->token)
                        memcpy(visit->token, message->token, sizeof(visit->token));
                if (message->id && dht_visit_is_closer(query, visit->id))
                        closest_insert(query, index);
                take_value(dht, query, visit, event, now);
        } else {
                query->errors++;
        }
        add_closer(dht, query, index, message, now);    /* moves the visits */
}

void dht_query_visited(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_query *query = event->context;
        struct dht_visit *visit = dht_visit_of_request(query, event->request);

        if (event->kind == RPC_SLOW) {
                visit->state = DHT_VISIT_SLOW;
                query->slow++;
        } else {
                query->in_flight--;
                query->slow -= visit->state == DHT_VISIT_SLOW;
                visit->request = NULL;
                visit->state = event->kind == RPC_RESPONSE ? DHT_VISIT_DONE : DHT_VISIT_DOWN;
                query->errors += event->kind != RPC_RESPONSE;
                if (event->kind == RPC_RESPONSE) {
                        take_answer(dht, query, visit, event, now);
                } else {
                        hint_referrers(dht, query, visit, now);
                        dht_upkeep_silent(dht, &visit->addr, visit->asked_us);
                }
        }
        pump(dht, query, now);
}

/* --- Beginning and end --- */

static bool prepare(struct dht_query *query, const struct dht_query_spec *spec)
{
        memcpy(query->target, spec->target, sizeof(query->target));
        if (spec->secret_key)
                memcpy(query->secret_key, spec->secret_key, sizeof(query->secret_key));
        query->relay_count = MIN(spec->relay_count, (size_t)DHT_PEER_RELAYS_MAX);
        if (query->relay_count)
                memcpy(query->relays, spec->relays, query->relay_count * sizeof(query->relays[0]));
        query->operation = spec->operation;
        query->clear = spec->clear;
        query->retries = spec->retries ? spec->retries : RPC_RETRIES_QUERY;
        query->context = spec->context;
        if (query->purpose != DHT_FOR_CALLER)
                return true;
        query->done = dht_news_new(DHT_QUERY_DONE, spec->context, NULL, 0);
        if (query->done)
                query->done->event.query = query;
        return query->done;
}

struct dht_query *dht_query_start(struct dht *dht, const struct dht_query_spec *spec, enum dht_purpose purpose,
                                  const struct now *now)
{
        struct dht_query *query = calloc(1, sizeof(*query));

        assert(spec->secret_key || (spec->operation != DHT_ANNOUNCE && spec->operation != DHT_UNANNOUNCE));
        if (!query)
                return NULL;
        query->purpose = purpose;
        query->due.kind = DHT_DUE_QUERY;
        if (!prepare(query, spec)) {
                free(query);
                return NULL;
        }
        list_push_back(&dht->queries, &query->entry);
        for (size_t i = 0; i < spec->seed_count; i++)
                dht_visit_add(dht, query, &spec->seeds[i]);
        return query;
}

struct dht_query *dht_query(struct dht *dht, const struct dht_query_spec *spec, const struct now *now)
{
        struct dht_query *query = dht_query_start(dht, spec, DHT_FOR_CALLER, now);

        if (!query)
                return NULL;
        if (dht->bootstrapped)
                dht_query_open(dht, query, now);
        else
                dht_due_set(dht, &query->due, now->mono_us + HELD_LIMIT_US);
        return query;
}

void dht_query_open(struct dht *dht, struct dht_query *query, const struct now *now)
{
        dht_due_set(dht, &query->due, USEC_NEVER);
        query->phase = DHT_QUERY_WALKING;
        if (query->anew)
                add_bootstrap(dht, query);
        else if (dht_visits_pending(query) < DHT_K)
                add_from_table(dht, query);
        pump(dht, query, now);
}

static void tell_done(struct dht *dht, struct dht_query *query)
{
        struct dht_event *event = &query->done->event;

        for (size_t i = 0; i < query->visit_count; i++)
                event->asked += query->visits[i].asked_us > 0;
        event->replies = query->successes;
        event->accepted = query->accepted;
        event->hops = query->closest_count ? query->visits[query->closest[0]].hops + 1U : 0;
        event->closest_count = query->closest_count;
        for (size_t i = 0; i < query->closest_count; i++)
                event->closest[i] = query->visits[query->closest[i]].addr;
        dht_news_push(dht, query->done);
        query->done = NULL;
}

void dht_query_finish(struct dht *dht, struct dht_query *query, const struct now *now)
{
        query->phase = DHT_QUERY_OVER;
        dht_due_set(dht, &query->due, USEC_NEVER);
        sodium_memzero(query->secret_key, sizeof(query->secret_key));
        switch (query->purpose) {
        case DHT_FOR_CALLER:
                tell_done(dht, query);
                return;
        case DHT_FOR_TABLE:
                dht_bootstrap_walked(dht, query, now);
                break;
        case DHT_FOR_LISTENER:
                dht_listener_walked(dht, query, now);
                break;
        }
        dht_query_free(dht, query);
}

void dht_query_free(struct dht *dht, struct dht_query *query)
{
        for (size_t i = 0; i < query->visit_count; i++)
                if (query->visits[i].request)
                        rpc_cancel(dht->rpc, query->visits[i].request);
        dht_due_set(dht, &query->due, USEC_NEVER);
        list_remove(&query->entry);
        sodium_memzero(query->secret_key, sizeof(query->secret_key));
        free(query->done);
        free(query->visits);
        free(query);
}

void dht_query_cancel(struct dht *dht, struct dht_query *query, const struct now *now)
{
        dht_news_drop(dht, query);
        dht_query_free(dht, query);
}
