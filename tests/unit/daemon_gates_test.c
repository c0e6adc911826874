/* SPDX-License-Identifier: BSD-3-Clause */
#include "gates.h"
#include "test.h"

TEST(without_a_gateway_nothing_opens)
{
        struct conf_gateway conf = { .present = false };

        check(!gates_allowed(&conf, 8000, CONF_TCP));
}

TEST(without_filters_every_port_may_open)
{
        struct conf_gateway conf = { .present = true };

        check(gates_allowed(&conf, 1, CONF_TCP));
        check(gates_allowed(&conf, 65535, CONF_TCP));
        check(!gates_allowed(&conf, 0, CONF_TCP));
        check(gates_allowed(&conf, 8000, CONF_UDP));
        check(!gates_allowed(&conf, 0, CONF_UDP));
        check(!gates_allowed(&conf, 8000, 77));
}

TEST(a_port_that_no_filter_lets_through_stays_shut_whatever_the_router_says)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 8000 },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_PROTOCOL, .gate_port = 53, .protocol = CONF_UDP },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_HOST, .gate_port = 9000, .host = "db" },
        };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 3 };

        check(gates_allowed(&conf, 8000, CONF_TCP));
        check(!gates_allowed(&conf, 8001, CONF_TCP));
        check(!gates_allowed(&conf, 53, CONF_TCP));
        check(gates_allowed(&conf, 53, CONF_UDP));
        check(gates_allowed(&conf, 9000, CONF_TCP));    /* the host is the router's to judge */
}

TEST(a_low_port_opens_again_only_by_name)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_TAGS, .tags = "web" }, { .fields = CONF_FILTER_GATE_PORT, .gate_port = 80 },
        };
        struct conf_gateway conf = { .present = true };

        check(gates_reopens(&conf, 8000, CONF_TCP) && gates_reopens(&conf, 1024, CONF_TCP));
        check(!gates_reopens(&conf, 1023, CONF_TCP) && !gates_reopens(&conf, 8000, 77));
        conf.filters = filters;
        conf.filter_count = 2;
        check(gates_reopens(&conf, 80, CONF_TCP) && gates_reopens(&conf, 8000, CONF_TCP));
        check(!gates_reopens(&conf, 22, CONF_TCP));
        conf.present = false;
        check(!gates_reopens(&conf, 8000, CONF_TCP));
}

TEST(a_filter_that_names_no_port_leaves_it_to_the_router)
{
        static const struct conf_filter filters[] = { { .fields = CONF_FILTER_TAGS, .tags = "web" } };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 1 };

        check(gates_allowed(&conf, 8000, CONF_TCP));
}
