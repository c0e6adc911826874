/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider behind NATs of every kind, with DHT nodes on the public network between them. */
#include <stdio.h>

#include "node_streets.h"
#include "test.h"

static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

static bool is_by_chance(enum street_kind kind)
{
        return kind == STREET_SYMMETRIC || kind == STREET_CARRIER;
}

/* Only the winner's socket is kept, and goes back with its connection. */
static void check_sockets(struct street *street)
{
        check(street->gateway->socket_count <= 1 && street->provider->socket_count <= 1);
        node_sim_leave(street->gateway, SECONDS(5));
        node_sim_leave(street->provider, SECONDS(5));
        node_sim_run(street->sim, SECONDS(30));
        check_equal(street->gateway->socket_count + street->provider->socket_count, 0);
}

static void check_meeting(enum street_kind provider, enum street_kind gateway)
{
        struct street street = street_new(1, &wan, provider, gateway);
        bool chance = is_by_chance(provider) || is_by_chance(gateway);
        usec_t took_us = street_meet(&street, SECONDS(30));

        printf("# %s, then %s: %u ms\n", street_names[provider], street_names[gateway], (unsigned)(took_us / 1000));
        check(street_met(&street));
        check(took_us < (chance ? SECONDS(30) : MSEC(500)));
        check(street_echoes(&street));
        check_sockets(&street);
        street_free(&street);
}

TEST(each_kind_of_street_leads_to_each_other_where_it_can)
{
        for (unsigned provider = 0; provider < STREET_KINDS; provider++)
                for (unsigned gateway = 0; gateway < STREET_KINDS; gateway++)
                        if (street_is_passable(provider, gateway))
                                check_meeting(provider, gateway);
}
