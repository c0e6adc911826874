/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_hosts.h"

#include <stdio.h>
#include <string.h>

#include "ipc_hosts.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "ipc_service.h"
#include "policy.h"
#include "test.h"

static const uint8_t map_key[16] = { 1 };
static const struct ipc_via peer_a = { .peer = { 'A' }, .swarm = 1 }, peer_b = { .peer = { 'B' }, .swarm = 1 };
static struct advert advert;
static struct route_table table;
static struct router_hosts hosts;
static char story[4096];
static usec_t clock_us;

/* "open db.hyper:3306", "+A8000>7 NAME" to forward worker 7, ... */
static void on_wanted(void *context, const struct router_host *host, bool wanted)
{
        size_t len = strlen(story);

        snprintf(story + len, sizeof(story) - len, " %s %s:%u%s", wanted ? "open" : "close", host->at.host, host->at.port,
                 host->at.protocol == IPC_UDP ? "/udp" : "");
}

static void on_offer(void *context, const struct router_host *host, const struct router_host_offer *offer, bool there)
{
        size_t len = strlen(story);

        check(host->forward);
        snprintf(story + len, sizeof(story) - len, " %c%c%u>%u.%u", there ? '+' : '-', offer->via.peer[0], offer->gate_port, host->forward,
                 host->number);
}

static void begin(void)
{
        route_table_init(&table, map_key);
        router_hosts_init(&hosts, map_key, &(struct router_hosts_told){ on_wanted, on_offer, NULL });
        router_hosts_switch(&hosts, true);
        advert = (struct advert){ 0 };
        clock_us = SECONDS(1);
        story[0] = '\0';
}

static void finish(void)
{
        router_hosts_fini(&hosts);
        route_table_fini(&table);
}

static struct advert_route *offer(uint16_t gate_port, const char *host, uint16_t service_port, uint16_t protocol)
{
        struct advert_route *route = &advert.routes[advert.count++];

        *route = (struct advert_route){ .gate_port = gate_port, .service_port = service_port, .protocol = protocol };
        strcpy(route->host, host);
        return route;
}

static void say(const struct ipc_via *peer)
{
        check_equal(route_table_merge(&table, peer, &advert, clock_us), 0);
        advert.count = 0;
}

/* What is told until a look later; nothing is due before. */
static const char *told(void)
{
        static char heard[sizeof(story)];

        router_hosts_advance(&hosts, &table, clock_us);
        clock_us += ROUTER_HOSTS_US;
        router_hosts_advance(&hosts, &table, clock_us);
        strcpy(heard, story[0] ? story + 1 : "");
        story[0] = '\0';
        return heard;
}

#define check_told(expected)                                                                            \
        do {                                                                                            \
                const char *told_ = told();                                                             \
                if (strcmp(told_, expected) != 0)                                                       \
                        test_fail(__FILE__, __LINE__, "told \"%s\", expected \"%s\"", told_, expected); \
        } while (0)

static void hold(const char *host, uint16_t port, uint16_t number, uint32_t forward)
{
        struct ipc_router_host said = { .at = { .port = port }, .number = number, .forward = forward };

        strcpy(said.at.host, host);
        memset(said.at.host + strlen(host) + 1, 0xff, 4);       /* what is behind the name does not count */
        check_equal(router_hosts_hold(&hosts, &said), 0);
}

TEST(a_host_is_wanted_while_somebody_has_it)
{
        begin();
        offer(8000, "DB.Hyper", 3306, IPC_TCP);
        say(&peer_a);
        check_told("open db.hyper:3306");
        hold("db.hyper", 3306, 5, 7);
        check_told("+A8000>7.5");
        offer(9000, "db.hyper", 3306, IPC_TCP);         /* by another gate port, and another one's */
        say(&peer_b);
        check_told("+B9000>7.5");
        say(&peer_a);
        check_told("-A8000>7.5");
        say(&peer_b);
        check_told("-B9000>7.5");
        check(router_hosts_deadline(&hosts) > clock_us);
        clock_us += ROUTER_HOST_LINGER_US;
        check_told("close db.hyper:3306");
        hold("db.hyper", 3306, 5, 0);
        check_equal(hosts.map.count, 0);
        finish();
}

TEST(two_hosts_have_the_same_port_side_by_side)
{
        const char *heard;

        begin();
        offer(80, "a.hyper", 80, IPC_TCP);
        offer(81, "b.hyper", 80, IPC_TCP);
        offer(80, "a.hyper", 80, IPC_UDP);
        say(&peer_a);
        heard = told();
        check(strstr(heard, "open a.hyper:80") && strstr(heard, "open b.hyper:80") && strstr(heard, "open a.hyper:80/udp"));
        hold("a.hyper", 80, 1, 7);
        hold("b.hyper", 80, 2, 8);
        check_told("+A80>7.1 +A81>8.2");
        finish();
}

TEST(what_is_no_name_is_no_host)
{
        begin();
        offer(1, "127.0.0.1", 80, IPC_TCP);
        offer(2, "localhost", 80, IPC_TCP);
        offer(3, "unix:/run/a.sock", 80, IPC_TCP);
        offer(4, "a b", 80, IPC_TCP);
        offer(5, "", 80, IPC_TCP);
        offer(6, "fd00::1", 80, IPC_TCP);
        offer(7, "no.port", 0, IPC_TCP);
        say(&peer_a);
        check_told("");
        check_equal(hosts.map.count, 0);
        finish();
}

TEST(the_better_of_two_services_of_one_provider_counts)
{
        begin();
        offer(1001, "a.hyper", 80, IPC_TCP)->priority = 2;
        offer(1002, "a.hyper", 80, IPC_TCP)->priority = 1;
        offer(1003, "a.hyper", 80, IPC_TCP)->priority = 1;
        say(&peer_a);
        check_told("open a.hyper:80");
        hold("a.hyper", 80, 1, 7);
        check_told("+A1002>7.1");
        offer(1001, "a.hyper", 80, IPC_TCP);
        offer(1002, "a.hyper", 80, IPC_TCP)->priority = 1;
        say(&peer_a);
        check_told("+A1001>7.1");
        offer(1001, "a.hyper", 80, IPC_TCP);
        offer(1002, "a.hyper", 80, IPC_TCP)->priority = 1;
        say(&peer_a);
        check_told("");                 /* repeated: no news */
        finish();
}

TEST(filters_count_and_low_ports_need_no_name)
{
        struct ipc_router_filter filter = { .fields = IPC_FILTER_HOST, .host = "a.hyper", .priority = -1 };

        begin();
        offer(80, "a.hyper", 80, IPC_TCP);
        offer(81, "b.hyper", 80, IPC_TCP);
        say(&peer_a);
        told();
        check_equal(route_table_filter(&table, &filter, 1, clock_us), 0);
        check_told("");
        check(list_empty(&router_hosts_find(&hosts, &(struct ipc_host_port){ .host = "b.hyper", .port = 80 })->offers));
        clock_us += ROUTER_HOST_LINGER_US;
        check_told("close b.hyper:80");
        finish();
}

TEST(a_policy_that_changes_is_news)
{
        static const struct ipc_rule nobody = { .who = IPC_RULE_ALL, .protocols = 3, .port_last = UINT16_MAX };
        struct policy *policy = policy_new(&nobody, 1);

        begin();
        offer(80, "a.hyper", 80, IPC_TCP);
        say(&peer_a);
        told();
        hold("a.hyper", 80, 1, 7);
        told();
        offer(80, "a.hyper", 80, IPC_TCP)->policy = policy;
        say(&peer_a);
        check_told("+A80>7.1");
        policy_leave(policy);
        finish();
}

TEST(one_from_before_goes_when_nobody_has_it)
{
        begin();
        hold("a.hyper", 80, 1, 7);
        check_equal(router_hosts_adopt(&hosts, &(struct ipc_host_port){ .host = "a.hyper", .port = 80 }, clock_us), 0);
        check_told("");
        clock_us += ROUTER_HOST_ADOPTED_US;
        check_told("close a.hyper:80");
        hold("a.hyper", 80, 0, 0);
        check_equal(hosts.map.count, 0);
        finish();
}

TEST(without_a_virtual_network_there_are_none)
{
        begin();
        offer(80, "a.hyper", 80, IPC_TCP);
        say(&peer_a);
        check_told("open a.hyper:80");
        router_hosts_switch(&hosts, false);
        check_told("close a.hyper:80");
        check_equal(hosts.map.count, 0);
        router_hosts_switch(&hosts, true);
        check_told("open a.hyper:80");
        finish();
}

TEST(there_are_no_more_than_may_be)
{
        unsigned overflows = 0;

        begin();
        for (unsigned peer = 0; peer < 20; peer++) {
                struct ipc_via via = { .peer = { 1, (uint8_t)peer }, .swarm = 1 };

                for (unsigned i = 0; i < ADVERT_ROUTES_MAX; i++) {
                        char host[32];

                        snprintf(host, sizeof(host), "h%u.p%u", i, peer);
                        offer((uint16_t)(10000 + i), host, 80, IPC_TCP);
                }
                say(&via);
        }
        for (int i = 0; i < 3; i++) {
                overflows += router_hosts_advance(&hosts, &table, clock_us);
                clock_us += ROUTER_HOSTS_US;
                overflows += router_hosts_advance(&hosts, &table, clock_us);
        }
        check_equal(overflows, 1);
        check_equal(hosts.map.count, ROUTER_HOSTS_MAX);
        finish();
}
