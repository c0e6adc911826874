/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

#define FIND_US SECONDS(30)             /* all of the search; it ends by itself before */
#define BLIND_US SECONDS(5)             /* where only luck gets through */

enum dial_event {
        DIAL_ANSWERED,          /* there are addresses to try */
        DIAL_OPENED,            /* its header frame is here */
        DIAL_FAILED,            /* @failure says why */
        DIAL_EVENTS
};

static const enum peer_dial_state next_state[PEER_DIAL_STATES][DIAL_EVENTS] = {
        [PEER_DIAL_FINDING]  = { [DIAL_ANSWERED] = PEER_DIAL_REACHING, [DIAL_FAILED] = PEER_DIAL_OVER },
        [PEER_DIAL_REACHING] = { [DIAL_OPENED] = PEER_DIAL_UP, [DIAL_FAILED] = PEER_DIAL_OVER },
};

void peer_dial_arm(struct peer_dial *dial, const struct now *now)
{
        usec_t due_us = usec_min(dial->limit_us, dial->way_us);

        if (dial->state == PEER_DIAL_FINDING)
                due_us = usec_min(due_us, peer_find_deadline(dial, now->mono_us));
        heap_set(&dial->source.set->timers, &dial->source.timer, due_us);
}

static void enter_reaching(struct peer_dial *dial, const struct now *now)
{
        peer_find_stop(dial, now);
        peer_reach_start(dial, now);
}

static void end_punch(struct peer_dial *dial, struct conn *met)
{
        peer_attempt_punch(&dial->attempt, dial->punch);
        if (!met || !peer_detour_punch(met, dial->punch))
                peer_punch_free(dial->punch, met);
        dial->punch = NULL;
}

static void enter_up(struct peer_dial *dial, const struct now *now)
{
        peer_punch_met(dial->conn, now);
        end_punch(dial, dial->conn);
        peer_attempt_meet(&dial->attempt, dial->conn);
        dial->attempt.took_us = now->mono_us - dial->begun_us;
        dial->limit_us = dial->way_us = USEC_NEVER;
        dial->source.set->stats.dials_connected++;
}

static void enter_over(struct peer_dial *dial, const struct now *now)
{
        peer_find_stop(dial, now);
        dial->limit_us = dial->way_us = USEC_NEVER;
        end_punch(dial, NULL);
        dial->attempt = peer_dial_attempt(dial, now);
        conn_free(dial->conn);
        dial->conn = NULL;
        dial->source.set->stats.dials_failed[dial->failure]++;
        peer_source_report(&dial->source, PEER_DIAL_FAILED);
}

static void step(struct peer_dial *dial, enum dial_event event, const struct now *now)
{
        enum peer_dial_state next = next_state[dial->state][event];

        if (next == PEER_DIAL_SAME)
                return;
        dial->state = next;
        switch (next) {
        case PEER_DIAL_REACHING:
                enter_reaching(dial, now);
                break;
        case PEER_DIAL_UP:
                enter_up(dial, now);
                break;
        case PEER_DIAL_OVER:
                enter_over(dial, now);
                break;
        case PEER_DIAL_SAME:
        case PEER_DIAL_FINDING:
        case PEER_DIAL_STATES:
                break;
        }
        peer_dial_arm(dial, now);
}

void peer_dial_fail(struct peer_dial *dial, enum peer_failure failure, const struct now *now)
{
        if (dial->state == PEER_DIAL_OVER)
                return;
        dial->failure = failure;
        step(dial, DIAL_FAILED, now);
}

/* Goes on with the search, or ends it where nothing is left to try. */
static void find(struct peer_dial *dial, const struct now *now)
{
        if (peer_find(dial, now))
                peer_dial_arm(dial, now);
        else
                peer_dial_fail(dial, dial->asked ? PEER_UNANSWERED : PEER_NOT_FOUND, now);
}

/* --- The answer: C5 to C9 --- */

static void remember_relays(struct peer_dial *dial, const struct noise_payload *payload)
{
        dial->next_relay_count = MIN(payload->relay_address_count, (size_t)DHT_PEER_RELAYS_MAX);
        for (size_t i = 0; i < dial->next_relay_count; i++)
                dial->next_relays[i] = payload->relay_addresses[i];
        for (unsigned i = 0; i < dial->asked && !payload->relay_address_count && i < DHT_PEER_RELAYS_MAX; i++)
                dial->next_relays[dial->next_relay_count++] = dial->relays[i].addr;
}

/* The server's relay wins, and makes us the second half of its token (connect.md 7.1). Who is called, or calls us, needs none. */
static void start_detour(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload,
                         const struct now *now)
{
        struct peer_detour_spec theirs = { .key = payload->relay_through_key, .token = payload->relay_through_token };
        struct peer_detour_spec ours = { .initiator = true, .key = dial->relay_key, .token = dial->relay_token };

        if (!event->relayed || dial->claimed_open || dial->called || dial->detour || payload->firewall == NOISE_FIREWALL_OPEN)
                return;
        if (payload->has_relay_through)
                peer_detour_begin(dial->conn, &theirs, now);
        else if (dial->has_relay_through)
                peer_detour_begin(dial->conn, &ours, now);
}

static void take_payload(struct peer_dial *dial, const struct dht_event *event, const struct noise_session *session,
                         const struct noise_payload *payload, const struct now *now)
{
        if (payload->version != NOISE_PAYLOAD_VERSION) {
                peer_dial_fail(dial, PEER_INCOMPATIBLE, now);
        } else if (payload->error != NOISE_ERROR_NONE) {
                peer_dial_fail(dial, payload->error == NOISE_ERROR_VERSION_MISMATCH ? PEER_INCOMPATIBLE : PEER_REFUSED, now);
        } else if (!payload->has_udx) {
                peer_dial_fail(dial, PEER_INCOMPATIBLE, now);
        } else {
                conn_set_keys(dial->conn, session, payload->udx_id);
                remember_relays(dial, payload);
                peer_reach_plan(dial, event, payload);
                dial->limit_us = now->mono_us + (dial->failure == PEER_NEEDS_PUNCH ? BLIND_US : PEER_REACH_US);
                if (dial->failure == PEER_NEEDS_PUNCH && peer_offers_punch(payload))
                        peer_punch_dial(dial, event, payload, session->hash, now);
                if (dial->punch)
                        dial->limit_us = USEC_NEVER;    /* the punch has limits of its own */
                start_detour(dial, event, payload, now);
                if (dial->way_count || dial->punch || peer_detour_is_trying(dial->conn))
                        step(dial, DIAL_ANSWERED, now);
                else
                        peer_dial_fail(dial, PEER_UNREACHED, now);
        }
}

/* A relay can put anything in the peer's place: what does not decrypt counts as no answer from that relay. */
static void take_answer(struct peer_dial *dial, const struct dht_event *event, const struct now *now)
{
        uint8_t plain[DHT_NOISE_MAX];
        struct noise_session session;
        struct noise_payload payload;
        struct reader r;

        if (event->noise_len > sizeof(plain) ||
            noise_finish(&dial->noise, event->noise, event->noise_len, plain, &session) != NOISE_FINE) {
                dial->source.set->stats.answers_forged++;
                find(dial, now);
                return;
        }
        r = reader_over(plain, event->noise_len - NOISE_SECOND_BYTES);
        if (noise_payload_read(&r, &payload))
                take_payload(dial, event, &session, &payload, now);
        else
                peer_dial_fail(dial, PEER_INCOMPATIBLE, now);
        sodium_memzero(&session, sizeof(session));
}

void peer_dial_dht_event(struct peer_dial *dial, const struct dht_event *event, const struct now *now)
{
        if (event->kind == DHT_HANDSHAKE_ANSWERED || event->kind == DHT_HANDSHAKE_FAILED)
                peer_find_over(dial, event->handshake);
        if (event->kind == DHT_QUERY_DONE)
                dial->query = NULL;
        if (dial->state != PEER_DIAL_FINDING)
                return;
        if (event->kind == DHT_HANDSHAKE_ANSWERED) {
                take_answer(dial, event, now);
                return;
        }
        if (event->kind == DHT_PEER_FOUND)
                peer_find_add(dial, &event->from);
        find(dial, now);
}

/* --- Its connection --- */

void peer_dial_opened(struct peer_dial *dial, const struct now *now)
{
        step(dial, DIAL_OPENED, now);
}

void peer_dial_lost(struct peer_dial *dial, enum peer_failure failure, const struct now *now)
{
        if (failure == PEER_UNREACHED)
                failure = dial->failure;        /* it says more */
        peer_dial_fail(dial, failure, now);
}

void peer_dial_advance(struct peer_dial *dial, const struct now *now)
{
        if (now->mono_us >= dial->limit_us && dial->conn && peer_detour_is_trying(dial->conn)) {
                dial->waits = true;
                dial->limit_us = USEC_NEVER;    /* the detour has one of its own */
        }
        if (now->mono_us >= dial->limit_us) {
                peer_dial_fail(dial, dial->state == PEER_DIAL_FINDING ? PEER_UNANSWERED : dial->failure, now);
                return;
        }
        if (dial->state == PEER_DIAL_FINDING) {
                find(dial, now);
                return;
        }
        peer_reach_advance(dial, now);
        peer_dial_arm(dial, now);
}

/* --- From outside --- */

static size_t write_payload(const struct peer_dial *dial, uint8_t out[NOISE_PAYLOAD_MAX])
{
        struct noise_payload payload = {
                .version = NOISE_PAYLOAD_VERSION,
                .firewall = dial->claimed_open ? NOISE_FIREWALL_OPEN : peer_own_class(dial->source.set),
                .has_udx = true,
                .udx_version = 1,
                .udx_id = udx_stream_local_id(dial->conn->stream),
                .has_secret_stream = true,
                .secret_stream_version = 1,
        };
        struct addr own[PEER_OWN_MAX];
        struct writer w = writer_over(out, NOISE_PAYLOAD_MAX);

        payload.address_count = peer_own_addresses(dial->source.set, own);
        memcpy(payload.addresses, own, payload.address_count * sizeof(own[0]));
        if (dial->has_relay_through) {
                payload.has_relay_through = true;
                payload.relay_through_version = 1;
                memcpy(payload.relay_through_key, dial->relay_key, sizeof(dial->relay_key));
                memcpy(payload.relay_through_token, dial->relay_token, sizeof(dial->relay_token));
        }
        noise_payload_write(&w, &payload);
        return writer_len(&w);
}

/* One message for all relays: another ephemeral key would be another handshake to the server. */
static int write_question(struct peer_dial *dial, const struct peer_dial_spec *spec)
{
        uint8_t payload[NOISE_PAYLOAD_MAX];
        struct addr open;
        size_t len;

        dial->claimed_open = dht_open_addr(dial->source.set->dht, &open);
        dial->has_relay_through = spec->relay_through && !dial->claimed_open;
        if (dial->has_relay_through) {
                memcpy(dial->relay_key, spec->relay_through, sizeof(dial->relay_key));
                relay_token_make(dial->relay_token, spec->relay_proof, dial->relay_key, &dial->source.set->random);
        }
        len = write_payload(dial, payload);
        noise_init(&dial->noise, spec->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        if (noise_initiate(&dial->noise, spec->remote_key, &dial->source.set->random, payload, len, dial->question) != NOISE_FINE)
                return -EINVAL;
        dial->question_len = len + NOISE_FIRST_BYTES;
        return 0;
}

static void start(struct peer_dial *dial, const struct peer_dial_spec *spec, const struct now *now)
{
        peer_find_start(dial, spec, now);
        dial->state = PEER_DIAL_FINDING;
        dial->begun_us = now->mono_us;
        dial->limit_us = now->mono_us + FIND_US;
        dial->way_us = USEC_NEVER;
        find(dial, now);
}

int peer_dial(struct peer_set *set, const struct peer_dial_spec *spec, struct peer_dial **dial_out, const struct now *now)
{
        struct peer_dial *dial = calloc(1, sizeof(*dial));
        int r;

        if (!dial)
                return -ENOMEM;
        peer_source_init(&dial->source, PEER_SOURCE_DIAL, set);
        list_push_back(&set->dials, &dial->all);
        set->dial_count++;
        dial->context = spec->context;
        memcpy(dial->remote_key, spec->remote_key, sizeof(dial->remote_key));
        dht_target(spec->remote_key, dial->target);
        r = conn_new(set, true, spec->secret_key + 32, &dial->conn);
        if (r == 0) {
                dial->conn->dial = dial;
                r = write_question(dial, spec);
        }
        if (r < 0) {
                conn_free(dial->conn);
                peer_dial_free(dial);
                return r;
        }
        start(dial, spec, now);
        *dial_out = dial;
        return 0;
}

void peer_dial_again(struct peer_dial *dial, const struct now *now)
{
        if (dial->state != PEER_DIAL_FINDING)
                return;
        peer_find_again(dial, now);
        dial->limit_us = now->mono_us + FIND_US;
        find(dial, now);
}

bool peer_dial_struggles(const struct peer_dial *dial, const struct now *now)
{
        return dial->state == PEER_DIAL_REACHING && dial->failure != PEER_UNREACHED && !dial->called && !dial->conn->detour &&
               now->mono_us >= dial->begun_us + PEER_STRUGGLE_US;
}

/* Without its connection. */
void peer_dial_free(struct peer_dial *dial)
{
        end_punch(dial, NULL);
        peer_source_fini(&dial->source);
        list_remove(&dial->all);
        dial->source.set->dial_count--;
        noise_fini(&dial->noise);
        free(dial);
}

void peer_dial_cancel(struct peer_dial *dial, const struct now *now)
{
        peer_find_stop(dial, now);
        conn_free(dial->conn);
        peer_dial_free(dial);
}

bool peer_dial_is_asked(const struct peer_dial *dial)
{
        return dial->asked > 0;
}

bool peer_dial_punches(const struct peer_dial *dial)
{
        return dial->punch != NULL;
}

bool peer_dial_bets(const struct peer_dial *dial)
{
        return dial->punch && nat_punch_is_random(&dial->punch->nat) && nat_punch_is_committed(&dial->punch->nat);
}

bool peer_dial_is_vain(const struct peer_dial *dial, enum peer_failure *failure_out)
{
        *failure_out = dial->failure;
        return dial->punch && dial->punch->failed;
}

/* It is over, one way or the other. */
void peer_dial_tell(struct peer_dial *dial, struct peer_event *out)
{
        out->context = dial->context;
        out->failure = dial->failure;
        out->attempt = dial->attempt;
        memcpy(out->remote_key, dial->remote_key, sizeof(out->remote_key));
        memcpy(out->relays, dial->next_relays, sizeof(out->relays));
        out->relay_count = dial->next_relay_count;
        if (dial->conn)
                dial->conn->dial = NULL;
        peer_dial_free(dial);
}
