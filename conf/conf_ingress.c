/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_ingress.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_network.h"

enum { V4_BITS = 96 };

#define MBIT_BYTES 125000.0             /* of a second at 1 Mbit/s */
#define MBPS_MAX 1000000
#define EXPIRY_MAX_MS 9e15              /* what a number of JSON tells exactly */

struct reading {
        struct conf_rule rule;
        bool ill;
        const struct conf_node *limit, *burst_at, *direction_at;
};

static bool read_number(struct conf_read *read, const struct conf_node *node, double min, double max, const char *expected, double *out)
{
        const char *text = node->kind == CONF_PLAIN ? node->text : "";
        bool good = *text >= '0' && *text <= '9' && strspn(text, "0123456789.eE+-") == strlen(text);
        char *end;
        double number = good ? strtod(text, &end) : 0;

        if (!good || *end || !isfinite(number) || number < min || number > max)
                return conf_value_wrong(read, node, expected);
        *out = number;
        return true;
}

static void read_allow(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;

        reading->ill |= !conf_value_bool(read, node, &reading->rule.allow);
}

static uint64_t rate_of(double mbps)
{
        return (uint64_t)floor(mbps * MBIT_BYTES + 0.5);
}

static bool read_mbit(struct conf_read *read, const struct conf_node *node, uint64_t *out)
{
        double mbps = 0;

        if (!read_number(read, node, 0.001, MBPS_MAX, "Mbit/s from 0.001 to 1000000, such as 10", &mbps))
                return false;
        *out = rate_of(mbps);
        return true;
}

static void read_mbps(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;

        reading->ill |= !read_mbit(read, node, &reading->rule.bytes_per_s);
}

static void read_burst(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;

        reading->burst_at = node;
        reading->ill |= !read_mbit(read, node, &reading->rule.burst_bytes);
}

static void read_direction(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const names[] = { "up", "down", "both", NULL };
        struct reading *reading = into;
        unsigned way;

        if (conf_value_choice(read, node, names, &way))
                reading->rule.ways = way + 1;
        else
                reading->ill = true;
}

static void read_limit(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const struct conf_field fields[] = {
                { "mbps", read_mbps }, { "burstMbps", read_burst }, { "direction", read_direction }, { NULL, NULL },
        };
        struct reading *reading = into;

        if (conf_value_is_empty(node))
                return;
        conf_value_map(read, node, "bandwidthLimit", fields, reading);
        if (!reading->ill && !reading->rule.bytes_per_s) {
                conf_error(&read->report, conf_value_file(read, node), node->at,
                           "bandwidthLimit without mbps, such as {mbps: 10, burstMbps: 20}");
                reading->ill = true;
        }
        if (!reading->burst_at)
                reading->rule.burst_bytes = reading->rule.bytes_per_s;
}

static void read_expiry(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;
        double at_ms = 0;

        if (!read_number(read, node, 1, EXPIRY_MAX_MS, "milliseconds since 1970, such as 1798761600000", &at_ms)) {
                reading->ill = true;
                return;
        }
        reading->rule.expires_ms = (uint64_t)ceil(at_ms);
}

static void read_labels(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;
        const struct conf_node *entry;
        uint32_t count;
        size_t used = 0;

        if (!conf_value_list(read, node, CONF_LABELS_MAX, &entry, &count)) {
                reading->ill = true;
                return;
        }
        for (; count > 0; count--, entry = entry->next) {
                const char *label = "";
                size_t len;

                if (!conf_value_text(read, entry, "vip", &label)) {
                        reading->ill = true;
                        continue;
                }
                len = strlen(label);
                if (used + len + 2 > CONF_LABELS_MAX) {
                        reading->ill = !conf_value_wrong(read, entry, "labels of at most 126 bytes together, each with one more");
                        return;
                }
                memcpy(reading->rule.labels + used, label, len);
                used += len + 1;
        }
}

/* 80-443 or 80, and the original's [80, 443] and {from: 80, to: 443}, alone or in a list. */
static bool read_ports(struct conf_read *read, const struct conf_node *node, uint16_t *first, uint16_t *last)
{
        const struct conf_node *from = NULL, *to = NULL;
        uint16_t none;

        if (node->kind == CONF_PLAIN || node->kind == CONF_QUOTED)
                return conf_value_ports(read, node, first, last);
        if (node->kind == CONF_LIST && node->count == 1 && node->first->kind == CONF_MAP)
                node = node->first;
        if (node->kind == CONF_MAP && node->count == 2) {
                from = conf_value_member(node, "from");
                to = conf_value_member(node, "to");
        } else if (node->kind == CONF_LIST && node->count == 2) {
                from = node->first;
                to = node->first->next;
        }
        if (!from || !to)
                return conf_value_wrong(read, node, "one range of ports, such as 80-443 or [80, 443]");
        if (!conf_value_ports(read, from, first, &none) || !conf_value_ports(read, to, &none, last))
                return false;
        return *first <= *last || conf_value_wrong(read, node, "the lower port first, such as [80, 443]");
}

static void read_only_ports(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;

        reading->ill |= !read_ports(read, node, &reading->rule.port_first, &reading->rule.port_last);
}

static void read_except_ports(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;

        reading->ill |= !read_ports(read, node, &reading->rule.except_first, &reading->rule.except_last);
}

static bool read_protocols(struct conf_read *read, const struct conf_node *node, unsigned *out)
{
        static const char *const names[] = { "tcp", "udp", NULL };
        const struct conf_node *entry;
        unsigned protocol;
        uint32_t count;

        *out = 0;
        if (!conf_value_list(read, node, 2, &entry, &count))
                return false;
        for (; count > 0; count--, entry = entry->next) {
                if (!conf_value_choice(read, entry, names, &protocol))
                        return false;
                *out |= 1u << protocol;
        }
        return true;
}

static void read_only_protocols(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;
        unsigned protocols;

        if (read_protocols(read, node, &protocols))
                reading->rule.protocols &= (uint8_t)protocols;
        else
                reading->ill = true;
}

static void read_except_protocols(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct reading *reading = into;
        unsigned protocols;

        if (read_protocols(read, node, &protocols))
                reading->rule.protocols &= (uint8_t)~protocols;
        else
                reading->ill = true;
}

/* For whoever reads the file: gateways are not told. */
static void read_nothing(struct conf_read *read, const struct conf_node *node, void *into)
{
}

static const struct conf_field of_a_network[] = {
        { "allow", read_allow }, { "bandwidthLimit", read_limit }, { "expireAt", read_expiry }, { "labels", read_labels },
        { "onlyPorts", read_only_ports }, { "excludePorts", read_except_ports }, { "onlyProtocols", read_only_protocols },
        { "excludeProtocols", read_except_protocols }, { "desc", read_nothing }, { NULL, NULL },
};

/* The original passes over what else it says. */
static const struct conf_field of_others[] = {
        { "allow", read_allow }, { "bandwidthLimit", read_limit }, { "expireAt", read_expiry }, { "labels", read_labels },
        { "desc", read_nothing }, { NULL, NULL },
};

/* The original's file means what it means there, where a rule that does not say lets nobody in (Hypergate, Gateway.ts; hypergate.md 8). */
static bool keeps_out_by_silence(const struct conf_read *read, const struct conf_node *rule)
{
        return conf_value_file(read, rule)->json && !conf_value_member(rule, "allow");
}

struct policy_reading {
        struct conf_rule *rules;
        size_t count;
        struct reading others;
        bool ill, has_others;
};

static struct reading about_all(void)
{
        struct reading reading;

        memset(&reading, 0, sizeof(reading));   /* rules are compared with what is between their members */
        reading.rule.allow = true;
        reading.rule.protocols = 1 << CONF_TCP | 1 << CONF_UDP;
        reading.rule.port_last = UINT16_MAX;
        reading.rule.except_first = 1;
        reading.rule.ways = CONF_UP | CONF_DOWN;
        return reading;
}

static void read_defaults(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct policy_reading *policy = into;

        if (conf_value_is_empty(node))
                return;
        policy->others = about_all();
        policy->others.rule.who = CONF_RULE_OTHERS;
        policy->has_others = true;
        conf_value_map(read, node, "defaults", of_others, &policy->others);
        if (keeps_out_by_silence(read, node))
                policy->others.rule.allow = false;
        policy->ill |= policy->others.ill || node->kind != CONF_MAP;
}

static bool read_pattern(struct conf_read *read, const struct conf_node *node, struct conf_rule *rule)
{
        struct conf_network network;
        const char *expected;
        bool v4;

        if (strcmp(node->key, "*") == 0) {
                rule->who = CONF_RULE_ALL;
                return true;
        }
        expected = conf_network_parse(node->key, &network);
        if (expected) {
                char quoted[CONF_QUOTE_MAX];

                conf_quote(node->key, quoted, sizeof(quoted));
                conf_error(&read->report, conf_value_file(read, node), node->key_at,
                           "ips: expected %s, or \"*\" for all, not %s", expected, quoted);
                return false;
        }
        memcpy(rule->ip, network.ip, sizeof(rule->ip));
        rule->bits = network.bits;
        v4 = network.bits >= V4_BITS && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)rule->ip);
        rule->who = v4 ? CONF_RULE_IPV4 : CONF_RULE_IPV6;
        return true;
}

static bool is_there(const struct policy_reading *policy, const struct conf_rule *rule)
{
        for (size_t i = 0; i < policy->count; i++)
                if (policy->rules[i].who == rule->who && policy->rules[i].bits == rule->bits &&
                    memcmp(policy->rules[i].ip, rule->ip, sizeof(rule->ip)) == 0)
                        return true;
        return false;
}

static void read_ips(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct policy_reading *policy = into;

        if (conf_value_is_empty(node))
                return;
        if (node->kind != CONF_MAP) {
                policy->ill = !conf_value_wrong(read, node, "a map of networks, such as \"10.0.0.0/8\": {allow: true}");
                return;
        }
        for (const struct conf_node *member = node->first; member; member = member->next) {
                struct reading reading = about_all();
                bool good = read_pattern(read, member, &reading.rule);

                if (good && is_there(policy, &reading.rule)) {
                        conf_error(&read->report, conf_value_file(read, member), member->key_at,
                                   "ips: each network once: the first one decides");
                        good = false;
                }
                conf_value_map(read, member, "a rule", of_a_network, &reading);
                if (keeps_out_by_silence(read, member))
                        reading.rule.allow = false;
                policy->ill |= !good || reading.ill || (member->kind != CONF_MAP && !conf_value_is_empty(member));
                policy->rules[policy->count++] = reading.rule;
        }
}

const struct conf_ingress *conf_ingress_parse(struct conf_read *read, const struct conf_node *node)
{
        static const struct conf_field fields[] = { { "defaults", read_defaults }, { "ips", read_ips }, { NULL, NULL } };
        const struct conf_node *ips = conf_value_member(node, "ips");
        struct policy_reading policy = { .rules = NULL };
        struct conf_ingress *ingress;

        policy.rules = conf_arena_take(&read->image, ((ips ? ips->count : 0) + 1) * sizeof(*policy.rules));
        conf_value_map(read, node, "ingressPolicy", fields, &policy);
        if (policy.ill || (node->kind != CONF_MAP && !conf_value_is_empty(node)))
                return NULL;
        if (policy.has_others)
                policy.rules[policy.count++] = policy.others.rule;
        ingress = conf_arena_take(&read->image, sizeof(*ingress));
        ingress->rules = policy.rules;
        ingress->count = policy.count;
        return ingress;
}

static void warn_of_silence(struct conf_read *read, const struct conf_node *rule)
{
        if (keeps_out_by_silence(read, rule))
                conf_warning(&read->report, conf_value_file(read, rule), rule->key_at,
                             "a rule without allow keeps its clients out, as with the original: write \"allow\": true, or false "
                             "if that is meant");
}

void conf_ingress_warn(struct conf_read *read, const struct conf_node *node)
{
        const struct conf_node *defaults = conf_value_member(node, "defaults"), *ips = conf_value_member(node, "ips");

        if (defaults && !conf_value_is_empty(defaults))
                warn_of_silence(read, defaults);
        for (const struct conf_node *member = ips ? ips->first : NULL; member; member = member->next)
                warn_of_silence(read, member);
}

const struct conf_ingress *conf_ingress_read(struct conf_read *read, const struct conf_node *node)
{
        const struct conf_ingress *ingress = conf_ingress_parse(read, node);

        if (ingress)
                conf_ingress_warn(read, node);
        return ingress;
}

const struct conf_ingress *conf_ingress_nobody(struct conf_read *read)
{
        struct conf_rule *rule = conf_arena_take(&read->image, sizeof(*rule));
        struct conf_ingress *ingress = conf_arena_take(&read->image, sizeof(*ingress));
        struct reading others = about_all();

        memcpy(rule, &others.rule, sizeof(*rule));      /* with what is between its members */
        rule->who = CONF_RULE_OTHERS;
        rule->allow = false;
        ingress->rules = rule;
        ingress->count = 1;
        return ingress;
}

int conf_ingress_compare(const struct conf_ingress *a, const struct conf_ingress *b)
{
        if (!a || !b)
                return (a != NULL) - (b != NULL);
        if (a->count != b->count)
                return a->count < b->count ? -1 : 1;
        return a->count ? memcmp(a->rules, b->rules, a->count * sizeof(*a->rules)) : 0;
}

static void show_labels(FILE *out, const char *label)
{
        const char *separator = ", labels: [";

        if (!*label)
                return;
        for (; *label; label += strlen(label) + 1, separator = ", ") {
                fputs(separator, out);
                conf_text_show(out, label);
        }
        fputc(']', out);
}

static void show_rule(FILE *out, const struct conf_rule *rule)
{
        static const char *const ways[] = { "", "up", "down", "both" };

        fprintf(out, "{allow: %s", rule->allow ? "true" : "false");
        if (rule->bytes_per_s)
                fprintf(out, ", bandwidthLimit: {mbps: %.12g, burstMbps: %.12g, direction: %s}", (double)rule->bytes_per_s / MBIT_BYTES,
                        (double)rule->burst_bytes / MBIT_BYTES, ways[rule->ways]);
        if (rule->expires_ms)
                fprintf(out, ", expireAt: %llu", (unsigned long long)rule->expires_ms);
        show_labels(out, rule->labels);
        if (rule->port_first || rule->port_last < UINT16_MAX)
                fprintf(out, ", onlyPorts: [%u, %u]", rule->port_first, rule->port_last);
        if (rule->except_first <= rule->except_last)
                fprintf(out, ", excludePorts: [%u, %u]", rule->except_first, rule->except_last);
        if (rule->protocols != (1 << CONF_TCP | 1 << CONF_UDP))
                fprintf(out, ", onlyProtocols: [%s]", rule->protocols == 1 << CONF_TCP ? "tcp" : rule->protocols ? "udp" : "");
        fputc('}', out);
}

static void show_network(FILE *out, const struct conf_rule *rule)
{
        bool v4 = rule->who == CONF_RULE_IPV4;
        char text[INET6_ADDRSTRLEN] = "*";

        if (rule->who != CONF_RULE_ALL)
                inet_ntop(v4 ? AF_INET : AF_INET6, rule->ip + (v4 ? 12 : 0), text, sizeof(text));
        if (rule->who != CONF_RULE_ALL && rule->bits < 128)
                fprintf(out, "\"%s/%u\": ", text, rule->bits - (v4 ? V4_BITS : 0u));
        else
                fprintf(out, "\"%s\": ", text);
}

void conf_ingress_show(FILE *out, const struct conf_ingress *ingress)
{
        size_t networks = ingress->count && ingress->rules[ingress->count - 1].who == CONF_RULE_OTHERS ? ingress->count - 1 : ingress->count;

        fputc('{', out);
        if (networks < ingress->count) {
                fputs("defaults: ", out);
                show_rule(out, &ingress->rules[networks]);
                fputs(networks ? ", " : "", out);
        }
        fputs(networks ? "ips: {" : "", out);
        for (size_t i = 0; i < networks; i++) {
                fputs(i ? ", " : "", out);
                show_network(out, &ingress->rules[i]);
                show_rule(out, &ingress->rules[i]);
        }
        fputs(networks ? "}}" : "}", out);
}
