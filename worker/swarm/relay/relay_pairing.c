/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay_pairing.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "heap.h"
#include "list.h"
#include "map.h"

enum {
        REJECTS_MAX = 4,        /* channels of others' that are refused and not told yet; further ones are not */
        SPARE_SESSIONS = 8,     /* of a host, which have no half yet or any more */
        NETWORK_MIN = 4,        /* sessions, and ends of pairs, that a network may have while there is room at all */
};

struct relay_session {
        struct relay_pairing *pairing;
        struct list all, ready;
        struct relay_channel channel;
        struct addr host;
        void *context;
        bool opened;                    /* our open has been handed out */
        bool asked;                     /* it had a half */
        struct list halves;             /* its own, oldest first */
        unsigned half_count;
        uint64_t rejects[REJECTS_MAX];
        unsigned reject_count;
};

struct relay_half {
        struct relay_pair *pair;
        struct list in_session;
        struct relay_session *session;  /* NULL: not here */
        uint32_t stream_id, relay_id;
        bool answer_due;
};

enum pair_state {
        PAIR_WAITING,                   /* for its other half */
        PAIR_MADE,                      /* to be joined */
        PAIR_JOINED,
        PAIR_OVER,                      /* to be told */
};

struct relay_pair {
        struct relay_pairing *pairing;
        enum pair_state state;
        struct map_entry entry;         /* by token, while it waits */
        struct list all, eventful;
        struct heap_entry timer;
        usec_t begun_us;
        uint8_t token[RELAY_TOKEN_BYTES];
        struct relay_half half[2];
        void *joint;
};

struct relay_pairing {
        struct relay_limits limits;
        size_t proof_count;             /* 0: none is demanded */
        uint8_t proofs[RELAY_PROOFS_MAX][RELAY_PROOF_BYTES], key[RELAY_KEY_BYTES];
        struct map waiting;
        struct list sessions, ready, pairs, eventful;
        struct heap timers;
        size_t session_count, pair_count;
        struct relay_stats stats;
};

void relay_pairing_set_limits(struct relay_pairing *pairing, const struct relay_limits *limits)
{
        pairing->limits = (struct relay_limits){
                .sessions = limits->sessions ? limits->sessions : RELAY_SESSIONS_MAX,
                .pairs = limits->pairs ? limits->pairs : RELAY_PAIRS_MAX,
                .per_session = limits->per_session ? limits->per_session : RELAY_PER_SESSION_MAX,
                .per_host = limits->per_host ? limits->per_host : RELAY_PER_HOST_MAX,
        };
}

void relay_pairing_demand_proof(struct relay_pairing *pairing, const uint8_t (*proofs)[RELAY_PROOF_BYTES], size_t count,
                                const uint8_t relay_key[RELAY_KEY_BYTES])
{
        assert(count <= RELAY_PROOFS_MAX);
        pairing->proof_count = count;
        if (count)
                memcpy(pairing->proofs, proofs, count * sizeof(*proofs));
        memcpy(pairing->key, relay_key, sizeof(pairing->key));
}

struct relay_pairing *relay_pairing_new(const struct relay_limits *limits, const struct random *random)
{
        struct relay_pairing *pairing = calloc(1, sizeof(*pairing));
        uint8_t key[16];

        if (!pairing)
                return NULL;
        random_fill(random, key, sizeof(key));
        map_init(&pairing->waiting, key);
        list_init(&pairing->sessions);
        list_init(&pairing->ready);
        list_init(&pairing->pairs);
        list_init(&pairing->eventful);
        relay_pairing_set_limits(pairing, limits);
        return pairing;
}

/* There is something to send. */
static void want(struct relay_session *session)
{
        if (list_empty(&session->ready))
                list_push_back(&session->pairing->ready, &session->ready);
}

static void leave(struct relay_half *half)
{
        if (!half->session)
                return;
        list_remove(&half->in_session);
        half->session->half_count--;
        half->session = NULL;
}

static void pair_free(struct relay_pair *pair)
{
        struct relay_pairing *pairing = pair->pairing;

        if (pair->state == PAIR_WAITING)
                map_remove(&pairing->waiting, &pair->entry);
        leave(&pair->half[0]);
        leave(&pair->half[1]);
        heap_remove(&pairing->timers, &pair->timer);
        list_remove(&pair->eventful);
        list_remove(&pair->all);
        pairing->pair_count--;
        free(pair);
}

void relay_pairing_free(struct relay_pairing *pairing)
{
        if (!pairing)
                return;
        list_for_each(at, &pairing->pairs)
                pair_free(list_entry(at, struct relay_pair, all));
        list_for_each(at, &pairing->sessions)
                relay_session_free(list_entry(at, struct relay_session, all));
        map_fini(&pairing->waiting);
        sodium_memzero(pairing->proofs, sizeof(pairing->proofs));
        free(pairing);
}

/* --- Pairs --- */

static void report(struct relay_pair *pair)
{
        if (list_empty(&pair->eventful))
                list_push_back(&pair->pairing->eventful, &pair->eventful);
}

/* What is joined is to be taken apart; the rest concerns nobody. */
static void end_pair(struct relay_pair *pair)
{
        if (pair->state == PAIR_OVER)
                return;
        if (pair->state != PAIR_JOINED) {
                pair_free(pair);
                return;
        }
        leave(&pair->half[0]);
        leave(&pair->half[1]);
        pair->state = PAIR_OVER;
        report(pair);
}

static struct relay_pair *find_waiting(struct relay_pairing *pairing, const uint8_t token[RELAY_TOKEN_BYTES])
{
        struct map_entry *entry = map_first(&pairing->waiting, map_hash(&pairing->waiting, token, RELAY_TOKEN_BYTES));

        for (; entry; entry = map_next(entry)) {
                struct relay_pair *pair = container_of(entry, struct relay_pair, entry);

                if (memcmp(pair->token, token, RELAY_TOKEN_BYTES) == 0)
                        return pair;
        }
        return NULL;
}

static struct relay_pair *pair_new(struct relay_pairing *pairing, const uint8_t token[RELAY_TOKEN_BYTES], usec_t now_us)
{
        struct relay_pair *pair = calloc(1, sizeof(*pair));

        if (!pair)
                return NULL;
        pair->pairing = pairing;
        pair->begun_us = now_us;
        memcpy(pair->token, token, sizeof(pair->token));
        if (map_insert(&pairing->waiting, &pair->entry, map_hash(&pairing->waiting, token, RELAY_TOKEN_BYTES)) < 0) {
                free(pair);
                return NULL;
        }
        list_init(&pair->eventful);
        for (unsigned i = 0; i < 2; i++) {
                pair->half[i].pair = pair;
                list_init(&pair->half[i].in_session);
        }
        list_push_back(&pairing->pairs, &pair->all);
        pairing->pair_count++;
        heap_insert(&pairing->timers, &pair->timer, now_us + RELAY_HALF_US);
        return pair;
}

static void make(struct relay_pair *pair)
{
        map_remove(&pair->pairing->waiting, &pair->entry);
        heap_remove(&pair->pairing->timers, &pair->timer);
        pair->state = PAIR_MADE;
        report(pair);
}

/* --- Shares --- */

/* What those who come from a place hold. A pair has two ends, and whoever waits alone holds both. Keys cost nothing, so a place is told
 * by addresses alone: a host, or its network of 256, of which one who wants to be many mostly has all. */
struct share {
        unsigned sessions, halves, ends;
};

static bool is_from(const struct relay_session *session, const struct addr *host, bool network)
{
        return memcmp(session->host.ip, host->ip, network ? 3 : sizeof(host->ip)) == 0;
}

static struct share share_of(const struct relay_pairing *pairing, const struct addr *host, bool network)
{
        struct share share = { .sessions = 0 };

        list_for_each(at, &pairing->sessions) {
                const struct relay_session *session = list_entry(at, struct relay_session, all);

                if (!is_from(session, host, network))
                        continue;
                share.sessions++;
                share.halves += session->half_count;
                list_for_each(half, &session->halves)
                        share.ends += list_entry(half, struct relay_half, in_session)->pair->state == PAIR_WAITING ? 2 : 1;
        }
        return share;
}

/* A network gets a quarter of what is free at most, so that some is left for the next whoever came before; while there is any, some. */
static bool has_room(size_t used, size_t limit, size_t held, size_t wanted)
{
        size_t left = limit - MIN(limit, used);

        return held + wanted <= MAX(left / 4, (size_t)NETWORK_MIN);
}

/* The one that waits longest, of @host or its network; of anybody where @host is NULL. */
static struct relay_pair *find_oldest(const struct relay_pairing *pairing, const struct addr *host, bool network)
{
        list_for_each(at, &pairing->pairs) {
                struct relay_pair *pair = list_entry(at, struct relay_pair, all);
                const struct relay_half *half = &pair->half[pair->half[1].session != NULL];

                if (pair->state == PAIR_WAITING && (!host || is_from(half->session, host, network)))
                        return pair;
        }
        return NULL;
}

/* It has had the most time to meet the other half, and enough: where each new one drove out the last, nobody would meet anybody. False:
 * there is none. */
static bool evict(struct relay_pairing *pairing, struct relay_pair *pair, usec_t now_us)
{
        if (!pair || now_us < pair->begun_us + RELAY_MEET_US)
                return false;
        pairing->stats.evicted++;
        end_pair(pair);
        return true;
}

/* Room for one half more, if need be in the place of one that waits. */
static bool make_room(struct relay_pairing *pairing, const struct addr *host, usec_t now_us)
{
        const struct relay_limits *limits = &pairing->limits;
        unsigned network_max = 2 * limits->per_host;
        struct share network;

        if (share_of(pairing, host, false).halves >= limits->per_host && !evict(pairing, find_oldest(pairing, host, false), now_us))
                return false;
        network = share_of(pairing, host, true);
        if ((network.ends + 2 > network_max || !has_room(2 * pairing->pair_count, 2 * (size_t)limits->pairs, network.ends, 2)) &&
            !evict(pairing, find_oldest(pairing, host, true), now_us))
                return false;
        return pairing->pair_count < limits->pairs || evict(pairing, find_oldest(pairing, NULL, false), now_us);
}

/* --- Halves --- */

/* The other half of a pair needs no more room than it has. */
static bool may_ask(struct relay_session *session, const struct relay_pair *pair, usec_t now_us)
{
        struct relay_pairing *pairing = session->pairing;

        if (session->half_count >= pairing->limits.per_session)
                return false;
        return pair ? share_of(pairing, &session->host, false).halves < pairing->limits.per_host
                    : make_room(pairing, &session->host, now_us);
}

static void take_pair(struct relay_session *session, const struct relay_message *message, usec_t now_us)
{
        struct relay_pairing *pairing = session->pairing;
        struct relay_pair *pair = find_waiting(pairing, message->token);
        struct relay_half *half;

        if (pair && pair->half[message->initiator].session)
                return;         /* the first stays */
        if (!may_ask(session, pair, now_us)) {
                pairing->stats.limited++;
                return;
        }
        if (!pair)
                pair = pair_new(pairing, message->token, now_us);
        if (!pair)
                return;
        half = &pair->half[message->initiator];
        half->session = session;
        half->stream_id = message->stream_id;
        session->asked = true;
        list_push_back(&session->halves, &half->in_session);
        session->half_count++;
        if (pair->half[0].session && pair->half[1].session)
                make(pair);
}

/* A waiting one by anybody who knows its token; another by its own sessions only. */
static struct relay_pair *find(struct relay_session *session, const uint8_t token[RELAY_TOKEN_BYTES])
{
        struct relay_pair *pair = find_waiting(session->pairing, token);

        if (pair)
                return pair;
        list_for_each(at, &session->halves) {
                pair = list_entry(at, struct relay_half, in_session)->pair;
                if (memcmp(pair->token, token, RELAY_TOKEN_BYTES) == 0)
                        return pair;
        }
        return NULL;
}

static void take_unpair(struct relay_session *session, const struct relay_message *message)
{
        struct relay_pair *pair = find(session, message->token);

        if (!pair)
                return;
        session->pairing->stats.cancelled++;
        end_pair(pair);
}

void relay_pair_join(struct relay_pair *pair, void *joint, const uint32_t relay_ids[2])
{
        pair->state = PAIR_JOINED;
        pair->joint = joint;
        pair->pairing->stats.made++;
        for (unsigned i = 0; i < 2; i++) {
                pair->half[i].relay_id = relay_ids[i];
                pair->half[i].answer_due = true;
                want(pair->half[i].session);
        }
}

void relay_pair_drop(struct relay_pair *pair)
{
        pair->pairing->stats.limited += pair->state == PAIR_MADE;
        end_pair(pair);
}

/* --- Sessions --- */

static bool may_come(const struct relay_pairing *pairing, const struct addr *host)
{
        const struct relay_limits *limits = &pairing->limits;
        unsigned network = share_of(pairing, host, true).sessions;

        return pairing->session_count < limits->sessions &&
               share_of(pairing, host, false).sessions < limits->per_host + SPARE_SESSIONS &&
               network < 2 * (limits->per_host + SPARE_SESSIONS) &&
               has_room(pairing->session_count, limits->sessions, network, 1);
}

struct relay_session *relay_session_new(struct relay_pairing *pairing, const uint8_t key[RELAY_KEY_BYTES], const struct addr *host,
                                        void *context)
{
        struct relay_session *session;

        if (!may_come(pairing, host)) {
                pairing->stats.limited++;
                return NULL;
        }
        session = calloc(1, sizeof(*session));
        if (!session)
                return NULL;
        session->pairing = pairing;
        session->host = *host;
        session->context = context;
        relay_channel_init(&session->channel, key);
        list_init(&session->halves);
        list_init(&session->ready);
        list_push_back(&pairing->sessions, &session->all);
        pairing->session_count++;
        want(session);
        return session;
}

void relay_session_free(struct relay_session *session)
{
        if (!session)
                return;
        while (session->half_count)
                end_pair(list_entry(list_first(&session->halves), struct relay_half, in_session)->pair);
        list_remove(&session->ready);
        list_remove(&session->all);
        session->pairing->session_count--;
        free(session);
}

bool relay_session_is_busy(const struct relay_session *session)
{
        return session->half_count > 0;
}

bool relay_session_has_asked(const struct relay_session *session)
{
        return session->asked;
}

static void refuse(struct relay_session *session, uint64_t channel)
{
        if (session->reject_count == REJECTS_MAX)
                return;
        session->rejects[session->reject_count++] = channel;
        want(session);
}

static bool is_proven(struct relay_pairing *pairing, const struct relay_message *message)
{
        if (!pairing->proof_count)
                return true;
        for (size_t i = 0; i < pairing->proof_count; i++)
                if (relay_token_check(message->token, pairing->proofs[i], pairing->key))
                        return true;
        pairing->stats.unproven++;
        return false;
}

/* False: the session is over. */
static bool take(struct relay_session *session, const struct relay_frame *frame, usec_t now_us)
{
        struct relay_message message;

        switch (relay_channel_take(&session->channel, frame, &message)) {
        case RELAY_MESSAGE:
                if (!is_proven(session->pairing, &message))
                        return false;
                if (message.type == RELAY_PAIR)
                        take_pair(session, &message, now_us);
                else
                        take_unpair(session, &message);
                return true;
        case RELAY_REFUSED:
                refuse(session, frame->channel);
                return true;
        case RELAY_CLOSED:
                return false;
        case RELAY_MALFORMED:
                session->pairing->stats.malformed++;
                return false;
        case RELAY_IGNORED:
        case RELAY_OPENED:
                break;
        }
        return true;
}

bool relay_session_take(struct relay_session *session, const void *bytes, size_t len, usec_t now_us)
{
        struct relay_frames frames;
        struct relay_frame frame;

        relay_frames_init(&frames, bytes, len);
        while (relay_frames_next(&frames, &frame))
                if (!take(session, &frame, now_us))
                        return false;
        session->pairing->stats.malformed += frames.r.failed;
        return !frames.r.failed;
}

static bool write_answer(struct relay_session *session, struct writer *w)
{
        list_for_each(at, &session->halves) {
                struct relay_half *half = list_entry(at, struct relay_half, in_session);
                struct relay_message message = {
                        .type = RELAY_PAIR,
                        .initiator = half == &half->pair->half[1],
                        .stream_id = half->relay_id,
                };

                if (!half->answer_due)
                        continue;
                half->answer_due = false;
                memcpy(message.token, half->pair->token, sizeof(message.token));
                relay_message_write(w, RELAY_CHANNEL, &message);
                return true;
        }
        return false;
}

/* Our open first, whatever the peer says. */
static bool write_frame(struct relay_session *session, struct writer *w)
{
        if (!session->opened) {
                session->opened = true;
                relay_open_write(w, RELAY_CHANNEL, session->channel.id);
                return true;
        }
        if (session->reject_count) {
                relay_reject_write(w, session->rejects[--session->reject_count]);
                return true;
        }
        return write_answer(session, w);
}

bool relay_pairing_frame(struct relay_pairing *pairing, void **context_out, uint8_t out[RELAY_FRAME_MAX], size_t *len_out)
{
        struct list *first;

        while ((first = list_first(&pairing->ready))) {
                struct relay_session *session = list_entry(first, struct relay_session, ready);
                struct writer w = writer_over(out, RELAY_FRAME_MAX);

                if (write_frame(session, &w)) {
                        *context_out = session->context;
                        *len_out = writer_len(&w);
                        return true;
                }
                list_remove(&session->ready);
        }
        return false;
}

/* --- The turn --- */

bool relay_pairing_event(struct relay_pairing *pairing, struct relay_event *out)
{
        struct list *first = list_first(&pairing->eventful);
        struct relay_pair *pair;

        if (!first)
                return false;
        pair = list_entry(first, struct relay_pair, eventful);
        list_remove(&pair->eventful);
        *out = (struct relay_event){ .kind = RELAY_PAIR_MADE, .pair = pair, .joint = pair->joint };
        for (unsigned i = 0; i < 2; i++) {
                out->stream_ids[i] = pair->half[i].stream_id;
                out->contexts[i] = pair->half[i].session ? pair->half[i].session->context : NULL;
        }
        if (pair->state == PAIR_OVER) {
                out->kind = RELAY_PAIR_OVER;
                out->pair = NULL;
                pair_free(pair);
        }
        return true;
}

void relay_pairing_advance(struct relay_pairing *pairing, usec_t now_us)
{
        struct heap_entry *entry;

        while ((entry = heap_pop_due(&pairing->timers, now_us))) {
                pairing->stats.expired++;
                end_pair(container_of(entry, struct relay_pair, timer));
        }
}

usec_t relay_pairing_deadline(const struct relay_pairing *pairing)
{
        return list_empty(&pairing->eventful) && list_empty(&pairing->ready) ? heap_deadline(&pairing->timers) : 0;
}

void relay_pairing_stats(const struct relay_pairing *pairing, struct relay_stats *out)
{
        *out = pairing->stats;
        out->sessions = pairing->session_count;
        out->waiting = pairing->waiting.count;
        out->pairs = pairing->pair_count - pairing->waiting.count;
}
