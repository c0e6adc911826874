/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of policies beyond what a peer may have when there is no memory to close them. (Its executable is linked with
 * --wrap=policy_new.) */
#include "policy.h"

#include <errno.h>
#include <string.h>

#include "ipc_route.h"
#include "router_table.h"
#include "test.h"

enum { MANY = 24, RULES = 1000, FIT = 16 };     /* ROUTE_RULES_PER_PEER / RULES */

struct policy *__real_policy_new(const struct ipc_rule *rules, size_t count);
struct policy *__wrap_policy_new(const struct ipc_rule *rules, size_t count);

static bool fails;

struct policy *__wrap_policy_new(const struct ipc_rule *rules, size_t count)
{
        return fails ? NULL : __real_policy_new(rules, count);
}

static struct advert advert;

/* One route more than have room, or so many, each with a policy of its own. */
static void offer(size_t count)
{
        static struct ipc_rule rules[RULES];

        for (size_t i = 0; i < RULES; i++)
                rules[i] = (struct ipc_rule){ .who = IPC_RULE_ALL, .protocols = 3, .port_last = UINT16_MAX };
        memset(&advert, 0, sizeof(advert));
        advert.count = count;
        for (size_t i = 0; i < count; i++) {
                struct advert_route *route = &advert.routes[i];

                rules[0].port_first = (uint16_t)i;
                *route = (struct advert_route){ .gate_port = (uint16_t)(8000 + i), .service_port = 80, .policy = __real_policy_new(rules, RULES) };
                strcpy(route->host, "a");
        }
}

TEST(routes_that_can_not_be_closed_for_want_of_memory_are_left_out_and_that_is_no_success)
{
        const struct ipc_via peer = { .peer = { 1 }, .swarm = 1 };
        struct route_table table;
        struct route_event event;
        size_t offered = 0;

        route_table_init(&table, (const uint8_t[16]){ 1 });
        offer(MANY);
        fails = true;
        check_equal(route_table_merge(&table, &peer, &advert, 1), -ENOMEM);
        check_equal(table.routes, FIT);
        while (route_table_event(&table, &event))
                offered += event.kind == ROUTE_OFFERED;
        check_equal(offered, FIT);
        fails = false;
        check_equal(route_table_merge(&table, &peer, &advert, 2), -ENOSPC);     /* said again, they are closed */
        check_equal(table.routes, MANY);
        advert_release(&advert);
        offer(FIT);
        check_equal(route_table_merge(&table, &peer, &advert, 3), 0);
        advert_release(&advert);
        route_table_fini(&table);
}
