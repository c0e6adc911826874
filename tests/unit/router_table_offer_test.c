/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of one offer: which service is meant, how good it is, and who may come. */
#include <string.h>

#include "ipc_router.h"
#include "ipc_service.h"
#include "policy.h"
#include "router_table_scene.h"

static void offer_named(uint16_t gate_port, const char *host, const char *sni)
{
        offer(gate_port, host, "");
        strcpy(advert.routes[advert.count - 1].sni, sni);
}

/* Each is told with its name, and with the service that is meant, since its provider would take any. */
TEST(names_of_one_gate_are_offers_of_their_own)
{
        struct route_event event;
        unsigned seen = 0;

        begin();
        offer_named(443, "a", "a.example");
        offer_named(443, "b", "*.example");
        offer_named(443, "c", "");
        route_table_filter(&table, &(struct ipc_router_filter){ .fields = IPC_FILTER_GATE_PORT, .gate_port = 443, .gate_port_last = 443,
                                                                .priority = -1 }, 1, 0);
        say(&peer_a, 0);
        while (route_table_event(&table, &event)) {
                if (event.kind != ROUTE_OFFERED)
                        continue;
                seen++;
                check(event.name == ipc_server_name("a.example")   ? event.service == ipc_service_name("a", 80, "") :
                      event.name == ipc_server_name("*.example") ? event.service == ipc_service_name("b", 80, "") :
                                                                     event.name == 0 && event.service == ipc_service_name("c", 80, ""));
        }
        check_equal(seen, 3);
        offer_named(443, "a", "a.example");
        offer_named(443, "c", "");
        say(&peer_a, 1);
        check(route_table_event(&table, &event) && event.kind == ROUTE_WITHDRAWN && event.name == ipc_server_name("*.example"));
        offer_named(443, "a", "new.example");
        offer_named(443, "c", "");
        say(&peer_a, 2);
        check_told("-A443 +A443");
        finish();
}

/* The service that was told with the next event, which must be an offer. */
static uint64_t told_service(void)
{
        struct route_event event;

        check(route_table_event(&table, &event) && event.kind == ROUTE_OFFERED);
        return event.service;
}

static void nothing_told(void)
{
        struct route_event event;

        check(!route_table_event(&table, &event));
}

TEST(a_service_is_named_where_filters_keep_its_neighbours_out)
{
        struct ipc_router_filter filter = { .fields = IPC_FILTER_TAGS, .tags = "web" };
        uint64_t web = ipc_service_name("h", 80, "web"), next = ipc_service_name("i", 80, "web");

        check(ipc_service_name("127.0.0.1", 8080, "web public") == UINT64_C(0x4bc3e8d0c5ddd866));       /* what peers of other builds say */
        check(web != next && web != ipc_service_name("h", 81, "web") && web != ipc_service_name("h", 80, ""));
        begin();
        offer(8080, "h", "db");
        offer(8080, "h", "web");
        offer(8080, "i", "web");
        say(&peer_a, 0);
        check_equal(told_service(), 0);         /* any will do */
        told();
        check_equal(route_table_filter(&table, &filter, 1, 0), 0);
        check_equal(told_service(), web);
        nothing_told();
        offer(8080, "h", "db");
        offer(8080, "i", "web");
        say(&peer_a, 1);
        check_equal(told_service(), next);      /* the first is gone */
        nothing_told();
        offer(8080, "i", "web");
        say(&peer_a, 2);
        check_equal(told_service(), 0);         /* it is alone there */
        nothing_told();
        offer(8080, "h", "db");
        say(&peer_a, 3);
        check_told("-A8080");
        finish();
}

/* One service of 'A' behind gate 8080 with that priority. */
static void offer_ranked(const char *host, const char *tags, uint16_t priority)
{
        offer(8080, host, tags);
        advert.routes[advert.count - 1].priority = priority;
}

/* What was last told of 'A' at gate 8080: its priority. */
static unsigned told_priority(void)
{
        struct route_event event;

        check(route_table_event(&table, &event));
        check_equal(event.kind, ROUTE_OFFERED);
        return event.priority;
}

TEST(the_best_priority_of_a_provider_at_a_gate_counts_and_that_of_a_filter_goes_before)
{
        struct ipc_router_filter filters[] = {
                { .fields = IPC_FILTER_TAGS, .tags = "slow", .priority = 9 },
                { .fields = IPC_FILTER_TAGS, .tags = "web", .priority = -1 },
                { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8080, .gate_port_last = 8080, .priority = 5 },
        };

        begin();
        offer_ranked("h", "web slow", 1);
        offer_ranked("i", "web", 3);
        say(&peer_a, 0);
        check_equal(told_priority(), 1);
        check_told("open 8080");
        offer_ranked("h", "web slow", 1);
        offer_ranked("i", "web", 3);
        say(&peer_a, 1);
        nothing_told();
        offer_ranked("h", "web slow", 4);
        offer_ranked("i", "web", 3);
        say(&peer_a, 2);
        check_equal(told_priority(), 3);
        nothing_told();
        check_equal(route_table_filter(&table, filters, 2, 3), 0);      /* "i" stays at 3, which it is by its own word, too */
        nothing_told();
        check_equal(route_table_filter(&table, filters, 3, 4), 0);
        check_equal(told_priority(), 5);
        check_equal(route_table_next(&table, 8080, IPC_TCP, NULL)->told_priority, 5);
        offer_ranked("h", "web slow", 0);
        offer_ranked("i", "web", 3);
        say(&peer_a, 5);
        check_equal(told_service(), ipc_service_name("i", 80, "web"));  /* its provider would begin with the other one */
        nothing_told();
        finish();
}

/* Of the offer that comes next. */
static const struct policy *told_policy(uint64_t *service_out)
{
        struct route_event event;

        while (route_table_event(&table, &event))
                if (event.kind == ROUTE_OFFERED) {
                        *service_out = event.service;
                        return event.policy;
                }
        test_fail(__FILE__, __LINE__, "nothing was offered");
}

static struct policy *policy_of(bool allow)
{
        struct ipc_rule rule = { .who = IPC_RULE_ALL, .allow = allow, .protocols = 3, .port_last = UINT16_MAX };

        return policy_new(&rule, 1);
}

TEST(who_may_come_is_told_again_when_it_changes_and_kept_while_nothing_is_said_of_it)
{
        struct policy *none = policy_of(false), *all = policy_of(true);
        uint64_t service;

        begin();
        offer(8080, "a", "");
        advert.routes[0].policy = none;
        say(&peer_a, 0);
        check(policy_same(told_policy(&service), none));
        check_told("open 8080");
        offer(8080, "a", "");
        advert.routes[0].policy = none;
        say(&peer_a, 1);
        check_told("");
        offer(8080, "a", "");
        advert.routes[0].keeps_policy = 1;
        say(&peer_a, 2);
        check_told("");
        offer(8080, "a", "");
        advert.routes[0].policy = all;
        say(&peer_a, 3);
        check(policy_same(told_policy(&service), all));
        offer(8080, "a", "");
        say(&peer_a, 4);
        check(told_policy(&service) == NULL);
        policy_leave(none);
        policy_leave(all);
        finish();
}

TEST(of_services_at_one_gate_with_different_policies_one_is_named)
{
        struct policy *none = policy_of(false);
        uint64_t service;

        begin();
        offer(8080, "a", "");
        offer(8080, "b", "");
        advert.routes[0].policy = none;
        say(&peer_a, 0);
        check(policy_same(told_policy(&service), none));
        check_equal(service, ipc_service_name("a", 80, ""));
        policy_leave(none);
        finish();
}

/* Of what it does not repeat, too: each advertisement brings policies for some, and says nothing of those of the others. */
TEST(a_peer_has_so_many_rules_at_most_however_it_says_them)
{
        enum { MANY = 24, RULES = 1000 };
        static struct ipc_rule rules[RULES];
        bool is_closed[MANY] = { false };
        struct route_event event;
        unsigned closed = 0;

        for (size_t i = 0; i < RULES; i++)
                rules[i] = (struct ipc_rule){ .who = IPC_RULE_ALL, .protocols = 3, .port_last = UINT16_MAX };
        begin();
        for (unsigned turn = 0; turn < MANY; turn++) {
                struct policy *own;

                for (unsigned i = 0; i < MANY; i++) {
                        offer((uint16_t)(8000 + i), "a", "");
                        advert.routes[i].keeps_policy = 1;
                }
                rules[0].port_first = (uint16_t)turn;
                own = policy_new(rules, RULES);
                advert.routes[turn].policy = own;
                advert.routes[turn].keeps_policy = 0;
                route_table_merge(&table, &peer_a, &advert, turn);
                advert.count = 0;
                policy_leave(own);
        }
        while (route_table_event(&table, &event))
                if (event.kind == ROUTE_OFFERED)
                        is_closed[event.gate_port - 8000] = event.policy && event.policy->count == 1 && !event.policy->rule[0].allow;
        for (size_t i = 0; i < MANY; i++)
                closed += is_closed[i];
        check_equal(table.routes, MANY);
        check_equal(closed, MANY - 16);         /* and to these nobody may come */
        finish();
}
