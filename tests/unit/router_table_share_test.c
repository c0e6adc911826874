/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that want all gates for themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_route.h"
#include "router_table_scene.h"

static void name_of(struct ipc_via *peer, unsigned number)
{
        *peer = (struct ipc_via){ .swarm = 1 };
        memcpy(peer->peer, &number, sizeof(number));
}

/* Peer @number offers @count gates from @first on, in the words of route_table_merge(). */
static int offer_many(unsigned number, unsigned first, unsigned count, usec_t now_us)
{
        struct ipc_via peer;
        int r;

        name_of(&peer, number);
        for (unsigned i = 0; i < count; i++)
                offer((uint16_t)(first + i), "h", "");
        r = route_table_merge(&table, &peer, &advert, now_us);
        advert.count = 0;
        return r;
}

/* Drains the news as the supervisor hears it: @open gates are open, never more than it takes. Returns how many are now. */
static unsigned hear(unsigned open)
{
        struct route_event event;

        while (route_table_event(&table, &event)) {
                open += event.kind == ROUTE_GATE_WANTED;
                open -= event.kind == ROUTE_GATE_DONE;
                check(open <= ROUTE_GATES_MAX);
        }
        return open;
}

TEST(a_peer_that_offers_others_each_time_holds_no_more_than_its_share)
{
        unsigned open = 0;

        begin();
        for (unsigned i = 0; i < 100; i++) {
                int r = offer_many(1, 2000 + 300 * i, ADVERT_ROUTES_MAX, SECONDS(i) / 10);

                check_equal(r, i ? -28 : 0);
                open = hear(open);
                check_equal(open, ROUTE_GATES_PER_PEER);
        }
        check_equal(offer_many(1, 40000, 1, SECONDS(11)), -28);
        route_table_advance(&table, SECONDS(11) + ROUTE_GATE_LINGER_US);
        open = hear(open);
        check_equal(open, 0);                   /* and nothing of it lingers for ever */
        check_equal(offer_many(1, 40000, ADVERT_ROUTES_MAX, SECONDS(50)), 0);
        check_equal(hear(open), ADVERT_ROUTES_MAX);
        finish();
}

/* The share becomes smaller while gates are open: what was offered last goes, what lingers before it, and what others offer stays open. */
TEST(a_peer_loses_what_is_more_than_its_share)
{
        static const struct ipc_via one = { .peer = { 'A' }, .swarm = 1 }, two = { .peer = { 'B' }, .swarm = 1 };

        begin();
        for (uint16_t port = 2000; port < 2005; port++)
                offer(port, "host", "");
        say(&one, 0);
        offer(2004, "other", "");
        say(&two, 0);
        told();
        route_table_limit(&table, 3);
        check_equal(route_table_filter(&table, NULL, 0, 0), 0);
        check_told("-A2004 -A2003 close 2003");
        for (uint16_t port = 2000; port < 2005; port++)
                offer(port, "host", "");
        check_equal(route_table_merge(&table, &one, &advert, 0), -28);
        advert.count = 0;
        check_told("");
        offer(2000, "host", "");
        say(&one, 0);                   /* two linger */
        check_told("-A2001 -A2002");
        route_table_limit(&table, 1);
        check_equal(route_table_filter(&table, NULL, 0, 0), 0);
        check_told("close 2002 close 2001");
        route_table_limit(&table, ROUTE_GATES_PER_PEER);
        check_equal(route_table_filter(&table, NULL, 0, 0), 0);
        offer(2000, "host", "");
        offer(2003, "host", "");
        say(&one, 0);
        check_told("+A2003 open 2003");
        finish();
}

/* Many identities of one rogue hold all gates; an honest peer gets its own at once, from those who have most. */
TEST(an_honest_peer_finds_a_gate_though_all_are_taken)
{
        unsigned rogues = ROUTE_GATES_MAX / ROUTE_GATES_PER_PEER, open = 0;

        begin();
        for (unsigned p = 0; p < rogues; p++)
                check_equal(offer_many(p, 2000 + ROUTE_GATES_PER_PEER * p, ROUTE_GATES_PER_PEER, 0), 0);
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);
        check_equal(offer_many(1000, 60000, 100, 1), 0);
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);
        for (unsigned i = 0; i < 100; i++)
                check_equal(offers((uint16_t)(60000 + i)), 1);
        for (unsigned p = 0; p < rogues; p++)           /* they insist, and get nothing back */
                offer_many(p, 2000 + ROUTE_GATES_PER_PEER * p, ROUTE_GATES_PER_PEER, 2);
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);
        for (unsigned i = 0; i < 100; i++)
                check_equal(offers((uint16_t)(60000 + i)), 1);
        check(offer_many(1001, 50000, 256, 3) == -28);  /* no more than the others have left */
        open = hear(open);
        check(offers(50000) && offers(50199) && !offers(50255));
        finish();
}

/* A gate that several rogues offer is no safer. */
TEST(rogues_cannot_hold_gates_for_each_other)
{
        unsigned pairs = ROUTE_GATES_MAX / ROUTE_GATES_PER_PEER, open = 0;

        begin();
        for (unsigned p = 0; p < 2 * pairs; p++)
                check_equal(offer_many(p, 2000 + ROUTE_GATES_PER_PEER * (p / 2), ROUTE_GATES_PER_PEER, 0), 0);
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);
        check_equal(offer_many(1000, 60000, 10, 1), 0);
        check_equal(hear(open), ROUTE_GATES_MAX);
        check_equal(offers(60009), 1);
        finish();
}

TEST(a_gate_that_nobody_offers_any_more_gives_way_first)
{
        unsigned rogues = ROUTE_GATES_MAX / ROUTE_GATES_PER_PEER, open = 0;
        struct ipc_via peer;

        begin();
        for (unsigned p = 0; p < rogues; p++)
                check_equal(offer_many(p, 2000 + ROUTE_GATES_PER_PEER * p, ROUTE_GATES_PER_PEER, 0), 0);
        open = hear(open);
        name_of(&peer, 3);
        route_table_drop(&table, &peer, 1);
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);             /* they linger */
        check_equal(offer_many(1000, 60000, 200, 2), 0);
        check_equal(offer_many(3, 2000 + ROUTE_GATES_PER_PEER * 3 + 250, 6, 3), 0);     /* it comes back to what is left */
        open = hear(open);
        check_equal(open, ROUTE_GATES_MAX);
        for (unsigned p = 0; p < rogues; p++)
                check_equal(offers((uint16_t)(2000 + ROUTE_GATES_PER_PEER * p)), p != 3);
        route_table_advance(&table, SECONDS(60));
        check_equal(hear(open), ROUTE_GATES_MAX - 50);
        finish();
}

/* Sixteen peers, a table that is too small for them, any order of things: what is told adds up and stays within its bounds. */
TEST(shares_add_up_whatever_happens)
{
        static bool open[65536];
        uint64_t seed = 11;
        usec_t now_us = 0;
        unsigned count = 0;

        begin();
        memset(open, 0, sizeof(open));
        for (unsigned step = 0; step < 200; step++) {
                struct route_event event;
                struct ipc_via peer;
                uint8_t dice[6];

                test_random_fill(&seed, dice, sizeof(dice));
                now_us += MSEC(dice[0] * 20);
                name_of(&peer, dice[1] % 40);
                if (dice[2] > 240) {
                        route_table_limit(&table, dice[4] % ROUTE_GATES_PER_PEER + 1U);
                        check_equal(route_table_filter(&table, NULL, 0, now_us), 0);
                } else if (dice[2] < 20) {
                        route_table_drop(&table, &peer, now_us);
                } else {
                        offer_many(dice[1] % 40, 2000 + 100 * dice[3], dice[4], now_us);
                }
                route_table_advance(&table, now_us);
                if (dice[5] < 100)
                        continue;
                while (route_table_event(&table, &event)) {
                        bool wanted = event.kind == ROUTE_GATE_WANTED;

                        if (event.kind <= ROUTE_WITHDRAWN)
                                continue;
                        check(open[event.gate_port] != wanted);
                        open[event.gate_port] = wanted;
                        count += wanted ? 1u : -1u;
                        check(count <= ROUTE_GATES_MAX);
                }
                check_equal(count, table.wanted);
                for (unsigned port = 2000; port < 30000; port++)
                        check(open[port] || !offers((uint16_t)port));
        }
        route_table_advance(&table, now_us + ROUTE_EXPIRY_US);
        route_table_advance(&table, now_us + ROUTE_EXPIRY_US + ROUTE_GATE_LINGER_US);
        check_equal(table.wanted, 0);
        finish();
}
