/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_service.h"
#include "policy.h"
#include "test.h"

static const uint8_t map_key[16] = { 1 };
static const struct ipc_via peer_a = { .peer = { 'A' }, .swarm = 1 }, peer_b = { .peer = { 'B' }, .swarm = 1 };
static struct advert advert;
static struct route_table table;
static char story[65536];

static void begin(void)
{
        route_table_init(&table, map_key);
        advert = (struct advert){ 0 };
}

static void finish(void)
{
        route_table_fini(&table);
}

/* With those of the three that are there. */
static void begin_filtered(const struct ipc_router_filter *const chosen[3], bool every)
{
        struct ipc_router_filter filters[3];
        size_t count = 0;

        for (; count < 3 && chosen[count]; count++)
                filters[count] = *chosen[count];
        begin();
        route_table_filter_mode(&table, every);
        check_equal(route_table_filter(&table, filters, count, 0), 0);
}

static void offer(uint16_t gate_port, const char *host, const char *tags)
{
        struct advert_route *route = &advert.routes[advert.count++];

        *route = (struct advert_route){ .gate_port = gate_port, .service_port = 80 };
        strcpy(route->host, host);
        strcpy(route->tags, tags);
}

static void say(const struct ipc_via *peer, usec_t now_us)
{
        check_equal(route_table_merge(&table, peer, &advert, now_us), 0);
        advert.count = 0;
}

/* What came out since: "+A80" offered, "-A80" withdrawn, "open 80", "close 80", "low 80". */
static const char *told(void)
{
        struct route_event event;
        size_t len = 0;

        story[0] = '\0';
        while (route_table_event(&table, &event)) {
                switch (event.kind) {
                case ROUTE_OFFERED:
                case ROUTE_WITHDRAWN:
                        len += (size_t)snprintf(story + len, sizeof(story) - len, " %c%c%u",
                                                event.kind == ROUTE_OFFERED ? '+' : '-', event.via.peer[0], event.gate_port);
                        break;
                default:
                        len += (size_t)snprintf(story + len, sizeof(story) - len, " %s %u",
                                                event.kind == ROUTE_GATE_WANTED ? "open" :
                                                event.kind == ROUTE_GATE_DONE   ? "close" : "low", event.gate_port);
                }
                check(len < sizeof(story) - 64);
        }
        return story[0] ? story + 1 : story;
}

#define check_told(expected)                                                                            \
        do {                                                                                            \
                const char *told_ = told();                                                             \
                if (strcmp(told_, expected) != 0)                                                       \
                        test_fail(__FILE__, __LINE__, "told \"%s\", expected \"%s\"", told_, expected); \
        } while (0)

static unsigned offers(uint16_t gate_port)
{
        const struct route_offer *at = NULL;
        unsigned count = 0;

        while ((at = route_table_next(&table, gate_port, IPC_TCP, at)))
                count++;
        return count;
}

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
        route_table_filter(&table, &(struct ipc_router_filter){ .fields = IPC_FILTER_GATE_PORT, .gate_port = 443, .gate_port_last = 443, .priority = -1 }, 1, 0);
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

TEST(any_filter_admits_and_all_its_fields_must_match)
{
        static struct ipc_router_filter filters[2] = {
                { .fields = IPC_FILTER_GATE_PORT | IPC_FILTER_HOST, .gate_port = 8080, .gate_port_last = 8080, .host = "web" },
                { .fields = IPC_FILTER_TAGS, .tags = "published  docker" },
        };

        begin();
        check_equal(route_table_filter(&table, filters, 2, 0), 0);
        offer(8080, "web", "");
        offer(8081, "web", "");
        offer(8080, "other", "docker");
        offer(8082, "other", "docker published x");
        offer(8083, "other", "dockers published");
        say(&peer_a, 0);
        check_told("+A8080 +A8082 open 8080 open 8082");
        filters[0].fields = IPC_FILTER_SERVICE_PORT | IPC_FILTER_PROTOCOL;
        filters[0].service_port = filters[0].service_port_last = 80;
        filters[0].protocol = IPC_UDP;
        check_equal(route_table_filter(&table, filters, 2, 1), 0);
        check_told("-A8080");
        filters[0].protocol = IPC_TCP;
        check_equal(route_table_filter(&table, filters, 1, 2), 0);
        check_told("+A8081 +A8080 +A8083 open 8081 open 8083");
        check_equal(route_table_filter(&table, NULL, 0, 3), 0);
        check_told("");
        finish();
}

/* Whether the gate 8080 of a service "web" with the tags "docker published" is open, by filters of the original (Gateway.ts): all must
 * match in all they say, tags by every word, and none at all lets everything through. */
TEST(n06_filters_in_the_mode_of_the_original_are_one_and_all)
{
        static const struct ipc_router_filter port = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8080, .gate_port_last = 8080, .priority = -1 },
                other_port = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8081, .gate_port_last = 8081, .priority = -1 },
                host = { .fields = IPC_FILTER_HOST, .host = "web", .priority = -1 },
                udp = { .fields = IPC_FILTER_PROTOCOL, .protocol = IPC_UDP, .priority = -1 },
                service_port = { .fields = IPC_FILTER_SERVICE_PORT, .service_port = 80, .service_port_last = 80, .priority = -1 },
                tags = { .fields = IPC_FILTER_TAGS, .tags = "published docker", .priority = -1 },
                more_tags = { .fields = IPC_FILTER_TAGS, .tags = "docker other", .priority = -1 },
                except = { .fields = IPC_FILTER_TAGS | IPC_FILTER_EXCEPT, .tags = "docker", .priority = -1 },
                except_others = { .fields = IPC_FILTER_TAGS | IPC_FILTER_EXCEPT, .tags = "internal", .priority = -1 };
        static const struct { const struct ipc_router_filter *filters[3]; bool any, every; } cases[] = {
                { { NULL }, true, true }, { { &port }, true, true }, { { &other_port }, false, false }, { { &port, &other_port }, true, false },
                { { &port, &host, &service_port }, true, true }, { { &port, &udp }, true, false }, { { &tags }, true, true },
                { { &more_tags, &port }, true, false }, { { &more_tags }, false, false }, { { &except }, false, false },
                { { &port, &except }, false, false }, { { &port, &except_others }, true, true },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (unsigned every = 0; every < 2; every++) {
                        begin_filtered(cases[i].filters, every);
                        offer(8080, "web", "docker published");
                        say(&peer_a, 0);
                        if (strcmp(told(), (every ? cases[i].every : cases[i].any) ? "+A8080 open 8080" : "") != 0)
                                test_fail(__FILE__, __LINE__, "case %zu, mode %u: told \"%s\"", i, every, story);
                        finish();
                }
}

TEST(a_range_of_ports_has_both_its_ends)
{
        static struct ipc_router_filter filter = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 1022, .gate_port_last = 8081 };

        begin();
        check_equal(route_table_filter(&table, &filter, 1, 0), 0);
        offer(1021, "web", "");
        offer(1022, "web", "");
        offer(8081, "web", "");
        offer(8082, "web", "");
        say(&peer_a, 0);
        check_told("+A1022 +A8081 open 1022 open 8081");
        filter.fields = IPC_FILTER_SERVICE_PORT;
        filter.service_port = 81;
        filter.service_port_last = 90;
        check_equal(route_table_filter(&table, &filter, 1, 1), 0);
        check_told("-A1022 -A8081");
        filter.service_port = 79;
        check_equal(route_table_filter(&table, &filter, 1, 2), 0);
        check_told("+A8081 +A8082 open 8082 low 1021 low 1022");
        finish();
}

TEST(an_exception_is_kept_out_whatever_else_admits_it)
{
        static struct ipc_router_filter filters[] = {
                { .fields = IPC_FILTER_EXCEPT | IPC_FILTER_GATE_PORT, .gate_port = 8081, .gate_port_last = 8082 },
                { .fields = IPC_FILTER_EXCEPT | IPC_FILTER_TAGS, .tags = "internal" },
                { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8080, .gate_port_last = 8082 },
        };

        begin();
        offer(8080, "web", "");
        offer(8081, "web", "");
        offer(8082, "web", "");
        offer(8083, "web", "");
        offer(8084, "web", "internal x");
        say(&peer_a, 0);
        check_told("+A8080 +A8081 +A8082 +A8083 +A8084 open 8080 open 8081 open 8082 open 8083 open 8084");
        check_equal(route_table_filter(&table, filters, 2, 1), 0);
        check_told("-A8081 -A8082 -A8084 close 8082 close 8081");       /* that of 8084 may open for another service */
        check_equal(route_table_filter(&table, filters, 3, 2), 0);
        check_told("-A8083 close 8084 close 8083");
        check_equal(route_table_filter(&table, filters + 2, 1, 3), 0);
        check_told("+A8081 +A8082 open 8081 open 8082");
        offer(22, "web", "");
        say(&peer_b, 4);
        check_told("");
        filters[0].gate_port = filters[0].gate_port_last = 22;
        check_equal(route_table_filter(&table, filters, 1, 5), 0);
        check_told("+A8083 +A8084 open 8083 open 8084");        /* who wants 22 shut need not be told that it is */
        finish();
}

TEST(weakness_14_2_a_low_port_opens_only_by_name)
{
        static struct ipc_router_filter filter = { .fields = IPC_FILTER_HOST, .host = "web" };

        begin();
        offer(22, "web", "");
        offer(1023, "web", "");
        offer(1024, "web", "");
        say(&peer_a, 0);
        check_told("+A1024 open 1024 low 22 low 1023");
        offer(22, "web", "");
        offer(22, "other", "");
        offer(1024, "web", "");
        say(&peer_a, 1);
        check_told("");
        check_equal(route_table_filter(&table, &filter, 1, 2), 0);
        check_told("low 22");
        filter.fields |= IPC_FILTER_GATE_PORT;
        filter.gate_port = filter.gate_port_last = 22;
        check_equal(route_table_filter(&table, &filter, 1, 3), 0);
        check_told("+A22 -A1024 close 1024 open 22");   /* at once: it is not its provider that is missing */
        finish();
}

/* The original looks at these of its options only where there are filters, and so without any lets everything through. */
TEST(n08_what_none_is_meant_to_see_stays_out_with_filters_and_without)
{
        static const struct ipc_router_filter docker = { .fields = IPC_FILTER_ONLY | IPC_FILTER_TAGS, .tags = "docker", .priority = -1 },
                published = { .fields = IPC_FILTER_ONLY | IPC_FILTER_TAGS, .tags = "docker published", .priority = -1 },
                page = { .fields = IPC_FILTER_ONLY | IPC_FILTER_HOST, .host = "page.hyper", .priority = -1 },
                there = { .fields = IPC_FILTER_ONLY | IPC_FILTER_HOST | IPC_FILTER_TAGS, .host = "db", .tags = "docker", .priority = -1 },
                upper = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8081, .gate_port_last = 8083, .priority = -1 },
                except = { .fields = IPC_FILTER_HOST | IPC_FILTER_EXCEPT, .host = "db", .priority = -1 };
        static const struct { const struct ipc_router_filter *filters[3]; const char *told; } cases[] = {
                { { NULL }, "+A8081 +A8082 +A8083 open 8081 open 8082 open 8083 low 80" },
                { { &docker }, "+A8082 +A8083 open 8082 open 8083 low 80" },
                { { &published }, "+A8083 open 8083" },
                { { &page }, "+A80 +A8083 open 80 open 8083" },         /* named by its host */
                { { &page, &upper }, "+A8083 open 8083" },
                { { &upper, &docker }, "+A8082 +A8083 open 8082 open 8083" },
                { { &there, &page }, "+A80 +A8082 +A8083 open 80 open 8082 open 8083" },
                { { &docker, &except }, "+A8083 open 8083 low 80" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (unsigned every = 0; every < 2; every++) {
                        begin_filtered(cases[i].filters, every);
                        offer(80, "page.hyper", "docker");
                        offer(8081, "db", "");
                        offer(8082, "db", "docker");
                        offer(8083, "page.hyper", "docker published");
                        say(&peer_a, 0);
                        if (strcmp(told(), cases[i].told) != 0)
                                test_fail(__FILE__, __LINE__, "case %zu, mode %u: told \"%s\"", i, every, story);
                        finish();
                }
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

/* Whatever happens in whatever order: what was told adds up to what is there. */
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

/* --- Peers that want all gates for themselves --- */

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
