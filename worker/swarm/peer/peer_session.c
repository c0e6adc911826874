/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

enum {
        REMEMBERED_MAX = 2 * PEER_SESSIONS_MAX, /* handshakes, with those that are only known for repeats */
};

/* When the way to the client is opened once more, counted from the answer: its header frame is on its way by then. */
static const usec_t probe_times_us[] = { MSEC(0), MSEC(300), MSEC(1000), MSEC(3000) };

#define CALL_US MSEC(4500)
#define AFTER_PUNCH_US SECONDS(3)       /* what is on its way when a punch is given up may still arrive */
#define FOLLOW_US MSEC(2500)            /* for the client to settle on one of the ways that opened: the sockets are there for 3 s */
#define DIALLED_ANEW_US SECONDS(3)      /* a client that dials again later has given the last time up */

static bool is_half_open(const struct peer_session *session)
{
        return session->state != PEER_SESSION_DONE;
}

void peer_session_free(struct peer_session *session)
{
        struct peer_set *set = session->source.set;

        set->session_count -= is_half_open(session);
        peer_source_fini(&session->source);
        list_remove(&session->all);
        map_remove(&set->questions, &session->entry);
        noise_fini(&session->noise);
        peer_punch_free(session->punch, NULL);
        conn_free(session->conn);
        free(session);
}

static void arm(struct peer_session *session)
{
        heap_set(&session->source.set->timers, &session->source.timer, usec_min(session->probe_us, session->limit_us));
}

static void become_done(struct peer_session *session, const struct now *now)
{
        session->source.set->session_count--;
        session->state = PEER_SESSION_DONE;
        session->probe_us = USEC_NEVER;
        session->limit_us = now->mono_us + PEER_REMEMBER_US;
        arm(session);
}

/* --- Who may start one --- */

static struct peer_session *find(struct peer_set *set, const struct peer_listener *listener, const uint8_t *question, size_t len)
{
        struct map_entry *entry = map_first(&set->questions, map_hash(&set->questions, question, len));

        for (; entry; entry = map_next(entry)) {
                struct peer_session *session = container_of(entry, struct peer_session, entry);

                if (session->listener == listener && session->question_len == len && memcmp(session->question, question, len) == 0)
                        return session;
        }
        return NULL;
}

/* Who is known does not suffer for what comes through the same relay. */
static bool is_crowded(const struct peer_set *set, const struct dht_inbound *inbound, enum peer_trust trust)
{
        unsigned by_client = 0, by_relay = 0;

        list_for_each(at, &set->sessions) {
                const struct peer_session *session = list_entry(at, struct peer_session, all);

                by_client += is_half_open(session) && addr_host_equal(&session->inbound.client, &inbound->client);
                by_relay += is_half_open(session) && addr_host_equal(&session->inbound.from, &inbound->from);
        }
        return (by_client >= PEER_SESSIONS_PER_HOST && !peer_is_own_host(set, &inbound->client)) ||
               (by_relay >= PEER_SESSIONS_PER_RELAY && trust != PEER_KNOWN && !peer_is_own_host(set, &inbound->from));
}

static void drop(struct peer_session *session)
{
        session->source.set->stats.expired += is_half_open(session);
        peer_session_free(session);
}

/* The oldest of those that are trusted least; NULL: there is none. */
static struct peer_session *find_oldest(struct peer_set *set, bool half_open)
{
        struct peer_session *oldest = NULL;

        list_for_each(at, &set->sessions) {
                struct peer_session *session = list_entry(at, struct peer_session, all);

                if (is_half_open(session) == half_open && (!oldest || session->trust < oldest->trust))
                        oldest = session;
        }
        return oldest;
}

/* Of those that wait for their client the oldest has had the most time; of those that are only memory it is needed least. False: all
 * are trusted more. */
static bool make_room(struct peer_set *set, enum peer_trust trust)
{
        bool crowded = set->session_count >= PEER_SESSIONS_MAX;
        struct peer_session *oldest = crowded || set->questions.count >= REMEMBERED_MAX ? find_oldest(set, crowded) : NULL;

        if (oldest && crowded && oldest->trust > trust)
                return false;
        if (oldest)
                drop(oldest);
        return true;
}

/* --- The answer: S3 to S5 --- */

static bool is_relayed(const struct peer_session *session)
{
        return session->inbound.mode != DHT_FROM_CLIENT;
}

static enum noise_error error_for(const struct noise_payload *payload)
{
        if (payload->version != NOISE_PAYLOAD_VERSION)
                return NOISE_ERROR_VERSION_MISMATCH;
        return payload->has_udx ? NOISE_ERROR_NONE : NOISE_ERROR_ABORTED;
}

/* Neither side has an address at which the other could call it. */
static bool needs_punch(const struct peer_session *session)
{
        struct addr addr;

        return is_relayed(session) && session->payload.firewall != NOISE_FIREWALL_OPEN &&
               !dht_open_addr(session->source.set->dht, &addr);
}

static void add_relays(const struct peer_session *session, struct noise_payload *payload)
{
        struct dht_relay relays[DHT_RELAYS_MAX];
        size_t count = needs_punch(session) ? dht_listener_relays(session->listener->dht_listener, relays) : 0;

        payload->relay_address_count = peer_listener_relays(session->listener, payload->relay_addresses);
        payload->has_relay_addresses = payload->relay_address_count > 0;
        payload->has_holepunch = count > 0;
        payload->holepunch_id = count ? session->id - 1 : 0;
        payload->relay_count = count;
        for (size_t i = 0; i < count; i++)
                payload->relays[i] = (struct noise_relay){ .relay = relays[i].relay, .peer = relays[i].peer };
}

static bool offers_relay(const struct peer_session *session)
{
        const struct peer_listener *listener = session->listener;

        return session->conn && listener->has_relay_through && needs_punch(session) &&
               (listener->always_offers || session->payload.firewall == NOISE_FIREWALL_RANDOM);
}

/* The client's relay, or ours, which wins. Whom we call at once meets us nowhere else (connect.md 7.1). */
static void start_detour(struct peer_session *session, const struct now *now)
{
        struct peer_detour_spec theirs = {
                .key = session->payload.relay_through_key, .token = session->payload.relay_through_token,
        };
        struct peer_detour_spec ours = { .initiator = true, .key = session->listener->relay_key, .token = session->relay_token };
        struct peer_way way = { .socket = session->inbound.socket, .remote = session->inbound.client };
        const struct addr *client = &session->inbound.client;

        if (!needs_punch(session))
                return;
        if (offers_relay(session))
                peer_detour_begin(session->conn, &ours, now);
        else if (session->payload.has_relay_through && peer_detour_count(session->source.set, client) < PEER_DETOURS_PER_HOST)
                peer_detour_begin(session->conn, &theirs, now);
        if (session->conn->detour)
                session->conn->detour->client_host = *client;
        peer_detour_remember(session->conn, &way, 1);
}

/* Ours, but for what the client has as well: there it would find itself. hyperdht does, takes that for its peer, and nothing else is
 * let in until the stream to itself has timed out. */
static size_t own_addresses(const struct peer_session *session, struct addr out[PEER_OWN_MAX])
{
        size_t count = peer_own_addresses(session->source.set, out), kept = 0;

        for (size_t i = 0; i < count; i++)
                if (!peer_is_among(&out[i], session->payload.addresses, session->payload.address_count))
                        out[kept++] = out[i];
        return kept;
}

static size_t write_payload(const struct peer_session *session, enum noise_error error, uint8_t out[NOISE_PAYLOAD_MAX])
{
        struct addr own[PEER_OWN_MAX], open_addr;
        size_t own_count = own_addresses(session, own);
        bool open = dht_open_addr(session->source.set->dht, &open_addr);
        struct noise_payload payload = {
                .version = NOISE_PAYLOAD_VERSION,
                .error = error,
                .firewall = open ? NOISE_FIREWALL_OPEN : peer_own_class(session->source.set),
                .address_count = own_count,
                .has_udx = true,
                .udx_version = 1,
                .udx_id = session->conn ? udx_stream_local_id(session->conn->stream) : 0,
                .has_secret_stream = true,
                .secret_stream_version = 1,
        };
        struct writer w = writer_over(out, NOISE_PAYLOAD_MAX);

        memcpy(payload.addresses, own, own_count * sizeof(own[0]));
        add_relays(session, &payload);
        if (offers_relay(session)) {
                payload.has_relay_through = true;
                payload.relay_through_version = 1;
                memcpy(payload.relay_through_key, session->listener->relay_key, sizeof(payload.relay_through_key));
                memcpy(payload.relay_through_token, session->relay_token, sizeof(payload.relay_through_token));
        }
        noise_payload_write(&w, &payload);
        return writer_len(&w);
}

static bool write_answer(struct peer_session *session, enum noise_error error, const struct now *now)
{
        uint8_t payload[NOISE_PAYLOAD_MAX];
        struct noise_session keys;
        size_t len = write_payload(session, error, payload);

        if (noise_respond(&session->noise, &session->source.set->random, payload, len, session->answer, &keys) != NOISE_FINE)
                return false;
        session->answer_len = len + NOISE_SECOND_BYTES;
        if (session->conn)
                conn_set_keys(session->conn, &keys, session->payload.udx_id);
        if (session->conn && needs_punch(session))
                peer_punch_session(session, keys.hash, now);
        sodium_memzero(&keys, sizeof(keys));
        noise_fini(&session->noise);
        return true;
}

static void send_answer(struct peer_session *session, const struct dht_inbound *inbound, const struct now *now)
{
        dht_handshake_reply(session->source.set->dht, inbound, session->answer, session->answer_len, now);
}

static void send_answers(struct peer_session *session, const struct now *now)
{
        send_answer(session, &session->inbound, now);
        for (unsigned i = 0; i < session->again_count; i++)
                send_answer(session, &session->again[i], now);
}

/* --- The way to the client: S5.2 and what opens a way where that helps --- */

static void probe(struct peer_session *session)
{
        usec_t started_us = session->conn->begun_us;
        bool more = ++session->probes < sizeof(probe_times_us) / sizeof(probe_times_us[0]);

        conn_probe(session->conn);
        session->probe_us = more ? started_us + probe_times_us[session->probes] : USEC_NEVER;
}

/* Whoever is called and has not proved itself may be the victim of who forged its address: then our header goes there three times (at
 * 0, 1 and 3 s, udx_rtt.h) and no more, which with the answer is less than three times what came (RFC 9000 8.1). */
static usec_t patience(const struct peer_session *session, bool open)
{
        return open && session->trust != PEER_KNOWN ? CALL_US : PEER_HANDSHAKE_US;
}

/* An open client waits for us to call. To any other we send what opens our own NAT for its packets, from the socket whose address
 * it gets to know, to where its own come from; but for one that asked us without a relay, whose packets pass already. With a punch its
 * openers do that, which do not arrive: what does spoils the client's NAT, with some routers, until that has been opened, and that the
 * client has had our answer, and so has opened it, only its rounds tell. */
static void reach(struct peer_session *session, const struct now *now)
{
        struct peer_set *set = session->source.set;
        bool relayed = is_relayed(session), open = session->payload.firewall == NOISE_FIREWALL_OPEN;
        struct peer_way way = {
                .socket = relayed && open ? dht_socket(set->dht) : session->inbound.socket,
                .remote = session->inbound.client,
        };

        session->state = PEER_SESSION_REACHING;
        session->limit_us = now->mono_us + patience(session, open);
        session->probe_us = USEC_NEVER;
        conn_reach(session->conn, &way, now->mono_us);
        if (open)
                conn_greet(session->conn);
        else if (!session->punch && relayed)
                probe(session);
        arm(session);
}

static void make_token(struct peer_session *session)
{
        const struct peer_listener *listener = session->listener;

        if (listener->has_relay_through)
                relay_token_make(session->relay_token, listener->has_proof ? listener->relay_proof : NULL, listener->relay_key,
                                 &session->source.set->random);
}

static void admit(struct peer_session *session, const struct now *now)
{
        struct peer_set *set = session->source.set;
        enum noise_error error = error_for(&session->payload);

        if (error == NOISE_ERROR_NONE) {
                if (conn_new(set, false, peer_listener_key(session->listener), &session->conn) < 0) {
                        peer_session_free(session);
                        return;
                }
                session->conn->session = session;
                session->conn->begun_us = now->mono_us;
                make_token(session);
        }
        if (!write_answer(session, error, now)) {
                peer_session_free(session);
                return;
        }
        if (session->conn) {
                reach(session, now);
                start_detour(session, now);
        } else {
                become_done(session, now);
        }
        send_answers(session, now);
}

/* --- A handshake message: S1, S2 --- */

static void repeat(struct peer_session *session, const struct dht_inbound *inbound, const struct now *now)
{
        session->source.set->stats.repeated++;
        if (session->answer_len)
                send_answer(session, inbound, now);
        else if (session->again_count < DHT_RELAYS_MAX)
                session->again[session->again_count++] = *inbound;
}

static bool read_question(const struct peer_listener *listener, const uint8_t *question, size_t len, struct noise *noise_out,
                          struct noise_payload *payload_out)
{
        uint8_t plain[DHT_NOISE_MAX];
        struct reader r;

        if (len > sizeof(plain))
                return false;
        noise_init(noise_out, listener->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        if (noise_accept(noise_out, question, len, plain) != NOISE_FINE)
                return false;
        r = reader_over(plain, len - NOISE_FIRST_BYTES);
        return noise_payload_read(&r, payload_out);
}

static struct peer_session *session_new(struct peer_listener *listener, const struct dht_event *event, const struct now *now)
{
        struct peer_set *set = listener->source.set;
        struct peer_session *session = calloc(1, sizeof(*session) + event->noise_len);

        if (!session)
                return NULL;
        peer_source_init(&session->source, PEER_SOURCE_SESSION, set);
        session->listener = listener;
        session->inbound = event->inbound;
        session->question_len = event->noise_len;
        memcpy(session->question, event->noise, event->noise_len);
        if (map_insert(&set->questions, &session->entry, map_hash(&set->questions, event->noise, event->noise_len)) < 0) {
                free(session);
                return NULL;
        }
        list_push_back(&set->sessions, &session->all);
        set->session_count++;
        session->id = ++set->last_knock;
        session->probe_us = USEC_NEVER;
        session->limit_us = now->mono_us + PEER_HANDSHAKE_US;
        arm(session);
        return session;
}

void peer_session_start(struct peer_listener *listener, const struct dht_event *event, const struct now *now)
{
        struct peer_set *set = listener->source.set;
        struct peer_session *session = find(set, listener, event->noise, event->noise_len);
        struct noise_payload payload;
        enum peer_trust trust;
        struct noise noise;

        if (session) {
                repeat(session, &event->inbound, now);
                return;
        }
        if (listener->closing || addr_is_unusable(&event->inbound.client))
                return;
        trust = peer_guard_trust(listener, &event->inbound, now->mono_us);
        if (!peer_guard_affords(set, trust, now->mono_us) || is_crowded(set, &event->inbound, trust)) {
                set->stats.limited++;
                return;
        }
        peer_guard_spend(set, trust);
        if (!read_question(listener, event->noise, event->noise_len, &noise, &payload)) {
                set->stats.undecryptable++;
                noise_fini(&noise);
                return;
        }
        if (make_room(set, trust))
                session = session_new(listener, event, now);
        else
                set->stats.limited++;
        if (session) {
                session->trust = trust;
                session->noise = noise;
                session->payload = payload;
                set->stats.handshakes++;
                if (listener->ask)
                        peer_source_report(&session->source, PEER_KNOCK);
                else
                        admit(session, now);
        }
        noise_fini(&noise);
}

/* --- From outside --- */

void peer_admit(struct peer_set *set, peer_knock_id knock, bool welcome, const struct now *now)
{
        list_for_each(at, &set->sessions) {
                struct peer_session *session = list_entry(at, struct peer_session, all);

                if (session->id != knock || session->state != PEER_SESSION_ASKING || session->answer_len)
                        continue;
                if (welcome) {
                        admit(session, now);
                } else {
                        set->stats.unwelcome++;
                        become_done(session, now);      /* its repeats are known and not asked about again */
                }
                return;
        }
}

/* The client, and nobody else, knows our stream's number: where it speaks from, it is reached. */
void peer_session_called(struct peer_session *session, const struct peer_way *way, const struct now *now)
{
        if (addr_is_unusable(&way->remote))
                return;
        session->probe_us = USEC_NEVER;
        conn_reach(session->conn, way, now->mono_us);
        conn_greet(session->conn);
        arm(session);
}

/* It is to be met at a relay. */
void peer_session_relayed(struct peer_session *session, const struct peer_way *way, const struct now *now)
{
        session->limit_us = usec_max(session->limit_us, now->mono_us + PEER_HANDSHAKE_US);
        peer_session_called(session, way, now);
}

void peer_session_opened(struct peer_session *session, const struct now *now)
{
        struct peer_attempt *attempt = &session->conn->attempt;

        peer_attempt_punch(attempt, session->punch);
        peer_attempt_meet(attempt, session->conn);
        attempt->took_us = now->mono_us - session->conn->begun_us;
        peer_punch_met(session->conn, now);
        if (attempt->path == PEER_PATH_CHANCE)
                conn_follow(session->conn, now->mono_us + FOLLOW_US);
        if (!peer_detour_punch(session->conn, session->punch))
                peer_punch_free(session->punch, session->conn);
        session->punch = NULL;
        session->conn->listener = session->listener;
        session->conn->session = NULL;
        session->conn = NULL;
        become_done(session, now);
}

/* It has dialled anew, and waits for nothing that comes of the times before: what is left of them would hold the gate. */
static void stop_older_punches(const struct peer_session *session, const struct now *now)
{
        list_for_each(at, &session->source.set->sessions) {
                struct peer_session *other = list_entry(at, struct peer_session, all);

                if (other->punch && other->listener == session->listener &&
                    other->conn->begun_us + DIALLED_ANEW_US < session->conn->begun_us &&
                    memcmp(conn_remote_key(other->conn), conn_remote_key(session->conn), PEER_KEY_BYTES) == 0)
                        peer_session_stop_punch(other, now);
        }
}

/* A round of the client's came, sealed: it is there, and may have to wait for others. */
void peer_session_asked(struct peer_session *session, const struct now *now)
{
        usec_t last_us = session->conn->begun_us + PEER_ROUNDS_US;

        session->limit_us = usec_max(session->limit_us, usec_min(now->mono_us + PEER_HANDSHAKE_US, last_us));
        arm(session);
        stop_older_punches(session, now);
}

/* The client has said: now. It has that long. */
void peer_session_punching(struct peer_session *session, usec_t until_us)
{
        session->limit_us = usec_max(session->limit_us, usec_add(until_us, AFTER_PUNCH_US));
        arm(session);
}

void peer_session_punch_failed(struct peer_session *session, const struct now *now)
{
        session->limit_us = usec_min(session->limit_us, now->mono_us + AFTER_PUNCH_US);
        arm(session);
}

/* Nothing more is to come of it; but its client may not know that yet. */
void peer_session_stop_punch(struct peer_session *session, const struct now *now)
{
        peer_attempt_punch(&session->conn->attempt, session->punch);    /* holes are open all the same */
        peer_punch_free(session->punch, NULL);
        session->punch = NULL;
        peer_session_punch_failed(session, now);
}

void peer_session_advance(struct peer_session *session, const struct now *now)
{
        if (now->mono_us >= session->limit_us && session->conn && peer_detour_is_trying(session->conn))
                session->limit_us = session->conn->detour->client.limit_us;
        if (now->mono_us >= session->limit_us) {
                session->source.set->stats.expired += is_half_open(session);
                peer_session_free(session);
                return;
        }
        if (now->mono_us >= session->probe_us)
                probe(session);
        arm(session);
}

void peer_session_tell(struct peer_session *session, struct peer_event *out)
{
        out->listener = session->listener;
        out->context = session->listener->context;
        out->knock = session->id;
        out->remote = session->inbound.client;
        memcpy(out->remote_key, noise_remote_key(&session->noise), sizeof(out->remote_key));
}
