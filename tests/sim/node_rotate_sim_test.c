/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret of a router is exchanged for another one while everything runs: on one side first, then on the other. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "node_pair.h"
#include "node_sim_app.h"
#include "node_streets.h"
#include "original.h"
#include "test.h"

static struct node_router router_of(uint8_t secret)
{
        struct node_router router;

        memset(router.public_key, secret, sizeof(router.public_key));
        memset(router.auth_key, 100 + secret, sizeof(router.auth_key));
        return router;
}

/* @secrets, newest first. */
static void hold_list(struct node_sim_host *host, const uint8_t *secrets, size_t count)
{
        struct node_router routers[NODE_ROUTERS_MAX];
        struct now now = node_sim_now(host->sim);

        for (size_t i = 0; i < count; i++)
                routers[i] = router_of(secrets[i]);
        check_equal(node_set_routers(host->node, routers, count, &now), 0);
        node_sim_touch(host);
}

/* @newest, and @previous if that is not 0. */
static void hold(struct node_sim_host *host, uint8_t newest, uint8_t previous)
{
        hold_list(host, (const uint8_t[]){ newest, previous }, previous ? 2 : 1);
}

static struct pair pair_by(uint64_t seed, uint8_t secret, const struct net_link *link)
{
        struct pair pair = pair_new(seed, link);

        pair.sim->router = router_of(secret);
        pair_up(&pair);
        check(gateway_knows(&pair));
        return pair;
}

static unsigned outdated(const struct node_sim_host *host)
{
        struct node_stats stats;

        node_stats(host->node, &stats);
        return stats.outdated;
}

static bool nobody_is_outdated(void *context)
{
        const struct pair *pair = context;

        return !outdated(pair->provider) && !outdated(pair->gateway);
}

TEST(node_exchanges_the_secret_and_no_channel_notices)
{
        static const struct net_link link = { .delay_us = 20000, .jitter_us = 3000, .loss_ppm = 10000 };

        for (unsigned first = 0; first < 2; first++) {
                cleanup_with(pair_free) struct pair pair = pair_by(900 + first, 1, &link);
                struct node_sim_host *one = first ? pair.gateway : pair.provider, *other = first ? pair.provider : pair.gateway;
                struct node_sim_channel *bulk = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 20 << 20, true);
                struct node_sim_channel *idle = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 10, false), *late;
                const struct node_sim_peer *peer = node_sim_peer(pair.gateway, NODE_PROVIDER, 1);

                node_sim_run(pair.sim, SECONDS(1));
                check(!outdated(one) && !outdated(other) && bulk->fate == NODE_SIM_OPEN);
                hold(one, 2, 1);
                node_sim_run(pair.sim, SECONDS(20));
                check(outdated(one) == 1 && !outdated(other));
                hold(other, 2, 1);
                check(node_sim_run_until(pair.sim, nobody_is_outdated, &pair, SECONDS(5)) < SECONDS(1));
                hold(one, 2, 0);
                node_sim_run(pair.sim, MINUTES(1));
                hold(other, 2, 0);
                node_sim_run(pair.sim, MINUTES(5));
                check(node_sim_echoed(bulk));
                check(idle->fate == NODE_SIM_OPEN && idle->received == 10);
                check(peer->up && peer->ups == 1 && peer->downs == 0);
                check(node_sim_ups(pair.gateway) == 1 && node_sim_ups(pair.provider) == 1);
                late = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 1000, true);
                node_sim_run(pair.sim, SECONDS(5));
                check(node_sim_echoed(late));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* It is told in order, finds no way back by the old one, and gets back at once by the new one. */
TEST(node_lets_go_who_kept_the_old_secret_and_takes_him_back_by_the_new_one)
{
        for (unsigned late = 0; late < 2; late++) {
                cleanup_with(pair_free) struct pair pair = pair_by(910 + late, 1, NULL);
                struct node_sim_host *one = late ? pair.gateway : pair.provider, *other = late ? pair.provider : pair.gateway;
                struct node_sim_channel *idle = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 10, false);

                hold(one, 2, 1);
                node_sim_run(pair.sim, MINUTES(2));
                check(gateway_is_up(&pair) && idle->fate == NODE_SIM_OPEN);
                hold(one, 2, 0);
                check(node_sim_run_until(pair.sim, gateway_is_down, &pair, MINUTES(1)) < SECONDS(4));
                check(idle->fate == NODE_SIM_CLOSED);
                node_sim_run(pair.sim, MINUTES(20));
                check(gateway_is_down(&pair) && node_sim_peer(pair.gateway, NODE_PROVIDER, 1)->ups == 1);
                hold(other, 2, 0);
                check(node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(2)) < SECONDS(10));
                check(gateway_knows(&pair));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* In whatever order they come, and whatever each knows. */
TEST(node_finds_its_peers_by_either_secret)
{
        static const struct { uint8_t provider[2], gateway[2]; bool meet; } cases[] = {
                { { 2, 1 }, { 1, 0 }, true }, { { 2, 1 }, { 2, 0 }, true }, { { 2, 1 }, { 2, 1 }, true }, { { 1, 0 }, { 2, 1 }, true },
                { { 2, 0 }, { 2, 1 }, true }, { { 2, 1 }, { 3, 2 }, true }, { { 3, 2 }, { 2, 1 }, true }, { { 2, 1 }, { 1, 2 }, true },
                { { 2, 0 }, { 1, 0 }, false }, { { 3, 2 }, { 1, 0 }, false },
        };

        for (size_t i = 0; i < 3 * ARRAY_LEN(cases); i++) {
                cleanup_with(pair_free) struct pair pair = pair_new(920 + i, NULL);
                const uint8_t *provider = cases[i / 3].provider, *gateway = cases[i / 3].gateway;
                usec_t apart_us = i % 3 == 0 ? 0 : SECONDS(20), took_us;

                for (unsigned turn = 0; turn < 2; turn++) {
                        bool offers = (turn == 0) == (i % 3 != 2);
                        const uint8_t *secrets = offers ? provider : gateway;

                        pair.sim->router = router_of(secrets[0]);
                        node_sim_join(offers ? pair.provider : pair.gateway, offers ? NODE_PROVIDER : NODE_GATEWAY, 1);
                        hold(offers ? pair.provider : pair.gateway, secrets[0], secrets[1]);
                        node_sim_run(pair.sim, turn ? 0 : apart_us);
                }
                took_us = node_sim_run_until(pair.sim, gateway_knows, &pair, SECONDS(30));
                check_equal(gateway_knows(&pair), cases[i / 3].meet);
                check(!cases[i / 3].meet || took_us < SECONDS(6));
                check_equal(node_sim_ups(pair.provider), cases[i / 3].meet);
                check_equal(mistakes(pair.sim), 0);
        }
}

/* An original cannot be told; it is served by the secret that it has, and no longer than that counts. */
TEST(node_serves_an_original_that_has_the_old_secret_as_long_as_that_counts)
{
        for (unsigned role = 0; role < NODE_ROLES; role++) {
                cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(970 + role, NULL);
                enum node_role other = role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY;
                struct node_sim_host *ours = node_sim_add(sim);
                uint8_t key[NODE_KEY_BYTES];
                struct original *original;

                node_sim_key((enum node_role)role, 1, key);
                sim->router = router_of(1);
                original = original_new(sim, NULL, other, 1, key);
                node_sim_join(ours, (enum node_role)role, 1);
                hold(ours, 2, 1);
                node_sim_run(sim, SECONDS(5));
                original_discover(original);
                node_sim_run(sim, SECONDS(30));
                check(original_stats(original).up && node_sim_ups(ours) == 1);
                check(outdated(ours) == 1);
                hold(ours, 2, 0);
                node_sim_run(sim, SECONDS(30));
                check(!original_stats(original).up && node_sim_ups(ours) == 0);
        }
}

/* All that were held are exchanged for as many others, and those for the same in another order. */
TEST(node_exchanges_all_its_secrets_at_once)
{
        static const uint8_t lists[][NODE_ROUTERS_MAX] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 7, 6, 5, 4 }, { 9, 10, 11, 12 } };
        cleanup_with(pair_free) struct pair pair = pair_by(980, 1, NULL);
        struct node_sim_host *const hosts[] = { pair.provider, pair.gateway };

        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                for (size_t host = 0; host < ARRAY_LEN(hosts); host++)
                        hold_list(hosts[host], lists[i], NODE_ROUTERS_MAX);
                node_sim_run(pair.sim, MSEC(300));
        }
        node_sim_run(pair.sim, MINUTES(1));
        check(gateway_is_up(&pair) && nobody_is_outdated(&pair));
        check_equal(mistakes(pair.sim), 0);
}

/* Written down on one side: no topic tells which secret the other knows, and whoever spoke first by the wrong one would be shut out for
 * ten minutes. What is lost decides who is heard first. */
TEST(node_greets_an_appointed_peer_by_whatever_secret_that_knows)
{
        static const struct net_link link = { .delay_us = 20000, .jitter_us = 5000, .loss_ppm = 200000 };
        static const struct { uint8_t theirs[2], ours[2]; } cases[] = {
                { { 1, 0 }, { 2, 1 } }, { { 2, 0 }, { 2, 1 } }, { { 2, 1 }, { 2, 1 } }, { { 3, 2 }, { 2, 1 } }, { { 2, 1 }, { 3, 2 } },
                { { 1, 3 }, { 2, 1 } },
        };

        for (size_t i = 0; i < 20 * ARRAY_LEN(cases); i++) {
                const uint8_t *theirs = cases[i % ARRAY_LEN(cases)].theirs, *ours = cases[i % ARRAY_LEN(cases)].ours;
                cleanup_with(pair_free) struct pair pair = pair_new(10000 + i, &link);
                struct node_appointed peer = { .addr = pair.provider->addr };
                struct now now;

                node_sim_kill(&pair.sim->hosts[0]);     /* no DHT */
                node_sim_key(NODE_PROVIDER, 1, peer.key);
                pair.sim->router = router_of(theirs[0]);
                node_sim_join(pair.provider, NODE_PROVIDER, 1);
                hold(pair.provider, theirs[0], theirs[1]);
                node_sim_run(pair.sim, SECONDS(5));
                pair.sim->router = router_of(ours[0]);
                node_sim_join(pair.gateway, NODE_GATEWAY, 1);
                hold(pair.gateway, ours[0], ours[1]);
                now = node_sim_now(pair.sim);
                check_equal(node_appoint(pair.gateway->node, &peer, 1, &now), 0);
                node_sim_touch(pair.gateway);
                node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(1));
                check(gateway_knows(&pair));
        }
}

/* It is back with the old secret alone, as its configuration was put back, and cannot look for us: we call, and its records of the new
 * secret are of its life before. */
TEST(node_does_not_take_what_was_announced_before_for_what_is_known_now)
{
        cleanup_with(pair_free) struct pair pair = pair_by(985, 1, NULL);
        struct node_appointed peer = { .addr = pair.provider->addr };
        struct now now = node_sim_now(pair.sim);

        node_sim_key(NODE_PROVIDER, 1, peer.key);
        check_equal(node_appoint(pair.gateway->node, &peer, 1, &now), 0);
        hold(pair.provider, 2, 1);
        hold(pair.gateway, 2, 1);
        node_sim_run(pair.sim, MINUTES(30));    /* to look at both topics */
        check(gateway_is_up(&pair) && !outdated(pair.gateway));
        node_sim_kill(&pair.sim->hosts[0]);     /* no DHT any more */
        node_sim_kill(pair.provider);
        node_sim_run_until(pair.sim, gateway_is_down, &pair, MINUTES(2));
        check(gateway_is_down(&pair));
        node_sim_revive(pair.provider);
        node_sim_join(pair.provider, NODE_PROVIDER, 1);
        node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(2));
        check(gateway_knows(&pair));
}

/* The same with a DHT, where its records of both secrets are still found: whoever was greeted by the new one first would take us for
 * strangers, and shut us out for ten minutes. */
TEST(node_takes_back_at_once_who_was_killed_and_comes_with_the_old_secret_alone)
{
        usec_t slowest_us = 0;

        for (unsigned i = 0; i < 60; i++) {
                static const struct net_link link = { .delay_us = 20000, .jitter_us = 5000 };
                cleanup_with(pair_free) struct pair pair = pair_by(9850 + i, 1, &link);
                struct node_sim_host *back = i % 2 ? pair.gateway : pair.provider, *there = i % 2 ? pair.provider : pair.gateway;

                hold(pair.provider, 2, 1);
                hold(pair.gateway, 2, 1);
                node_sim_run(pair.sim, MINUTES(6));     /* to look at both topics */
                check(gateway_is_up(&pair) && !outdated(there));
                node_sim_kill(back);
                node_sim_run(pair.sim, SECONDS(i / 2));
                if (i % 3 == 0) {               /* who is there does not remember who that was */
                        node_sim_kill(there);
                        node_sim_revive(there);
                        pair.sim->router = router_of(2);
                        node_sim_join(there, i % 2 ? NODE_PROVIDER : NODE_GATEWAY, 1);
                        hold(there, 2, 1);
                        node_sim_run(pair.sim, SECONDS(i % 7));
                }
                pair.sim->router = router_of(1);
                node_sim_revive(back);
                node_sim_join(back, i % 2 ? NODE_GATEWAY : NODE_PROVIDER, 1);
                slowest_us = usec_max(slowest_us, node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(15)));
                check(gateway_knows(&pair));
        }
        printf("# killed, and back with the old secret alone: met again after %u ms at most\n", (unsigned)(slowest_us / 1000));
        check(slowest_us < SECONDS(30));
}

/* It is of the configuration and no peer, has one of the secrets, and nobody says which. */
TEST(node_meets_its_peers_at_a_relay_that_has_either_secret)
{
        static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

        for (uint8_t secret = 1; secret <= 2; secret++) {
                struct street street = street_new(secret, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);
                struct node_relay_spec spec = { .mode = NODE_RELAY_ALWAYS, .seed = { 77 } };
                struct node_sim_host *relay = node_sim_add(street.sim), *ends[] = { street.provider, street.gateway };
                uint8_t keys[1][NODE_KEY_BYTES], secret_key[crypto_sign_SECRETKEYBYTES];
                struct now now = node_sim_now(street.sim);
                usec_t took_us;

                crypto_sign_seed_keypair(keys[0], secret_key, spec.seed);
                hold(relay, secret, 0);
                check_equal(node_relay(relay->node, &spec, &now), 0);
                node_sim_run(street.sim, SECONDS(3));
                for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
                        now = node_sim_now(street.sim);
                        check_equal(node_use_relays(ends[i]->node, (const uint8_t(*)[NODE_KEY_BYTES])keys, 1, &now), 0);
                        node_sim_join(ends[i], i ? NODE_GATEWAY : NODE_PROVIDER, 1);
                        hold(ends[i], 2, 1);
                        node_sim_run(street.sim, i ? 0 : SECONDS(5));
                }
                took_us = node_sim_run_until(street.sim, street_met, &street, SECONDS(60));
                printf("# at a relay with secret %u: %u ms\n", secret, (unsigned)(took_us / 1000));
                check(street_met(&street));
                check(took_us < (secret == 1 ? SECONDS(5) : SECONDS(60)));
                street_free(&street);
        }
}

/* Four are known at a time, and as many exchanges as there may be in a row leave nothing behind. */
TEST(node_exchanges_its_secret_again_and_again)
{
        cleanup_with(pair_free) struct pair pair = pair_by(990, 1, NULL);
        struct node_sim_channel *idle = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 10, false);

        for (uint8_t secret = 2; secret < 40; secret++) {
                hold(pair.provider, secret, secret - 1);
                node_sim_run(pair.sim, MSEC(100));
                hold(pair.gateway, secret, secret - 1);
                node_sim_run(pair.sim, MSEC(secret % 3 * 300 + 50));
        }
        node_sim_run(pair.sim, SECONDS(10));
        check(idle->fate == NODE_SIM_OPEN && nobody_is_outdated(&pair));
        check(node_sim_peer(pair.gateway, NODE_PROVIDER, 1)->ups == 1);
        check_equal(mistakes(pair.sim), 0);
}
