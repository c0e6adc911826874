/* SPDX-License-Identifier: BSD-3-Clause */
/* Two peers start at about the same time and dial each other: whichever connection they settle on, a client that comes at the first
 * moment at which there is a route keeps its channel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_pair.h"
#include "original.h"
#include "test.h"

enum { STARTS = 200 };

#define BUSY_MAX_US MSEC(400)           /* a dial that is unanswered for a second holds up nobody */

/* From everybody to everybody else there is a way of its own, so that what overtakes what is different in every start. */
static void mix_ways(struct node_sim *sim, usec_t scale_us)
{
        const struct random *random = net_random(sim->net);

        for (unsigned from = 0; from < 2 * sim->host_count; from++)
                for (unsigned to = 0; to < 2 * sim->host_count; to++) {
                        struct net_link link = { .delay_us = random_below(random, scale_us), .jitter_us = scale_us / 4,
                                                 .reorder = true };

                        net_link_set_between(sim->net, from, to, &link);
                }
}

static struct pair start_new(uint64_t seed)
{
        struct pair start = { .sim = node_sim_new(seed, NULL) };
        const struct random *random = net_random(start.sim->net);
        usec_t scale_us = MSEC(1) << random_below(random, 9);

        node_sim_add_dht(start.sim, 4);
        start.provider = node_sim_add(start.sim);
        start.gateway = node_sim_add(start.sim);
        mix_ways(start.sim, scale_us);
        if (random_below(random, 2))
                node_sim_run(start.sim, SECONDS(5));
        if (random_below(random, 2)) {
                node_sim_join(start.provider, NODE_PROVIDER, 1);
                node_sim_run(start.sim, random_below(random, scale_us * 2));
                node_sim_join(start.gateway, NODE_GATEWAY, 1);
        } else {
                node_sim_join(start.gateway, NODE_GATEWAY, 1);
                node_sim_run(start.sim, random_below(random, scale_us * 2));
                node_sim_join(start.provider, NODE_PROVIDER, 1);
        }
        return start;
}

static void check_start(uint64_t seed)
{
        cleanup_with(pair_free) struct pair start = start_new(seed);
        struct node_sim_channel *channel;

        node_sim_run_until(start.sim, gateway_knows, &start, SECONDS(30));
        channel = node_sim_open(start.gateway, 1, NODE_SIM_ECHO, 1000, false);
        node_sim_run(start.sim, SECONDS(3));
        if (!channel || channel->fate != NODE_SIM_OPEN || channel->received != 1000 ||
            node_sim_peer(start.gateway, NODE_PROVIDER, 1)->ups != 1)
                test_fail(__FILE__, __LINE__, "the first channel of start %llu broke", (unsigned long long)seed);
}

TEST(node_keeps_the_first_channel_whoever_dials_whom)
{
        /* A dial went out after the peer's own handshake had been answered, and was taken for a restart. */
        static const uint64_t broke_once[] = { 428, 3950, 101975, 102720, 103903, 105270, 107059, 110445, 114003 };

        for (size_t i = 0; i < ARRAY_LEN(broke_once); i++)
                check_start(broke_once[i]);
        for (uint64_t seed = 1; seed <= STARTS; seed++)
                check_start(seed);
}

/* --- With an original --- */

struct meeting {
        struct node_sim *sim;
        struct node_sim_host *ours;
        struct original *original;
        uint8_t key[NODE_KEY_BYTES];    /* the original's */
};

static struct node_sim_peer *peer_of(const struct meeting *meeting)
{
        for (size_t i = 0; i < meeting->ours->peer_count; i++)
                if (memcmp(meeting->ours->peers[i].key, meeting->key, NODE_KEY_BYTES) == 0)
                        return &meeting->ours->peers[i];
        return NULL;
}

static bool have_met(void *context)
{
        struct meeting *meeting = context;
        const struct node_sim_peer *peer = peer_of(meeting);

        return peer && peer->up && original_stats(meeting->original).up;
}

/* An identity whose key is above or below that of another one. */
static uint8_t identity_beside(enum node_role role, const uint8_t key[NODE_KEY_BYTES], bool above)
{
        uint8_t own[NODE_KEY_BYTES];

        for (uint8_t identity = 1; identity; identity++) {
                node_sim_key(role, identity, own);
                if ((memcmp(own, key, NODE_KEY_BYTES) > 0) == above)
                        return identity;
        }
        abort();
}

/* The original is there, and ours joins; while that finds it, it finds ours. */
static struct meeting meeting_new(uint64_t seed, bool ours_is_larger)
{
        struct meeting meeting = { .sim = node_sim_new(seed, NULL) };
        const struct random *random = net_random(meeting.sim->net);
        usec_t scale_us = MSEC(1) << random_below(random, 8);
        uint8_t own_key[NODE_KEY_BYTES], identity;

        node_sim_key(NODE_PROVIDER, 1, meeting.key);
        identity = identity_beside(NODE_GATEWAY, meeting.key, ours_is_larger);
        node_sim_key(NODE_GATEWAY, identity, own_key);
        node_sim_add_dht(meeting.sim, 4);
        meeting.ours = node_sim_add(meeting.sim);
        meeting.original = original_new(meeting.sim, NULL, NODE_PROVIDER, 1, own_key);
        mix_ways(meeting.sim, scale_us);
        original_set_busy(meeting.original, random_below(random, usec_min(scale_us * 8, BUSY_MAX_US)));
        node_sim_run(meeting.sim, SECONDS(10));
        node_sim_join(meeting.ours, NODE_GATEWAY, identity);
        node_sim_run(meeting.sim, random_below(random, scale_us * 16));
        original_discover(meeting.original);
        return meeting;
}

/* The connection that both say hello in first is the one that stays. Returns how many dials crossed. */
static unsigned check_meeting(uint64_t seed, bool ours_is_larger)
{
        struct meeting meeting = meeting_new(seed, ours_is_larger);
        cleanup_with(node_sim_freep) struct node_sim *sim = meeting.sim;
        usec_t took_us = node_sim_run_until(sim, have_met, &meeting, SECONDS(60));
        struct original_stats stats;

        node_sim_run(sim, SECONDS(20));
        stats = original_stats(meeting.original);
        if (!have_met(&meeting) || took_us > SECONDS(5) || peer_of(&meeting)->ups != 1 || stats.ups != 1)
                test_fail(__FILE__, __LINE__, "meeting %llu (ours is %s) was broken or late", (unsigned long long)seed,
                          ours_is_larger ? "larger" : "smaller");
        return stats.crossed;
}

/* It dropped its own connection, used already, for our dial, which had been given up for that connection: in 403 of 3,000. */
TEST(node_meets_an_original_whoever_dials_whom)
{
        unsigned crossed[2] = { 0, 0 };

        for (uint64_t seed = 1; seed <= STARTS; seed++)
                for (int larger = 0; larger < 2; larger++)
                        crossed[larger] += check_meeting(seed, larger);
        check(crossed[0] > STARTS / 10 && crossed[1] > STARTS / 10);
}

/* --- With an original, by chance --- */

enum { BETS = 20 };

#define FOUND_US SECONDS(4)             /* it looks every 5 s */

/* Ours, behind a router that gives each remote another port, dials; the original, behind one that keeps them, finds it meanwhile. */
static struct meeting bet_new(uint64_t seed, bool ours_is_larger)
{
        static const struct nat_box_kind symmetric = { .mapping = NAT_BOX_SAME_PORT, .filtering = NAT_BOX_SAME_PORT, .random_ports = true },
                                         cone = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT };
        static const uint8_t our_ip[4] = { 80, 1, 1, 1 }, their_ip[4] = { 80, 1, 2, 1 };
        static const struct net_link link = { .delay_us = MSEC(20), .jitter_us = MSEC(3) };
        struct meeting meeting = { .sim = node_sim_new_internet(seed, &link) };
        uint8_t own_key[NODE_KEY_BYTES], identity;

        node_sim_key(NODE_GATEWAY, 1, meeting.key);
        identity = identity_beside(NODE_PROVIDER, meeting.key, ours_is_larger);
        node_sim_key(NODE_PROVIDER, identity, own_key);
        meeting.sim->dht_persistent = true;
        node_sim_add_dht(meeting.sim, 8);
        meeting.sim->dht_persistent = false;
        meeting.ours = node_sim_add_behind(meeting.sim, net_nat_add(meeting.sim->net, our_ip, &symmetric, NULL));
        meeting.original = original_new(meeting.sim, net_nat_add(meeting.sim->net, their_ip, &cone, NULL), NODE_GATEWAY, 1, own_key);
        node_sim_run(meeting.sim, SECONDS(10));
        node_sim_join(meeting.ours, NODE_PROVIDER, identity);
        node_sim_run(meeting.sim, random_below(net_random(meeting.sim->net), FOUND_US));
        original_discover(meeting.original);
        return meeting;
}

/* Its dial came while ours punched, was let in and ours given up for it: then the original punched alone, and for 55 s it had no room for
 * any other. */
TEST(node_goes_on_punching_by_chance_while_an_original_dials)
{
        unsigned shut_out = 0;

        for (uint64_t seed = 1; seed <= BETS; seed++)
                for (int larger = 0; larger < 2; larger++) {
                        struct meeting meeting = bet_new(seed, larger);
                        cleanup_with(node_sim_freep) struct node_sim *sim = meeting.sim;
                        usec_t took_us = node_sim_run_until(sim, have_met, &meeting, SECONDS(35));

                        printf("# %llu, ours is %s: %u ms\n", (unsigned long long)seed, larger ? "larger" : "smaller",
                               (unsigned)(took_us / 1000));
                        check(have_met(&meeting));
                        shut_out += original_stats(meeting.original).shut_out;
                }
        check(shut_out > BETS / 2);
}
