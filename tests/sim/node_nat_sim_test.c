/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider behind NATs of every kind, with DHT nodes on the public network between them. */
#include "node_streets.h"
#include "test.h"

TEST(two_cones_meet)
{
        struct street street = street_new(1, &(struct net_link){ .delay_us = MSEC(10) }, STREET_CONE, STREET_CONE);

        check(street_meet(&street, SECONDS(10)) < SECONDS(1));
        check(street_echoes(&street));
        street_free(&street);
}
