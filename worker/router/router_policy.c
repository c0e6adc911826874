/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_policy.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_message.h"
#include "policy.h"

enum { PATTERN_MAX = 64, V4_BITS = 96 };

#define MBIT_BYTES 125000.0             /* of a second at 1 Mbit/s */
#define BLANKS " \t\r\n\f\v"

/* As JavaScript sees it. */
static bool is_truthy(const json_t *value)
{
        if (json_is_string(value))
                return json_string_length(value) > 0;
        if (json_is_number(value))
                return json_number_value(value) != 0;
        return json_is_true(value) || json_is_object(value) || json_is_array(value);
}

static double within(double number, double least, double most)
{
        return number < least ? least : number > most ? most : number;
}

static const struct ipc_rule about_all = { .who = IPC_RULE_ALL, .protocols = 1 << IPC_TCP | 1 << IPC_UDP, .port_last = UINT16_MAX,
                                           .except_first = 1, .ways = IPC_RULE_UP | IPC_RULE_DOWN };

enum pattern {
        PATTERN_NONE,                   /* matches nobody */
        PATTERN_GOOD,
        PATTERN_THROWS,                 /* whoever is of its family is turned away */
};

static enum pattern read_bits(const char *text, unsigned max, unsigned *out)
{
        size_t len = strcspn(text, "/"), at = strspn(text, BLANKS), digits;

        at = at > len ? len : at;
        if (text[at] == '-' && text[at + 1] >= '1' && text[at + 1] <= '9')
                return PATTERN_THROWS;
        digits = strspn(text + at, "0123456789");
        if (at + digits + strspn(text + at + digits, BLANKS) < len)
                return PATTERN_NONE;    /* not a whole number */
        if (digits > 3)
                return PATTERN_THROWS;
        *out = digits ? (unsigned)strtoul(text + at, NULL, 10) : 0;
        return *out > max ? PATTERN_THROWS : PATTERN_GOOD;
}

/* The zone of an address is its host's own business, and IPv4 in IPv6 is IPv4. */
static bool read_address(char *text, struct ipc_rule *rule)
{
        struct in6_addr v6;

        text[strcspn(text, "%")] = '\0';
        if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
                text += 7;
        memset(rule->ip, 0, sizeof(rule->ip));
        if (inet_pton(AF_INET, text, rule->ip + 12) == 1) {
                rule->who = IPC_RULE_IPV4;
                memset(rule->ip + 10, 0xff, 2);
        } else if (inet_pton(AF_INET6, text, &v6) == 1) {
                memcpy(rule->ip, &v6, sizeof(rule->ip));
                rule->who = IN6_IS_ADDR_V4MAPPED(&v6) ? IPC_RULE_IPV4 : IPC_RULE_IPV6;
        } else {
                return false;
        }
        return true;
}

static enum pattern read_pattern(const char *said, struct ipc_rule *rule)
{
        size_t skip = strspn(said, BLANKS), len = strlen(said + skip);
        enum pattern verdict = PATTERN_GOOD;
        char text[PATTERN_MAX], *slash;
        unsigned bits;

        while (len && strchr(BLANKS, said[skip + len - 1]))
                len--;
        if (len >= sizeof(text))
                return PATTERN_NONE;
        memcpy(text, said + skip, len);
        text[len] = '\0';
        if (strcmp(text, "*") == 0)
                return PATTERN_GOOD;
        slash = strchr(text, '/');
        if (slash)
                *slash = '\0';
        if (!read_address(text, rule))
                return PATTERN_NONE;
        bits = rule->who == IPC_RULE_IPV4 ? 128 - V4_BITS : 128;
        if (slash)
                verdict = read_bits(slash + 1, bits, &bits);
        if (verdict == PATTERN_THROWS)
                bits = 0;
        rule->bits = (uint8_t)(bits + (rule->who == IPC_RULE_IPV4 ? V4_BITS : 0));
        policy_network_cut(rule->ip, rule->bits);
        return verdict;
}

/* [80, 443], and what the original's own example writes: [{"from": 80, "to": 443}] or that object alone. False: several of these, which one
 * range can't say. What is none of it does not count. */
static bool read_ports(json_t *said, uint16_t *first, uint16_t *last)
{
        json_t *from = json_array_get(said, 0), *to = json_array_get(said, 1);

        if (json_is_object(from) && json_array_size(said) > 1)
                return false;
        if (json_is_object(from))
                said = from;
        if (json_is_object(said)) {
                from = json_object_get(said, "from");
                to = json_object_get(said, "to");
        }
        if (!json_is_number(from) || !json_is_number(to))
                return true;
        *first = (uint16_t)within(ceil(json_number_value(from)), 0, UINT16_MAX);
        *last = (uint16_t)within(floor(json_number_value(to)), 0, UINT16_MAX);
        if (json_number_value(from) > UINT16_MAX || json_number_value(to) < 0) {
                *first = 1;             /* nothing is in it */
                *last = 0;
        }
        return true;
}

static uint8_t read_protocols(json_t *said)
{
        uint8_t protocols = 0;
        json_t *name;
        size_t i;

        json_array_foreach (said, i, name) {
                const char *text = json_is_string(name) ? json_string_value(name) : "";

                protocols |= strcmp(text, "tcp") == 0 ? 1 << IPC_TCP : strcmp(text, "udp") == 0 ? 1 << IPC_UDP : 0;
        }
        return protocols;
}

static uint64_t read_rate(double mbps)
{
        return (uint64_t)within(floor(mbps * MBIT_BYTES + 0.5), 1, (double)(IPC_RATE_MAX - 1));
}

static void read_limit(json_t *said, struct ipc_rule *rule)
{
        json_t *mbps = json_object_get(said, "mbps"), *burst = json_object_get(said, "burstMbps");
        const char *direction = json_string_value(json_object_get(said, "direction"));

        if (!json_is_number(mbps) || json_number_value(mbps) <= 0 || (json_is_number(burst) && json_number_value(burst) <= 0))
                return;
        rule->bytes_per_s = read_rate(json_number_value(mbps));
        rule->burst_bytes = read_rate(json_number_value(json_is_number(burst) ? burst : mbps));
        if (direction && strcmp(direction, "up") == 0)
                rule->ways = IPC_RULE_UP;
        else if (direction && strcmp(direction, "down") == 0)
                rule->ways = IPC_RULE_DOWN;
}

static void read_labels(json_t *said, char out[IPC_LABELS_MAX])
{
        size_t used = 0, i;
        json_t *label;

        json_array_foreach (said, i, label) {
                size_t len = json_string_length(label);

                if (!json_is_string(label) || len == 0 || used + len + 2 > IPC_LABELS_MAX || memchr(json_string_value(label), '\0', len))
                        continue;
                memcpy(out + used, json_string_value(label), len);
                used += len + 1;
        }
}

/* False: it has expired at the epoch, so it was never there. */
static bool read_expiry(json_t *said, struct ipc_rule *rule)
{
        double at_ms = json_is_number(said) ? ceil(json_number_value(said)) : 0;

        if (!json_is_number(said))
                return true;
        rule->expires_ms = at_ms > 0 && at_ms < 9e15 ? (uint64_t)at_ms : 0;
        return at_ms > 0;
}

/* What it says beside whom it is about. */
static bool read_rule(json_t *said, struct ipc_rule *rule)
{
        uint16_t only[2] = { rule->port_first, rule->port_last }, except[2] = { rule->except_first, rule->except_last };
        json_t *protocols = json_object_get(said, "onlyProtocols"), *not = json_object_get(said, "excludeProtocols");

        rule->allow = is_truthy(json_object_get(said, "allow"));
        if (!read_ports(json_object_get(said, "onlyPorts"), &only[0], &only[1]) ||
            !read_ports(json_object_get(said, "excludePorts"), &except[0], &except[1])) {
                rule->allow = 0;
        } else if (rule->who != IPC_RULE_OTHERS) {
                rule->port_first = only[0];
                rule->port_last = only[1];
                rule->except_first = except[0];
                rule->except_last = except[1];
        }
        if (json_is_array(protocols) && rule->who != IPC_RULE_OTHERS)
                rule->protocols = read_protocols(protocols);
        if (json_is_array(not) && rule->who != IPC_RULE_OTHERS)
                rule->protocols &= (uint8_t)~read_protocols(not);
        read_limit(json_object_get(said, "bandwidthLimit"), rule);
        read_labels(json_object_get(said, "labels"), rule->labels);
        return read_expiry(json_object_get(said, "expireAt"), rule);
}

/* False: it is about nobody. */
static bool decode_rule(const char *pattern, json_t *said, struct ipc_rule *out)
{
        struct ipc_rule rule = about_all;
        enum pattern verdict = read_pattern(pattern, &rule);

        if (verdict == PATTERN_NONE || (verdict == PATTERN_GOOD && !read_rule(said, &rule)))
                return false;
        *out = rule;
        return true;
}

static bool is_inherited(const char *key)
{
        return strcmp(key, "__proto__") == 0 || strcmp(key, "prototype") == 0 || strcmp(key, "constructor") == 0;
}

size_t router_policy_decode(json_t *policy, struct ipc_rule *out)
{
        json_t *defaults = json_object_get(policy, "defaults"), *ips = json_object_get(policy, "ips"), *said;
        struct ipc_rule others = about_all;
        const char *pattern;
        size_t count = 0;

        if (json_object_size(ips) >= IPC_RULES_MAX) {
                *out = about_all;
                return 1;
        }
        json_object_foreach (ips, pattern, said)
                if (!is_inherited(pattern) && decode_rule(pattern, said, &out[count]))
                        count++;
        others.who = IPC_RULE_OTHERS;
        if (defaults && !json_is_null(defaults) && read_rule(defaults, &others))
                out[count++] = others;
        return count;
}

static bool put(json_t *object, const char *key, json_t *value)
{
        return json_object_set_new(object, key, value) == 0;
}

static json_t *encode_number(double number)
{
        return number == floor(number) ? json_integer((json_int_t)number) : json_real(number);
}

static bool put_limit(json_t *object, const struct ipc_rule *rule)
{
        json_t *limit;
        bool good;

        if (!rule->bytes_per_s)
                return true;
        limit = json_pack("{s:o, s:o}", "mbps", encode_number((double)rule->bytes_per_s / MBIT_BYTES),
                          "burstMbps", encode_number((double)rule->burst_bytes / MBIT_BYTES));
        good = limit && (rule->ways == about_all.ways || put(limit, "direction", json_string(rule->ways == IPC_RULE_UP ? "up" : "down")));
        return json_object_set_new(object, "bandwidthLimit", limit) == 0 && good;
}

static bool put_labels(json_t *object, const char *label)
{
        json_t *list;

        if (!*label)
                return true;
        list = json_array();
        for (; *label; label += strlen(label) + 1)
                if (json_array_append_new(list, json_string(label)) < 0) {
                        json_decref(list);
                        return false;
                }
        return put(object, "labels", list);
}

static json_t *encode_rule(const struct ipc_rule *rule)
{
        json_t *object = json_pack("{s:b}", "allow", rule->allow);
        bool good = object && put_limit(object, rule) && put_labels(object, rule->labels);

        if (rule->expires_ms)
                good = good && put(object, "expireAt", json_integer((json_int_t)rule->expires_ms));
        if (rule->port_first != about_all.port_first || rule->port_last != about_all.port_last)
                good = good && put(object, "onlyPorts", json_pack("[i,i]", rule->port_first, rule->port_last));
        if (rule->except_first <= rule->except_last)
                good = good && put(object, "excludePorts", json_pack("[i,i]", rule->except_first, rule->except_last));
        if (rule->protocols == 1 << IPC_TCP || rule->protocols == 1 << IPC_UDP)
                good = good && put(object, "onlyProtocols", json_pack("[s]", rule->protocols == 1 << IPC_TCP ? "tcp" : "udp"));
        else if (!rule->protocols)
                good = good && put(object, "onlyProtocols", json_array());
        if (good)
                return object;
        json_decref(object);
        return NULL;
}

static void pattern_text(const struct ipc_rule *rule, char out[PATTERN_MAX])
{
        bool v4 = rule->who == IPC_RULE_IPV4;
        unsigned bits = rule->bits - (v4 ? V4_BITS : 0u), all = v4 ? 128 - V4_BITS : 128;

        if (rule->who == IPC_RULE_ALL) {
                strcpy(out, "*");
                return;
        }
        inet_ntop(v4 ? AF_INET : AF_INET6, rule->ip + (v4 ? 12 : 0), out, PATTERN_MAX);
        if (bits < all)
                snprintf(out + strlen(out), PATTERN_MAX - strlen(out), "/%u", bits);
}

json_t *router_policy_encode(const struct ipc_rule *rules, size_t count)
{
        json_t *policy = json_object(), *ips = json_object();
        bool good = policy && ips;

        for (size_t i = 0; good && i < count; i++) {
                char pattern[PATTERN_MAX];

                if (rules[i].who == IPC_RULE_OTHERS) {
                        good = put(policy, "defaults", encode_rule(&rules[i]));
                        continue;
                }
                pattern_text(&rules[i], pattern);
                if (!json_object_get(ips, pattern))     /* the first one decides */
                        good = put(ips, pattern, encode_rule(&rules[i]));
        }
        if (good && json_object_size(ips))
                good = json_object_set(policy, "ips", ips) == 0;
        json_decref(ips);
        if (good)
                return policy;
        json_decref(policy);
        return NULL;
}
