/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider whose NATs give each remote another port, and relays between them. */
#include <sodium.h>
#include <stdio.h>

#include "cleanup.h"
#include "node_sim_app.h"
#include "node_streets.h"
#include "test.h"

static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

/* A host with an address of its own that relays, under the key it yields. */
static struct node_sim_host *add_relay(struct node_sim *sim, uint8_t number, bool anybody, uint8_t key_out[NODE_KEY_BYTES])
{
        struct node_relay_spec spec = { .mode = NODE_RELAY_ALWAYS, .seed = { 77, number }, .anybody = anybody };
        struct node_sim_host *host = node_sim_add(sim);
        struct now now = node_sim_now(sim);
        uint8_t secret_key[crypto_sign_SECRETKEYBYTES];

        crypto_sign_seed_keypair(key_out, secret_key, spec.seed);
        check_equal(node_relay(host->node, &spec, &now), 0);
        node_sim_touch(host);
        return host;
}

static void use(struct node_sim_host *host, const uint8_t key[NODE_KEY_BYTES])
{
        struct now now = node_sim_now(host->sim);
        uint8_t keys[1][NODE_KEY_BYTES];

        memcpy(keys[0], key, NODE_KEY_BYTES);
        check_equal(node_use_relays(host->node, (const uint8_t(*)[NODE_KEY_BYTES])keys, 1, &now), 0);
        node_sim_touch(host);
}

static struct node_stats stats_of(const struct node_sim_host *host)
{
        struct node_stats stats;

        node_stats(host->node, &stats);
        return stats;
}

enum who { BY_PROVIDER = 1, BY_GATEWAY = 2, BY_BOTH = 3 };

/* One for strangers, which both sides of the street name. */
static struct node_sim_host *add_used_relay(struct street *street)
{
        uint8_t key[NODE_KEY_BYTES];
        struct node_sim_host *relay = add_relay(street->sim, 1, true, key);

        node_sim_run(street->sim, SECONDS(3));
        use(street->provider, key);
        use(street->gateway, key);
        return relay;
}

/* It is enough if one of them was told of it. */
TEST(relay_that_one_of_them_names_leads_together_who_can_not_punch)
{
        for (enum who who = BY_PROVIDER; who <= BY_BOTH; who++) {
                struct street street = street_new(who, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);
                uint8_t key[NODE_KEY_BYTES];
                struct node_sim_host *relay = add_relay(street.sim, 1, true, key);
                usec_t took_us;

                node_sim_run(street.sim, SECONDS(3));
                if (who & BY_PROVIDER)
                        use(street.provider, key);
                if (who & BY_GATEWAY)
                        use(street.gateway, key);
                took_us = street_meet(&street, SECONDS(20));
                printf("# named by %d: %u ms\n", (int)who, (unsigned)(took_us / 1000));
                check(street_met(&street));
                check(took_us < SECONDS(2));
                check(street_echoes(&street));
                check_equal(stats_of(street.gateway).relayed, 1);
                check_equal(stats_of(street.provider).relayed, 1);
                check_equal(stats_of(relay).relay_connections, 1);
                check(stats_of(relay).relay_bytes > 200000);
                street_free(&street);
        }
}

TEST(without_a_relay_they_do_not_meet)
{
        struct street street = street_new(1, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);

        street_meet(&street, SECONDS(60));
        check(!street_met(&street));
        street_free(&street);
}

/* Nobody configured anything: a third peer of the router, which strangers reach, is asked to be the relay. */
static struct street street_with_third(uint64_t seed, enum node_role role, struct node_sim_host **third_out)
{
        struct street street = street_new(seed, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);

        *third_out = node_sim_add(street.sim);
        node_sim_join(*third_out, role, 9);
        node_sim_run(street.sim, SECONDS(3));
        return street;
}

TEST(peer_that_strangers_reach_relays_for_its_router)
{
        for (unsigned i = 0; i < 4; i++) {
                struct node_sim_host *third;
                struct street street = street_with_third(i, i % 2 ? NODE_PROVIDER : NODE_GATEWAY, &third);
                usec_t took_us;

                check(!stats_of(third).relays);
                took_us = street_meet(&street, SECONDS(20));
                printf("# a %s relays: %u ms\n", i % 2 ? "provider" : "gateway", (unsigned)(took_us / 1000));
                check(street_met(&street));
                check(took_us < SECONDS(2));
                check(street_echoes(&street));
                check(stats_of(third).relays);
                check(stats_of(third).relay_bytes > 200000);
                street_free(&street);
        }
}

/* Their dials cross, and both find out at once that it is impossible: neither waits for the other's handshake, of which nothing comes any
 * more, before it dials with the relay. */
TEST(two_that_began_at_once_take_the_relay_as_soon_as_both_have_failed)
{
        for (unsigned i = 0; i < 16; i++) {
                static const struct net_link far = { .delay_us = MSEC(20), .jitter_us = MSEC(1) };
                struct street street = street_new(i + 1, &far, STREET_SYMMETRIC, STREET_SYMMETRIC);
                struct node_sim_host *third = node_sim_add(street.sim);
                usec_t took_us;

                node_sim_join(third, NODE_GATEWAY, 9);
                node_sim_run(street.sim, SECONDS(3));
                took_us = street_meet_new(&street, false, SECONDS(20));
                printf("# over the relay after %u ms\n", (unsigned)(took_us / 1000));
                check(street_met(&street) && stats_of(street.gateway).relayed == 1);
                check(took_us < SECONDS(1) + MSEC(200));
                street_free(&street);
        }
}

/* Both keep their ports, and the router of the carrier in front of both does not lead back in: that their punch is in vain takes 10 s to
 * find out. */
TEST(peer_relays_at_once_for_two_behind_one_carrier)
{
        for (unsigned i = 0; i < 12; i++) {
                struct street street = street_new_router(i + 1, &wan, STREET_ONE_CARRIER);
                struct node_sim_host *third = node_sim_add(street.sim);
                usec_t took_us;

                node_sim_join(third, i & 1 ? NODE_PROVIDER : NODE_GATEWAY, 9);
                node_sim_run(street.sim, SECONDS(5));
                took_us = street_meet_from(&street, i / 2 % 3, SECONDS(1), SECONDS(40));
                printf("# a %s relays: %u ms\n", i & 1 ? "provider" : "gateway", (unsigned)(took_us / 1000));
                check(street_met(&street));
                check(took_us < SECONDS(6));
                check(street_echoes(&street) && stats_of(third).relay_bytes > 200000);
                node_sim_run(street.sim, SECONDS(60));
                check(street_met(&street) && street_echoes(&street));
                street_free(&street);
        }
}

/* Where all get through to each other nobody is asked, and nothing is announced. */
TEST(peer_relays_for_nobody_who_does_not_need_it)
{
        struct node_sim_host *third;
        struct street street = street_with_third(1, NODE_GATEWAY, &third);

        street_free(&street);
        street = street_new(1, &wan, STREET_CONE, STREET_CONE);
        third = node_sim_add(street.sim);
        node_sim_join(third, NODE_GATEWAY, 9);
        street_meet(&street, SECONDS(20));
        node_sim_run(street.sim, SECONDS(60));
        check(street_met(&street));
        check(!stats_of(third).relays && !stats_of(street.provider).relays && !stats_of(street.gateway).relays);
        street_free(&street);
}

TEST(peer_that_shall_never_relay_does_not)
{
        struct node_relay_spec never = { .mode = NODE_RELAY_NEVER };
        struct node_sim_host *third;
        struct street street = street_with_third(1, NODE_GATEWAY, &third);
        struct now now = node_sim_now(street.sim);

        check_equal(node_relay(third->node, &never, &now), 0);
        street_meet(&street, SECONDS(30));
        check(!street_met(&street) && !stats_of(third).relays);
        street_free(&street);
}

static bool is_relayed_again(void *context)
{
        struct street *street = context;

        return node_sim_is_up(street->gateway, NODE_PROVIDER, 1) && stats_of(street->gateway).relayed == 1;
}

static bool is_closed(void *context)
{
        const struct node_sim_channel *channel = context;

        return channel->fate == NODE_SIM_CLOSED;
}

/* The relay dies without a word: what went over it is seen to break, and another one is taken. */
TEST(relay_that_dies_is_replaced_by_another)
{
        struct node_sim_host *relay[2];
        struct street street = street_with_third(3, NODE_GATEWAY, &relay[0]);
        struct node_sim_channel *channel;
        unsigned used;
        usec_t took_us;

        relay[1] = node_sim_add(street.sim);
        node_sim_join(relay[1], NODE_GATEWAY, 10);
        node_sim_run(street.sim, SECONDS(3));
        street_meet(&street, SECONDS(20));
        check(is_relayed_again(&street));
        used = stats_of(relay[1]).relay_connections == 1;
        check_equal(stats_of(relay[used]).relay_connections, 1);
        channel = node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1000, false);
        node_sim_run(street.sim, SECONDS(5));
        check_equal(channel->received, 1000);
        node_sim_kill(relay[used]);
        took_us = node_sim_run_until(street.sim, is_closed, channel, SECONDS(40));
        printf("# the channel is closed after %u ms\n", (unsigned)(took_us / 1000));
        check_equal(channel->fate, NODE_SIM_CLOSED);
        check(took_us < SECONDS(8));
        check(channel->reason == NODE_REASON_PEER_LOST || channel->reason == NODE_REASON_RESET);
        took_us += node_sim_run_until(street.sim, is_relayed_again, &street, SECONDS(40));
        printf("# over the other relay after %u ms\n", (unsigned)(took_us / 1000));
        check(took_us < SECONDS(12));
        check(is_relayed_again(&street));
        check_equal(stats_of(relay[!used]).relay_connections, 1);
        check(street_echoes(&street));
        street_free(&street);
}

static bool is_direct(void *context)
{
        struct street *street = context;

        return !stats_of(street->gateway).relayed && !stats_of(street->provider).relayed;
}

/* One of the two keeps its port: they meet over the relay at once, and punching goes on beside that. What is under way moves with
 * the connection, and not a byte of it is lost. */
TEST(relay_is_left_when_punching_has_succeeded)
{
        static const enum street_kind kinds[][2] = {
                { STREET_SYMMETRIC, STREET_CONE }, { STREET_CONE, STREET_SYMMETRIC }, { STREET_CARRIER, STREET_DOUBLE },
                { STREET_JEALOUS, STREET_CARRIER },
        };

        for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
                struct net_link narrow = { .delay_us = MSEC(10), .jitter_us = MSEC(3), .bits_per_s = 10000000, .queue_bytes = 100000,
                                           .loss_ppm = i % 2 ? 1000 : 0 };
                struct street street = street_new(i, &narrow, kinds[i][0], kinds[i][1]);
                struct node_sim_host *relay = add_used_relay(&street);
                struct node_sim_channel *channel;
                uint64_t relayed, took_us;

                took_us = street_meet(&street, SECONDS(20));
                check(took_us < SECONDS(1));
                check_equal(stats_of(street.gateway).relayed, 1);
                channel = node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1 << 30, true);
                took_us = node_sim_run_until(street.sim, is_direct, &street, SECONDS(40));
                printf("# %s, then %s: direct after %u ms\n", street_names[kinds[i][0]], street_names[kinds[i][1]],
                       (unsigned)(took_us / 1000));
                check(is_direct(&street));
                check(channel->sent > 0 && channel->received < channel->to_send);
                channel->to_send = channel->sent + 1000000;
                node_sim_run(street.sim, SECONDS(30));
                check(node_sim_echoed(channel));
                check_equal(stats_of(relay).relay_connections, 0);
                relayed = stats_of(relay).relay_bytes;
                check(street_echoes(&street));
                check_equal(stats_of(relay).relay_bytes, relayed);
                check(street.gateway->socket_count <= 1 && street.provider->socket_count <= 1);
                street_free(&street);
        }
}

/* The streets of the two, and nothing else (node_streets.c). */
static bool is_between_streets(void *context, const struct addr *from, const struct addr *to)
{
        return from->ip[0] == 80 && to->ip[0] == 80 && from->ip[2] != to->ip[2];
}

/* Slow enough that minutes of it cost little. */
static const struct net_link slow = { .delay_us = MSEC(10), .jitter_us = MSEC(3), .bits_per_s = 1000000, .queue_bytes = 20000 };

/* The first punch fails, as it happens: nothing of it gets through. A later one does not. */
TEST(holes_are_punched_again_where_that_failed_at_first)
{
        static const enum street_kind kinds[][2] = {
                { STREET_SYMMETRIC, STREET_CONE }, { STREET_CONE, STREET_SYMMETRIC }, { STREET_CARRIER, STREET_HOST_CONE },
        };

        for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
                struct street street = street_new(i, &slow, kinds[i][0], kinds[i][1]);
                struct node_sim_channel *channel;
                usec_t took_us;

                add_used_relay(&street);
                net_block(street.sim->net, is_between_streets, NULL);
                street_meet(&street, SECONDS(20));
                channel = node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1 << 30, true);
                node_sim_run(street.sim, SECONDS(60));
                check_equal(stats_of(street.gateway).relayed, 1);
                net_block(street.sim->net, NULL, NULL);
                took_us = node_sim_run_until(street.sim, is_direct, &street, SECONDS(300));
                printf("# %s, then %s: direct %u s after the network let it\n", street_names[kinds[i][0]], street_names[kinds[i][1]],
                       (unsigned)(took_us / SECONDS(1)));
                check(is_direct(&street));
                node_sim_run(street.sim, SECONDS(30));
                check(street.gateway->moves[0] == 1 && street.provider->moves[0] == 1);
                channel->to_send = channel->sent + 100000;
                node_sim_run_until(street.sim, is_closed, channel, SECONDS(120));       /* all that is on its way */
                check(node_sim_echoed(channel));
                check(street.gateway->socket_count <= 1 && street.provider->socket_count <= 1);
                street_free(&street);
        }
}

static bool is_relayed_by_both(void *context)
{
        struct street *street = context;

        return stats_of(street->gateway).relayed == 1 && stats_of(street->provider).relayed == 1;
}

/* Nothing that the street *@context sends gets to the other one. */
static bool is_to_the_other(void *context, const struct addr *from, const struct addr *to)
{
        const uint8_t *street = context;

        return is_between_streets(NULL, from, to) && from->ip[2] == *street;
}

/* How soon one of them has told why it does not reach the other: who is heard, and dials, gets no answer any more. */
static usec_t told_us(struct street *street)
{
        usec_t shut_us = street_known_us(street);

        street->verdict = NODE_PUNCH_UNANSWERED;
        return usec_min(shut_us, street_known_us(street));
}

/* A firewall on the way lets only the one be heard. Who is, finds its peer deaf, which takes it for connected: both come to the relay, be
 * it one that they name or one that is asked. */
TEST(two_of_whom_one_is_not_heard_meet_over_a_relay_or_are_told)
{
        enum { NO_RELAY, NAMED, ASKED, RELAYS };

        for (unsigned i = 0; i < 2 * STREET_STARTS * RELAYS; i++) {
                uint8_t unheard = (uint8_t)(1 + i % 2);
                enum street_start start = (enum street_start)(i / 2 % STREET_STARTS);
                unsigned relay = i / 2 / STREET_STARTS;
                struct street street = street_new(i, &wan, STREET_CONE, STREET_CONE);
                usec_t took_us;

                street.verdict = NODE_PUNCH_SHUT;
                if (relay == NAMED)
                        add_used_relay(&street);
                else if (relay == ASKED)
                        node_sim_join(node_sim_add(street.sim), NODE_GATEWAY, 9);
                node_sim_run(street.sim, SECONDS(3));
                net_block(street.sim->net, is_to_the_other, &unheard);
                took_us = street_meet_from(&street, start, MSEC(500), SECONDS(15));
                if (relay == NO_RELAY)
                        took_us = told_us(&street);
                printf("# relay %u, street %u is not heard, start %u: %u ms\n", relay, unheard, start, (unsigned)(took_us / 1000));
                check_equal(street_met(&street), relay != NO_RELAY);
                check(took_us < (relay == NO_RELAY ? SECONDS(15) : SECONDS(8)));
                if (relay != NO_RELAY)
                        check(street_echoes(&street) && is_relayed_by_both(&street));
                street_free(&street);
        }
}

/* What was punched may not last. Where it dies soon the connection goes on over the relay, and where it dies later it breaks and is made
 * again over that at once. */
TEST(direct_way_that_dies_is_given_up_for_the_relay)
{
        static const struct { enum street_kind kinds[2]; unsigned after_s; bool lives; } rows[] = {
                { { STREET_SYMMETRIC, STREET_CONE }, 1, true }, { { STREET_CONE, STREET_SYMMETRIC }, 7, true },
                { { STREET_CARRIER, STREET_DOUBLE }, 12, true }, { { STREET_SYMMETRIC, STREET_CONE }, 40, false },
        };

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                struct street street = street_new(i, &slow, rows[i].kinds[0], rows[i].kinds[1]);
                struct node_sim_channel *channel;
                usec_t took_us;

                add_used_relay(&street);
                street_meet(&street, SECONDS(20));
                channel = node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1 << 30, true);
                node_sim_run_until(street.sim, is_direct, &street, SECONDS(40));
                node_sim_run(street.sim, SECONDS(3) + SECONDS(rows[i].after_s));
                check(is_direct(&street) && street.gateway->moves[0] == 1 && street.provider->moves[0] == 1);
                net_block(street.sim->net, is_between_streets, NULL);
                took_us = node_sim_run_until(street.sim, is_relayed_by_both, &street, SECONDS(60));
                printf("# dead %u s after: over the relay again after %u ms\n", rows[i].after_s, (unsigned)(took_us / 1000));
                check(is_relayed_by_both(&street));
                check(took_us < (rows[i].lives ? SECONDS(5) : SECONDS(20)));       /* 1.8, or 4.3 where both turn at once */
                node_sim_run(street.sim, SECONDS(5));
                check_equal(channel->fate == NODE_SIM_CLOSED, !rows[i].lives);
                check(street.gateway->moves[1] + street.provider->moves[1] == (rows[i].lives ? 2 : 0));
                channel->to_send = channel->sent + 100000;
                node_sim_run_until(street.sim, is_closed, channel, SECONDS(120));
                check(!rows[i].lives || node_sim_echoed(channel));
                check(street_echoes(&street));
                street_free(&street);
        }
}
