/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider behind NATs of every kind, with DHT nodes on the public network between them. */
#include <stdio.h>

#include "node_streets.h"
#include "test.h"

static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

/* Only the winner's socket is kept, and goes back with its connection. */
static void check_sockets(struct street *street)
{
        node_sim_run(street->sim, SECONDS(4));
        check(street->gateway->socket_count <= 1 && street->provider->socket_count <= 1);
        check(street_is_clean(street));
}

static void check_meeting(enum street_kind provider, enum street_kind gateway)
{
        struct street street = street_new(1, &wan, provider, gateway);
        usec_t took_us = street_meet(&street, SECONDS(30));

        printf("# %s, then %s: %u ms\n", street_names[provider], street_names[gateway], (unsigned)(took_us / 1000));
        check(street_met(&street));
        check(took_us < (street.random ? SECONDS(30) : MSEC(500)));
        check(street_echoes(&street));
        check_sockets(&street);
        street_free(&street);
}

static enum node_nat own_nat(const struct node_sim_host *host)
{
        struct node_self self;

        node_self(host->node, &self);
        return self.nat;
}

/* Before anybody dials; and at once when the network is another one, of which nothing has been heard. */
TEST(what_the_nat_is_like_is_known_before_it_matters)
{
        static const struct addr moved = { .ip = { 192, 168, 77, 77 }, .port = 49737 };

        for (unsigned kind = STREET_FULL_CONE; kind < STREET_KINDS; kind++) {
                struct street street = street_new(1, &wan, kind, STREET_OPEN);
                enum node_nat nat = street_is_random(kind) ? NODE_NAT_RANDOM : NODE_NAT_CONSISTENT;

                node_sim_run(street.sim, SECONDS(5));
                node_sim_kill(street.provider);
                node_sim_revive(street.provider);
                node_sim_run(street.sim, MSEC(150));
                check_equal(own_nat(street.provider), nat);
                node_sim_set_local(street.provider, &moved, 1);
                node_sim_run(street.sim, MSEC(5));
                check_equal(own_nat(street.provider), NODE_NAT_UNKNOWN);
                node_sim_run(street.sim, MSEC(150));
                check_equal(own_nat(street.provider), nat);
                street_free(&street);
        }
}

TEST(each_kind_of_street_leads_to_each_other_where_it_can)
{
        for (unsigned provider = 0; provider < STREET_KINDS; provider++)
                for (unsigned gateway = 0; gateway < STREET_KINDS; gateway++)
                        if (street_is_passable(provider, gateway))
                                check_meeting(provider, gateway);
}

/* Both dialled, each punch held the gate of its own side, and both were put off for ever; or the dial that gave way shut it for 10 s.
 * 1849: all sockets of one side had knocked in vain at a jealous NAT. The others met, and were cut off: they had taken to different
 * holes of those that were open, or to a socket that the other punch of a crossed dial had found, and closed. With 10 % loss: the
 * client had not had the answer, or what should open a NAT was lost, and a knock at a jealous one spoilt it for good; or the round
 * that says "now" was answered in vain, and the server's punch had to end before the next could begin. 887: both connections had gone
 * by one socket, and that of the one that was given up was closed. */
TEST(two_that_dial_each_other_through_nats_meet_and_stay_together)
{
        static const struct {
                uint64_t seed;
                unsigned loss_percent;
                enum street_kind provider, gateway;
                enum street_start start;
        } stuck_once[] = {
                { 368, 0, STREET_DOUBLE, STREET_SYMMETRIC, STREET_GATEWAY_FIRST },
                { 449, 2, STREET_JEALOUS, STREET_CARRIER, STREET_GATEWAY_FIRST },
                { 669, 0, STREET_DOUBLE, STREET_CARRIER, STREET_AT_ONCE },
                { 738, 2, STREET_CONE, STREET_SYMMETRIC, STREET_AT_ONCE },
                { 1849, 0, STREET_JEALOUS, STREET_CARRIER, STREET_PROVIDER_FIRST },
                { 1849, 2, STREET_JEALOUS, STREET_CARRIER, STREET_AT_ONCE },
                { 2892, 0, STREET_CARRIER, STREET_HOST_CONE, STREET_PROVIDER_FIRST },
                { 4582, 0, STREET_SYMMETRIC, STREET_HOST_CONE, STREET_PROVIDER_FIRST },
                { 1058, 2, STREET_SCATTERED, STREET_SYMMETRIC, STREET_AT_ONCE },
                { 2228, 2, STREET_HOST_CONE, STREET_SYMMETRIC, STREET_AT_ONCE },
                { 144, 10, STREET_JEALOUS, STREET_JEALOUS, STREET_GATEWAY_FIRST },
                { 174, 10, STREET_FORGETFUL, STREET_JEALOUS, STREET_GATEWAY_FIRST },
                { 647, 10, STREET_JEALOUS, STREET_FORGETFUL, STREET_PROVIDER_FIRST },
                { 2938, 10, STREET_CONE, STREET_SYMMETRIC, STREET_PROVIDER_FIRST },
                { 847, 10, STREET_JEALOUS, STREET_FORGETFUL, STREET_AT_ONCE },
                { 887, 0, STREET_BY_HOST, STREET_FORGETFUL, STREET_AT_ONCE },
        };

        for (size_t i = 0; i < ARRAY_LEN(stuck_once); i++) {
                struct net_link link = { .delay_us = MSEC(10), .jitter_us = MSEC(5), .reorder = true,
                                         .loss_ppm = stuck_once[i].loss_percent * 10000 };
                struct street street = street_new(stuck_once[i].seed, &link, stuck_once[i].provider, stuck_once[i].gateway);
                usec_t took_us = street_meet_from(&street, stuck_once[i].start, MSEC(500), SECONDS(30));

                printf("# seed %u: %u ms\n", (unsigned)stuck_once[i].seed, (unsigned)(took_us / 1000));
                check(street_met(&street));
                node_sim_run(street.sim, SECONDS(4));
                check(street_echoes(&street));
                check_sockets(&street);
                street_free(&street);
        }
}

/* All four packets that should open a jealous router were lost, and its peer knocked. They meet once both have been quiet for as long as
 * such a router remembers. */
TEST(jealous_router_that_was_spoilt_is_passed_when_it_forgets)
{
        struct net_link link = { .delay_us = MSEC(10), .jitter_us = MSEC(5), .reorder = true, .loss_ppm = 100000 };
        struct street street = street_new(21874, &link, STREET_FORGETFUL, STREET_JEALOUS);
        usec_t took_us = street_meet(&street, MINUTES(5));

        printf("# %u s\n", (unsigned)(took_us / 1000000));
        check(street_met(&street) && street_echoes(&street));
        check_sockets(&street);
        street_free(&street);
}

/* By the inner address, or by the outer one where the router leads back. Where neither answers it takes a punch in vain to find out, whoever
 * dials, and a dial of the other that comes when that is over does not hide it. */
TEST(two_behind_one_router_meet_or_know_why_not)
{
        for (unsigned router = 0; router < STREET_ROUTERS; router++)
                for (unsigned start = 0; start < STREET_STARTS; start++) {
                        struct street street = street_new_router(6 + start, &wan, router);
                        usec_t took_us = street_meet_from(&street, start, MSEC(500), SECONDS(15)), known_us = street_known_us(&street);

                        printf("# %s: %u ms\n", street_router_names[router], (unsigned)(usec_min(took_us, known_us) / 1000));
                        check_equal(street_met(&street), street.verdict == NODE_REACHED);
                        check(street_met(&street) ? street_echoes(&street) : known_us < SECONDS(15));
                        check_sockets(&street);
                        street_free(&street);
                }
}

/* Each round that is lost costs time of the same 15 s: a wait for the peer's dial that began anew; four or five sends that were lost before
 * the punch began, which then took ten seconds all the same; all seven of them, at 53452; and at 64148 the punch had begun so much later
 * here than there that the peer's next dial ended it. */
TEST(loss_hides_not_for_long_that_a_punch_is_in_vain)
{
        static const struct {
                uint64_t seed;
                enum street_router router;
                enum street_start start;
        } late_once[] = {
                { 3160, STREET_GUESTS, STREET_GATEWAY_FIRST },
                { 7516, STREET_GUESTS, STREET_PROVIDER_FIRST },
                { 14252, STREET_ONE_CARRIER, STREET_AT_ONCE },
                { 46720, STREET_GUESTS, STREET_PROVIDER_FIRST },
                { 53452, STREET_GUESTS, STREET_AT_ONCE },
                { 64148, STREET_ONE_CARRIER, STREET_AT_ONCE },
                { 79196, STREET_ONE_CARRIER, STREET_GATEWAY_FIRST },
        };

        for (size_t i = 0; i < ARRAY_LEN(late_once); i++) {
                struct net_link link = { .delay_us = MSEC(10), .jitter_us = MSEC(5), .reorder = true, .loss_ppm = 100000 };
                struct street street = street_new_router(late_once[i].seed, &link, late_once[i].router);

                street_meet_from(&street, late_once[i].start, MSEC(500), SECONDS(15));
                printf("# seed %u: %u ms\n", (unsigned)late_once[i].seed, (unsigned)(street_known_us(&street) / 1000));
                check(street_known_us(&street) < SECONDS(15));
                street_free(&street);
        }
}

/* A worker that was restarted a moment ago, or that has just punched with others: there are no sockets for some seconds. */
TEST(a_punch_that_gets_no_sockets_gets_them_later)
{
        struct street street = street_new(1, &wan, STREET_CONE, STREET_SYMMETRIC);
        usec_t took_us;

        node_sim_join(street.provider, NODE_PROVIDER, 1);
        node_sim_run(street.sim, SECONDS(5));
        street.gateway->granted = NODE_SIM_BURST;
        street.gateway->granted_us = net_now(street.sim->net);
        node_sim_join(street.gateway, NODE_GATEWAY, 1);
        took_us = node_sim_run_until(street.sim, street_met, &street, SECONDS(30));
        printf("# %u ms\n", (unsigned)(took_us / 1000));
        check(street_met(&street));
        check_sockets(&street);
        street_free(&street);
}

/* The gateway's latest connection is a new one. */
struct reunion {
        struct street *street;
        usec_t since_us;
};

static bool have_met_again(void *context)
{
        struct reunion *reunion = context;
        const struct node_sim_host *gateway = reunion->street->gateway;

        for (size_t i = 0; i < gateway->attempt_count; i++)
                if (gateway->attempts[i].what.failure == NODE_REACHED && gateway->attempts[i].over_us > reunion->since_us)
                        return street_met(reunion->street);
        return false;
}

/* Both know each other and have been quiet for some seconds; then the NAT in front of @host forgets all. How long until they have found
 * that out, and met again. @talking: the gateway opens a channel then, else nobody says anything. */
static usec_t meet_again(struct street *street, struct node_sim_host *host, bool talking)
{
        struct reunion reunion = { .street = street };
        usec_t took_us;

        street_meet(street, SECONDS(30));
        check(street_echoes(street));
        node_sim_run(street->sim, SECONDS(15));
        check(street_met(street));
        reunion.since_us = net_now(street->sim->net);
        nat_box_reboot(net_nat_box(host->nat));
        if (talking)
                check(node_sim_open(street->gateway, 1, NODE_SIM_ECHO, 1000, true));
        took_us = node_sim_run_until(street->sim, have_met_again, &reunion, SECONDS(12));
        check(have_met_again(&reunion) && street_echoes(street));
        return took_us;
}

/* A stream without acknowledgements takes 13 s to die. That a NAT maps elsewhere, the relays that we announced at can say at once. */
TEST(a_nat_that_forgets_and_maps_elsewhere_is_noticed)
{
        static const enum street_kind others[] = { STREET_OPEN, STREET_CONE };

        for (size_t i = 0; i < 4 * ARRAY_LEN(others); i++) {
                bool talking = i & 1, at_gateway = i & 2;
                enum street_kind other = others[i / 4];
                struct street street = at_gateway ? street_new(i, &wan, other, STREET_SYMMETRIC) : street_new(i, &wan, STREET_SYMMETRIC, other);
                usec_t took_us = meet_again(&street, at_gateway ? street.gateway : street.provider, talking);

                printf("# %s at the %s's router, %s: %u ms\n", talking ? "a connection" : "quiet", at_gateway ? "gateway" : "provider",
                       street_names[other], (unsigned)(took_us / 1000));
                check(took_us < (talking && at_gateway ? MSEC(3000) : SECONDS(8)));
                check_sockets(&street);
                street_free(&street);
        }
}

/* Nothing is different out there: connections go on when we have said something. */
TEST(a_nat_that_forgets_and_maps_as_before_breaks_nothing)
{
        struct street street = street_new(1, &wan, STREET_CONE, STREET_CONE);
        struct reunion reunion = { .street = &street };

        street_meet(&street, SECONDS(30));
        nat_box_reboot(net_nat_box(street.gateway->nat));
        reunion.since_us = net_now(street.sim->net);
        node_sim_run(street.sim, SECONDS(60));
        check(street_met(&street) && !have_met_again(&reunion) && street_echoes(&street));
        street_free(&street);
}

/* Nobody else is there to tell what a NAT is like. */
TEST(one_node_is_enough_for_cones_and_two_for_chance)
{
        static const struct {
                enum street_kind provider, gateway;
                size_t nodes;           /* beside the bootstrap node */
        } sparse[] = {
                { STREET_CONE, STREET_CONE, 0 },
                { STREET_SCATTERED, STREET_JEALOUS, 0 },
                { STREET_CONE, STREET_SYMMETRIC, 1 },
                { STREET_SYMMETRIC, STREET_CONE, 1 },
        };

        for (size_t i = 0; i < ARRAY_LEN(sparse); i++) {
                struct street street = street_new_sparse(1, &wan, sparse[i].provider, sparse[i].gateway, sparse[i].nodes);
                usec_t took_us = street_meet(&street, SECONDS(30));

                printf("# %s and %s: %u ms\n", street_names[sparse[i].provider], street_names[sparse[i].gateway],
                       (unsigned)(took_us / 1000));
                check(street_met(&street));
                check_sockets(&street);
                street_free(&street);
        }
}
