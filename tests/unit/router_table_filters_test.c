/* SPDX-License-Identifier: BSD-3-Clause */
/* What filters let through, and what they keep out. */
#include <string.h>

#include "ipc_router.h"
#include "router_table_scene.h"

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
        static const struct ipc_router_filter port = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 8080, .gate_port_last = 8080,
                                                       .priority = -1 },
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
                        const char *came;

                        begin_filtered(cases[i].filters, every);
                        offer(8080, "web", "docker published");
                        say(&peer_a, 0);
                        came = told();
                        if (strcmp(came, (every ? cases[i].every : cases[i].any) ? "+A8080 open 8080" : "") != 0)
                                test_fail(__FILE__, __LINE__, "case %zu, mode %u: told \"%s\"", i, every, came);
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
                        const char *came;

                        begin_filtered(cases[i].filters, every);
                        offer(80, "page.hyper", "docker");
                        offer(8081, "db", "");
                        offer(8082, "db", "docker");
                        offer(8083, "page.hyper", "docker published");
                        say(&peer_a, 0);
                        came = told();
                        if (strcmp(came, cases[i].told) != 0)
                                test_fail(__FILE__, __LINE__, "case %zu, mode %u: told \"%s\"", i, every, came);
                        finish();
                }
}
