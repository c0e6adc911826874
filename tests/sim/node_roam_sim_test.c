/* SPDX-License-Identifier: BSD-3-Clause */
/* What moves, forgets or falls silent under a provider and a gateway: whoever comes next is served soon after the network is usable
 * again, whatever both of them were doing at that moment. */
#include <stdio.h>

#include "node_sim_app.h"
#include "node_streets.h"
#include "test.h"

enum {
        CLIENTS_MAX = 160,
        TIMES = 1,
};

#define CLIENT_US MSEC(250)             /* from one client of the gateway to the next */
#define SERVED_US SECONDS(3)            /* promised */
#define SERVED_BY_CHANCE_US SECONDS(15) /* where a punch itself may take that long: tests/README.md */

static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

static struct street begin(uint64_t seed, enum street_kind provider, enum street_kind gateway)
{
        struct street street = street_new(seed, &wan, provider, gateway);

        street_meet(&street, SECONDS(30));
        check(street_met(&street));
        return street;
}

/* How long it takes from now until a client of the gateway is served, one of whom comes each quarter of a second. */
static usec_t served(struct street *street, usec_t limit_us)
{
        usec_t began_us = net_now(street->sim->net);
        struct node_sim_channel *clients[CLIENTS_MAX];
        size_t count = 0;

        while (net_now(street->sim->net) < began_us + limit_us) {
                clients[count] = street_met(street) ? node_sim_open(street->gateway, 1, NODE_SIM_ECHO, 100, true) : NULL;
                count += clients[count] && count + 1 < CLIENTS_MAX;
                node_sim_run(street->sim, CLIENT_US);
                for (size_t i = 0; i < count; i++)
                        if (node_sim_echoed(clients[i]))
                                return net_now(street->sim->net) - began_us;
        }
        return USEC_NEVER;
}

/* @host hears nobody and is heard by nobody for @us. */
static void fall_silent(struct street *street, struct node_sim_host *host, usec_t us)
{
        node_sim_set_up(host, false);
        node_sim_run(street->sim, us);
        node_sim_set_up(host, true);
}

static bool is_by_chance(enum street_kind there, enum street_kind here)
{
        return (there == STREET_SYMMETRIC || here == STREET_SYMMETRIC) && there != STREET_OPEN && here != STREET_OPEN;
}

/* Dials, walks and their pauses are then at any point. */
TEST(whoever_comes_after_a_silence_is_served_within_seconds)
{
        static const enum street_kind kinds[] = { STREET_OPEN, STREET_CONE, STREET_SYMMETRIC, STREET_DOUBLE };

        for (unsigned i = 0; i < 64 * TIMES; i++) {
                enum street_kind there = kinds[i % 4], here = i % 4 == 2 ? kinds[i / 4 % 2] : kinds[i / 4 % 4];
                struct street street = begin(i + 1, there, here);
                const struct random *random = net_random(street.sim->net);
                bool at_gateway = i / 16 & 1, talking = i / 32 & 1;
                usec_t silent_us, took_us;

                node_sim_run(street.sim, SECONDS(15) + random_below(random, (uint32_t)SECONDS(10)));
                silent_us = SECONDS(1) + random_below(random, (uint32_t)SECONDS(59));
                if (talking)
                        check(node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1000000, true));
                fall_silent(&street, at_gateway ? street.gateway : street.provider, silent_us);
                took_us = served(&street, SECONDS(30));
                printf("# seed %u, %s, %s, %.1f s at the %s%s: %.2f s\n", i + 1, street_names[there], street_names[here],
                       (double)silent_us / 1e6, at_gateway ? "gateway" : "provider", talking ? ", talking" : "", (double)took_us / 1e6);
                check(took_us <= (is_by_chance(there, here) ? SERVED_BY_CHANCE_US : SERVED_US));
                street_free(&street);
        }
}

/* Its process gets no turn, and the machine may have slept. */
TEST(whoever_comes_when_a_machine_is_awake_again_is_served_within_seconds)
{
        static const enum street_kind kinds[] = { STREET_OPEN, STREET_CONE, STREET_DOUBLE };

        for (unsigned i = 0; i < 36 * TIMES; i++) {
                struct street street = begin(i + 1, kinds[i % 3], kinds[i / 3 % 3]);
                const struct random *random = net_random(street.sim->net);
                struct node_sim_host *host = i / 9 & 1 ? street.gateway : street.provider;
                usec_t stopped_us, took_us;

                node_sim_run(street.sim, SECONDS(15) + random_below(random, (uint32_t)SECONDS(10)));
                stopped_us = SECONDS(1) + random_below(random, (uint32_t)SECONDS(59));
                host->stopped = true;
                node_sim_run(street.sim, stopped_us);
                host->stopped = false;
                node_sim_touch(host);
                took_us = served(&street, SECONDS(30));
                printf("# seed %u, %s, %s, %.1f s at the %s: %.2f s\n", i + 1, street_names[kinds[i % 3]], street_names[kinds[i / 3 % 3]],
                       (double)stopped_us / 1e6, host == street.gateway ? "gateway" : "provider", (double)took_us / 1e6);
                check(took_us <= SERVED_US);
                street_free(&street);
        }
}

/* What happens at the router of one of them. */
enum upset {
        FORGETS,                        /* all mappings: the next packet out makes the same again */
        MAPS_ELSEWHERE,                 /* and now to other ports */
        UPSETS
};

/* The gateway talks, or nobody says anything. */
TEST(whoever_comes_after_a_router_has_forgotten_is_served_within_seconds)
{
        static const enum street_kind others[] = { STREET_OPEN, STREET_CONE, STREET_DOUBLE };
        usec_t worst_us[UPSETS][2] = { { 0 } };

        for (unsigned i = 0; i < 48 * TIMES; i++) {
                bool at_gateway = i & 1, talking = i / 2 & 1;
                enum upset upset = i / 4 & 1 ? MAPS_ELSEWHERE : FORGETS;
                enum street_kind upset_kind = upset == FORGETS ? STREET_CONE : STREET_SYMMETRIC, other = others[upset == FORGETS ? i / 8 % 3 : 0];
                struct street street = at_gateway ? begin(i + 1, other, upset_kind) : begin(i + 1, upset_kind, other);
                const struct random *random = net_random(street.sim->net);
                usec_t took_us;

                node_sim_run(street.sim, SECONDS(15) + random_below(random, (uint32_t)SECONDS(10)));
                nat_box_reboot(net_nat_box((at_gateway ? street.gateway : street.provider)->nat));
                if (talking)
                        check(node_sim_open(street.gateway, 1, NODE_SIM_ECHO, 1000000, true));
                took_us = served(&street, SECONDS(30));
                printf("# seed %u, %s at the %s, the other one %s%s: %.2f s\n", i + 1, upset == FORGETS ? "forgets" : "maps elsewhere",
                       at_gateway ? "gateway" : "provider", street_names[other], talking ? ", talking" : "", (double)took_us / 1e6);
                worst_us[upset][at_gateway] = usec_max(worst_us[upset][at_gateway], took_us);
                street_free(&street);
        }
        for (unsigned i = 0; i < 4; i++)
                printf("# %s at %s: at most %.2f s\n", i / 2 ? "maps elsewhere" : "forgets", i & 1 ? "gateway" : "provider",
                       (double)worst_us[i / 2][i & 1] / 1e6);
        for (unsigned i = 0; i < 4; i++)
                check(worst_us[i / 2][i & 1] <= SERVED_US);
}
