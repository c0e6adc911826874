/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_route.h"
#include "router_table_scene.h"

TEST(an_offer_opens_a_gate_once)
{
        begin();
        offer(8080, "web", "");
        offer(8080, "web", "other");
        offer(8080, "other", "");
        say(&peer_a, 0);
        check_told("+A8080 open 8080");
        offer(8080, "web", "");
        say(&peer_a, SECONDS(5));
        check_told("");
        offer(8080, "web", "");
        offer(8081, "web", "");
        say(&peer_b, SECONDS(6));
        check_told("+B8080 +B8081 open 8081");
        check_equal(offers(8080), 2);
        check_equal(offers(8081), 1);
        check_equal(offers(8082), 0);
        finish();
}

TEST(weakness_14_23_protocols_are_gates_of_their_own)
{
        struct route_event event;

        begin();
        offer(8080, "web", "");
        advert.routes[0].protocol = IPC_UDP;
        say(&peer_a, 0);
        check(route_table_event(&table, &event) && event.kind == ROUTE_OFFERED && event.protocol == IPC_UDP);
        check(route_table_event(&table, &event) && event.kind == ROUTE_GATE_WANTED && event.protocol == IPC_UDP);
        check_equal(offers(8080), 0);
        check(route_table_next(&table, 8080, IPC_UDP, NULL) != NULL);
        offer(8080, "web", "");         /* the same peer, both protocols */
        advert.routes[1] = advert.routes[0];
        advert.routes[1].protocol = IPC_UDP;
        advert.count = 2;
        say(&peer_a, 0);
        check_told("+A8080 open 8080");
        check_equal(offers(8080), 1);
        check(route_table_next(&table, 8080, IPC_UDP, NULL) != NULL);
        advert.count = 1;
        say(&peer_a, 0);
        check_told("-A8080");
        check(route_table_next(&table, 8080, IPC_UDP, NULL) == NULL);
        check_equal(offers(8080), 1);
        finish();
}

TEST(weakness_14_25_a_gate_outlives_its_last_route_by_a_while_and_comes_back_at_once)
{
        begin();
        offer(8080, "web", "");
        say(&peer_a, 0);
        told();
        route_table_drop(&table, &peer_a, SECONDS(10));
        check_told("-A8080");
        check_equal(route_table_deadline(&table), SECONDS(10) + ROUTE_GATE_LINGER_US);
        route_table_advance(&table, SECONDS(39));
        check_told("");
        offer(8080, "web", "");
        say(&peer_a, SECONDS(39));
        check_told("+A8080");
        route_table_advance(&table, SECONDS(60));
        check_told("");
        route_table_drop(&table, &peer_a, SECONDS(61));
        route_table_advance(&table, SECONDS(61) + ROUTE_GATE_LINGER_US);
        check_told("-A8080 close 8080");
        check_equal(route_table_deadline(&table), USEC_NEVER);
        offer(8080, "web", "");
        say(&peer_a, SECONDS(100));
        check_told("+A8080 open 8080");
        finish();
}

TEST(routes_expire_when_they_are_said_to)
{
        begin();
        table.expiry_us = SECONDS(300);
        offer(8080, "web", "");
        say(&peer_a, 0);
        told();
        route_table_advance(&table, SECONDS(299));
        check_told("");
        route_table_advance(&table, SECONDS(300));
        check_told("-A8080");
        route_table_advance(&table, SECONDS(300) + ROUTE_GATE_LINGER_US);
        check_told("close 8080");
        finish();
}

TEST(routes_expire_unless_repeated)
{
        begin();
        offer(8080, "web", "");
        say(&peer_a, 0);
        told();
        route_table_advance(&table, SECONDS(119));
        offer(8080, "web", "");
        say(&peer_a, SECONDS(119));
        route_table_advance(&table, SECONDS(200));
        check_told("");
        route_table_advance(&table, SECONDS(119) + ROUTE_EXPIRY_US);
        check_told("-A8080");
        route_table_advance(&table, SECONDS(119) + ROUTE_EXPIRY_US + ROUTE_GATE_LINGER_US);
        check_told("close 8080");
        finish();
}

TEST(a_newer_list_replaces_the_older)
{
        begin();
        offer(8080, "web", "");
        offer(8081, "web", "");
        say(&peer_a, 0);
        told();
        offer(8082, "web", "");
        offer(8081, "web", "renamed");
        say(&peer_a, SECONDS(1));
        check_told("-A8080 +A8082 open 8082");
        say(&peer_a, SECONDS(2));
        check_told("-A8082 -A8081");
        check_equal(table.routes, 0);
        finish();
}

TEST(there_and_back_in_one_turn_is_no_news)
{
        begin();
        offer(8080, "web", "");
        say(&peer_a, 0);
        told();
        say(&peer_a, 1);
        offer(8080, "web", "");
        say(&peer_a, 2);
        check_told("");
        route_table_drop(&table, &peer_a, 3);
        offer(8080, "web", "");
        say(&peer_a, 3);
        check_told("-A8080 +A8080");
        check_equal(offers(8080), 1);
        offer(9000, "web", "");
        say(&peer_b, 4);
        route_table_drop(&table, &peer_b, 5);
        check_told("open 9000");
        route_table_advance(&table, 5 + ROUTE_GATE_LINGER_US);
        check_told("close 9000");
        finish();
}

TEST(never_told_means_never_untold)
{
        begin();
        offer(9000, "web", "");
        say(&peer_b, 0);
        route_table_drop(&table, &peer_b, 1);
        route_table_advance(&table, 1 + ROUTE_GATE_LINGER_US);
        check_told("");
        check_equal(table.gates.count, 0);
        finish();
}

TEST(an_adopted_gate_is_kept_if_wanted_and_closed_if_not)
{
        begin();
        check_equal(route_table_adopt(&table, 8080, IPC_TCP, 0), 0);
        check_equal(route_table_adopt(&table, 8081, IPC_TCP, 0), 0);
        offer(8080, "web", "");
        say(&peer_a, SECONDS(3));
        check_told("+A8080");
        route_table_advance(&table, ROUTE_GATE_ADOPTED_US);
        check_told("close 8081");
        check_equal(route_table_adopt(&table, 8080, IPC_TCP, SECONDS(70)), 0);
        route_table_advance(&table, SECONDS(115));
        check_told("");
        finish();
}

TEST(weakness_14_2_the_table_as_a_whole_is_bounded)
{
        unsigned peers = ROUTE_TABLE_MAX / ADVERT_ROUTES_MAX;
        struct ipc_via peer = { .swarm = 1 };

        begin();
        for (unsigned p = 0; p <= peers; p++) {
                memcpy(peer.peer, &p, sizeof(p));
                for (unsigned i = 0; i < ADVERT_ROUTES_MAX; i++)
                        offer((uint16_t)(2000 + i), "h", "");
                check_equal(route_table_merge(&table, &peer, &advert, 0), p < peers ? 0 : -28);
                advert.count = 0;
        }
        check_equal(table.routes, ROUTE_TABLE_MAX);
        check_equal(offers(2000), 0);           /* not told yet */
        for (struct route_event event; route_table_event(&table, &event);)
                ;
        check_equal(offers(2000), peers);
        route_table_advance(&table, ROUTE_EXPIRY_US);
        check_equal(table.routes, 0);
        finish();
}

TEST(peers_without_routes_are_bounded_too)
{
        struct ipc_via peer = { .swarm = 1 };

        begin();
        for (unsigned p = 0; p <= ROUTE_PEERS_MAX; p++) {
                memcpy(peer.peer, &p, sizeof(p));
                check_equal(route_table_merge(&table, &peer, &advert, 0), p < ROUTE_PEERS_MAX ? 0 : -28);
        }
        check_equal(table.peers.count, ROUTE_PEERS_MAX);
        memset(peer.peer, 0, sizeof(peer.peer));
        check_equal(route_table_merge(&table, &peer, &advert, 0), 0);    /* who is known may go on */
        finish();
}

/* Whatever happens in whatever order: what was told adds up to what is there. */
TEST(the_story_adds_up)
{
        uint64_t seed = 7;
        usec_t now_us = 0;
        bool known[4][8] = { 0 }, open[8] = { 0 };

        begin();
        for (unsigned step = 0; step < 20000; step++) {
                struct route_event event;
                struct ipc_via peer = { .swarm = 1 };
                uint8_t dice[4];

                test_random_fill(&seed, dice, sizeof(dice));
                peer.peer[0] = dice[0] % 4;
                now_us += MSEC(dice[1] * 40);
                if (dice[2] % 8 == 0) {
                        route_table_drop(&table, &peer, now_us);
                } else if (dice[2] % 8 < 6) {
                        for (unsigned bit = 0; bit < 8; bit++)
                                if (dice[3] & 1u << bit)
                                        offer((uint16_t)(3000 + bit), "h", "");
                        say(&peer, now_us);
                }
                route_table_advance(&table, now_us);
                if (dice[2] & 0x80)
                        continue;
                while (route_table_event(&table, &event)) {
                        unsigned gate = event.gate_port - 3000u;
                        bool *what = event.kind <= ROUTE_WITHDRAWN ? &known[event.via.peer[0]][gate] : &open[gate];
                        bool now = event.kind == ROUTE_OFFERED || event.kind == ROUTE_GATE_WANTED;

                        check(*what != now);
                        *what = now;
                }
                for (unsigned gate = 0; gate < 8; gate++) {
                        unsigned count = known[0][gate] + known[1][gate] + known[2][gate] + known[3][gate];

                        check_equal(offers((uint16_t)(3000 + gate)), count);
                        check(open[gate] || count == 0);
                }
        }
        finish();
}

TEST(with_a_swarm_worker_go_the_routes_that_it_brought_and_no_others)
{
        const struct ipc_via also_a = { .peer = { 'A' }, .swarm = 2 };

        begin();
        offer(8080, "web", "");
        say(&peer_a, 0);
        check_told("+A8080 open 8080");
        offer(8080, "web", "");
        say(&also_a, 0);
        check_told("+A8080");
        offer(8081, "web", "");
        say(&peer_b, 0);
        check_told("+B8081 open 8081");
        check_equal(offers(8080), 2);
        route_table_drop_swarm(&table, 1, 1);
        check_told("-A8080 -B8081");
        check_equal(offers(8080), 1);
        check_equal(table.peers.count, 1);
        route_table_drop(&table, &peer_a, 2);
        check_told("");
        route_table_drop(&table, &also_a, 2);
        check_told("-A8080");
        finish();
}
