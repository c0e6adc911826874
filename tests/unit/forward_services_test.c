/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_services.h"

#include <string.h>

#include "ipc_forward.h"
#include "test.h"

static struct services services;
static uint64_t seed;
static usec_t now_us;
static const struct random random_source = { test_random_fill, &seed };

static struct ipc_forward_service service(uint16_t gate_port, uint16_t service_port)
{
        return (struct ipc_forward_service){ .gate_port = gate_port, .service_port = service_port, .host = "h" };
}

static void add(uint16_t gate_port, uint16_t service_port)
{
        struct ipc_forward_service one = service(gate_port, service_port);

        check_equal(services_add(&services, &one), 0);
}

/* The service port whose turn it is; 0: none. */
static unsigned pick(uint16_t gate_port)
{
        const struct ipc_forward_service *picked = services_pick(&services, gate_port, IPC_TCP, true, now_us);

        return picked ? picked->service_port : 0;
}

TEST(alternatives_take_turns)
{
        services_init(&services, &random_source);
        add(1, 11);
        add(2, 21);
        add(1, 12);
        check_equal(pick(1), 0);                /* not before the end */
        services_end(&services);
        check_equal(pick(1), 11);
        check_equal(pick(2), 21);
        check_equal(pick(1), 12);
        check_equal(pick(1), 11);
        check_equal(pick(2), 21);
        check_equal(pick(3), 0);
        services_fini(&services);
}

static void add_ranked(uint16_t service_port, uint16_t priority)
{
        struct ipc_forward_service one = service(1, service_port);

        one.service = service_port;
        one.priority = priority;
        check_equal(services_add(&services, &one), 0);
}

static void add_three(void)
{
        add_ranked(11, 0);
        add_ranked(12, 0);
        add_ranked(13, 1);
        services_end(&services);
}

static void fails(uint16_t service_port, uint16_t priority)
{
        struct ipc_forward_service one = service(1, service_port);

        one.service = service_port;
        one.priority = priority;
        services_note(&services, &one, SERVICES_REFUSED, now_us);
}

TEST(one_that_fails_rests_and_a_backup_waits_for_all_before_it)
{
        services_init(&services, &random_source);
        now_us = SECONDS(100);
        add_three();
        check_equal(pick(1), 11);
        check_equal(pick(1), 12);
        check_equal(pick(1), 11);
        fails(11, 0);
        check_equal(pick(1), 12);
        check_equal(pick(1), 12);
        fails(12, 0);
        check_equal(pick(1), 13);
        now_us += SERVICES_REST_MIN_US / 2;
        fails(12, 0);                           /* it was under way when the other one failed */
        fails(13, 1);
        check(!services_pick(&services, 1, IPC_TCP, false, now_us));
        check(pick(1) != 13);                   /* whose rest ends last */
        services_begin(&services);
        add_three();                            /* told anew, they still rest */
        check(!services_pick(&services, 1, IPC_TCP, false, now_us));
        now_us += SERVICES_REST_MIN_US / 2;
        check(pick(1) != 13);
        fails(11, 0);
        now_us += SERVICES_REST_MIN_US;
        check_equal(pick(1), 12);
        check_equal(pick(1), 12);
        now_us += SERVICES_REST_MIN_US;         /* twice as long for the second time */
        check_equal(pick(1), 11);
        services_fini(&services);
}

static bool may_ask(const struct ipc_forward_service *service)
{
        return services_ask(services_named(&services, 1, IPC_TCP, service->service), now_us, SECONDS(10));
}

TEST(one_that_says_nothing_is_asked_by_nobody_while_it_rests_and_then_by_one)
{
        struct ipc_forward_service one = service(1, 11);

        services_init(&services, &random_source);
        now_us = SECONDS(100);
        one.service = 11;
        check_equal(services_add(&services, &one), 0);
        services_end(&services);
        check(may_ask(&one) && may_ask(&one));  /* nothing is known of it */
        services_note(&services, &one, SERVICES_SILENT, now_us);
        check(!may_ask(&one));
        services_note(&services, &one, SERVICES_SILENT, now_us);        /* it was under way with the first */
        now_us += SERVICES_REST_MIN_US;
        check(may_ask(&one) && !may_ask(&one));
        services_begin(&services);              /* told anew, it still is so */
        check_equal(services_add(&services, &one), 0);
        services_end(&services);
        now_us += SECONDS(5);
        check(!may_ask(&one));
        services_note(&services, &one, SERVICES_SILENT, now_us);        /* which counts, though its patience was longer */
        now_us += SERVICES_REST_MIN_US;
        check(!may_ask(&one));
        now_us += SERVICES_REST_MIN_US;         /* twice as long for the second time */
        check(may_ask(&one) && !may_ask(&one));
        now_us += SECONDS(10);                  /* who asked has gone without a word */
        check(may_ask(&one) && !may_ask(&one));
        services_note(&services, &one, SERVICES_REFUSED, now_us);
        check(may_ask(&one) && may_ask(&one));  /* each who asks knows at once */
        services_note(&services, &one, SERVICES_WORKED, now_us);
        check(may_ask(&one) && may_ask(&one));
        services_fini(&services);
}

TEST(a_new_list_replaces_the_old_and_one_without_an_end_is_no_list)
{
        services_init(&services, &random_source);
        add(1, 11);
        services_end(&services);
        services_begin(&services);
        add(2, 21);
        check_equal(pick(1), 11);
        services_begin(&services);              /* told anew: the half list is forgotten */
        add(3, 31);
        services_end(&services);
        check_equal(pick(1), 0);
        check_equal(pick(2), 0);
        check_equal(pick(3), 31);
        services_fini(&services);
}

TEST(empty_groups_stay_until_forgotten)
{
        struct service_group *group, *next;

        services_init(&services, &random_source);
        add(1, 11);
        services_end(&services);
        services_begin(&services);
        services_end(&services);
        check_equal(services.groups.count, 1);
        for (group = services_next(&services, NULL); group; group = next) {
                next = services_next(&services, group);
                check(list_empty(&group->services));
                services_forget(&services, group);
        }
        check_equal(services.groups.count, 0);
        services_fini(&services);
}

TEST(each_service_has_its_own_news)
{
        struct ipc_forward_service up = service(1, 11), down = service(1, 12), other = service(1, 13);

        services_init(&services, &random_source);
        add(1, 11);
        add(1, 12);
        services_end(&services);
        check(!services_note(&services, &up, SERVICES_WORKED, now_us));
        check(services_note(&services, &down, SERVICES_REFUSED, now_us));
        for (unsigned i = 0; i < 3; i++) {
                check(!services_note(&services, &up, SERVICES_WORKED, now_us));
                check(!services_note(&services, &down, SERVICES_REFUSED, now_us));
        }
        check_equal(services_note(&services, &down, SERVICES_REFUSED, now_us + SERVICES_REST_MIN_US), SERVICES_FAILS_AGAIN);
        check_equal(services_note(&services, &down, SERVICES_REFUSED, now_us + SERVICES_REST_MIN_US), SERVICES_NO_NEWS);
        check_equal(services_note(&services, &down, SERVICES_WORKED, now_us), SERVICES_CHANGED);
        check(!services_note(&services, &other, SERVICES_REFUSED, now_us));        /* not configured any more */
        services_fini(&services);
}

TEST(one_of_several_can_be_named)
{
        struct ipc_forward_service a = service(1, 11), b = service(1, 12);
        const struct ipc_forward_service *named;

        services_init(&services, &random_source);
        a.service = 7;
        b.service = 8;
        check_equal(services_add(&services, &a), 0);
        check_equal(services_add(&services, &b), 0);
        services_end(&services);
        for (unsigned i = 0; i < 3; i++) {
                named = services_named(&services, 1, IPC_TCP, 8);
                check(named && named->service_port == 12);
        }
        check_equal(pick(1), 11);               /* it was nobody's turn */
        check(!services_named(&services, 1, IPC_TCP, 9) && !services_named(&services, 1, IPC_UDP, 8) &&
              !services_named(&services, 2, IPC_TCP, 8));
        services_fini(&services);
}
