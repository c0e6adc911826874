/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps a server findable. A cycle: walk to our own target, announce at the nearest, publish who confirmed, withdraw from whom
 * we no longer need; never before the new ones are confirmed. Between cycles each relay is asked for our record every few
 * seconds, which shows that it lives, still has it, and where it sees us, holds the path open in NATs, and brings the token to
 * put right what is wrong. hyperdht lib/announcer.js, and what it doesn't notice (a relay that restarted, a mapping that moved). */
#include "dht_private.h"

#include <sodium.h>
#include <stdlib.h>

enum {
        CHOICE = 8,                     /* nearest nodes among which different networks are preferred */
        BACKOFF_MAX = 5,                /* 1 s doubles to 32 s */
};

#define KEEP_US SECONDS(3)              /* each is asked that often: hyperdht lib/announcer.js, which asks all at once */
#define CHECK_PAUSE_US MSEC(500)        /* but no more often, if somebody wants to know */
#define CYCLE_US MINUTES(5)             /* 100 of them */
#define PAUSE_US SECONDS(1)             /* between two cycles at least */
#define RENEW_PAUSE_US SECONDS(10)      /* between two announcements because a relay sees us elsewhere */

/* --- What the caller knows --- */

static size_t confirmed(const struct dht_listener *listener, struct dht_relay out[DHT_RELAYS_MAX])
{
        size_t count = 0;

        for (size_t i = 0; i < DHT_LISTENER_SLOTS && count < DHT_RELAYS_MAX; i++)
                if (listener->slots[i].state == DHT_SLOT_CONFIRMED)
                        out[count++] = (struct dht_relay){ listener->slots[i].addr, listener->slots[i].peer };
        return count;
}

static bool same_relays(const struct dht_listener *listener, const struct dht_relay *relays, size_t count)
{
        for (size_t i = 0; i < count && count == listener->published_count; i++)
                if (!addr_equal(&relays[i].relay, &listener->published[i].relay) ||
                    !addr_equal(&relays[i].peer, &listener->published[i].peer))
                        return false;
        return count == listener->published_count;
}

static void tell_relays(struct dht *dht, struct dht_listener *listener, const struct dht_relay *relays, size_t count)
{
        struct dht_news *news;

        memcpy(listener->published, relays, count * sizeof(*relays));
        listener->published_count = count;
        news = dht_news_new(DHT_RELAYS_CHANGED, listener->context, NULL, 0);
        if (!news)
                return;
        news->event.listener = listener;
        dht_news_push(dht, news);
}

/* None at all is no news: those that were are still the best anybody can try. */
static void publish(struct dht *dht, struct dht_listener *listener)
{
        struct dht_relay relays[DHT_RELAYS_MAX];
        size_t count = confirmed(listener, relays);

        if (count == 0 || same_relays(listener, relays, count))
                return;
        for (size_t i = 0; i < count; i++)
                listener->vouching[0][i] = relays[i].relay;
        tell_relays(dht, listener, relays, count);
}

/* There was never anybody to announce at. Whoever comes begins at a node that serves the network, and is answered for its servers there. */
static void publish_ourselves(struct dht *dht, struct dht_listener *listener)
{
        struct dht_relay ourselves;

        if (listener->published_count > 0 || !dht->persistent || !dht_open_addr(dht, &ourselves.relay))
                return;
        ourselves.peer = ourselves.relay;
        tell_relays(dht, listener, &ourselves, 1);
}

size_t dht_listener_relays(const struct dht_listener *listener, struct dht_relay out[DHT_RELAYS_MAX])
{
        memcpy(out, listener->published, listener->published_count * sizeof(*out));
        return listener->published_count;
}

bool dht_listener_is_relay(const struct dht_listener *listener, const struct addr *addr)
{
        for (size_t cycle = 0; cycle < ARRAY_LEN(listener->vouching); cycle++)
                for (size_t i = 0; i < DHT_RELAYS_MAX; i++)
                        if (listener->vouching[cycle][i].port && addr_equal(&listener->vouching[cycle][i], addr))
                                return true;
        return false;
}

/* --- When --- */

static void arm(struct dht *dht, struct dht_listener *listener)
{
        usec_t when_us = usec_min(listener->keep_us, listener->cycle_us);

        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].state == DHT_SLOT_LEAVING && listener->slots[i].doing == DHT_SLOT_IDLE)
                        when_us = usec_min(when_us, listener->slots[i].again_us);
        dht_due_set(dht, &listener->due, listener->phase == DHT_LISTENER_KEEPING ? when_us : USEC_NEVER);
}

/* One after the other, so that it does not take all of the time between two questions to the same one until we know that we are seen
 * elsewhere. */
static void keep_later(struct dht_listener *listener, const struct now *now)
{
        struct dht_relay relays[DHT_RELAYS_MAX];

        listener->keep_us = now->mono_us + KEEP_US / MAX(confirmed(listener, relays), (size_t)1);
}

static void keep_from(struct dht *dht, struct dht_listener *listener, usec_t cycle_after_us, const struct now *now)
{
        listener->phase = DHT_LISTENER_KEEPING;
        keep_later(listener, now);
        listener->cycle_us = now->mono_us + cycle_after_us;
        arm(dht, listener);
}

static usec_t backoff(const struct dht_listener *listener)
{
        return SECONDS(1) << MIN(listener->failures - 1, (unsigned)BACKOFF_MAX);
}

/* --- A cycle --- */

static void cycle_end(struct dht *dht, struct dht_listener *listener, const struct now *now)
{
        usec_t after_us;
        size_t kept = 0;

        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].state == DHT_SLOT_JOINING)
                        dht_slot_clear(dht, &listener->slots[i]);       /* its request could not even wait */
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                kept += listener->slots[i].state == DHT_SLOT_CONFIRMED && listener->slots[i].chosen;
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++) {
                struct dht_slot *slot = &listener->slots[i];

                if (slot->state != DHT_SLOT_CONFIRMED || slot->chosen || kept++ < DHT_RELAYS_MAX)
                        continue;
                slot->tries = 0;
                dht_slot_withdraw(dht, listener, slot, now);
        }
        publish(dht, listener);
        publish_ourselves(dht, listener);
        listener->failures = kept >= DHT_RELAYS_MAX ? 0 : listener->failures + 1;
        after_us = listener->failures ? backoff(listener) : CYCLE_US;
        keep_from(dht, listener, listener->outdated ? 0 : after_us, now);
        listener->outdated = false;
}

static void end_if_settled(struct dht *dht, struct dht_listener *listener, const struct now *now)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].doing == DHT_SLOT_ANNOUNCE)
                        return;
        if (listener->phase == DHT_LISTENER_ANNOUNCING)
                cycle_end(dht, listener, now);
}

static void cycle_begin(struct dht *dht, struct dht_listener *listener, const struct now *now)
{
        struct dht_query_spec spec = {
                .operation = DHT_FIND_PEER, .target = listener->target, .seeds = listener->closest,
                .seed_count = listener->closest_count, .context = listener,
        };

        dht_due_set(dht, &listener->due, USEC_NEVER);
        listener->phase = DHT_LISTENER_WALKING;
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                listener->slots[i].chosen = false;
        listener->walk = dht_query_start(dht, &spec, DHT_FOR_LISTENER, now);
        if (listener->walk)
                dht_query_open(dht, listener->walk, now);
        else
                cycle_end(dht, listener, now);
}

static void choose(struct dht *dht, struct dht_listener *listener, const struct dht_visit *visit, const struct now *now)
{
        struct dht_slot *slot = dht_slot_take(dht, listener, &visit->addr);

        if (!slot)
                return;
        memcpy(slot->token, visit->token, sizeof(slot->token));
        slot->has_token = true;
        slot->token_us = now->mono_us;
        slot->peer = visit->to;
        slot->chosen = true;
        slot->retried = false;
        dht_slot_announce(dht, listener, slot, now);
}

static bool net_is_chosen(const struct dht *dht, const struct dht_listener *listener, const struct addr *addr)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].chosen && dht_same_net(dht, &listener->slots[i].addr, addr))
                        return true;
        return false;
}

static size_t choose_among(struct dht *dht, struct dht_listener *listener, const struct dht_query *query, size_t among, bool apart,
                           size_t wanted, const struct now *now)
{
        size_t chosen = 0;

        for (size_t i = 0; i < among && chosen < wanted; i++) {
                const struct dht_visit *visit = &query->visits[query->closest[i]];
                const struct dht_slot *slot = dht_slot_find(listener, &visit->addr);

                if (!visit->has_token || (slot && slot->chosen) || (apart && net_is_chosen(dht, listener, &visit->addr)))
                        continue;
                choose(dht, listener, visit, now);
                chosen++;
        }
        return chosen;
}

/* The nearest of different networks first, then the nearest. */
static void choose_relays(struct dht *dht, struct dht_listener *listener, const struct dht_query *query, const struct now *now)
{
        size_t among = MIN(query->closest_count, (size_t)CHOICE);
        size_t chosen = choose_among(dht, listener, query, among, true, DHT_RELAYS_MAX, now);

        choose_among(dht, listener, query, query->closest_count, false, DHT_RELAYS_MAX - chosen, now);
}

void dht_listener_walked(struct dht *dht, struct dht_query *query, const struct now *now)
{
        struct dht_listener *listener = query->context;

        listener->walk = NULL;
        listener->phase = DHT_LISTENER_ANNOUNCING;
        listener->cut_off = query->successes == 0;
        if (query->closest_count) {
                listener->closest_count = query->closest_count;
                for (size_t i = 0; i < query->closest_count; i++)
                        listener->closest[i] = query->visits[query->closest[i]].addr;
                memmove(listener->vouching[1], listener->vouching[0], 2 * sizeof(listener->vouching[0]));
        }
        choose_relays(dht, listener, query, now);
        end_if_settled(dht, listener, now);
}

/* --- Answers of relays --- */

static void take_token(struct dht_slot *slot, const struct rpc_event *event, const struct now *now)
{
        if (!event->message.token)
                return;
        memcpy(slot->token, event->message.token, sizeof(slot->token));
        slot->has_token = true;
        slot->token_us = now->mono_us;
}

/* The token had run out: the refusal brings a fresh one, once. */
static bool retries_with_new_token(struct dht_slot *slot, const struct rpc_event *event)
{
        if (event->kind != RPC_RESPONSE || event->message.error != RPC_ERROR_INVALID_TOKEN || slot->retried)
                return false;
        slot->retried = true;
        return event->message.token;
}

static bool shows_our_record(const struct dht_listener *listener, const struct rpc_event *event)
{
        struct dht_record record;

        return event->message.value && dht_record_decode(event->message.value, event->message.value_len, &record) &&
               memcmp(record.public_key, listener->secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, DHT_KEY_BYTES) == 0;
}

/* A relay is lost: another one is looked for soon. */
static void lose(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now)
{
        dht_slot_clear(dht, slot);
        publish(dht, listener);
        if (listener->phase == DHT_LISTENER_KEEPING)
                listener->cycle_us = usec_min(listener->cycle_us, now->mono_us + PAUSE_US);
}

static void on_announced(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct rpc_event *event,
                         bool good, const struct now *now)
{
        if (retries_with_new_token(slot, event)) {
                dht_slot_announce(dht, listener, slot, now);
                return;
        }
        if (good) {
                slot->state = DHT_SLOT_CONFIRMED;
                slot->retried = false;
                slot->peer = event->message.to;
                if (listener->phase == DHT_LISTENER_KEEPING)
                        publish(dht, listener);
        } else {
                lose(dht, listener, slot, now);
        }
        end_if_settled(dht, listener, now);
}

static void tell_moved(struct dht *dht, const struct addr *seen)
{
        struct dht_news *news = dht_news_new(DHT_MOVED, NULL, NULL, 0);

        if (!news)
                return;
        news->event.to = *seen;
        dht_news_push_bounded(dht, news);
}

static bool may_keep(const struct dht_slot *slot)
{
        return slot->state == DHT_SLOT_CONFIRMED && slot->doing == DHT_SLOT_IDLE;
}

static void keep_all(struct dht *dht, struct dht_listener *listener, const struct now *now)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (may_keep(&listener->slots[i]) && now->mono_us >= listener->slots[i].kept_us + CHECK_PAUSE_US)
                        dht_slot_keep(dht, listener, &listener->slots[i], now);
}

/* It has our record and sees us where it did; or it gets it again. */
static void on_kept(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct rpc_event *event,
                    bool good, const struct now *now)
{
        bool moved = good && !addr_equal(&slot->peer, &event->message.to);
        bool gone = good && !shows_our_record(listener, event);
        bool may_renew = slot->renewed_us == 0 || now->mono_us >= slot->renewed_us + RENEW_PAUSE_US;

        if (moved) {
                dht_upkeep_resample(dht);
                tell_moved(dht, &event->message.to);
                keep_all(dht, listener, now);   /* the others see the same, and have to be told */
        }
        if (!good) {
                lose(dht, listener, slot, now);
        } else if (event->message.token && (gone || moved) && may_renew) {
                slot->renewed_us = now->mono_us;
                slot->peer = event->message.to;
                slot->retried = false;
                dht_slot_announce(dht, listener, slot, now);
        }
}

static void on_left(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct rpc_event *event,
                    const struct now *now)
{
        if (retries_with_new_token(slot, event))
                dht_slot_withdraw(dht, listener, slot, now);
        else if (event->kind == RPC_RESPONSE)
                dht_slot_clear(dht, slot);
}

static void on_fetched(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct rpc_event *event,
                       bool good, const struct now *now)
{
        if (good && event->message.token && event->message.value) {
                slot->tries--;                  /* the same one goes on */
                dht_slot_withdraw(dht, listener, slot, now);
        } else if (event->kind == RPC_RESPONSE) {
                dht_slot_clear(dht, slot);      /* nothing of ours is there */
        }
}

/* One round of requests is what a listener that ends waits for. */
static void unlistened_if_done(struct dht *dht, struct dht_listener *listener)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].doing != DHT_SLOT_IDLE)
                        return;
        listener->phase = DHT_LISTENER_OVER;
        dht_news_push(dht, listener->done);
        listener->done = NULL;
}

void dht_listener_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_listener *listener = event->context;
        struct dht_slot *slot = dht_slot_of_request(listener, event->request);
        bool good = event->kind == RPC_RESPONSE && event->message.error == RPC_ERROR_NONE;
        enum dht_slot_request did = slot->doing;

        if (event->kind == RPC_SLOW) {
                publish(dht, listener);         /* those that are there, without waiting for this one */
                return;
        }
        slot->request = NULL;
        slot->doing = DHT_SLOT_IDLE;
        if (event->kind == RPC_RESPONSE)
                take_token(slot, event, now);
        switch (did) {
        case DHT_SLOT_IDLE:
                break;
        case DHT_SLOT_ANNOUNCE:
                on_announced(dht, listener, slot, event, good, now);
                break;
        case DHT_SLOT_KEEP:
                on_kept(dht, listener, slot, event, good, now);
                break;
        case DHT_SLOT_FETCH:
                on_fetched(dht, listener, slot, event, good, now);
                break;
        case DHT_SLOT_UNANNOUNCE:
                on_left(dht, listener, slot, event, now);
                break;
        }
        if (listener->phase == DHT_LISTENER_WITHDRAWING)
                unlistened_if_done(dht, listener);
        else
                arm(dht, listener);
}

/* --- Between cycles --- */

static void keep_next(struct dht *dht, struct dht_listener *listener, const struct now *now)
{
        struct dht_slot *next = NULL;

        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (may_keep(&listener->slots[i]) && (!next || listener->slots[i].kept_us < next->kept_us))
                        next = &listener->slots[i];
        if (next)
                dht_slot_keep(dht, listener, next, now);
        keep_later(listener, now);
}

void dht_check_relays(struct dht *dht, const struct now *now)
{
        list_for_each(at, &dht->listeners) {
                struct dht_listener *listener = list_entry(at, struct dht_listener, entry);

                if (listener->phase == DHT_LISTENER_KEEPING)
                        keep_all(dht, listener, now);
        }
}

void dht_listener_due(struct dht *dht, struct dht_due *due, const struct now *now)
{
        struct dht_listener *listener = container_of(due, struct dht_listener, due);

        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++) {
                struct dht_slot *slot = &listener->slots[i];

                if (slot->state == DHT_SLOT_LEAVING && slot->doing == DHT_SLOT_IDLE && now->mono_us >= slot->again_us)
                        dht_slot_withdraw(dht, listener, slot, now);
        }
        if (now->mono_us >= listener->cycle_us) {
                cycle_begin(dht, listener, now);
                return;
        }
        if (now->mono_us >= listener->keep_us)
                keep_next(dht, listener, now);
        arm(dht, listener);
}

void dht_listener_network(struct dht *dht, const struct now *now)
{
        list_for_each(at, &dht->listeners) {
                struct dht_listener *listener = list_entry(at, struct dht_listener, entry);

                if (listener->phase == DHT_LISTENER_WALKING || listener->phase == DHT_LISTENER_ANNOUNCING)
                        listener->outdated = true;
                else if (listener->phase == DHT_LISTENER_WAITING || listener->phase == DHT_LISTENER_KEEPING)
                        cycle_begin(dht, listener, now);
        }
}

/* Nobody had answered the last walk, or anything: whoever answers now shows that the network is back. */
void dht_listener_heard(struct dht *dht, bool ends_silence, const struct now *now)
{
        list_for_each(at, &dht->listeners) {
                struct dht_listener *listener = list_entry(at, struct dht_listener, entry);

                bool failed = listener->cut_off || (ends_silence && listener->failures);

                if (ends_silence && (listener->phase == DHT_LISTENER_WALKING || listener->phase == DHT_LISTENER_ANNOUNCING)) {
                        listener->outdated = true;      /* most of those it has asked are past answering */
                        listener->failures = 0;
                } else if (failed && listener->phase == DHT_LISTENER_KEEPING) {
                        listener->cut_off = false;
                        listener->failures = 0;
                        cycle_begin(dht, listener, now);
                }
        }
}

/* --- Beginning and end --- */

struct dht_listener *dht_listener_of(const struct dht *dht, const uint8_t target[DHT_ID_BYTES])
{
        list_for_each(at, &dht->listeners) {
                struct dht_listener *listener = list_entry(at, struct dht_listener, entry);

                if (listener->phase < DHT_LISTENER_WITHDRAWING && dht_id_equal(listener->target, target))
                        return listener;
        }
        return NULL;
}

struct dht_listener *dht_listen(struct dht *dht, const uint8_t secret_key[DHT_SECRET_KEY_BYTES], void *context,
                                const struct now *now)
{
        struct dht_listener *listener = calloc(1, sizeof(*listener));

        if (!listener)
                return NULL;
        memcpy(listener->secret_key, secret_key, sizeof(listener->secret_key));
        dht_target(secret_key + DHT_SECRET_KEY_BYTES - DHT_KEY_BYTES, listener->target);
        listener->context = context;
        listener->due.kind = DHT_DUE_LISTENER;
        listener->done = dht_listener_of(dht, listener->target) ? NULL : dht_news_new(DHT_UNLISTENED, context, NULL, 0);
        if (!listener->done) {
                sodium_memzero(listener->secret_key, sizeof(listener->secret_key));
                free(listener);
                return NULL;
        }
        listener->done->event.listener = listener;
        list_push_back(&dht->listeners, &listener->entry);
        if (dht->bootstrapped)
                cycle_begin(dht, listener, now);
        return listener;
}

void dht_listener_free(struct dht *dht, struct dht_listener *listener)
{
        if (listener->walk)
                dht_query_free(dht, listener->walk);
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                dht_slot_clear(dht, &listener->slots[i]);
        dht_due_set(dht, &listener->due, USEC_NEVER);
        list_remove(&listener->entry);
        sodium_memzero(listener->secret_key, sizeof(listener->secret_key));
        free(listener->done);
        free(listener);
}

void dht_unlisten(struct dht *dht, struct dht_listener *listener, bool keep, const struct now *now)
{
        if (keep) {
                dht_news_drop(dht, listener);
                dht_listener_free(dht, listener);
                return;
        }
        if (listener->phase >= DHT_LISTENER_WITHDRAWING)
                return;         /* it is on its way */
        dht_news_drop(dht, listener);
        listener->phase = DHT_LISTENER_WITHDRAWING;
        dht_due_set(dht, &listener->due, USEC_NEVER);
        if (listener->walk)
                dht_query_free(dht, listener->walk);
        listener->walk = NULL;
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++) {
                listener->slots[i].tries = 0;
                if (listener->slots[i].state != DHT_SLOT_FREE)
                        dht_slot_withdraw(dht, listener, &listener->slots[i], now);
        }
        unlistened_if_done(dht, listener);
}
