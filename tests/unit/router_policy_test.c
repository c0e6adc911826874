/* SPDX-License-Identifier: BSD-3-Clause */
/* Ingress policies as the original reads them (tests/vectors/hypergate.json), and as we write them. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "router_policy.h"
#include "test.h"
#include "vectors.h"

static struct ipc_rule rules[IPC_RULES_MAX];

static struct policy *policy_of(json_t *said)
{
        size_t count = router_policy_decode(said, rules);

        for (size_t i = 0; i < count; i++)
                check(policy_rule_is_sound(&rules[i]));
        return count ? policy_new(rules, count) : NULL;
}

static struct policy *policy_read_text(const char *text)
{
        json_t *said = json_loads(text, 0, NULL);
        struct policy *policy;

        check(said != NULL);
        policy = policy_of(said);
        json_decref(said);
        return policy;
}

static const struct ipc_rule *find(const struct policy *policy, const char *from, uint16_t port, uint16_t protocol)
{
        uint8_t ip[16] = { [10] = 0xff, [11] = 0xff };
        char text[64];

        snprintf(text, sizeof(text), "%.*s", (int)strcspn(from, "%"), from);
        check_equal(strchr(text, ':') ? inet_pton(AF_INET6, text, ip) : inet_pton(AF_INET, text, ip + 12), 1);
        return policy_find(policy, &(struct policy_client){ .ip = ip, .gate_port = port, .protocol = protocol, .now_ms = 1764000000000 });
}

/* Ranges as objects, which the original never looks into (hypergate.md 14.12). */
static bool has_objects_for_ports(const json_t *vector)
{
        char *text = json_dumps(json_object_get(vector, "policy"), 0);
        bool has = strstr(text, "\"from\"") != NULL;

        free(text);
        return has;
}

TEST(clients_meet_what_they_meet_at_the_original)
{
        json_t *list = vector_at(vectors("hypergate.json"), "ingress_policy_lookup"), *vector;
        unsigned compared = 0, objects = 0;
        size_t i;

        json_array_foreach (list, i, vector) {
                const char *from = json_string_value(json_object_get(vector, "ip"));
                const char *decision = json_string_value(json_object_get(vector, "gateway_decision"));
                struct policy *policy;
                bool admitted;

                if (!*from || json_object_get(vector, "label"))
                        continue;       /* a client always has an address, and is never looked up by a label */
                policy = policy_of(json_object_get(vector, "policy"));
                admitted = policy_admits(find(policy, from, (uint16_t)json_integer_value(json_object_get(vector, "gate_port")),
                                              (uint16_t)json_integer_value(json_object_get(vector, "protocol"))));
                if (has_objects_for_ports(vector)) {
                        check(!admitted || json_object_get(json_object_get(vector, "policy"), "defaults") == NULL);
                        objects++;
                } else {
                        check_equal(admitted, strcmp(decision, "allowed") == 0);
                        compared++;
                }
                policy_leave(policy);
        }
        check_equal(compared, 32);
        check_equal(objects, 2);
}

TEST(what_we_write_reads_as_the_same_rules)
{
        static const char text[] =
                "{\"ips\":{\"192.0.2.7\":{\"allow\":true,\"bandwidthLimit\":{\"mbps\":10,\"burstMbps\":20},\"expireAt\":4102444800000,"
                "\"labels\":[\"vip\",\"eu\"],\"onlyPorts\":[80,443],\"onlyProtocols\":[\"tcp\"]},"
                "\"10.0.0.0/8\":{\"allow\":true,\"bandwidthLimit\":{\"mbps\":0.1,\"burstMbps\":0.1,\"direction\":\"up\"},\"excludePorts\":[22,22]},"
                "\"2001:db8::/32\":{\"allow\":false,\"onlyProtocols\":[\"udp\"]},\"*\":{\"allow\":false,\"onlyProtocols\":[]}},"
                "\"defaults\":{\"allow\":true}}";
        json_t *said = json_loads(text, 0, NULL), *written;
        struct policy *first = policy_of(said), *second;

        written = router_policy_encode(first->rule, first->count);
        check(json_equal(said, written));
        second = policy_of(written);
        check(policy_same(first, second));
        check_equal(first->count, 5);
        check_equal(first->rule[0].bytes_per_s, 1250000);
        check_equal(first->rule[0].burst_bytes, 2500000);
        check_equal(first->rule[1].ways, IPC_RULE_UP);
        policy_leave(first);
        policy_leave(second);
        json_decref(said);
        json_decref(written);
}

TEST(weakness_14_12_ranges_of_ports_may_be_objects)
{
        struct policy *policy = policy_read_text("{\"ips\":{\"*\":{\"allow\":true,\"onlyPorts\":[{\"from\":80,\"to\":443}],"
                                                 "\"excludePorts\":{\"from\":100,\"to\":200}}},\"defaults\":{\"allow\":false}}");

        check(policy_admits(find(policy, "192.0.2.1", 80, 0)));
        check(!policy_admits(find(policy, "192.0.2.1", 79, 0)));
        check(!policy_admits(find(policy, "192.0.2.1", 150, 0)));
        policy_leave(policy);
        policy = policy_read_text("{\"ips\":{\"*\":{\"allow\":true,\"onlyPorts\":[{\"from\":80,\"to\":80},{\"from\":443,\"to\":443}]}}}");
        check(!policy_admits(find(policy, "192.0.2.1", 80, 0)));        /* what we can't tell lets nobody in */
        policy_leave(policy);
}

TEST(inherited_keys_are_nobody_and_too_many_rules_let_nobody_in)
{
        struct policy *policy = policy_read_text("{\"ips\":{\"__proto__\":{\"allow\":false},\"constructor\":{}}}");
        json_t *many = json_object(), *said = json_pack("{s:o}", "ips", many);

        check(policy == NULL);
        for (unsigned i = 0; i < IPC_RULES_MAX; i++) {
                char pattern[32];

                snprintf(pattern, sizeof(pattern), "10.0.%u.%u", i / 256, i % 256);
                json_object_set_new(many, pattern, json_pack("{s:b}", "allow", 1));
        }
        policy = policy_of(said);
        check_equal(policy->count, 1);
        check(!policy_admits(find(policy, "10.0.0.1", 80, 0)));
        policy_leave(policy);
        json_decref(said);
}

TEST(labels_that_find_no_room_are_left_out)
{
        struct policy *policy = policy_read_text("{\"defaults\":{\"allow\":true,\"labels\":[\"a\",7,\"\",\"0123456789012345678901234567890123456789"
                                                 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567\",\"b\"]}}");

        check_bytes(policy->rule[0].labels, "a\0b\0", 5);
        policy_leave(policy);
}
