/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_choose.h"

#include <string.h>

#include "ipc_forward.h"
#include "ipc_route.h"
#include "ipc_service.h"
#include "policy.h"
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

static const uint8_t nobody[16];
static struct choose_ask ask;           /* what the test has set in it is asked */

static void begin(const char *names)
{
        ask = (struct choose_ask){ .gate_port = GATE, .protocol = IPC_TCP, .address = nobody };
        choose_init(&choose, map_key);
        for (; *names; names++)
                check_equal(choose_set(&choose, peer(*names), GATE, IPC_TCP, 0, 0, 0), 0);
}

static struct choose_way *take(bool insist, usec_t now_us)
{
        ask.insist = insist;
        ask.now_us = now_us;
        return choose_take(&choose, &ask);
}

/* The provider that a client got who is gone at once, or '-'. */
static char pick(bool insist, usec_t now_us)
{
        struct choose_way *way = take(insist, now_us);
        char name = way ? (char)way->via.peer[0] : '-';

        if (way)
                choose_leave(&choose, way);
        return name;
}

static bool is_that(void *context, const struct ipc_via *via)
{
        return memcmp(context, via, sizeof(*via)) == 0;
}

/* It only has had its turn. */
static struct choose_way *way_to(const struct ipc_via *via)
{
        struct ipc_via wanted = *via;
        struct choose_way *way = choose_take(&choose, &(struct choose_ask){ .gate_port = GATE, .protocol = IPC_TCP, .insist = true,
                                                                            .address = nobody, .usable = is_that, .context = &wanted });

        choose_leave(&choose, way);
        return way;
}

static void failed(char name, usec_t now_us)
{
        choose_failed(way_to(peer(name)), now_us);
}

static char pick_named(const char *name)
{
        struct choose_names names;
        char got;

        choose_names(name, &names);
        ask.names = &names;
        got = pick(false, 0);
        ask.names = NULL;
        return got;
}

TEST(who_has_the_name_that_is_asked_for_goes_before_who_has_none)
{
        begin("N");
        check(!choose_are_named(&choose, GATE, IPC_TCP));
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 0, 0, ipc_server_name("a.example.org")), 0);
        check_equal(choose_set(&choose, peer('W'), GATE, IPC_TCP, 0, 0, ipc_server_name("*.example.org")), 0);
        check(choose_are_named(&choose, GATE, IPC_TCP) && !choose_are_named(&choose, GATE, IPC_UDP));
        for (int i = 0; i < 3; i++) {
                check_equal(pick_named("a.example.org"), 'A');
                check_equal(pick_named("b.example.org"), 'W');
                check_equal(pick_named("a.b.example.org"), 'N');        /* one word more, and no two */
                check_equal(pick_named("example.org"), 'N');
                check_equal(pick_named("localhost"), 'N');
                check_equal(pick(false, 0), 'N');
        }
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, ipc_server_name("a.example.org"));
        check_equal(pick_named("a.example.org"), 'W');
        choose_drop(&choose, peer('N'), GATE, IPC_TCP, 0);
        check_equal(pick_named("other.example"), '-');
        check_equal(pick(false, 0), '-');
        check_equal(pick_named("a.example.org"), 'W');
        choose_drop(&choose, peer('W'), GATE, IPC_TCP, ipc_server_name("*.example.org"));
        check(!choose_are_named(&choose, GATE, IPC_TCP));
        check_equal(choose.gates.count, 0);
        choose_fini(&choose);
}

/* One provider may have both: they are told, and go, one by one. */
TEST(a_complete_list_takes_names_away)
{
        uint32_t a = ipc_server_name("a.example"), b = ipc_server_name("b.example");

        begin("A");
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 1, 0, a), 0);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 2, 0, b), 0);
        choose_begin(&choose);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 2, 0, b), 0);
        choose_end(&choose);
        check_equal(pick_named("a.example"), '-');
        check_equal(pick_named("b.example"), 'A');
        choose_begin(&choose);
        choose_end(&choose);
        check_equal(choose.gates.count, 0);
        choose_fini(&choose);
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
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, 0);
        check_equal(pick(false, 0), 'C');
        check_equal(choose_set(&choose, peer('E'), GATE, IPC_TCP, 0, 0, 0), 0);
        check_equal(pick(false, 0), 'D');
        check_equal(pick(false, 0), 'E');
        choose_drop(&choose, peer('B'), GATE, IPC_TCP, 0);
        choose_drop(&choose, peer('E'), GATE, IPC_TCP, 0);
        choose_drop(&choose, peer('E'), GATE, IPC_TCP, 0);
        check_equal(pick(false, 0), 'C');
        check_equal(pick(false, 0), 'D');
        check_equal(pick(false, 0), 'C');
        choose_fini(&choose);
}

TEST(a_gate_knows_only_its_own_providers)
{
        begin("A");
        ask.gate_port = GATE + 1;
        check_equal(pick(true, 0), '-');
        ask.gate_port = GATE;
        ask.protocol = IPC_UDP;
        check_equal(pick(true, 0), '-');
        ask.protocol = IPC_TCP;
        check_equal(choose_ready_us(&choose, GATE, IPC_UDP, NULL, 0), USEC_NEVER);
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0), 0);
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, 0);
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
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0), 0);
        choose_worked(way_to(peer('B')));
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
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0), CHOOSE_REST_MIN_US);
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
                ready_us = choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0);
                check_equal(ready_us, now_us + SECONDS(expected_s[i]));
                now_us = ready_us;
        }
        choose_worked(way_to(peer('A')));
        failed('A', now_us);
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0), now_us + SECONDS(1));
        choose_fini(&choose);
}

TEST(a_crowd_that_fails_together_is_one_failure)
{
        begin("A");
        for (unsigned i = 0; i < 100; i++)
                check_equal(pick(false, 0), 'A');
        for (unsigned i = 0; i < 100; i++)
                failed('A', MSEC(i));
        check(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0) <= MSEC(99) + SECONDS(1));
        choose_fini(&choose);
}

TEST(a_rest_that_ends_lets_one_client_try)
{
        begin("A");
        failed('A', 0);
        check_equal(pick(false, SECONDS(1)), 'A');
        check_equal(pick(false, SECONDS(1)), '-');
        choose_worked(way_to(peer('A')));
        check_equal(pick(false, SECONDS(1)), 'A');
        check_equal(pick(false, SECONDS(1)), 'A');
        choose_fini(&choose);
}

TEST(a_new_table_replaces_the_old_at_its_end_and_keeps_histories)
{
        begin("AB");
        failed('B', 0);
        choose_begin(&choose);
        check_equal(choose_set(&choose, peer('B'), GATE, IPC_TCP, 0, 0, 0), 0);
        check_equal(choose_set(&choose, peer('C'), GATE + 1, IPC_TCP, 0, 0, 0), 0);
        check_equal(pick(false, 0), 'A');
        choose_begin(&choose);          /* the router died and another one starts over */
        check_equal(pick(false, 0), 'A');
        check_equal(choose_set(&choose, peer('B'), GATE, IPC_TCP, 0, 0, 0), 0);
        choose_end(&choose);
        check_equal(pick(false, 0), '-');
        check_equal(choose_ready_us(&choose, GATE, IPC_TCP, NULL, 0), SECONDS(1));
        check_equal(choose_ready_us(&choose, GATE + 1, IPC_TCP, NULL, 0), USEC_NEVER);
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
                check_equal(choose_set(&choose, &via, (uint16_t)(i % 16384), IPC_TCP, 0, 0, 0), 0);
        }
        check_equal(choose_set(&choose, peer('Z'), GATE, IPC_TCP, 0, 0, 0), -28);
        choose_fini(&choose);
}

TEST(which_service_is_meant_is_kept_with_the_route)
{
        begin("AB");
        check_equal(way_to(peer('A'))->service, 0);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 7, 0, 0), 0);
        check_equal(way_to(peer('A'))->service, 7);
        check_equal(way_to(peer('B'))->service, 0);
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, 0);
        check_equal(choose_set(&choose, peer('A'), GATE, IPC_TCP, 0, 0, 0), 0);
        check_equal(way_to(peer('A'))->service, 0);
        choose_fini(&choose);
}

static bool is_swarm_2(void *context, const struct ipc_via *via)
{
        if (context)
                ++*(unsigned *)context;
        return via->swarm == 2;
}

/* The swarm worker of the way that was picked; 0: none. */
static uint32_t pick_swarm(bool insist)
{
        struct choose_way *way = take(insist, 0);

        if (way)
                choose_leave(&choose, way);
        return way ? way->via.swarm : 0;
}

TEST(a_peer_at_two_swarm_workers_is_two_and_only_ways_that_are_usable_are_taken)
{
        struct ipc_via first = { .peer = { 'A' }, .swarm = 1 }, second = { .peer = { 'A' }, .swarm = 2 };
        unsigned asked = 0;

        begin("A");
        check_equal(choose_set(&choose, &second, GATE, IPC_TCP, 7, 0, 0), 0);
        check_equal(way_to(&first)->service, 0);
        check_equal(way_to(&second)->service, 7);
        for (uint32_t i = 0; i < 4; i++)
                check_equal(pick_swarm(false), 1 + i % 2);
        ask.usable = is_swarm_2;
        for (unsigned i = 0; i < 2; i++)
                check_equal(pick_swarm(false), 2);
        choose_failed(way_to(&second), 0);
        ask.context = &asked;
        check_equal(pick_swarm(false), 0);
        check_equal(asked, 1);          /* of one that rests it would mean nothing */
        ask.context = NULL;
        check_equal(pick_swarm(true), 2);       /* at rest, but none other is usable */
        ask.usable = NULL;
        check_equal(pick_swarm(false), 1);
        choose_drop(&choose, &second, GATE, IPC_TCP, 0);
        check_equal(choose.routes, 1);
        choose_fini(&choose);
}

static void set(char name, uint32_t priority)
{
        check_equal(choose_set(&choose, peer(name), GATE, IPC_TCP, 0, priority, 0), 0);
}

TEST(a_backup_is_taken_while_nobody_better_is_fit_and_no_longer)
{
        begin("");
        set('A', 0);
        set('B', 0);
        set('C', 1);
        set('D', 2);
        for (unsigned i = 0; i < 6; i++)
                check_equal(pick(false, 0), "AB"[i % 2]);
        failed('A', 0);
        check_equal(pick(false, 0), 'B');
        failed('B', 0);
        check_equal(pick(true, 0), 'C');        /* who rests is not insisted on while a backup is fit */
        failed('C', 0);
        check_equal(pick(false, 0), 'D');
        check_equal(pick(false, SECONDS(1)), 'A');
        choose_worked(way_to(peer('A')));
        check_equal(pick(false, SECONDS(1)), 'B');
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, 0);
        choose_drop(&choose, peer('B'), GATE, IPC_TCP, 0);
        check_equal(pick(false, SECONDS(1)), 'C');
        set('D', 0);                            /* it is the best from now on */
        check_equal(pick(false, SECONDS(1)), 'D');
        choose_fini(&choose);
}

static bool is_not_a(void *context, const struct ipc_via *via)
{
        return via->peer[0] != 'A';
}

TEST(one_that_is_only_behind_is_not_replaced_by_a_backup)
{
        begin("");
        set('A', 0);
        set('B', 1);
        ask.usable = is_not_a;
        check_equal(pick(true, 0), '-');
        failed('A', 0);
        check_equal(pick(true, 0), 'B');
        choose_fini(&choose);
}

TEST(the_one_with_fewest_connections_gets_the_next)
{
        struct choose_way *ways[9], *more[3];
        unsigned count[128] = { 0 };

        begin("ABC");
        ask.policy = IPC_POLICY_LEAST_CONNECTIONS;
        for (unsigned i = 0; i < 9; i++) {
                ways[i] = take(false, 0);
                count[ways[i]->via.peer[0]]++;
        }
        check_equal(count['A'], 3);
        check_equal(count['B'], 3);
        check_equal(count['C'], 3);
        for (unsigned i = 0; i < 9; i++)
                if (ways[i]->via.peer[0] == 'B')
                        choose_leave(&choose, ways[i]);
        for (unsigned i = 0; i < 3; i++) {
                more[i] = take(false, 0);
                check_equal(more[i]->via.peer[0], 'B');
        }
        choose_leave(&choose, more[0]);
        choose_drop(&choose, peer('B'), GATE, IPC_TCP, 0);         /* its clients stay on it, */
        check(pick(false, 0) != 'B');
        set('B', 0);                                            /* also when it is back */
        check_equal(pick(false, 0), 'B');
        check_equal(way_to(peer('B'))->clients, 2);
        choose_leave(&choose, more[1]);
        choose_leave(&choose, more[2]);
        for (unsigned i = 0; i < 9; i++)
                if (ways[i]->via.peer[0] != 'B')
                        choose_leave(&choose, ways[i]);
        choose_fini(&choose);
}

TEST(a_way_without_a_route_goes_with_its_last_client)
{
        struct choose_way *first, *second;

        begin("A");
        first = take(false, 0);
        second = take(false, 0);
        check(first == second);
        choose_drop(&choose, peer('A'), GATE, IPC_TCP, 0);
        check_equal(choose.routes, 0);
        check_equal(pick(true, 0), '-');
        choose_failed(first, 0);                /* it may still be said */
        choose_leave(&choose, first);
        check_equal(choose.gates.count, 1);
        choose_leave(&choose, second);
        check_equal(choose.gates.count, 0);
        choose_fini(&choose);
}

/* Whom each of 256 clients gets. */
static void where(char out[256])
{
        uint8_t address[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2 };

        ask.address = address;
        for (unsigned i = 0; i < 256; i++) {
                address[15] = (uint8_t)i;
                out[i] = pick(false, 0);
        }
        ask.address = nobody;
}

TEST(a_client_stays_with_its_provider_and_only_those_of_one_that_goes_move)
{
        char before[256], after[256], again[256];
        unsigned count[128] = { 0 };

        begin("ABCD");
        ask.policy = IPC_POLICY_SOURCE_HASH;
        where(before);
        where(after);
        check_bytes(after, before, 256);
        for (unsigned i = 0; i < 256; i++)
                count[(unsigned)before[i]]++;
        for (char name = 'A'; name <= 'D'; name++)
                check(count[(unsigned)name] > 40 && count[(unsigned)name] < 90);
        choose_drop(&choose, peer('B'), GATE, IPC_TCP, 0);
        where(after);
        for (unsigned i = 0; i < 256; i++)
                check(before[i] == 'B' ? after[i] != 'B' : after[i] == before[i]);
        set('B', 0);
        where(again);
        check_bytes(again, before, 256);
        choose_fini(&choose);
        begin("DBCA");                          /* another gateway, which heard of them in another order */
        ask.policy = IPC_POLICY_SOURCE_HASH;
        where(again);
        check_bytes(again, before, 256);
        ask.usable = is_not_a;                  /* who is behind is waited for */
        where(after);
        for (unsigned i = 0; i < 256; i++)
                check_equal(after[i], before[i] == 'A' ? '-' : before[i]);
        choose_fini(&choose);
}

static bool is_limited(void *context, const struct choose_way *way)
{
        return way->via.peer[0] == 'A';
}

static void set_by(uint32_t swarm)
{
        for (char name = 'A'; name <= 'B'; name++)
                check_equal(choose_set(&choose, &(struct ipc_via){ .peer = { (uint8_t)name }, .swarm = swarm }, GATE, IPC_TCP, 0, 0, 0), 0);
}

/* The policy says which provider, among those that its swarm worker has. */
TEST(whom_a_limit_is_about_goes_by_one_swarm_worker_and_by_another_only_without_that)
{
        unsigned by[4] = { 0 };

        begin("");
        for (uint32_t swarm = 1; swarm <= 3; swarm++)
                set_by(swarm);
        for (unsigned i = 0; i < 300; i++) {
                uint8_t address[16] = { [14] = (uint8_t)(i / 256), (uint8_t)i };
                uint32_t own = 0, other = 0;
                unsigned to_a = 0;

                ask.address = address;
                for (enum ipc_policy policy = 0; policy < IPC_POLICIES; policy++) {
                        struct choose_way *ways[4];

                        ask.policy = policy;
                        ask.limits = is_limited;
                        for (unsigned n = 0; n < 4; n++) {
                                ways[n] = take(false, 0);
                                own = own ? own : ways[n]->via.swarm;
                                check_equal(ways[n]->via.swarm, own);
                                to_a += policy < IPC_POLICY_SOURCE_HASH && ways[n]->via.peer[0] == 'A';
                        }
                        for (unsigned n = 0; n < 4; n++)
                                choose_leave(&choose, ways[n]);
                }
                check_equal(to_a, 4);           /* of eight, by turns and by load */
                by[own]++;
                if (i % 100)
                        continue;
                for (char name = 'A'; name <= 'B'; name++)
                        choose_drop(&choose, &(struct ipc_via){ .peer = { (uint8_t)name }, .swarm = own }, GATE, IPC_TCP, 0);
                for (enum ipc_policy policy = 0; policy < IPC_POLICIES; policy++)
                        for (unsigned n = 0; n < 4; n++) {      /* and all by the same: one bucket again, not one for each that is left */
                                struct choose_way *way;

                                ask.policy = policy;
                                way = take(false, 0);
                                other = other ? other : way->via.swarm;
                                check(way->via.swarm == other && other != own);
                                choose_leave(&choose, way);
                        }
                set_by(own);
        }
        check(by[1] > 60 && by[2] > 60 && by[3] > 60);
        choose_fini(&choose);
}

static struct ipc_via by(char name, uint32_t swarm)
{
        return (struct ipc_via){ .peer = { (uint8_t)name }, .swarm = swarm };
}

static void set_way(char name, uint32_t swarm, uint32_t priority)
{
        struct ipc_via via = by(name, swarm);

        check_equal(choose_set(&choose, &via, GATE, IPC_TCP, 0, priority, 0), 0);
}

TEST(whom_a_limit_is_about_goes_by_its_own_swarm_worker_alone_while_that_is_waited_for)
{
        struct ipc_via own = by('B', 2);
        struct choose_way *way;

        begin("");
        ask.own = 2;
        check(!choose_lacks(&choose, &ask, false));
        set_way('A', 1, 0);
        check_equal(pick(true, 0), 'A');        /* without a limit */
        check(!choose_lacks(&choose, &ask, false));
        ask.limits = is_limited;
        check_equal(pick(true, 0), '-');
        check(choose_lacks(&choose, &ask, false));
        set_way('B', 2, 1);                     /* a backup, but of all that its own one has the best */
        way = take(false, 0);
        check(way->via.swarm == 2 && way->via.peer[0] == 'B');
        check(choose_lacks(&choose, &ask, false));
        choose_failed(way, 0);
        choose_leave(&choose, way);
        check_equal(pick(false, 0), '-');
        check_equal(pick(true, 0), 'B');
        set_way('A', 2, 0);
        way = take(false, 0);
        check(way->via.swarm == 2 && way->via.peer[0] == 'A');
        check(!choose_lacks(&choose, &ask, true));      /* the same provider by two */
        choose_failed(way, 0);
        choose_leave(&choose, way);
        check(!choose_lacks(&choose, &ask, false) && choose_lacks(&choose, &ask, true));
        choose_drop(&choose, &own, GATE, IPC_TCP, 0);
        own = by('A', 2);
        choose_drop(&choose, &own, GATE, IPC_TCP, 0);
        ask.own = 0;
        check_equal(pick(false, 0), 'A');
        check(!choose_lacks(&choose, &ask, false));
        ask.own = 2;
        failed('A', 0);
        check(!choose_lacks(&choose, &ask, false));    /* nobody whom another one could reach */
        check_equal(pick(true, 0), '-');
        choose_fini(&choose);
}

TEST(a_client_has_one_of_the_swarm_workers_and_of_one_more_it_moves_to_that_or_not_at_all)
{
        unsigned count[6] = { 0 };

        for (unsigned i = 0; i < 300; i++) {
                uint8_t address[16] = { [14] = (uint8_t)(i / 256), (uint8_t)i };
                uint32_t of_four = choose_own(address, 4), of_five = choose_own(address, 5);

                check(choose_own(address, 0) == 0 && choose_own(address, 1) == 1);
                check(of_four >= 1 && of_four <= 4 && (of_five == 5 || of_five == of_four));
                count[of_five]++;
        }
        for (unsigned i = 1; i <= 5; i++)
                check(count[i] > 30 && count[i] < 90);
}

TEST(the_first_is_the_same_for_all_until_it_fails)
{
        begin("CAB");
        ask.policy = IPC_POLICY_FIRST;
        for (unsigned i = 0; i < 5; i++)
                check_equal(pick(false, 0), 'A');
        failed('A', 0);
        check_equal(pick(false, 0), 'B');
        check_equal(pick(false, SECONDS(1)), 'A');
        choose_worked(way_to(peer('A')));
        check_equal(pick(false, SECONDS(1)), 'A');
        choose_fini(&choose);
}

/* Gate by gate, as a worker is told of them: each has all of its providers. */
TEST(the_routes_of_a_provider_share_its_policy)
{
        struct choose_way *ways[2][2];

        begin("");
        for (unsigned i = 0; i < 4; i++) {
                struct ipc_rule rule = { .who = IPC_RULE_ALL, .allow = i % 2, .protocols = 3, .port_last = UINT16_MAX };
                struct policy *policy = policy_new(&rule, 1);
                struct ipc_via via = *peer(i % 2 ? 'A' : 'B');

                ask.gate_port = (uint16_t)(GATE + i / 2);
                check_equal(choose_set(&choose, &via, ask.gate_port, IPC_TCP, 0, 0, 0), 0);
                choose_restrict(&choose, &via, ask.gate_port, IPC_TCP, 0, policy);
                policy_leave(policy);
                ask.usable = is_that;
                ask.context = &via;
                ways[i % 2][i / 2] = take(false, 0);
        }
        for (unsigned i = 0; i < 2; i++) {
                check(ways[i][0]->policy == ways[i][1]->policy);
                check_equal(ways[i][0]->policy->rule[0].allow, i);
                choose_leave(&choose, ways[i][0]);
                choose_leave(&choose, ways[i][1]);
        }
        check(ways[0][0]->policy != ways[1][0]->policy);
        choose_fini(&choose);
}
