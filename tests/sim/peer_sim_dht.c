/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_sim_dht.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"

/* An event on its way to the one it is for. */
struct letter {
        struct list all;
        usec_t due_us;
        struct dht_event event;
        uint8_t noise[];
};

struct dht_handshake {
        struct dht_handshake *next;
        struct dht *client, *server;
        struct addr relay;
        enum peer_sim_relay behaviour;
        usec_t delay_us;
        bool relayed, over;
        uint16_t tid;
        void *context;
};

struct dht_query {
        struct dht *dht;
        struct list all;
};

struct dht_listener {
        struct dht *dht;
        struct list all;
        uint8_t target[DHT_TARGET_BYTES];
        void *context;
};

struct dht {
        struct peer_sim_node *node;
        struct list letters, listeners, queries;
        uint8_t noise[DHT_NOISE_MAX];   /* of the event told last */
        struct peer_sim_answer answer, round;
};

struct dht *peer_sim_dht_new(struct peer_sim_node *node)
{
        struct dht *dht = calloc(1, sizeof(*dht));

        assert(dht);
        dht->node = node;
        list_init(&dht->letters);
        list_init(&dht->listeners);
        list_init(&dht->queries);
        return dht;
}

static void letter_free(struct letter *letter)
{
        list_remove(&letter->all);
        free(letter);
}

void peer_sim_dht_free(struct dht *dht)
{
        struct dht_handshake **link = &dht->node->sim->handshakes, *handshake;

        list_for_each(at, &dht->letters)
                letter_free(list_entry(at, struct letter, all));
        list_for_each(at, &dht->listeners)
                free(list_entry(at, struct dht_listener, all));
        list_for_each(at, &dht->queries)
                free(list_entry(at, struct dht_query, all));
        while ((handshake = *link)) {
                if (handshake->client == dht) {
                        *link = handshake->next;
                        free(handshake);
                } else {
                        link = &handshake->next;
                }
        }
        free(dht);
}

static void post(struct dht *to, usec_t after_us, const struct dht_event *event, const void *noise, size_t len)
{
        struct letter *letter = calloc(1, sizeof(*letter) + len);
        struct list *at = to->letters.prev;

        assert(letter);
        letter->due_us = net_now(to->node->sim->net) + after_us;
        letter->event = *event;
        letter->event.noise_len = len;
        if (len)
                memcpy(letter->noise, noise, len);
        while (at != &to->letters && list_entry(at, struct letter, all)->due_us > letter->due_us)
                at = at->prev;
        list_insert_before(at->next, &letter->all);
}

usec_t dht_deadline(const struct dht *dht)
{
        struct list *first = list_first(&dht->letters);

        return first ? list_entry(first, struct letter, all)->due_us : USEC_NEVER;
}

static void forget_handshake(struct dht_handshake *gone)
{
        struct dht_handshake **link = &gone->client->node->sim->handshakes;

        while (*link != gone)
                link = &(*link)->next;
        *link = gone->next;
        free(gone);
}

bool dht_event(struct dht *dht, struct dht_event *out)
{
        struct letter *letter;

        if (dht_deadline(dht) > net_now(dht->node->sim->net))
                return false;
        letter = list_entry(list_first(&dht->letters), struct letter, all);
        *out = letter->event;
        memcpy(dht->noise, letter->noise, letter->event.noise_len);
        out->noise = dht->noise;
        letter_free(letter);
        if (out->kind == DHT_HANDSHAKE_ANSWERED || out->kind == DHT_HANDSHAKE_FAILED || out->kind == DHT_PUNCH_ANSWERED ||
            out->kind == DHT_PUNCH_FAILED)
                forget_handshake(out->handshake);
        if (out->kind == DHT_QUERY_DONE) {
                list_remove(&out->query->all);
                free(out->query);
        }
        if (out->kind == DHT_UNLISTENED) {
                list_remove(&out->listener->all);
                free(out->listener);
        }
        return true;
}

bool dht_open_addr(const struct dht *dht, struct addr *out)
{
        if (dht->node->open)
                *out = dht->node->seen;
        return dht->node->open;
}

uint32_t dht_socket(const struct dht *dht)
{
        return dht->node->socket;
}

bool dht_forward_of(const struct dht *dht, const uint8_t target[DHT_TARGET_BYTES], struct addr *relay_out)
{
        *relay_out = dht->node->forward;
        return dht->node->forward.port;
}

void dht_target(const uint8_t public_key[DHT_KEY_BYTES], uint8_t target_out[DHT_TARGET_BYTES])
{
        crypto_generichash(target_out, DHT_TARGET_BYTES, public_key, DHT_KEY_BYTES, NULL, 0);
}

static struct dht_listener *listener_of(struct peer_sim *sim, const uint8_t target[DHT_TARGET_BYTES])
{
        for (unsigned i = 0; i < sim->node_count; i++) {
                list_for_each(at, &sim->node[i].dht->listeners) {
                        struct dht_listener *listener = list_entry(at, struct dht_listener, all);

                        if (memcmp(listener->target, target, DHT_TARGET_BYTES) == 0)
                                return listener;
                }
        }
        return NULL;
}

struct dht_listener *dht_listen(struct dht *dht, const uint8_t secret_key[DHT_SECRET_KEY_BYTES], void *context,
                                const struct now *now)
{
        struct dht_listener *listener = calloc(1, sizeof(*listener));

        assert(listener);
        listener->dht = dht;
        listener->context = context;
        dht_target(secret_key + 32, listener->target);
        list_push_back(&dht->listeners, &listener->all);
        return listener;
}

void dht_unlisten(struct dht *dht, struct dht_listener *listener, bool keep, const struct now *now)
{
        struct dht_event event = { .kind = DHT_UNLISTENED, .listener = listener, .context = listener->context };

        list_for_each(at, &dht->letters) {
                struct letter *letter = list_entry(at, struct letter, all);

                if (letter->event.kind == DHT_HANDSHAKE && letter->event.listener == listener)
                        letter_free(letter);
        }
        memset(listener->target, 0, sizeof(listener->target));
        post(dht, MSEC(10), &event, NULL, 0);
}

size_t dht_listener_relays(const struct dht_listener *listener, struct dht_relay out[DHT_RELAYS_MAX])
{
        const struct peer_sim_node *node = listener->dht->node;
        size_t count = node->entry.relay_count < DHT_RELAYS_MAX ? node->entry.relay_count : DHT_RELAYS_MAX;

        for (size_t i = 0; i < count; i++)
                out[i] = (struct dht_relay){ .relay = node->entry.relays[i], .peer = node->seen };
        return count;
}

/* --- Queries --- */

struct dht_query *dht_query(struct dht *dht, const struct dht_query_spec *spec, const struct now *now)
{
        struct peer_sim *sim = dht->node->sim;
        struct dht_query *query = calloc(1, sizeof(*query));
        struct dht_listener *listener = listener_of(sim, spec->target);
        struct dht_event found = { .kind = DHT_PEER_FOUND, .context = spec->context, .query = query };
        struct dht_event done = { .kind = DHT_QUERY_DONE, .context = spec->context, .query = query };

        assert(query);
        sim->queries++;
        query->dht = dht;
        list_push_back(&dht->queries, &query->all);
        if (listener && listener->dht->node->entry.listed) {
                const struct peer_sim_entry *entry = &listener->dht->node->entry;

                for (size_t i = 0; i < entry->relay_count; i++) {
                        found.from = entry->relays[i];
                        found.to = dht->node->seen;
                        post(dht, sim->query_us, &found, NULL, 0);
                }
        }
        post(dht, 2 * sim->query_us, &done, NULL, 0);
        return query;
}

static void drop_letters(struct dht *dht, const struct dht_query *query, const struct dht_handshake *handshake)
{
        list_for_each(at, &dht->letters) {
                struct letter *letter = list_entry(at, struct letter, all);

                if ((query && letter->event.query == query) || (handshake && letter->event.handshake == handshake))
                        letter_free(letter);
        }
}

void dht_query_cancel(struct dht *dht, struct dht_query *query, const struct now *now)
{
        drop_letters(dht, query, NULL);
        list_remove(&query->all);
        free(query);
}

/* --- Handshakes --- */

static void choose_relay(struct dht_handshake *handshake, const struct peer_sim_node *server)
{
        const struct peer_sim_entry *entry = &server->entry;

        handshake->behaviour = PEER_SIM_DEAD;
        handshake->relayed = true;
        for (size_t i = 0; i < entry->relay_count; i++) {
                if (!addr_equal(&handshake->relay, &entry->relays[i]))
                        continue;
                handshake->behaviour = entry->behaviour[i];
                handshake->delay_us = entry->delay_us[i];
                handshake->relayed = !(entry->direct && i == 0);
        }
}

static void fail(struct dht_handshake *handshake, bool timed_out)
{
        struct dht_event event = {
                .kind = DHT_HANDSHAKE_FAILED,
                .context = handshake->context,
                .handshake = handshake,
                .from = handshake->relay,
                .timed_out = timed_out,
        };

        handshake->over = true;
        post(handshake->client, timed_out ? SECONDS(4) : 2 * handshake->client->node->sim->relay_us, &event, NULL, 0);
}

static void answer(struct dht_handshake *handshake, const void *noise, size_t len)
{
        struct peer_sim *sim = handshake->client->node->sim;
        struct dht_event event = {
                .kind = DHT_HANDSHAKE_ANSWERED,
                .context = handshake->context,
                .handshake = handshake,
                .from = handshake->relay,
                .to = handshake->client->node->seen,
                .server = handshake->relayed && handshake->server ? handshake->server->node->seen : handshake->relay,
                .relayed = handshake->relayed,
        };

        handshake->over = true;
        sim->answers++;
        post(handshake->client, sim->relay_us, &event, noise, len);
}

static void deliver(struct dht_handshake *handshake, struct dht_listener *listener, const uint8_t *noise, size_t len)
{
        struct peer_sim *sim = handshake->client->node->sim;
        struct dht_event event = {
                .kind = DHT_HANDSHAKE,
                .context = listener->context,
                .listener = listener,
                .inbound = {
                        .socket = listener->dht->node->socket,
                        .tid = handshake->tid,
                        .mode = handshake->relayed ? DHT_FROM_RELAY : DHT_FROM_CLIENT,
                        .from = handshake->relayed ? handshake->relay : handshake->client->node->seen,
                        .client = handshake->client->node->seen,
                        .to = listener->dht->node->seen,
                },
        };

        memcpy(event.inbound.target, listener->target, DHT_TARGET_BYTES);
        handshake->server = listener->dht;
        for (unsigned i = 0; i <= sim->repeats; i++)
                post(listener->dht, sim->relay_us + handshake->delay_us + i, &event, noise, len);
}

struct dht_handshake *dht_handshake_send(struct dht *dht, const struct addr *relay, const uint8_t target[DHT_TARGET_BYTES],
                                         const void *noise, size_t len, void *context, const struct now *now)
{
        struct peer_sim *sim = dht->node->sim;
        struct dht_handshake *handshake = calloc(1, sizeof(*handshake));
        struct dht_listener *listener = listener_of(sim, target);
        uint8_t bytes[DHT_NOISE_MAX];

        assert(handshake && len <= sizeof(bytes));
        memcpy(bytes, noise, len);
        *handshake = (struct dht_handshake){ .client = dht, .relay = *relay, .context = context, .tid = ++sim->last_tid };
        handshake->next = sim->handshakes;
        sim->handshakes = handshake;
        sim->handshakes_sent++;
        memcpy(sim->question, noise, len);
        sim->question_len = len;
        if (!listener) {
                fail(handshake, true);
                return handshake;
        }
        choose_relay(handshake, listener->dht->node);
        switch (handshake->behaviour) {
        case PEER_SIM_DEAD:
                fail(handshake, true);
                break;
        case PEER_SIM_IGNORANT:
                fail(handshake, false);
                break;
        case PEER_SIM_INVENTING:
                memset(bytes, 0x5a, sizeof(bytes));
                answer(handshake, bytes, 150);
                break;
        case PEER_SIM_IMPOSTOR:
                handshake->server = listener->dht;
                len = sim->impostor(sim->impostor_context, sim->question, len, bytes);
                answer(handshake, bytes, len);
                break;
        case PEER_SIM_SPOILING:
                bytes[len / 2] ^= 0x10;
                deliver(handshake, listener, bytes, len);
                fail(handshake, true);
                break;
        case PEER_SIM_HONEST:
        case PEER_SIM_FORGING:
                deliver(handshake, listener, bytes, len);
                break;
        }
        return handshake;
}

void dht_handshake_cancel(struct dht *dht, struct dht_handshake *handshake)
{
        drop_letters(dht, NULL, handshake);
        forget_handshake(handshake);
}

void dht_handshake_reply(struct dht *dht, const struct dht_inbound *inbound, const void *noise, size_t len, const struct now *now)
{
        struct dht_handshake *handshake = dht->node->sim->handshakes;
        uint8_t bytes[DHT_NOISE_MAX];

        assert(len <= sizeof(bytes));
        memcpy(bytes, noise, len);
        dht->answer = (struct peer_sim_answer){ .len = len, .inbound = *inbound };
        memcpy(dht->answer.noise, noise, len);
        while (handshake && handshake->tid != inbound->tid)
                handshake = handshake->next;
        if (!handshake || handshake->over)      /* nobody waits any more */
                return;
        if (handshake->behaviour == PEER_SIM_FORGING)
                bytes[len / 2] ^= 1;
        answer(handshake, bytes, len);
}

/* --- Punches --- */

/* Other nodes see everybody where all do. */
bool dht_is_surveyed(const struct dht *dht)
{
        return dht->node->sighted >= 3;
}

size_t dht_sightings(const struct dht *dht, struct dht_sighting out[DHT_SIGHTINGS_MAX])
{
        for (uint8_t i = 0; i < dht->node->sighted; i++) {
                out[i] = (struct dht_sighting){ .witness = { .ip = { 198, 51, 98, i }, .port = 49737 }, .seen = dht->node->seen };
                if (dht->node->random_nat)
                        out[i].seen.port = (uint16_t)(out[i].seen.port + i);
        }
        return dht->node->sighted;
}

bool dht_listener_is_relay(const struct dht_listener *listener, const struct addr *addr)
{
        const struct peer_sim_entry *entry = &listener->dht->node->entry;

        for (size_t i = 0; i < entry->relay_count; i++)
                if (addr_equal(&entry->relays[i], addr))
                        return true;
        return false;
}

/* Dead relays carry nothing; what the others do to handshakes they don't do to punches. */
struct dht_handshake *dht_punch_send(struct dht *dht, const struct dht_punch_spec *spec, const struct now *now)
{
        struct peer_sim *sim = dht->node->sim;
        struct dht_handshake *handshake = calloc(1, sizeof(*handshake));
        struct dht_listener *listener = listener_of(sim, spec->target);
        struct dht_event event = { .kind = DHT_PUNCH, .punch_id = spec->id };
        struct dht_event failed = {
                .kind = DHT_PUNCH_FAILED, .context = spec->context, .handshake = handshake, .from = spec->relay, .timed_out = true,
        };

        assert(handshake);
        *handshake = (struct dht_handshake){ .client = dht, .relay = spec->relay, .context = spec->context, .tid = ++sim->last_tid };
        handshake->next = sim->handshakes;
        sim->handshakes = handshake;
        if (listener)
                choose_relay(handshake, listener->dht->node);
        post(dht, SECONDS(4), &failed, NULL, 0);                /* unless there is an answer before */
        if (!listener || handshake->behaviour == PEER_SIM_DEAD) {
                handshake->over = true;
                return handshake;
        }
        handshake->server = listener->dht;
        event.context = listener->context;
        event.listener = listener;
        event.inbound = (struct dht_inbound){
                .socket = listener->dht->node->socket, .tid = handshake->tid, .mode = DHT_FROM_RELAY, .from = spec->relay,
                .client = dht->node->seen, .to = listener->dht->node->seen,
        };
        memcpy(event.inbound.target, listener->target, DHT_TARGET_BYTES);
        post(listener->dht, sim->relay_us, &event, spec->payload, spec->len);
        return handshake;
}

void dht_punch_reply(struct dht *dht, const struct dht_inbound *inbound, const void *payload, size_t len)
{
        struct dht_handshake *handshake = dht->node->sim->handshakes;
        struct dht_event event = { .kind = DHT_PUNCH_ANSWERED, .server = dht->node->seen };

        dht->round = (struct peer_sim_answer){ .len = len, .inbound = *inbound };
        memcpy(dht->round.noise, payload, len);
        while (handshake && handshake->tid != inbound->tid)
                handshake = handshake->next;
        if (!handshake || handshake->over)
                return;
        handshake->over = true;
        drop_letters(handshake->client, NULL, handshake);
        event.context = handshake->context;
        event.handshake = handshake;
        event.from = handshake->relay;
        event.to = handshake->client->node->seen;
        post(handshake->client, dht->node->sim->relay_us, &event, payload, len);
}

void peer_sim_dht_knock(struct dht *dht, const struct dht_inbound *inbound, const void *noise, size_t len)
{
        struct dht_listener *listener = list_entry(list_first(&dht->listeners), struct dht_listener, all);
        struct dht_event event = { .kind = DHT_HANDSHAKE, .context = listener->context, .listener = listener, .inbound = *inbound };

        dht->answer.len = 0;
        post(dht, 0, &event, noise, len);
}

void peer_sim_dht_punch(struct dht *dht, const struct dht_inbound *inbound, uint64_t id, const void *sealed, size_t len)
{
        struct dht_listener *listener = list_entry(list_first(&dht->listeners), struct dht_listener, all);
        struct dht_event event = { .kind = DHT_PUNCH, .context = listener->context, .listener = listener, .inbound = *inbound,
                                   .punch_id = id };

        dht->round.len = 0;
        post(dht, 0, &event, sealed, len);
}

const struct peer_sim_answer *peer_sim_dht_round(const struct dht *dht)
{
        return &dht->round;
}

const struct peer_sim_answer *peer_sim_dht_answer(const struct dht *dht)
{
        return &dht->answer;
}
