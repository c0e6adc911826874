/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

enum {
        PARALLEL = 2,           /* handshakes on their way that are not late yet: hyperdht lib/connect.js */
        PARALLEL_LISTED = 3,    /* and when relays were known */
        FLYING_MAX = 8,         /* late ones included */
};

#define PATIENCE_US MSEC(300)           /* a relay that takes longer is late: the next one is asked beside it */
#define LISTED_FIRST_US MSEC(500)       /* the relays we know have that long before the network is searched */
#define FIND_US SECONDS(30)             /* all of the search; it ends by itself before */
#define WAY_US MSEC(150)                /* an address has that long before the next is tried */
#define SLOW_WAY_US SECONDS(1)          /* once each was tried twice */
#define BLIND_US SECONDS(5)             /* where only luck gets through */
#define AFTER_PUNCH_US SECONDS(3)       /* what is on its way when a punch is given up may still arrive */

enum dial_event {
        DIAL_ANSWERED,          /* there are addresses to try */
        DIAL_CALLED,            /* it speaks to us from somewhere */
        DIAL_OPENED,            /* its header frame is here */
        DIAL_FAILED,            /* @failure says why */
        DIAL_EVENTS
};

static const enum peer_dial_state next_state[PEER_DIAL_STATES][DIAL_EVENTS] = {
        [PEER_DIAL_FINDING]  = { [DIAL_ANSWERED] = PEER_DIAL_REACHING, [DIAL_FAILED] = PEER_DIAL_OVER },
        [PEER_DIAL_REACHING] = { [DIAL_CALLED] = PEER_DIAL_REACHING, [DIAL_OPENED] = PEER_DIAL_UP, [DIAL_FAILED] = PEER_DIAL_OVER },
};

static bool is_fresh(const struct peer_dial_relay *relay, usec_t now_us)
{
        return relay->handshake && now_us < relay->asked_us + PATIENCE_US;
}

static unsigned flying(const struct peer_dial *dial)
{
        unsigned count = 0;

        for (unsigned i = 0; i < dial->asked; i++)
                count += dial->relays[i].handshake != NULL;
        return count;
}

static unsigned fresh(const struct peer_dial *dial, usec_t now_us)
{
        unsigned count = 0;

        for (unsigned i = 0; i < dial->asked; i++)
                count += is_fresh(&dial->relays[i], now_us);
        return count;
}

/* When a relay that is asked becomes late, so that another may be. */
static usec_t late_us(const struct peer_dial *dial, usec_t now_us)
{
        usec_t first_us = USEC_NEVER;

        if (dial->asked == dial->relay_count || flying(dial) == FLYING_MAX)
                return USEC_NEVER;
        for (unsigned i = 0; i < dial->asked; i++)
                if (is_fresh(&dial->relays[i], now_us))
                        first_us = usec_min(first_us, dial->relays[i].asked_us + PATIENCE_US);
        return first_us;
}

static void arm(struct peer_dial *dial, const struct now *now)
{
        usec_t due_us = usec_min(dial->limit_us, dial->way_us);

        if (dial->state == PEER_DIAL_FINDING)
                due_us = usec_min(due_us, usec_min(dial->query_us, late_us(dial, now->mono_us)));
        heap_set(&dial->source.set->timers, &dial->source.timer, due_us);
}

/* No more news from the DHT. */
static void stop_finding(struct peer_dial *dial, const struct now *now)
{
        struct peer_set *set = dial->source.set;

        if (dial->query)
                dht_query_cancel(set->dht, dial->query, now);
        dial->query = NULL;
        dial->query_us = USEC_NEVER;
        for (unsigned i = 0; i < dial->asked; i++) {
                if (dial->relays[i].handshake)
                        dht_handshake_cancel(set->dht, dial->relays[i].handshake);
                dial->relays[i].handshake = NULL;
        }
}

static void take_way(struct peer_dial *dial, const struct now *now)
{
        bool guess = !dial->called && (dial->way_count > 1 || (dial->punch && !dial->certain));

        dial->way_us = USEC_NEVER;
        if (!dial->way_count)
                return;
        conn_reach(dial->conn, &dial->ways[dial->way], now->mono_us);
        if (guess) {
                conn_probe(dial->conn);         /* our header follows to the one that answers */
                dial->way_us = now->mono_us + (++dial->way_tries <= 2 * dial->way_count ? WAY_US : SLOW_WAY_US);
        } else {
                conn_greet(dial->conn);
        }
}

static void enter_reaching(struct peer_dial *dial, const struct now *now)
{
        stop_finding(dial, now);
        dial->way = 0;
        take_way(dial, now);
}

static void end_punch(struct peer_dial *dial, struct conn *met)
{
        peer_punch_free(dial->punch, met);
        dial->punch = NULL;
}

static void enter_up(struct peer_dial *dial)
{
        end_punch(dial, dial->conn);
        dial->limit_us = dial->way_us = USEC_NEVER;
        dial->source.set->stats.dials_connected++;
}

static void enter_over(struct peer_dial *dial, const struct now *now)
{
        stop_finding(dial, now);
        dial->limit_us = dial->way_us = USEC_NEVER;
        end_punch(dial, NULL);
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
                enter_up(dial);
                break;
        case PEER_DIAL_OVER:
                enter_over(dial, now);
                break;
        case PEER_DIAL_SAME:
        case PEER_DIAL_FINDING:
        case PEER_DIAL_STATES:
                break;
        }
        arm(dial, now);
}

static void fail(struct peer_dial *dial, enum peer_failure failure, const struct now *now)
{
        if (dial->state == PEER_DIAL_OVER)
                return;
        dial->failure = failure;
        step(dial, DIAL_FAILED, now);
}

/* --- Finding: C1 to C4 --- */

static void add_relay(struct peer_dial *dial, const struct addr *addr)
{
        if (dial->relay_count == PEER_DIAL_RELAYS_MAX || addr_is_unusable(addr))
                return;
        for (unsigned i = 0; i < dial->relay_count; i++)
                if (addr_equal(&dial->relays[i].addr, addr))
                        return;
        dial->relays[dial->relay_count++] = (struct peer_dial_relay){ .addr = *addr };
}

/* Asks as many as may be asked now: the same message to each, which the server knows to be one handshake. */
static void ask(struct peer_dial *dial, const struct now *now)
{
        while (dial->asked < dial->relay_count && flying(dial) < FLYING_MAX && fresh(dial, now->mono_us) < dial->parallel) {
                struct peer_dial_relay *relay = &dial->relays[dial->asked++];

                relay->asked_us = now->mono_us;
                relay->handshake = dht_handshake_send(dial->source.set->dht, &relay->addr, dial->target, dial->question,
                                                      dial->question_len, dial, now);
        }
}

static void search(struct peer_dial *dial, const struct now *now)
{
        struct addr seeds[PEER_DIAL_RELAYS_MAX];
        struct dht_query_spec spec = {
                .operation = DHT_FIND_PEER,
                .target = dial->target,
                .seeds = seeds,
                .seed_count = dial->relay_count,
                .retries = RPC_RETRIES,
                .context = dial,
        };

        for (unsigned i = 0; i < dial->relay_count; i++)
                seeds[i] = dial->relays[i].addr;
        dial->query_us = USEC_NEVER;
        dial->query = dht_query(dial->source.set->dht, &spec, now);
}

static bool is_asking(const struct peer_dial *dial)
{
        return flying(dial) || dial->asked < dial->relay_count;
}

/* Goes on with the search, or ends it where nothing is left to try. */
static void find(struct peer_dial *dial, const struct now *now)
{
        ask(dial, now);
        if (dial->query_us != USEC_NEVER && (now->mono_us >= dial->query_us || !is_asking(dial)))
                search(dial, now);
        if (!dial->query && dial->query_us == USEC_NEVER && !is_asking(dial))
                fail(dial, dial->asked ? PEER_UNANSWERED : PEER_NOT_FOUND, now);
        else
                arm(dial, now);
}

/* --- The answer: C5 to C9 --- */

static void add_way(struct peer_dial *dial, uint32_t socket, const struct addr *remote)
{
        if (dial->way_count == PEER_WAYS_MAX || addr_is_unusable(remote))
                return;
        for (unsigned i = 0; i < dial->way_count; i++)
                if (addr_equal(&dial->ways[i].remote, remote))
                        return;
        dial->ways[dial->way_count++] = (struct peer_way){ .socket = socket, .remote = *remote };
}

/* Addresses of one who is behind the same public address as we are, the likeliest first. From our server socket, as hyperdht
 * does. */
static void add_near_ways(struct peer_dial *dial, const struct noise_payload *payload)
{
        struct peer_set *set = dial->source.set;
        struct addr mine[PEER_OWN_MAX], theirs[NOISE_ADDRESSES_MAX];
        size_t mine_count = peer_own_addresses(set, mine), count = 0;
        const struct addr *match;

        for (size_t i = 0; i < payload->address_count; i++)
                if (!addr_is_reserved(&payload->addresses[i]))
                        theirs[count++] = payload->addresses[i];
        match = peer_match_address(mine, mine_count, theirs, count);
        if (match)
                add_way(dial, set->server_socket, match);
        for (size_t i = 0; i < count && dial->way_count < PEER_WAYS_MAX - 2; i++)
                add_way(dial, set->server_socket, &theirs[i]);
}

static bool offers_punch(const struct noise_payload *payload)
{
        return payload->has_holepunch && payload->relay_count > 0;
}

/* The server knows its NAT, as those of ours tell before any round of punching: then it has opened it for us before its answer left.
 * To knock at one that is not open yet would spoil it with some routers. */
static bool is_expecting(const struct noise_payload *payload)
{
        return !offers_punch(payload) || payload->firewall != NOISE_FIREWALL_UNKNOWN;
}

/* Where to try, and what to think when that leads nowhere. Who told the server to be open is called besides; hyperdht only
 * waits for that. */
static void plan(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload)
{
        struct peer_set *set = dial->source.set;
        const struct addr *public = peer_first_public(payload->addresses, payload->address_count);
        uint32_t socket = dht_socket(set->dht);

        dial->failure = PEER_UNREACHED;
        if (dial->caller.remote.port) {
                add_way(dial, dial->caller.socket, &dial->caller.remote);
                dial->called = true;
        } else if (!event->relayed) {
                add_way(dial, socket, &event->from);
        } else if (payload->firewall == NOISE_FIREWALL_OPEN) {
                add_way(dial, socket, public ? public : &event->server);
        } else {
                if (!dial->claimed_open)
                        dial->failure = PEER_NEEDS_PUNCH;
                if (peer_is_own_host(set, &event->server))
                        add_way(dial, socket, &event->server);
                else if (addr_host_equal(&event->to, &event->server))
                        add_near_ways(dial, payload);
                if (public)
                        add_way(dial, socket, public);
                if (is_expecting(payload))
                        add_way(dial, socket, &event->server);
                dial->certain = payload->firewall == NOISE_FIREWALL_CONSISTENT && peer_own_class(set) == NAT_CONSISTENT;
        }
}

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

        if (!event->relayed || dial->claimed_open || dial->called || dial->detour)
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
                fail(dial, PEER_INCOMPATIBLE, now);
        } else if (payload->error != NOISE_ERROR_NONE) {
                fail(dial, payload->error == NOISE_ERROR_VERSION_MISMATCH ? PEER_INCOMPATIBLE : PEER_REFUSED, now);
        } else if (!payload->has_udx) {
                fail(dial, PEER_INCOMPATIBLE, now);
        } else {
                conn_set_keys(dial->conn, session, payload->udx_id);
                remember_relays(dial, payload);
                plan(dial, event, payload);
                dial->limit_us = now->mono_us + (dial->failure == PEER_NEEDS_PUNCH ? BLIND_US : PEER_REACH_US);
                if (dial->failure == PEER_NEEDS_PUNCH && offers_punch(payload))
                        peer_punch_dial(dial, event, payload, session->hash, now);
                if (dial->punch)
                        dial->limit_us = USEC_NEVER;    /* the punch has limits of its own */
                start_detour(dial, event, payload, now);
                if (dial->way_count || dial->punch || peer_detour_is_trying(dial->conn))
                        step(dial, DIAL_ANSWERED, now);
                else
                        fail(dial, PEER_UNREACHED, now);
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
                fail(dial, PEER_INCOMPATIBLE, now);
        sodium_memzero(&session, sizeof(session));
}

static void handshake_is_over(struct peer_dial *dial, const struct dht_handshake *handshake)
{
        for (unsigned i = 0; i < dial->asked; i++)
                if (dial->relays[i].handshake == handshake)
                        dial->relays[i].handshake = NULL;
}

void peer_dial_dht_event(struct peer_dial *dial, const struct dht_event *event, const struct now *now)
{
        if (event->kind == DHT_HANDSHAKE_ANSWERED || event->kind == DHT_HANDSHAKE_FAILED)
                handshake_is_over(dial, event->handshake);
        if (event->kind == DHT_QUERY_DONE)
                dial->query = NULL;
        if (dial->state != PEER_DIAL_FINDING)
                return;
        if (event->kind == DHT_HANDSHAKE_ANSWERED) {
                take_answer(dial, event, now);
                return;
        }
        if (event->kind == DHT_PEER_FOUND)
                add_relay(dial, &event->from);
        find(dial, now);
}

/* --- Its connection --- */

/* Somebody who knows our stream's number speaks from there; that can only be the server. Before its answer is here we can't
 * answer. */
void peer_dial_called(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (addr_is_unusable(&way->remote))
                return;
        dial->caller = *way;
        if (dial->state == PEER_DIAL_FINDING)
                return;
        dial->ways[0] = *way;
        dial->way_count = 1;
        dial->called = true;
        dial->limit_us = usec_min(dial->limit_us, now->mono_us + PEER_REACH_US);
        step(dial, DIAL_CALLED, now);
}

/* It is to be met at a relay, unless it is there already. */
void peer_dial_relayed(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (dial->state != PEER_DIAL_REACHING)
                return;
        peer_detour_remember(dial->conn, dial->ways, dial->way_count);
        dial->limit_us = USEC_NEVER;
        peer_dial_called(dial, way, now);
}

/* No relay helps. */
void peer_dial_alone(struct peer_dial *dial, const struct now *now)
{
        if (dial->waits)
                fail(dial, dial->failure, now);
}

/* A probe came from there. That may be anybody's: it is one more address to try, and at once. */
void peer_dial_heard(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (dial->state != PEER_DIAL_REACHING || dial->called)
                return;
        dial->way = 0;
        while (dial->way < dial->way_count && !(addr_equal(&dial->ways[dial->way].remote, &way->remote) &&
                                                dial->ways[dial->way].socket == way->socket))
                dial->way++;
        if (dial->way == PEER_WAYS_MAX)
                dial->way--;
        dial->way_count = MAX(dial->way_count, dial->way + 1);
        dial->ways[dial->way] = *way;
        dial->way_tries = 0;
        dial->certain = false;
        take_way(dial, now);
        arm(dial, now);
}

void peer_dial_punch_failed(struct peer_dial *dial, enum nat_failure failure, const struct now *now)
{
        static const enum peer_failure failures[NAT_FAILURES] = {
                [NAT_UNANSWERED] = PEER_PUNCH_UNANSWERED,
                [NAT_REFUSED] = PEER_PUNCH_REFUSED,
                [NAT_BUSY] = PEER_PUNCH_BUSY,
                [NAT_UNDECIDED] = PEER_PUNCH_UNDECIDED,
                [NAT_BOTH_RANDOM] = PEER_PUNCH_IMPOSSIBLE,
                [NAT_SHUT] = PEER_PUNCH_SHUT,
        };

        dial->failure = failures[failure];
        dial->limit_us = usec_min(dial->limit_us, now->mono_us + AFTER_PUNCH_US);
        arm(dial, now);
}

void peer_dial_opened(struct peer_dial *dial, const struct now *now)
{
        step(dial, DIAL_OPENED, now);
}

void peer_dial_lost(struct peer_dial *dial, enum peer_failure failure, const struct now *now)
{
        if (failure == PEER_UNREACHED)
                failure = dial->failure;        /* it says more */
        fail(dial, failure, now);
}

void peer_dial_advance(struct peer_dial *dial, const struct now *now)
{
        if (now->mono_us >= dial->limit_us && dial->conn && peer_detour_is_trying(dial->conn)) {
                dial->waits = true;
                dial->limit_us = USEC_NEVER;    /* the detour has one of its own */
        }
        if (now->mono_us >= dial->limit_us) {
                fail(dial, dial->state == PEER_DIAL_FINDING ? PEER_UNANSWERED : dial->failure, now);
                return;
        }
        if (dial->state == PEER_DIAL_FINDING) {
                find(dial, now);
                return;
        }
        if (now->mono_us >= dial->way_us) {
                dial->way_us = USEC_NEVER;
                dial->way = (dial->way + 1) % dial->way_count;
                take_way(dial, now);
        }
        arm(dial, now);
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
                random_fill(&dial->source.set->random, dial->relay_token, sizeof(dial->relay_token));
        }
        len = write_payload(dial, payload);
        noise_init(&dial->noise, spec->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        if (noise_initiate(&dial->noise, spec->remote_key, &dial->source.set->random, payload, len, dial->question) != NOISE_FINE)
                return -EINVAL;
        dial->question_len = len + NOISE_FIRST_BYTES;
        return 0;
}

static void list_relays(struct peer_dial *dial, const struct peer_dial_spec *spec)
{
        struct addr forward;

        if (dht_forward_of(dial->source.set->dht, dial->target, &forward)) {
                add_relay(dial, &forward);
                return;
        }
        for (size_t i = 0; i < spec->relay_count && i < DHT_PEER_RELAYS_MAX; i++)
                add_relay(dial, &spec->relays[i]);
}

static void start(struct peer_dial *dial, const struct peer_dial_spec *spec, const struct now *now)
{
        list_relays(dial, spec);
        dial->parallel = dial->relay_count ? PARALLEL_LISTED : PARALLEL;
        dial->state = PEER_DIAL_FINDING;
        dial->limit_us = now->mono_us + FIND_US;
        dial->query_us = dial->relay_count ? now->mono_us + LISTED_FIRST_US : now->mono_us;
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
        stop_finding(dial, now);
        conn_free(dial->conn);
        peer_dial_free(dial);
}

/* It is over, one way or the other. */
void peer_dial_tell(struct peer_dial *dial, struct peer_event *out)
{
        out->context = dial->context;
        out->failure = dial->failure;
        memcpy(out->remote_key, dial->remote_key, sizeof(out->remote_key));
        memcpy(out->relays, dial->next_relays, sizeof(out->relays));
        out->relay_count = dial->next_relay_count;
        if (dial->conn)
                dial->conn->dial = NULL;
        peer_dial_free(dial);
}
