/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_hosts.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define OWNER "0123456789abcdef0123456789abcdef"
#define LIFE "00000000000000aa"

static struct docker_hosts hosts;

static void want(const char *one, const char *two)
{
        static struct docker_wanted wanted;

        wanted.count = 0;
        if (one)
                strcpy(wanted.name[wanted.count++], one);
        if (two)
                strcpy(wanted.name[wanted.count++], two);
        docker_hosts_want(&hosts, &wanted);
}

static void begin(const char *one, const char *two)
{
        memset(&hosts, 0, sizeof(hosts));
        want(one, two);
        docker_hosts_look(&hosts);
}

static void found(char digit, const char *host, const char *life, enum docker_helper_state state, unsigned networks, double now_s)
{
        struct docker_helper helper = { .owner = OWNER, .state = state, .networks = networks };

        memset(helper.id, digit, sizeof(helper.id) - 1);
        snprintf(helper.host, sizeof(helper.host), "%s", host);
        snprintf(helper.life, sizeof(helper.life), "%s", life);
        docker_hosts_found(&hosts, &helper, OWNER, LIFE, 3, now_s);
}

/* First digits of the ids of who is to go. */
static void check_doomed(const char *digits)
{
        char text[DOCKER_DOOMED_MAX + 1] = "";

        for (size_t i = 0; i < hosts.doomed_count; i++)
                text[i] = hosts.doomed[i][0];
        if (strcmp(text, digits) != 0)
                test_fail(__FILE__, __LINE__, "doomed: \"%s\", not \"%s\"", text, digits);
}

TEST(each_host_has_one_helper_and_the_rest_goes)
{
        begin("a.hyper", "b.hyper");
        found('1', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);
        found('2', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);          /* another one */
        found('3', "c.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);          /* not wanted */
        found('4', "b.hyper", "00000000000000ab", DOCKER_HELPER_RUNS, 3, 1);    /* of a life before */
        found('5', "b.hyper", LIFE, DOCKER_HELPER_STANDS, 3, 1);        /* never ran */
        found('6', "b.hyper", LIFE, DOCKER_HELPER_RUNS, 1, 1);          /* not on all networks */
        found('7', "b.hyper", LIFE, DOCKER_HELPER_LEAVING, 3, 1);       /* the engine is at it */
        found('8', "", "", DOCKER_HELPER_RUNS, 3, 1);                   /* nobody's */
        check_doomed("234568");
        check(strcmp(docker_hosts_next(&hosts, 1)->name, "b.hyper") == 0);
        docker_host_made(docker_hosts_next(&hosts, 1), 1);
        check(!docker_hosts_next(&hosts, 1) && docker_hosts_wait(&hosts, 1) < 0);
}

TEST(another_ones_helper_goes_when_nobody_started_it)
{
        struct docker_helper helper = { .owner = "f", .host = "a.hyper", .life = LIFE, .state = DOCKER_HELPER_RUNS, .made_s = 100 };

        begin("a.hyper", NULL);
        memset(helper.id, '1', sizeof(helper.id) - 1);
        docker_hosts_found(&hosts, &helper, OWNER, LIFE, 0, 1000);
        helper.state = DOCKER_HELPER_STANDS;
        docker_hosts_found(&hosts, &helper, OWNER, LIFE, 0, 100 + DOCKER_HOST_STARTS_S);
        helper.state = DOCKER_HELPER_LEAVING;
        docker_hosts_found(&hosts, &helper, OWNER, LIFE, 0, 1000);
        check_doomed("");
        helper.state = DOCKER_HELPER_STANDS;
        docker_hosts_found(&hosts, &helper, OWNER, LIFE, 0, 101 + DOCKER_HOST_STARTS_S);
        check_doomed("1");
        check(docker_hosts_next(&hosts, 1) != NULL);
}

TEST(a_local_name_needs_none_in_any_case_of_letters)
{
        begin("a.hyper", NULL);
        docker_hosts_local(&hosts, "other");
        docker_hosts_local(&hosts, "A.Hyper");
        found('1', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);
        check_doomed("1");
        check(!docker_hosts_next(&hosts, 1) && docker_hosts_wait(&hosts, 1) < 0);
        docker_hosts_look(&hosts);
        check(docker_hosts_next(&hosts, 1) && docker_hosts_wait(&hosts, 1) == 0);
}

TEST(one_that_ends_at_once_is_made_again_ever_later_and_one_that_stayed_soon)
{
        double now_s = 100, wait_s = DOCKER_HOST_FIRST_S;

        begin("a.hyper", NULL);
        for (int i = 0; i < 12; i++) {
                docker_host_made(docker_hosts_next(&hosts, now_s), now_s);
                docker_hosts_look(&hosts);
                check(docker_hosts_wait(&hosts, now_s) == (wait_s < DOCKER_HOST_LAST_S ? wait_s : DOCKER_HOST_LAST_S));
                check(!docker_hosts_next(&hosts, now_s + docker_hosts_wait(&hosts, now_s) - 0.001));
                now_s += docker_hosts_wait(&hosts, now_s);
                wait_s *= 2;
        }
        docker_host_made(docker_hosts_next(&hosts, now_s), now_s);
        now_s += DOCKER_HOST_STEADY_S;
        docker_hosts_look(&hosts);
        found('1', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, now_s);
        check_equal(hosts.list[0].tries, 0);
}

TEST(who_stays_wanted_keeps_what_is_known_of_it)
{
        begin("a.hyper", "b.hyper");
        docker_host_made(docker_hosts_next(&hosts, 5), 5);
        want("b.hyper", "a.hyper");
        check(hosts.count == 2 && hosts.list[0].tries == 1 && hosts.list[1].tries == 0);
        want("c.hyper", NULL);
        check(hosts.count == 1 && strcmp(hosts.list[0].name, "c.hyper") == 0 && hosts.list[0].tries == 0);
        want(NULL, NULL);
        check_equal(hosts.count, 0);
}

TEST(more_to_remove_than_fits_is_for_the_next_look)
{
        begin(NULL, NULL);
        for (int i = 0; i < DOCKER_DOOMED_MAX; i++)
                found('1', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);
        check(docker_hosts_wait(&hosts, 1) < 0);
        found('1', "a.hyper", LIFE, DOCKER_HELPER_RUNS, 3, 1);
        check_equal(hosts.doomed_count, DOCKER_DOOMED_MAX);
        check(docker_hosts_wait(&hosts, 1) == 0);
}

TEST(as_many_as_may_be_fit)
{
        static struct docker_wanted wanted;

        memset(&hosts, 0, sizeof(hosts));
        for (; wanted.count < DOCKER_HOSTS_MAX; wanted.count++)
                snprintf(wanted.name[wanted.count], IPC_NAME_MAX, "h%zu", wanted.count);
        docker_hosts_want(&hosts, &wanted);
        docker_hosts_want(&hosts, &wanted);
        check_equal(hosts.count, DOCKER_HOSTS_MAX);
}
