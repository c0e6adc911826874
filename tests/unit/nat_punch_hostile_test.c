/* SPDX-License-Identifier: BSD-3-Clause */
/* What a peer that does not mean it, and relays that lie, can make a punch send, and to whom. The peer has done a handshake, so it may
 * say what it likes in a round; a relay can repeat rounds and name addresses. A probe is a byte in a packet of 29. */
#include <string.h>

#include "nat_punch.h"
#include "test.h"

enum {
        HEADERS = 28, PROBE_BYTES = HEADERS + 1,
        CROWD = 20,
        SOCKET = 7,
};

static const struct addr own_addr = { .ip = { 9, 9, 9, 9 }, .port = 999 };
static const struct nat_view own_view = { .class = NAT_CONSISTENT, .addresses = { own_addr }, .address_count = 1 };
static const uint8_t ann[NAT_PEER_BYTES] = { 1 }, bob[NAT_PEER_BYTES] = { 2 };

static void fill(void *context, void *out, size_t len)
{
        static uint32_t state = 1;
        uint8_t *bytes = out;

        while (len--) {
                state = state * 1664525 + 1013904223;
                *bytes++ = (uint8_t)(state >> 24);
        }
}

static const struct random random = { .fill = fill };

static struct addr victim(unsigned number)
{
        return (struct addr){ .ip = { 80, 1, (uint8_t)(number >> 8), (uint8_t)number }, .port = 4711 };
}

/* A responder, and its hostile peer, who has the same secret. */
struct scene {
        struct nat_punch punch;
        uint8_t secret[NAT_SECRET_BYTES];
        uint8_t answer[NAT_SEALED_MAX], token[NAT_TOKEN_BYTES];
        struct nat_payload said;        /* the last answer */
};

static void begin(struct scene *s, struct nat_gate *gate, const uint8_t *peer, const struct addr *client, usec_t now_us)
{
        uint8_t hash[NAT_HASH_BYTES];
        struct nat_punch_config config = {
                .role = NAT_RESPONDER, .random = &random, .gate = gate, .peer = peer, .hash = hash, .socket = SOCKET,
                .remote_class = NAT_UNKNOWN, .remote = *client,
        };

        memset(s, 0, sizeof(*s));
        random_fill(&random, hash, sizeof(hash));
        nat_secret(hash, s->secret);
        nat_punch_init(&s->punch, &config, now_us);
        nat_punch_know(&s->punch, &own_view);
}

/* True: it was answered. */
static bool ask(struct scene *s, const uint8_t *sealed, size_t len, const struct addr *client, bool vouched, usec_t now_us)
{
        size_t answered = nat_punch_asked(&s->punch, sealed, len, client, vouched, s->answer, now_us);

        if (answered)
                check(nat_open(s->secret, s->answer, answered, &s->said));
        return answered;
}

static bool say(struct scene *s, const struct nat_payload *payload, const struct addr *client, bool vouched, usec_t now_us)
{
        uint8_t sealed[NAT_SEALED_MAX];

        return ask(s, sealed, nat_seal(s->secret, &random, payload, sealed), client, vouched, now_us);
}

/* Asks for a token, brings it back, and says: now. */
static bool commit(struct scene *s, enum nat_class class, const struct addr *client, bool vouched, usec_t now_us)
{
        struct nat_payload payload = { .firewall = class, .has_addresses = true, .addresses = { *client }, .address_count = 1 };

        check(say(s, &payload, client, vouched, now_us));
        payload.round = 1;
        payload.punching = true;
        payload.has_remote_token = s->said.has_token;
        memcpy(payload.remote_token, s->said.token, sizeof(payload.remote_token));
        check(say(s, &payload, client, vouched, now_us));
        return s->said.error == NAT_ERROR_NONE && nat_punch_is_probing(&s->punch);
}

/* Those that arrive: openers do not. */
static size_t drain(struct nat_punch *punch)
{
        struct nat_probe probe;
        size_t count = 0;

        while (nat_punch_probe(punch, &probe))
                count += !probe.short_lived;
        return count;
}

static size_t advance(struct nat_punch *punch, usec_t now_us)
{
        size_t count = 0;

        while (nat_punch_deadline(punch) <= now_us) {
                nat_punch_advance(punch, now_us);
                count += drain(punch);
        }
        return count;
}

/* --- A peer --- */

/* With a relay of ours that names, for each of them, another client it says to see. */
TEST(a_peer_that_punches_in_many_sessions_gets_probes_of_two)
{
        static struct scene crowd[CROWD];
        struct nat_gate gate = { .inside = 0 };
        unsigned probing = 0;
        size_t most = 0, later = 0;

        for (unsigned i = 0; i < CROWD; i++) {
                struct addr client = victim(i);

                begin(&crowd[i], &gate, ann, &client, SECONDS(1));
                probing += commit(&crowd[i], NAT_RANDOM, &client, true, SECONDS(1));
                drain(&crowd[i].punch);
                check(nat_punch_is_probing(&crowd[i].punch) || crowd[i].said.error == NAT_ERROR_TRY_LATER);
        }
        check_equal(probing, NAT_GATE_MAX);
        for (usec_t second_us = SECONDS(1); second_us < SECONDS(60); second_us += SECONDS(1)) {
                size_t count = 0;

                for (usec_t now_us = second_us; now_us < second_us + SECONDS(1); now_us += MSEC(1))
                        for (unsigned i = 0; i < CROWD; i++)
                                count += advance(&crowd[i].punch, now_us);
                most = count > most ? count : most;
                later = second_us >= SECONDS(4) && count > later ? count : later;
        }
        check(most > 0 && most <= NAT_GATE_MAX * 501);
        check(later > 0 && later <= NAT_GATE_MAX * 201);
}

TEST(a_peer_that_names_others_brings_them_a_few_probes)
{
        struct nat_gate gate = { .inside = 0 };
        struct addr client = victim(0);
        unsigned seen[1 + NAT_ADDRESSES_MAX] = { 0 };
        struct nat_probe probe;
        struct scene s;
        struct nat_payload payload = { .firewall = NAT_CONSISTENT, .punching = true, .has_addresses = true,
                                       .address_count = NAT_ADDRESSES_MAX };

        begin(&s, &gate, ann, &client, SECONDS(1));
        for (unsigned i = 0; i < NAT_ADDRESSES_MAX; i++)
                payload.addresses[i] = victim(1 + i);
        check(say(&s, &payload, &client, false, SECONDS(1)));
        check(nat_punch_is_probing(&s.punch));
        for (usec_t now_us = SECONDS(1); now_us < SECONDS(60); now_us += MSEC(50)) {
                while (nat_punch_deadline(&s.punch) <= now_us)
                        nat_punch_advance(&s.punch, now_us);
                while (nat_punch_probe(&s.punch, &probe))
                        seen[probe.to.ip[3]]++;
        }
        check_equal(seen[0], 3 + 12);           /* where it was seen: the openers, and once a second */
        for (unsigned i = 1; i <= NAT_ADDRESSES_MAX; i++)
                check_equal(seen[i], 3);
}

TEST(a_peer_behind_a_random_nat_that_shows_no_token_gets_none)
{
        struct nat_gate gate = { .inside = 0 };
        struct addr client = victim(0), other = victim(1);
        struct scene s, t;
        struct nat_payload payload = { .firewall = NAT_RANDOM, .punching = true, .has_addresses = true, .address_count = 1,
                                       .addresses = { victim(1) }, .has_remote_token = true };

        /* The relay is not ours: who vouches for the address? */
        begin(&s, &gate, ann, &client, SECONDS(1));
        check(!commit(&s, NAT_RANDOM, &client, false, SECONDS(1)));
        check_equal(s.said.error, NAT_ERROR_ABORTED);
        check(!s.said.has_token);
        check_equal(drain(&s.punch), 0);

        /* Ours; but the token is that of another host. */
        begin(&t, &gate, ann, &client, SECONDS(1));
        check(say(&t, &(struct nat_payload){ .firewall = NAT_RANDOM }, &client, true, SECONDS(1)));
        memcpy(payload.remote_token, t.said.token, sizeof(payload.remote_token));
        payload.round = 1;
        check(say(&t, &payload, &other, true, SECONDS(1)));
        check_equal(t.said.error, NAT_ERROR_ABORTED);
        check_equal(advance(&t.punch, SECONDS(60)), 0);
        check_equal(gate.inside, 0);
}

/* --- A relay --- */

/* It repeats a good round and names a new client each time. */
TEST(a_round_that_is_repeated_brings_whom_it_names_less_than_it_is)
{
        struct nat_gate gate = { .inside = 0 };
        struct addr client = victim(0);
        uint8_t sealed[NAT_SEALED_MAX];
        struct nat_payload payload = { .firewall = NAT_CONSISTENT, .has_remote = true, .remote = own_addr };
        size_t len, in = 0, out = 0;
        struct scene s;

        begin(&s, &gate, ann, &client, SECONDS(1));
        drain(&s.punch);
        len = nat_seal(s.secret, &random, &payload, sealed);
        for (unsigned i = 0; i < 1000; i++) {
                struct addr named = victim(i);

                check(ask(&s, sealed, len, &named, false, SECONDS(1)));
                in += HEADERS + len;
                out += PROBE_BYTES * drain(&s.punch);
        }
        check(out > 0 && out <= in / 2);

        /* Once both have said: now, nobody moves it. */
        payload.round = 1;
        payload.punching = true;
        check(say(&s, &payload, &client, false, SECONDS(1)));
        check(nat_punch_is_probing(&s.punch));
        drain(&s.punch);
        for (unsigned i = 1; i < 1000; i++) {
                struct addr named = victim(i);

                check(ask(&s, sealed, len, &named, false, SECONDS(2)));
                check(drain(&s.punch) <= 1);
        }
        check(addr_equal(&s.punch.remote, &client));
}

TEST(a_round_that_is_forged_is_not_there)
{
        struct nat_gate gate = { .inside = 0 };
        struct addr client = victim(0), other = victim(1);
        uint8_t sealed[NAT_SEALED_MAX], elsewhere[NAT_SEALED_MAX], junk[NAT_OPEN_MAX];
        struct nat_payload payload = { .firewall = NAT_CONSISTENT, .has_remote = true, .remote = own_addr, .punching = true };
        struct scene s, t;
        size_t len;

        begin(&s, &gate, ann, &client, SECONDS(1));
        begin(&t, &gate, bob, &client, SECONDS(1));
        drain(&s.punch);
        len = nat_seal(s.secret, &random, &payload, sealed);
        for (size_t i = 0; i < len; i++) {
                sealed[i] ^= 1;
                check(!ask(&s, sealed, len, &other, true, SECONDS(1)));
                sealed[i] ^= 1;
                check(!ask(&s, sealed, i, &other, true, SECONDS(1)));
        }
        for (unsigned i = 0; i < 1000; i++) {
                random_fill(&random, junk, sizeof(junk));
                check(!ask(&s, junk, random_below(&random, sizeof(junk) + 1), &other, true, SECONDS(1)));
        }
        check(!ask(&s, elsewhere, nat_seal(t.secret, &random, &payload, elsewhere), &other, true, SECONDS(1)));
        check_equal(drain(&s.punch), 0);
        check(addr_equal(&s.punch.remote, &client) && !nat_punch_is_probing(&s.punch));
}

/* Who dials has to believe the relay where the server is; it is a handful of probes for each of our own dials. */
TEST(a_relay_that_lies_about_the_server_moves_a_few_probes)
{
        struct nat_gate gate = { .inside = 0 };
        uint8_t hash[NAT_HASH_BYTES] = { 4 }, secret[NAT_SECRET_BYTES], sealed[NAT_SEALED_MAX];
        struct nat_punch_config config = {
                .role = NAT_INITIATOR, .random = &random, .gate = &gate, .peer = ann, .hash = hash, .socket = SOCKET,
                .remote_class = NAT_CONSISTENT, .remote = victim(0),
        };
        struct nat_payload answer = { .firewall = NAT_CONSISTENT, .has_token = true };
        struct addr lie = victim(1), server;
        struct nat_punch punch;
        struct nat_probe probe;
        unsigned seen[2] = { 0 }, short_lived = 0;
        size_t len;

        nat_secret(hash, secret);
        nat_punch_init(&punch, &config, SECONDS(1));
        nat_punch_know(&punch, &own_view);
        check(nat_punch_round(&punch, sealed, &len, &server));
        nat_punch_answered(&punch, sealed, nat_seal(secret, &random, &answer, sealed), &lie, SECONDS(1));
        check(nat_punch_round(&punch, sealed, &len, &server));
        answer.punching = true;
        nat_punch_answered(&punch, sealed, nat_seal(secret, &random, &answer, sealed), &lie, SECONDS(1));
        check(nat_punch_is_probing(&punch));
        for (usec_t now_us = SECONDS(1); now_us < SECONDS(60); now_us += MSEC(50)) {
                while (nat_punch_deadline(&punch) <= now_us)
                        nat_punch_advance(&punch, now_us);
                while (nat_punch_probe(&punch, &probe)) {
                        seen[probe.to.ip[3]]++;
                        short_lived += probe.short_lived;
                }
        }
        check_equal(short_lived, 1 + 3);
        check_equal(seen[0], 1);
        check_equal(seen[1], 3 + 12);
}
