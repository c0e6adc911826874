/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "test.h"

enum { TCP, UDP };

static struct ipc_rule about(const char *network, unsigned bits, bool allow)
{
        struct ipc_rule rule = { .who = strchr(network, ':') ? IPC_RULE_IPV6 : IPC_RULE_IPV4, .bits = (uint8_t)bits, .allow = allow,
                                 .protocols = 3, .port_last = UINT16_MAX, .except_first = 1, .ways = IPC_RULE_UP | IPC_RULE_DOWN };

        if (rule.who == IPC_RULE_IPV4) {
                memset(rule.ip + 10, 0xff, 2);
                rule.bits = (uint8_t)(96 + bits);
                check_equal(inet_pton(AF_INET, network, rule.ip + 12), 1);
        } else {
                check_equal(inet_pton(AF_INET6, network, rule.ip), 1);
        }
        check(policy_rule_is_sound(&rule));
        return rule;
}

static struct ipc_rule for_all(enum ipc_rule_who who, bool allow)
{
        return (struct ipc_rule){ .who = who, .allow = allow, .protocols = 3, .port_last = UINT16_MAX, .except_first = 1 };
}

/* Which rule decides, from 1; 0: none. */
static size_t decides(const struct policy *policy, const char *from, uint16_t port, uint16_t protocol, uint64_t now_ms)
{
        uint8_t ip[16] = { [10] = 0xff, [11] = 0xff };
        const struct ipc_rule *rule;

        check_equal(strchr(from, ':') ? inet_pton(AF_INET6, from, ip) : inet_pton(AF_INET, from, ip + 12), 1);
        rule = policy_find(policy, &(struct policy_client){ .ip = ip, .gate_port = port, .protocol = protocol, .now_ms = now_ms });
        return rule ? (size_t)(rule - policy->rule) + 1 : 0;
}

TEST(the_first_rule_about_a_client_decides)
{
        struct ipc_rule rules[] = { about("10.1.2.3", 32, true), about("10.1.0.0", 16, false), about("10.0.0.0", 7, true),
                                    about("2001:db8::", 33, false), about("::", 0, true), for_all(IPC_RULE_OTHERS, false) };
        struct policy *policy = policy_new(rules, 6);

        check_equal(decides(policy, "10.1.2.3", 80, TCP, 0), 1);
        check_equal(decides(policy, "10.1.2.4", 80, TCP, 0), 2);
        check_equal(decides(policy, "10.2.2.3", 80, TCP, 0), 3);
        check_equal(decides(policy, "11.255.255.255", 80, TCP, 0), 3);
        check_equal(decides(policy, "12.0.0.0", 80, TCP, 0), 6);
        check_equal(decides(policy, "2001:db8:7fff::1", 80, TCP, 0), 4);
        check_equal(decides(policy, "2001:db8:8000::1", 80, TCP, 0), 5);
        check_equal(decides(policy, "::ffff:10.1.2.4", 80, TCP, 0), 2);         /* IPv4 is never IPv6 */
        policy_leave(policy);
        check(policy_admits(policy_find(NULL, &(struct policy_client){ .ip = rules[0].ip })));
}

TEST(ports_and_protocols_narrow_a_rule_but_not_the_default)
{
        struct ipc_rule rules[] = { for_all(IPC_RULE_ALL, true), for_all(IPC_RULE_ALL, true), for_all(IPC_RULE_OTHERS, false) };
        struct policy *policy;

        rules[0].port_first = 80;
        rules[0].port_last = 443;
        rules[0].except_first = rules[0].except_last = 81;
        rules[1].protocols = 1 << UDP;
        rules[2].protocols = 0;         /* says nothing there */
        policy = policy_new(rules, 3);
        check_equal(decides(policy, "192.0.2.1", 80, TCP, 0), 1);
        check_equal(decides(policy, "192.0.2.1", 443, UDP, 0), 1);
        check_equal(decides(policy, "192.0.2.1", 81, UDP, 0), 2);
        check_equal(decides(policy, "192.0.2.1", 81, TCP, 0), 3);
        check_equal(decides(policy, "192.0.2.1", 79, TCP, 0), 3);
        check_equal(decides(policy, "192.0.2.1", 444, UDP, 0), 2);
        policy_leave(policy);
}

TEST(a_rule_is_gone_from_the_moment_it_expires)
{
        struct ipc_rule rules[] = { for_all(IPC_RULE_ALL, false), for_all(IPC_RULE_OTHERS, true) };
        struct policy *policy;

        rules[0].expires_ms = 1000;
        rules[1].expires_ms = 2000;
        policy = policy_new(rules, 2);
        check_equal(decides(policy, "192.0.2.1", 80, TCP, 999), 1);
        check_equal(decides(policy, "192.0.2.1", 80, TCP, 1000), 2);
        check_equal(decides(policy, "192.0.2.1", 80, TCP, 2000), 0);
        policy_leave(policy);
}

TEST(what_is_no_rule_is_not_read)
{
        struct ipc_rule good = about("10.0.0.0", 8, true), bad[12];
        struct policy *policy = NULL;

        for (size_t i = 0; i < 12; i++)
                bad[i] = good;
        bad[0].ip[15] = 1;              /* beyond its bits */
        bad[1].bits = 129;
        bad[2].bits = 95;
        bad[3].who = IPC_RULE_WHOS;
        bad[4].who = IPC_RULE_ALL;      /* with a network */
        bad[5].allow = 2;
        bad[6].protocols = 4;
        bad[7].bytes_per_s = 1;         /* nothing at once */
        bad[8].bytes_per_s = bad[8].burst_bytes = IPC_RATE_MAX;
        memset(bad[9].labels, 'x', sizeof(bad[9].labels));
        bad[10].ways = 4;
        bad[11].burst_bytes = 1;
        for (size_t i = 0; i < 12; i++)
                check_equal(policy_read(&bad[i], sizeof(bad[i]), &policy), -EPROTO);
        bad[0] = for_all(IPC_RULE_OTHERS, true);
        bad[1] = good;
        check_equal(policy_read(bad, 2 * sizeof(bad[0]), &policy), -EPROTO);    /* the others come last */
        check_equal(policy_read(&good, sizeof(good) - 1, &policy), -EPROTO);
        check_equal(policy_read(&good, 0, &policy), -EPROTO);
        check(policy == NULL);
        check_equal(policy_read(&good, sizeof(good), &policy), 0);
        check_equal(policy->count, 1);
        policy_leave(policy);
}

TEST(policies_are_compared_by_what_they_say)
{
        struct ipc_rule rule = about("10.0.0.0", 8, true);
        struct policy *a = policy_new(&rule, 1), *b = policy_new(&rule, 1), *c;

        rule.allow = 0;
        c = policy_new(&rule, 1);
        check(policy_same(a, b) && !policy_same(a, c) && !policy_same(a, NULL) && policy_same(NULL, NULL));
        policy_leave(policy_hold(a));
        policy_leave(a);
        policy_leave(b);
        policy_leave(c);
}
