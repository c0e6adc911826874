/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_gates.h"

#include "test.h"

static const uint8_t map_key[16] = { 4 };
static struct router_gates gates;

TEST(a_gate_is_known_while_it_is_wanted_or_held)
{
        router_gates_init(&gates, map_key);
        check_equal(router_gates_want(&gates, 80, IPC_TCP, true), 0);
        check_equal(router_gates_hold(&gates, 80, IPC_TCP, 3), 0);
        check_equal(router_gates_want(&gates, 80, IPC_TCP, false), 0);
        check_equal(router_gates_find(&gates, 80, IPC_TCP)->forward, 3);
        check(!router_gates_find(&gates, 80, IPC_UDP));
        check_equal(router_gates_hold(&gates, 80, IPC_TCP, 0), 0);
        check(!router_gates_find(&gates, 80, IPC_TCP));
        check_equal(router_gates_want(&gates, 81, IPC_TCP, false), 0);
        check_equal(gates.map.count, 0);
        router_gates_fini(&gates);
}

TEST(a_walk_meets_each_gate_once)
{
        struct router_gate *gate = NULL;
        unsigned count = 0;

        router_gates_init(&gates, map_key);
        for (uint16_t port = 1; port <= 1000; port++)
                check_equal(router_gates_hold(&gates, port, IPC_TCP, port), 0);
        while ((gate = router_gates_next(&gates, gate))) {
                check(!gate->listed);
                gate->listed = true;
                count++;
        }
        check_equal(count, 1000);
        router_gates_fini(&gates);
}
