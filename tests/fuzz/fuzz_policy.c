/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy from another worker: whatever is taken answers for every client, and each of its rules that could decide does so only for whom it
 * is about. */
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void ask(const struct policy *policy, const uint8_t ip[16])
{
        static const struct { uint16_t port, protocol; uint64_t now_ms; } gates[] = {
                { 1, 0, 0 }, { 8080, 1, 1764000000000 }, { UINT16_MAX, 0, UINT64_MAX },
        };

        for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++) {
                struct policy_client client = { .ip = ip, .gate_port = gates[i].port, .protocol = gates[i].protocol,
                                                .now_ms = gates[i].now_ms };
                const struct ipc_rule *rule = policy_find(policy, &client);
                uint8_t cut[16];

                if (!rule)
                        continue;
                demand(rule >= policy->rule && rule < policy->rule + policy->count);
                demand(rule->expires_ms == 0 || rule->expires_ms > client.now_ms);
                memcpy(cut, ip, sizeof(cut));
                policy_network_cut(cut, rule->bits);
                demand(memcmp(cut, rule->ip, rule->who == IPC_RULE_IPV4 || rule->who == IPC_RULE_IPV6 ? sizeof(cut) : 0) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 }, v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
        struct policy *policy;

        if (policy_read(data, len, &policy) < 0)
                return 0;
        ask(policy, v4);
        ask(policy, v6);
        for (size_t i = 0; i < policy->count; i++)
                ask(policy, policy->rule[i].ip);
        policy_leave(policy);
        return 0;
}
