/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that are let in by their keys, and those that are not, though they know the router. */
#include <string.h>

#include "node_pair.h"
#include "node_sim_app.h"
#include "original.h"
#include "test.h"

/* None but peers of these identities, as far as they are not 0, meet that role of @host. */
static void allow(struct node_sim_host *host, enum node_role role, const uint8_t (*identities)[2])
{
        enum node_role theirs = role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY;
        uint8_t keys[2][NODE_KEY_BYTES];
        struct now now = node_sim_now(host->sim);
        size_t count = 0;

        for (size_t i = 0; i < ARRAY_LEN(*identities); i++)
                if ((*identities)[i])
                        node_sim_key(theirs, (*identities)[i], keys[count++]);
        node_allow(host->node, role, (const uint8_t(*)[NODE_KEY_BYTES])keys, count, &now);
        node_sim_touch(host);
}

static bool is_up(struct node_sim_host *host, enum node_role theirs, uint8_t identity)
{
        const struct node_sim_peer *peer = node_sim_peer(host, theirs, identity);

        return peer && peer->up;
}

/* The last that became of its attempts to meet @host, or of @host's to meet it. */
static enum node_failure fate_of(const struct node_sim_host *host, enum node_role theirs, uint8_t identity)
{
        enum node_failure failure = NODE_REACHED;
        uint8_t key[NODE_KEY_BYTES];

        node_sim_key(theirs, identity, key);
        for (size_t i = 0; i < host->attempt_count && i < NODE_SIM_ATTEMPTS; i++)
                if (memcmp(host->attempts[i].key, key, sizeof(key)) == 0)
                        failure = host->attempts[i].what.failure;
        return failure;
}

struct trio {
        struct node_sim *sim;
        struct node_sim_host *one, *other, *ours;
        enum node_role role;
};

static bool both_are_up(void *context)
{
        const struct trio *trio = context;
        enum node_role theirs = trio->role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY;

        return is_up(trio->ours, theirs, 1) && is_up(trio->ours, theirs, 2);
}

static bool other_is_down(void *context)
{
        const struct trio *trio = context;

        return !is_up(trio->ours, trio->role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY, 2);
}

/* Peers of identity 1 and 2, and ours, of role @role, which comes first or last. */
static struct trio trio_new(uint64_t seed, enum node_role role, const uint8_t (*allowed)[2], bool first)
{
        enum node_role theirs = role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY;
        struct node_sim *sim = node_sim_new(seed, NULL);
        struct trio trio = { sim, node_sim_add(sim), node_sim_add(sim), node_sim_add(sim), role };

        for (unsigned turn = 0; turn < 2; turn++) {
                if ((turn == 0) == first) {
                        allow(trio.ours, role, allowed);
                        node_sim_join(trio.ours, role, 1);
                } else {
                        node_sim_join(trio.one, theirs, 1);
                        node_sim_join(trio.other, theirs, 2);
                }
                node_sim_run(sim, SECONDS(20));
        }
        return trio;
}

static void trio_free(struct trio *trio)
{
        node_sim_free(trio->sim);
}

/* Whoever of the two looks for the other. It is told, and to the one outside it is as if nobody were there. */
TEST(node_meets_none_but_those_that_are_allowed)
{
        for (unsigned i = 0; i < 8; i++) {
                enum node_role role = i & 1 ? NODE_GATEWAY : NODE_PROVIDER, theirs = i & 1 ? NODE_PROVIDER : NODE_GATEWAY;
                cleanup_with(trio_free) struct trio trio = trio_new(1000 + i, role, &(const uint8_t[2]){ 1 }, i & 2);

                check(is_up(trio.ours, theirs, 1) && is_up(trio.one, role, 1));
                node_sim_run(trio.sim, MINUTES(30));
                check(is_up(trio.ours, theirs, 1) && node_sim_peer(trio.ours, theirs, 1)->ups == 1);
                check(!node_sim_peer(trio.ours, theirs, 2) && node_sim_ups(trio.other) == 0);
                check_equal(fate_of(trio.ours, theirs, 2), NODE_NOT_ALLOWED);
                check_equal(fate_of(trio.other, role, 1), NODE_UNANSWERED);
                check_equal(mistakes(trio.sim), 0);
        }
}

/* Channels of who may stay notice nothing; who may not is let go, and comes back when he may, without waiting to be found by chance. */
TEST(node_changes_who_is_allowed_while_it_runs)
{
        for (unsigned i = 0; i < 8; i++) {
                enum node_role role = i & 1 ? NODE_GATEWAY : NODE_PROVIDER, theirs = i & 1 ? NODE_PROVIDER : NODE_GATEWAY;
                cleanup_with(trio_free) struct trio trio = trio_new(1010 + i, role, &(const uint8_t[2]){ 0 }, i & 2);
                struct node_sim_host *gateways[] = { role == NODE_GATEWAY ? trio.ours : trio.one,
                                                     role == NODE_GATEWAY ? trio.ours : trio.other };
                struct node_sim_channel *stays, *goes;

                check(both_are_up(&trio));
                stays = node_sim_open(gateways[0], 1, NODE_SIM_ECHO, 1 << 20, true);
                goes = node_sim_open(gateways[1], role == NODE_GATEWAY ? 2 : 1, NODE_SIM_ECHO, 10, false);
                node_sim_run(trio.sim, MSEC(200));
                allow(trio.ours, role, &(const uint8_t[2]){ 1 });
                check(node_sim_run_until(trio.sim, other_is_down, &trio, SECONDS(30)) < SECONDS(4));
                check_equal(fate_of(trio.ours, theirs, 2), NODE_NOT_ALLOWED);
                node_sim_run(trio.sim, MINUTES(20));
                check_equal(goes->fate, NODE_SIM_CLOSED);
                check(node_sim_echoed(stays));
                check(is_up(trio.ours, theirs, 1) && node_sim_peer(trio.ours, theirs, 1)->ups == 1 && other_is_down(&trio));
                allow(trio.ours, role, &(const uint8_t[2]){ 2, 1 });
                check(node_sim_run_until(trio.sim, both_are_up, &trio, MINUTES(10)) < SECONDS(15));
                allow(trio.ours, role, &(const uint8_t[2]){ 2 });
                node_sim_run(trio.sim, SECONDS(10));
                allow(trio.ours, role, &(const uint8_t[2]){ 0 });
                check(node_sim_run_until(trio.sim, both_are_up, &trio, MINUTES(10)) < SECONDS(15));
                check_equal(mistakes(trio.sim), 0);
        }
}

/* The lists change while dials, handshakes and hellos are under way, whatever these are at. */
TEST(node_changes_who_is_allowed_at_any_moment)
{
        for (unsigned i = 0; i < 200; i++) {
                static const struct net_link link = { .delay_us = 20000, .jitter_us = 5000, .loss_ppm = 20000 };
                cleanup_with(pair_free) struct pair pair = pair_new(2000 + i, &link);
                struct node_sim_host *const ours = i % 2 ? pair.gateway : pair.provider;
                enum node_role role = i % 2 ? NODE_GATEWAY : NODE_PROVIDER;

                node_sim_join(pair.provider, NODE_PROVIDER, 1);
                node_sim_join(pair.gateway, NODE_GATEWAY, 1);
                node_sim_run(pair.sim, MSEC(10 * i));
                allow(ours, role, &(const uint8_t[2]){ 2 });
                node_sim_run(pair.sim, SECONDS(5));
                check(!gateway_is_up(&pair));
                allow(ours, role, &(const uint8_t[2]){ 1 });
                node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(2));
                check(gateway_knows(&pair));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* One that keeps the rules of Hyperswarm finds it, and is not answered. */
TEST(node_does_not_answer_an_original_that_is_not_allowed)
{
        for (unsigned role = 0; role < NODE_ROLES; role++) {
                cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(1020 + role, NULL);
                enum node_role other = role == NODE_GATEWAY ? NODE_PROVIDER : NODE_GATEWAY;
                struct node_sim_host *ours = node_sim_add(sim);
                uint8_t key[NODE_KEY_BYTES];
                struct original *original;

                node_sim_key((enum node_role)role, 1, key);
                original = original_new(sim, NULL, other, 1, key);
                allow(ours, (enum node_role)role, &(const uint8_t[2]){ 2 });
                node_sim_join(ours, (enum node_role)role, 1);
                node_sim_run(sim, SECONDS(5));
                original_discover(original);
                node_sim_run(sim, SECONDS(60));
                check(!original_stats(original).up && node_sim_ups(ours) == 0);
                allow(ours, (enum node_role)role, &(const uint8_t[2]){ 1, 2 });
                node_sim_run(sim, SECONDS(30));
                check(original_stats(original).up && node_sim_ups(ours) == 1);
        }
}

/* It is written down where it is, and still not dialled: who may come is another question. */
TEST(node_does_not_dial_an_appointed_peer_that_is_not_allowed)
{
        cleanup_with(pair_free) struct pair pair = pair_new(1030, NULL);
        struct node_appointed peer = { .addr = pair.provider->addr };
        struct now now = node_sim_now(pair.sim);

        node_sim_kill(&pair.sim->hosts[0]);     /* no DHT */
        node_sim_key(NODE_PROVIDER, 1, peer.key);
        node_sim_join(pair.provider, NODE_PROVIDER, 1);
        allow(pair.gateway, NODE_GATEWAY, &(const uint8_t[2]){ 2 });
        node_sim_join(pair.gateway, NODE_GATEWAY, 1);
        check_equal(node_appoint(pair.gateway->node, &peer, 1, &now), 0);
        node_sim_touch(pair.gateway);
        node_sim_run(pair.sim, MINUTES(1));
        check(!gateway_is_up(&pair) && node_sim_ups(pair.provider) == 0);
        allow(pair.gateway, NODE_GATEWAY, &(const uint8_t[2]){ 1 });
        node_sim_run_until(pair.sim, gateway_knows, &pair, SECONDS(10));
        check(gateway_knows(&pair));
}
