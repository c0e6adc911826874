/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_blob.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

void policy_network_cut(uint8_t ip[16], unsigned bits)
{
        for (unsigned i = bits / 8; i < 16; i++)
                ip[i] &= i > bits / 8 ? 0 : (uint8_t)~(0xff >> bits % 8);
}

static bool is_within(const uint8_t ip[16], const uint8_t network[16], unsigned bits)
{
        uint8_t rest = (uint8_t)~(0xff >> bits % 8);

        return memcmp(ip, network, bits / 8) == 0 && (!rest || !((ip[bits / 8] ^ network[bits / 8]) & rest));
}

static bool is_ipv4(const uint8_t ip[16])
{
        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static bool network_is_sound(const struct ipc_rule *rule)
{
        uint8_t cut[16];

        if (rule->bits > 128)
                return false;
        memcpy(cut, rule->ip, sizeof(cut));
        policy_network_cut(cut, rule->bits);
        if (memcmp(cut, rule->ip, sizeof(cut)) != 0)
                return false;
        switch (rule->who) {
        case IPC_RULE_IPV4:
                return rule->bits >= 96 && is_ipv4(rule->ip);
        case IPC_RULE_IPV6:
                return true;
        default:
                return rule->bits == 0;
        }
}

/* Each label ends. */
static bool labels_are_sound(const char labels[IPC_LABELS_MAX])
{
        return labels[IPC_LABELS_MAX - 1] == '\0';
}

bool policy_rule_is_sound(const struct ipc_rule *rule)
{
        return rule->who < IPC_RULE_WHOS && network_is_sound(rule) && rule->allow <= 1 && rule->protocols <= 3 && rule->ways <= 3 &&
               rule->bytes_per_s < IPC_RATE_MAX && rule->burst_bytes < IPC_RATE_MAX &&
               (rule->bytes_per_s == 0) == (rule->burst_bytes == 0) && labels_are_sound(rule->labels);
}

struct policy *policy_new(const struct ipc_rule *rules, size_t count)
{
        struct policy *policy = malloc(sizeof(*policy) + count * sizeof(*rules));

        if (!policy)
                return NULL;
        policy->holders = 1;
        policy->count = count;
        memcpy(policy->rule, rules, count * sizeof(*rules));
        return policy;
}

int policy_read(const void *bytes, size_t len, struct policy **out)
{
        size_t count = len / sizeof(struct ipc_rule);
        struct policy *policy;

        if (len == 0 || len % sizeof(struct ipc_rule) || count > IPC_RULES_MAX)
                return -EPROTO;
        policy = policy_new(bytes, count);
        if (!policy)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                if (!policy_rule_is_sound(&policy->rule[i]) || (policy->rule[i].who == IPC_RULE_OTHERS && i + 1 < count)) {
                        free(policy);
                        return -EPROTO;
                }
        *out = policy;
        return 0;
}

int policy_receive(int fd, size_t len, struct policy **out)
{
        uint8_t *bytes;
        int r = ipc_blob_read(fd, len, &bytes);

        if (r < 0)
                return r;
        r = policy_read(bytes, len, out);
        free(bytes);
        return r;
}

struct policy *policy_hold(struct policy *policy)
{
        if (policy)
                policy->holders++;
        return policy;
}

void policy_leave(struct policy *policy)
{
        if (policy && --policy->holders == 0)
                free(policy);
}

void policy_set(struct policy **held, struct policy *policy)
{
        policy_hold(policy);
        policy_leave(*held);
        *held = policy;
}

bool policy_same(const struct policy *a, const struct policy *b)
{
        if (!a || !b)
                return a == b;
        return a == b || (a->count == b->count && memcmp(a->rule, b->rule, a->count * sizeof(*a->rule)) == 0);
}

static bool is_about_address(const struct ipc_rule *rule, const uint8_t ip[16])
{
        switch (rule->who) {
        case IPC_RULE_IPV4:
        case IPC_RULE_IPV6:
                return (rule->who == IPC_RULE_IPV4) == is_ipv4(ip) && is_within(ip, rule->ip, rule->bits);
        default:
                return true;
        }
}

static bool is_about_gate(const struct ipc_rule *rule, uint16_t port, uint16_t protocol)
{
        if (rule->who == IPC_RULE_OTHERS)
                return true;
        return port >= rule->port_first && port <= rule->port_last && (port < rule->except_first || port > rule->except_last) &&
               (rule->protocols & 1u << protocol);
}

const struct ipc_rule *policy_find(const struct policy *policy, const struct policy_client *client)
{
        for (size_t i = 0; policy && i < policy->count; i++) {
                const struct ipc_rule *rule = &policy->rule[i];

                if ((rule->expires_ms == 0 || rule->expires_ms > client->now_ms) && is_about_address(rule, client->ip) &&
                    is_about_gate(rule, client->gate_port, client->protocol))
                        return rule;
        }
        return NULL;
}
