/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_choose.h"

#include <string.h>

#include "test.h"

enum { GATE = 8080 };

static const uint8_t map_key[16] = { 2 };
static struct choose choose;

static const struct ipc_via *peer(char name)
{
        static struct ipc_via via;

        via = (struct ipc_via){ .peer = { (uint8_t)name }, .swarm = 1 };
        return &via;
}

static void begin(const char *names)
{
        choose_init(&choose, map_key);
        for (; *names; names++)
                check_equal(choose_set(&choose, peer(*names), GATE, IPC_TCP, 0), 0);
}

/* The provider picked, or '-'. */
static char pick(bool insist, usec_t now_us)
{
        struct ipc_via via;

        return choose_pick(&choose, GATE, IPC_TCP, insist, now_us, NULL, NULL, &via) ? (char)via.peer[0] : '-';
}

static void failed(char name, usec_t now_us)
{
        choose_failed(&choose, peer(name), GATE, IPC_TCP, now_us);
}

TEST(everyone_gets_a_turn)
{
        unsigned count[128] = { 0 };

        begin("ABCDE");
        for (unsigned i = 0; i < 1000; i++)
                count[(unsigned)pick(false, i)]++;
        for (char name = 'A'; name <= 'E'; name++)
                check_equal(count[(unsigned)name], 200);
        choose_fini(&choose);
}

TEST(turns_survive_comings_and_goings)
{
        begin("ABCD");
        check_equal(pick(false, 0), 'A');
        check_equal(pick(false, 0), 'B');
        choose_drop(&choose, peer('A'), GATE, IPC_TCP);
        check_equal(pick(false, 0), 'C');
        check_equal(choose_set(&choose, peer('E'), GATE, IPC_TCP, 0), 0);
        check_equal(pick(false, 0), 'D');
        check_equal(pick(false, 0), 'E');
        choose_drop(&choose, peer('B'), GATE, IPC_TCP);
        choose_drop(&choose, peer('E'), GATE, IPC_TCP);
        choose_drop(&choose, peer('E'), GATE, IPC_TCP);
        check_equal(pick(false, 0), 'C');
        check_equal(pick(false, 0), 'D');
        check_equal(pick(false, 0), 'C');
        choose_fini(&choose);
}

TEST(a_gate_knows_only_its_own_providers)
{
        struct ipc_via via;

        begin("A");
        check(!choose_pick(&choose, GATE + 1, IPC_TCP, true, 0, NULL, NULL, &via));
        check(!choose_pick(&choose, GATE, IPC_UDP, true, 0, NULL, NULL, &via));
        check_equal(choose_ready_us(&choose, GATE, IPC_UDP), USEC_NEVER);
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP), 0);
        choose_drop(&choose, peer('A'), GATE, IPC_TCP);
        check_equal(pick(true, 0), '-');
        check_equal(choose.gates.count, 0);
        choose_fini(&choose);
}

TEST(who_failed_rests_while_others_are_fit)
{
        begin("ABC");
        failed('B', 0);
        for (unsigned i = 0; i < 10; i++)
                check(pick(false, MSEC(i)) != 'B');
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP), 0);
        choose_worked(&choose, peer('B'), GATE, IPC_TCP);
        check(pick(false, 1) == 'B' || pick(false, 1) == 'B' || pick(false, 1) == 'B');
        choose_fini(&choose);
}

TEST(when_all_rest_only_a_new_client_insists)
{
        begin("AB");
        failed('A', 0);
        failed('B', MSEC(100));
        check_equal(pick(false, MSEC(200)), '-');
        check_equal(pick(true, MSEC(200)), 'A');
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP), CHOOSE_REST_MIN_US);
        check_equal(pick(false, CHOOSE_REST_MIN_US), 'A');
        choose_fini(&choose);
}

TEST(rest_doubles_up_to_its_limit)
{
        static const unsigned expected_s[] = { 1, 2, 4, 8, 16, 30, 30, 30 };
        usec_t now_us = SECONDS(100), ready_us;

        begin("A");
        for (unsigned i = 0; i < 8; i++) {
                check_equal(pick(false, now_us), 'A');
                failed('A', now_us);
                ready_us = choose_ready_us(&choose, GATE, IPC_TCP);
                check_equal(ready_us, now_us + SECONDS(expected_s[i]));
                now_us = ready_us;
        }
        choose_worked(&choose, peer('A'), GATE, IPC_TCP);
        failed('A', now_us);
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP), now_us + SECONDS(1));
        choose_fini(&choose);
}

TEST(a_crowd_that_fails_together_is_one_failure)
{
        begin("A");
        for (unsigned i = 0; i < 100; i++)
                check_equal(pick(false, 0), 'A');
        for (unsigned i = 0; i < 100; i++)
                failed('A', MSEC(i));
        check(choose_ready_us(&choose, GATE, IPC_TCP) <= MSEC(99) + SECONDS(1));
        choose_fini(&choose);
}

TEST(a_rest_that_ends_lets_one_client_try)
{
        begin("A");
        failed('A', 0);
        check_equal(pick(false, SECONDS(1)), 'A');
        check_equal(pick(false, SECONDS(1)), '-');
        choose_worked(&choose, peer('A'), GATE, IPC_TCP);
        check_equal(pick(false, SECONDS(1)), 'A');
        check_equal(pick(false, SECONDS(1)), 'A');
        choose_fini(&choose);
}

TEST(a_new_table_replaces_the_old_at_its_end_and_keeps_histories)
{
        begin("AB");
        failed('B', 0);
        choose_begin(&choose);
        check_equal(choose_set(&choose, peer('B'), GATE, IPC_TCP, 0), 0);
        check_equal(choose_set(&choose, peer('C'), GATE + 1, IPC_TCP, 0), 0);
        check_equal(pick(false, 0), 'A');
        choose_begin(&choose);          /* the router died and another one starts over */
        check_equal(pick(false, 0), 'A');
        check_equal(choose_set(&choose, peer('B'), GATE, IPC_TCP, 0), 0);
        choose_end(&choose);
        check_equal(pick(false, 0), '-');
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP), SECONDS(1));
        check_equal(choose_ready_us(&choose, GATE + 1, IPC_TCP), USEC_NEVER);
        check_equal(choose.routes, 1);
        choose_end(&choose);            /* without a begin: nothing */
        check_equal(choose.routes, 1);
        choose_begin(&choose);
        choose_end(&choose);
        check_equal(choose.routes, 0);
        check_equal(choose.gates.count, 0);
        choose_fini(&choose);
}

TEST(routes_are_bounded)
{
        struct ipc_via via = { .swarm = 1 };

        begin("");
        for (unsigned i = 0; i < CHOOSE_ROUTES_MAX; i++) {
                memcpy(via.peer, &(unsigned){ i / 16384 }, sizeof(unsigned));
                check_equal(choose_set(&choose, &via, (uint16_t)(i % 16384), IPC_TCP, 0), 0);
        }
        check_equal(choose_set(&choose, peer('Z'), GATE, IPC_TCP, 0), -28);
        choose_fini(&choose);
}

TEST(which_service_is_meant_is_kept_with_the_route)
{
        begin("AB");
        check_equal(choose_service(&choose, peer('A'), GATE, IPC_TCP), 0);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 7), 0);
        check_equal(choose_service(&choose, peer('A'), GATE, IPC_TCP), 7);
        check_equal(choose_service(&choose, peer('B'), GATE, IPC_TCP), 0);
        check_equal(choose_service(&choose, peer('C'), GATE, IPC_TCP), 0);
        choose_drop(&choose, peer('A'), GATE, IPC_TCP);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 0), 0);
        check_equal(choose_service(&choose, peer('A'), GATE, IPC_TCP), 0);
        choose_fini(&choose);
}

static bool is_swarm_2(void *context, const struct ipc_via *via)
{
        if (context)
                ++*(unsigned *)context;
        return via->swarm == 2;
}

TEST(a_peer_at_two_swarm_workers_is_two_and_only_ways_that_are_usable_are_taken)
{
        struct ipc_via first = { .peer = { 'A' }, .swarm = 1 }, second = { .peer = { 'A' }, .swarm = 2 }, via;
        unsigned asked = 0;

        begin("A");
        check_equal(choose_set(&choose, &second, GATE, IPC_TCP, 7), 0);
        check_equal(choose_service(&choose, &first, GATE, IPC_TCP), 0);
        check_equal(choose_service(&choose, &second, GATE, IPC_TCP), 7);
        for (uint32_t i = 0; i < 4; i++) {
                check(choose_pick(&choose, GATE, IPC_TCP, false, 0, NULL, NULL, &via));
                check_equal(via.swarm, 1 + i % 2);
        }
        for (unsigned i = 0; i < 2; i++) {
                check(choose_pick(&choose, GATE, IPC_TCP, false, 0, is_swarm_2, NULL, &via));
                check_equal(via.swarm, 2);
        }
        choose_failed(&choose, &second, GATE, IPC_TCP, 0);
        check(!choose_pick(&choose, GATE, IPC_TCP, false, 0, is_swarm_2, &asked, &via));
        check_equal(asked, 1);          /* of one that rests it would mean nothing */
        check(choose_pick(&choose, GATE, IPC_TCP, true, 0, is_swarm_2, NULL, &via));    /* at rest, but none other is usable */
        check_equal(via.swarm, 2);
        check(choose_pick(&choose, GATE, IPC_TCP, false, 0, NULL, NULL, &via));
        check_equal(via.swarm, 1);
        choose_drop(&choose, &second, GATE, IPC_TCP);
        check_equal(choose.routes, 1);
        choose_fini(&choose);
}
