/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "router_offers.h"
#include "test.h"

enum { RULES = 60 };

static struct advert_route list[ADVERT_ROUTES_MAX + 1];
static bool withheld[ADVERT_ROUTES_MAX];

/* As many services as may be, each with a policy of so many networks. */
static void begin(struct router_offers *offers, size_t rules)
{
        struct ipc_rule rule[RULES] = { 0 };
        struct policy *policy;

        for (size_t i = 0; i < rules; i++)
                rule[i] = (struct ipc_rule){ .ip = { 0x20, 1, (uint8_t)i }, .who = IPC_RULE_IPV6, .bits = 32, .protocols = 3,
                                             .port_last = UINT16_MAX, .except_first = 1, .ways = IPC_RULE_UP | IPC_RULE_DOWN };
        policy = rules ? policy_new(rule, rules) : NULL;
        memset(list, 0, sizeof(list));
        memset(withheld, 0, sizeof(withheld));
        for (size_t i = 0; i <= ADVERT_ROUTES_MAX; i++) {
                strcpy(list[i].host, "127.0.0.1");
                list[i].gate_port = (uint16_t)(20000 + i);
                list[i].service_port = 80;
                list[i].policy = policy;
        }
        *offers = (struct router_offers){ 0 };
        check_equal(router_offers_set(offers, list, withheld, ADVERT_ROUTES_MAX), 0);
        policy_leave(policy);           /* the offers hold it */
}

/* How many are left out; those that are not are the first, and one more would not fit. */
static size_t left_out(const struct router_offers *offers)
{
        char *text, *same;
        size_t len, same_len, left, fits;

        check_equal(router_offers_encode(offers, &text, &len, &fits, &left), 0);
        check_equal(fits, offers->count - left);
        check_equal(advert_encode(offers->list, fits, &same, &same_len), 0);
        check_equal(len, same_len);
        check_bytes((uint8_t *)text, (uint8_t *)same, len);
        free(same);
        if (left)
                check_equal(advert_encode(offers->list, fits + 1, &same, &same_len), -E2BIG);
        free(text);
        return left;
}

TEST(all_are_advertised_where_they_fit)
{
        struct router_offers offers;

        begin(&offers, 0);
        check_equal(left_out(&offers), 0);
        router_offers_fini(&offers);
        begin(&offers, 10);
        check_equal(left_out(&offers), 0);
        check_equal(router_offers_set(&offers, list, withheld, 0), 0);
        check_equal(left_out(&offers), 0);
        router_offers_fini(&offers);
}

TEST(as_many_as_fit_are_advertised)
{
        struct router_offers offers;
        size_t before = 0;

        for (size_t rules = 30; rules <= RULES; rules += 10) {
                size_t left;

                begin(&offers, rules);
                left = left_out(&offers);
                check(left > before && left < ADVERT_ROUTES_MAX);
                before = left;
                router_offers_fini(&offers);
        }
}

TEST(those_that_are_withheld_take_no_room)
{
        struct router_offers offers;
        size_t all, count, left, len;
        char *text;

        begin(&offers, RULES);
        all = left_out(&offers);
        for (size_t i = 0; i < 10; i++)
                offers.withheld[i] = true;
        check_equal(router_offers_encode(&offers, &text, &len, &count, &left), 0);
        check_equal(left, all - 10);
        check_equal(count, offers.count - all);
        check(strstr(text, "\"gatePort\":20009,") == NULL && strstr(text, "\"gatePort\":20010,") != NULL);
        free(text);
        router_offers_fini(&offers);
}
