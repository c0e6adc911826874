/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_punch.h"

#include <sodium.h>

#include "cleanup.h"

enum {
        ASKED_MAX = 4,                  /* rounds until both NATs have shown what they are */
        UNPROVED_MAX = 2,               /* rounds for a token, which only chance needs */
        CONSISTENT_TRIES = 12,
        QUICK_TRIES = 1024,             /* that hit one of 256 sockets 98 times in a hundred */
        FIRST_PORT = 1000,              /* hyperdht lib/holepuncher.js randomPort() */
        POOL_TRIES = 50,                /* after which more sockets are opened: a second */
        KNOCKS_EVERY = 4,               /* of the many sockets one that sends probes meant to arrive */
        UNVERIFIED_EVERY = 4,           /* an address nobody vouches for gets a probe that seldom */
        OPENERS = 3,
};

#define OPENER_PAUSE_US MSEC(10)        /* after the first opener; twice as long after the second */
#define UNDECIDED_US SECONDS(1)         /* until the peer is asked again what its NAT is */
#define GATE_US MSEC(250)               /* until the gate is tried again */
#define LATER_US MSEC(750)              /* until a peer is asked again that has others to punch with; and at random up to */
#define LATER_JITTER_US MSEC(500)
#define KEEP_US SECONDS(4)              /* a peer that waits for our gate hears of us that often: originals wait 10 s in all */
#define GATED_US SECONDS(12)            /* that long a punch waits for others */
#define RANDOM_QUICK_US MSEC(2)         /* hyperdht 20 ms, always: the peer's sockets are hit in a tenth of the time */
#define RANDOM_PACE_US MSEC(5)          /* and no longer so many when that was in vain */
#define BIRTHDAY_PACE_US MSEC(20)
#define BIRTHDAY_PAUSE_US MSEC(100)     /* after the burst that opens all sockets */

enum event {
        DECIDED_NOT,                    /* one of the classes is unknown */
        DECIDED,
        DECIDED_BY_CHANCE,              /* and one of them is random */
        LET_IN,
        PUT_OFF,
        STARTED,
        ENDED,
        EVENTS
};

static const enum nat_state next_state[NAT_STATES][EVENTS] = {
        [NAT_ASKING] = { [DECIDED_NOT] = NAT_WAITING, [DECIDED] = NAT_COMMITTING, [DECIDED_BY_CHANCE] = NAT_GATED, [ENDED] = NAT_OVER },
        [NAT_WAITING] = { [DECIDED_NOT] = NAT_ASKING, [DECIDED] = NAT_COMMITTING, [DECIDED_BY_CHANCE] = NAT_GATED, [ENDED] = NAT_OVER },
        [NAT_GATED] = { [DECIDED_NOT] = NAT_ASKING, [LET_IN] = NAT_COMMITTING, [ENDED] = NAT_OVER },
        [NAT_COMMITTING] = { [STARTED] = NAT_PROBING, [PUT_OFF] = NAT_GATED, [ENDED] = NAT_OVER },
        [NAT_LISTENING] = { [STARTED] = NAT_PROBING, [ENDED] = NAT_OVER },
        [NAT_PROBING] = { [ENDED] = NAT_OVER },
};

static void queue_probe(struct nat_punch *punch, uint32_t socket, const struct addr *to, bool short_lived)
{
        if (punch->probe_count < NAT_PROBES_QUEUED && !addr_is_unusable(to))
                punch->probes[punch->probe_count++] = (struct nat_probe){ socket, *to, short_lived };
}

/* Our NAT lets @to in from now on, as far as it is one that can. Some NATs are spoilt for good by who knocks before: so a lost one is
 * not the only one, and all have left before anybody who has heard of us by a relay can knock. hyperdht sends one. */
static void begin_opening(struct nat_punch *punch, const struct addr *to, usec_t now_us)
{
        queue_probe(punch, punch->socket, to, true);
        punch->opener = *to;
        punch->openers = 1;
        punch->opener_us = now_us + OPENER_PAUSE_US;
}

static void open_more(struct nat_punch *punch, usec_t now_us)
{
        if (now_us < punch->opener_us)
                return;
        queue_probe(punch, punch->socket, &punch->opener, true);
        punch->opener_us = ++punch->openers == OPENERS ? USEC_NEVER : now_us + (OPENER_PAUSE_US << 1);
}

static bool enter(struct nat_punch *punch, usec_t now_us)
{
        punch->inside = punch->inside || nat_gate_enter(punch->gate, punch->peer, now_us);
        return punch->inside;
}

static void leave(struct nat_punch *punch, bool met, usec_t now_us)
{
        if (punch->inside)
                nat_gate_leave(punch->gate, met, now_us);
        punch->inside = false;
}

bool nat_punch_is_random(const struct nat_punch *punch)
{
        return punch->own.class == NAT_RANDOM || punch->remote_class == NAT_RANDOM;
}

bool nat_punch_is_possible(const struct nat_punch *punch)
{
        return punch->own.class != NAT_RANDOM || punch->remote_class != NAT_RANDOM;
}

/* The initiator tells why they don't meet: rounds that were lost shall not put that off, while there is time for enough probes. */
static usec_t limit(const struct nat_punch *punch, usec_t now_us)
{
        if (nat_punch_is_random(punch))
                return now_us + NAT_RANDOM_US;
        if (punch->role == NAT_RESPONDER)
                return now_us + NAT_CONSISTENT_US;
        return usec_max(punch->begun_us + NAT_CONSISTENT_US, now_us + NAT_CONSISTENT_MIN_US);
}

static void step(struct nat_punch *punch, enum event event, usec_t now_us)
{
        enum nat_state next = next_state[punch->state][event];

        if (next == NAT_SAME)
                return;
        punch->state = next;
        punch->wake_us = USEC_NEVER;
        switch (next) {
        case NAT_ASKING:
        case NAT_COMMITTING:
                punch->limit_us = USEC_NEVER;   /* a round ends by itself */
                punch->round_wanted = true;
                break;
        case NAT_WAITING:
                punch->wake_us = now_us + UNDECIDED_US;
                break;
        case NAT_GATED:
                punch->wake_us = now_us;
                punch->limit_us = punch->gated_until_us;
                if (event == PUT_OFF)
                        punch->wake_us += LATER_US + random_below(punch->random, LATER_JITTER_US + 1);
                break;
        case NAT_PROBING:
                punch->wake_us = now_us;
                punch->limit_us = limit(punch, now_us);
                break;
        case NAT_OVER:
                punch->probe_count = punch->echoes.count = 0;
                punch->limit_us = punch->opener_us = USEC_NEVER;
                leave(punch, false, now_us);
                break;
        case NAT_SAME:
        case NAT_LISTENING:
        case NAT_STATES:
                break;
        }
}

static void fail(struct nat_punch *punch, enum nat_failure failure, usec_t now_us)
{
        if (punch->state == NAT_OVER)
                return;
        punch->failure = failure;
        step(punch, ENDED, now_us);
}

void nat_punch_init(struct nat_punch *punch, const struct nat_punch_config *config, usec_t now_us)
{
        *punch = (struct nat_punch){
                .role = config->role,
                .state = config->role == NAT_INITIATOR ? NAT_ASKING : NAT_LISTENING,
                .random = config->random,
                .gate = config->gate,
                .socket = config->socket,
                .remote_class = config->remote_class,
                .remote = config->remote,
                .begun_us = now_us,
                .wake_us = USEC_NEVER,
                .limit_us = USEC_NEVER,
                .gated_until_us = USEC_NEVER,
        };
        memcpy(punch->peer, config->peer, sizeof(punch->peer));
        nat_secret(config->hash, punch->secret);
        random_fill(punch->random, punch->local_secret, sizeof(punch->local_secret));
        begin_opening(punch, &punch->remote, now_us);
        punch->round_wanted = config->role == NAT_INITIATOR;
}

void nat_punch_fini(struct nat_punch *punch, bool met, usec_t now_us)
{
        leave(punch, met, now_us);
        sodium_memzero(punch->secret, sizeof(punch->secret));
        sodium_memzero(punch->local_secret, sizeof(punch->local_secret));
}

/* What was said in the round that commits us stays. */
void nat_punch_know(struct nat_punch *punch, const struct nat_view *own)
{
        if (punch->state != NAT_COMMITTING && punch->state != NAT_PROBING)
                punch->own = *own;
}

/* --- What the peer says --- */

static enum nat_class class_of(uint64_t firewall)
{
        return firewall <= NAT_RANDOM ? (enum nat_class)firewall : NAT_UNKNOWN;
}

static bool is_verified(const struct nat_punch *punch, const struct addr *host)
{
        for (size_t i = 0; i < punch->remote_count; i++)
                if (punch->remotes[i].verified && addr_host_equal(&punch->remotes[i].addr, host))
                        return true;
        return false;
}

/* A host once verified stays so while each round lists it: hyperdht lib/holepuncher.js updateRemote(). */
static void take_remote(struct nat_punch *punch, const struct nat_payload *payload, const struct addr *verified)
{
        struct nat_remote remotes[NAT_ADDRESSES_MAX];

        for (size_t i = 0; i < payload->address_count; i++) {
                const struct addr *addr = &payload->addresses[i];

                remotes[i].addr = *addr;
                remotes[i].verified = (verified && addr_host_equal(verified, addr)) || is_verified(punch, addr);
        }
        memcpy(punch->remotes, remotes, payload->address_count * sizeof(remotes[0]));
        punch->remote_count = payload->address_count;
        punch->remote_class = class_of(payload->firewall);
}

static bool proves(const struct nat_punch *punch, const struct nat_payload *payload, const struct addr *host)
{
        uint8_t token[NAT_TOKEN_BYTES];

        nat_token(punch->local_secret, host, token);
        return payload->has_remote_token && sodium_memcmp(payload->remote_token, token, sizeof(token)) == 0;
}

static void take_token(struct nat_punch *punch, const struct nat_payload *payload)
{
        punch->has_remote_token = payload->has_token;
        memcpy(punch->remote_token, payload->token, sizeof(punch->remote_token));
}

/* --- Strategies --- */

static const struct addr *verified_address(const struct nat_punch *punch)
{
        for (size_t i = 0; i < punch->remote_count; i++)
                if (punch->remotes[i].verified)
                        return &punch->remotes[i].addr;
        return NULL;
}

/* False: it can't be done, or must not before the peer has proved its host. */
static bool start(struct nat_punch *punch, usec_t now_us)
{
        const struct addr *verified = verified_address(punch);

        if (!nat_punch_is_possible(punch))
                return false;
        if (!nat_punch_is_random(punch)) {
                punch->strategy = NAT_STRATEGY_CONSISTENT;
        } else {
                if (!verified || !enter(punch, now_us))
                        return false;
                nat_gate_probe(punch->gate, now_us);
                punch->target = *verified;
                punch->strategy = punch->own.class == NAT_RANDOM ? NAT_STRATEGY_BIRTHDAY : NAT_STRATEGY_RANDOM;
        }
        step(punch, STARTED, now_us);
        return true;
}

/* Often at first, then once a second; the address its relay sees is as good as any that is proved. */
static void probe_consistent(struct nat_punch *punch, usec_t now_us)
{
        unsigned try = punch->tries++;

        queue_probe(punch, punch->socket, &punch->remote, false);
        for (size_t i = 0; i < punch->remote_count; i++) {
                const struct nat_remote *remote = &punch->remotes[i];

                if (!addr_equal(&remote->addr, &punch->remote) && (remote->verified || try % UNVERIFIED_EVERY == 0))
                        queue_probe(punch, punch->socket, &remote->addr, false);
        }
        punch->wake_us = now_us + (try < 3 ? MSEC(100) << try : SECONDS(1));
        if (punch->tries == CONSISTENT_TRIES)
                punch->wake_us = USEC_NEVER;
}

static void probe_random(struct nat_punch *punch, usec_t now_us)
{
        struct addr to = punch->target;

        to.port = (uint16_t)(FIRST_PORT + random_below(punch->random, 65536 - FIRST_PORT));
        queue_probe(punch, punch->socket, &to, false);
        punch->wake_us = now_us + (++punch->tries < QUICK_TRIES ? RANDOM_QUICK_US : RANDOM_PACE_US);
}

/* Round and round; the first lap repeats the openers, which may have been lost. Later laps knock where the peer's NAT may let everybody
 * in, or ours is so far away that the openers don't reach it: but with some sockets only. Those are of no use any more where a router
 * gives who has knocked in vain another port. hyperdht knocks with all. */
static void probe_birthday(struct nat_punch *punch, usec_t now_us)
{
        punch->wake_us = now_us + BIRTHDAY_PACE_US;
        if (punch->tries == 0)
                punch->wake_us = now_us + BIRTHDAY_PAUSE_US;
        else if (punch->socket_count)
                queue_probe(punch, punch->sockets[punch->next % punch->socket_count], &punch->target,
                            punch->next < punch->socket_count || punch->next % punch->socket_count % KNOCKS_EVERY > 0);
        punch->next += punch->tries > 0;
        punch->tries++;
}

/* Of two punches with one peer each has its half. */
size_t nat_punch_wants_sockets(const struct nat_punch *punch)
{
        size_t most = punch->tries < POOL_TRIES || punch->gate->inside > 1 ? NAT_POOL : NAT_POOL_MAX;

        if (punch->state != NAT_PROBING || punch->strategy != NAT_STRATEGY_BIRTHDAY)
                return 0;
        return most - MIN(most, punch->socket_count);
}

void nat_punch_give_socket(struct nat_punch *punch, uint32_t socket)
{
        if (punch->socket_count < NAT_POOL_MAX)
                punch->sockets[punch->socket_count++] = socket;
}

bool nat_punch_take_socket(struct nat_punch *punch, uint32_t socket)
{
        for (size_t i = 0; i < punch->socket_count; i++) {
                if (punch->sockets[i] != socket)
                        continue;
                punch->socket_count--;
                punch->opened -= i < punch->opened;
                memmove(&punch->sockets[i], &punch->sockets[i + 1], (punch->socket_count - i) * sizeof(punch->sockets[0]));
                return true;
        }
        return false;
}

bool nat_punch_probe(struct nat_punch *punch, struct nat_probe *out)
{
        if (punch->probe_count) {
                *out = punch->probes[0];
                punch->probe_count--;
                memmove(&punch->probes[0], &punch->probes[1], punch->probe_count * sizeof(punch->probes[0]));
                return true;
        }
        if (punch->state != NAT_PROBING || punch->opened == punch->socket_count)
                return false;
        *out = (struct nat_probe){ punch->sockets[punch->opened++], punch->target, true };
        return true;
}

/* --- Initiator --- */

/* On to what is known now. */
static void decide(struct nat_punch *punch, usec_t now_us)
{
        bool unknown = punch->own.class == NAT_UNKNOWN || punch->remote_class == NAT_UNKNOWN;
        bool unproved = !punch->has_remote_token && punch->asked < UNPROVED_MAX;

        if (!nat_punch_is_possible(punch)) {
                punch->aborting = punch->round_wanted = true;
                fail(punch, NAT_BOTH_RANDOM, now_us);
        } else if (unknown && punch->asked >= ASKED_MAX) {
                punch->aborting = punch->round_wanted = true;
                fail(punch, NAT_UNDECIDED, now_us);
        } else if (unknown || unproved) {
                step(punch, DECIDED_NOT, now_us);
        } else if (nat_punch_is_random(punch)) {
                punch->gated_until_us = usec_min(punch->gated_until_us, now_us + GATED_US);
                step(punch, DECIDED_BY_CHANCE, now_us);
        } else {
                step(punch, DECIDED, now_us);
        }
}

static struct nat_payload say(const struct nat_punch *punch)
{
        struct nat_payload payload = {
                .firewall = punch->own.class,
                .round = punch->round,
                .punching = punch->state == NAT_PROBING || punch->state == NAT_COMMITTING,
                .has_addresses = punch->own.address_count > 0,
                .address_count = punch->own.address_count,
        };

        memcpy(payload.addresses, punch->own.addresses, sizeof(payload.addresses));
        return payload;
}

bool nat_punch_round(struct nat_punch *punch, uint8_t sealed_out[NAT_SEALED_MAX], size_t *len_out, struct addr *server_out)
{
        struct nat_payload payload = say(punch);

        if (!punch->round_wanted)
                return false;
        punch->round_wanted = false;
        punch->round++;
        punch->rounds++;
        *server_out = (struct addr){ .port = 0 };
        if (punch->aborting) {
                payload = (struct nat_payload){ .error = NAT_ERROR_ABORTED, .round = payload.round };
        } else if (punch->state == NAT_COMMITTING) {
                *server_out = punch->remote;
                payload.has_token = true;
                nat_token(punch->local_secret, &punch->remote, payload.token);
                payload.has_remote_token = punch->has_remote_token;
                memcpy(payload.remote_token, punch->remote_token, sizeof(payload.remote_token));
        } else {
                punch->asked++;
                payload.has_remote = true;
                payload.remote = punch->remote;
        }
        *len_out = nat_seal(punch->secret, punch->random, &payload, sealed_out);
        return true;
}

static void on_asked_answer(struct nat_punch *punch, const struct nat_payload *payload, const struct addr *server, usec_t now_us)
{
        if (payload->error != NAT_ERROR_NONE) {
                fail(punch, NAT_REFUSED, now_us);
                return;
        }
        take_remote(punch, payload, NULL);
        take_token(punch, payload);
        if (server->port && !addr_equal(server, &punch->remote)) {      /* it has another socket now */
                punch->remote = *server;
                begin_opening(punch, server, now_us);
        }
        decide(punch, now_us);
}

static void on_committed_answer(struct nat_punch *punch, const struct nat_payload *payload, usec_t now_us)
{
        bool proved = proves(punch, payload, &punch->remote);

        if (payload->error == NAT_ERROR_TRY_LATER) {
                leave(punch, false, now_us);
                step(punch, PUT_OFF, now_us);
                return;
        }
        if (payload->error != NAT_ERROR_NONE || !payload->punching) {
                fail(punch, NAT_REFUSED, now_us);
                return;
        }
        take_remote(punch, payload, proved ? &punch->remote : NULL);
        if (!start(punch, now_us))
                fail(punch, NAT_REFUSED, now_us);
}

void nat_punch_answered(struct nat_punch *punch, const uint8_t *sealed, size_t len, const struct addr *server, usec_t now_us)
{
        struct nat_payload payload;

        if (punch->state != NAT_ASKING && punch->state != NAT_COMMITTING)
                return;
        punch->answered_us = now_us;
        if (!nat_open(punch->secret, sealed, len, &payload))
                nat_punch_unanswered(punch, now_us);
        else if (punch->state == NAT_ASKING)
                on_asked_answer(punch, &payload, server, now_us);
        else
                on_committed_answer(punch, &payload, now_us);
}

void nat_punch_unanswered(struct nat_punch *punch, usec_t now_us)
{
        if (punch->state == NAT_ASKING || punch->state == NAT_COMMITTING)
                fail(punch, NAT_UNANSWERED, now_us);
}

/* --- Responder --- */

static bool knows_own(const struct nat_punch *punch, const struct addr *addr)
{
        for (size_t i = 0; i < punch->own.address_count; i++)
                if (addr_equal(&punch->own.addresses[i], addr))
                        return true;
        return false;
}

/* The initiator says: now. What it says again is answered again: its answer was lost. */
static enum nat_error commit(struct nat_punch *punch, usec_t now_us)
{
        if (punch->state == NAT_PROBING)
                return NAT_ERROR_NONE;
        if (nat_punch_is_random(punch) && nat_punch_is_possible(punch) && verified_address(punch) && !enter(punch, now_us))
                return NAT_ERROR_TRY_LATER;
        return start(punch, now_us) ? NAT_ERROR_NONE : NAT_ERROR_ABORTED;
}

size_t nat_punch_asked(struct nat_punch *punch, const uint8_t *sealed, size_t len, const struct addr *client, bool vouched,
                       uint8_t answer_out[NAT_SEALED_MAX], usec_t now_us)
{
        enum nat_error error = NAT_ERROR_NONE;
        struct nat_payload payload, answer;
        bool proved;

        if (punch->state == NAT_OVER || !nat_open(punch->secret, sealed, len, &payload))
                return 0;
        punch->rounds++;
        if (payload.error != NAT_ERROR_NONE) {
                answer = (struct nat_payload){ .error = NAT_ERROR_ABORTED, .round = payload.round };
                fail(punch, NAT_REFUSED, now_us);
                return nat_seal(punch->secret, punch->random, &answer, answer_out);
        }
        proved = vouched && proves(punch, &payload, client);
        if (payload.round >= punch->round && punch->state == NAT_LISTENING) {
                punch->round = payload.round;
                punch->remote = *client;
                take_remote(punch, &payload, proved ? client : NULL);
        }
        /* It has just opened its NAT for exactly this address of ours. */
        if (punch->own.class == NAT_CONSISTENT && payload.has_remote && knows_own(punch, &payload.remote))
                queue_probe(punch, punch->socket, client, false);
        if (payload.punching)
                error = commit(punch, now_us);
        answer = say(punch);
        answer.error = error;
        answer.has_token = vouched;
        if (vouched)
                nat_token(punch->local_secret, client, answer.token);
        answer.has_remote_token = payload.has_token;
        memcpy(answer.remote_token, payload.token, sizeof(answer.remote_token));
        return nat_seal(punch->secret, punch->random, &answer, answer_out);
}

/* --- Both --- */

bool nat_punch_concerns(const struct nat_punch *punch, const struct addr *from)
{
        if (punch->state == NAT_OVER)
                return false;
        for (size_t i = 0; i < punch->remote_count; i++)
                if (addr_host_equal(&punch->remotes[i].addr, from))
                        return true;
        return addr_host_equal(&punch->remote, from);
}

static void echo(struct nat_punch *punch, usec_t now_us)
{
        struct addr to;
        uint32_t socket;

        while (nat_echoes_next(&punch->echoes, &socket, &to, now_us))
                queue_probe(punch, socket, &to, false);
}

void nat_punch_heard(struct nat_punch *punch, uint32_t socket, const struct addr *from, usec_t now_us)
{
        if (punch->role == NAT_RESPONDER && punch->state != NAT_OVER)
                nat_echoes_hear(&punch->echoes, socket, from, now_us);
        echo(punch, now_us);
}

static void (*const probe_now[])(struct nat_punch *punch, usec_t now_us) = {
        [NAT_STRATEGY_CONSISTENT] = probe_consistent,
        [NAT_STRATEGY_RANDOM] = probe_random,
        [NAT_STRATEGY_BIRTHDAY] = probe_birthday,
};

void nat_punch_advance(struct nat_punch *punch, usec_t now_us)
{
        if (now_us >= punch->limit_us) {
                fail(punch, punch->state == NAT_PROBING ? NAT_SHUT : NAT_BUSY, now_us);
                return;
        }
        echo(punch, now_us);
        open_more(punch, now_us);
        if (now_us < punch->wake_us)
                return;
        if (punch->state == NAT_PROBING) {
                probe_now[punch->strategy](punch, now_us);
        } else if (punch->state == NAT_WAITING) {
                decide(punch, now_us);
        } else if (punch->state == NAT_GATED) {
                if (enter(punch, now_us))
                        step(punch, LET_IN, now_us);
                else if (now_us >= punch->answered_us + KEEP_US)
                        step(punch, DECIDED_NOT, now_us);
                else
                        punch->wake_us = now_us + GATE_US;
        }
}

usec_t nat_punch_deadline(const struct nat_punch *punch)
{
        usec_t probe_us = usec_min(nat_echoes_deadline(&punch->echoes), punch->opener_us);

        return usec_min(probe_us, usec_min(punch->wake_us, punch->limit_us));
}
