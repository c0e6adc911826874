/* SPDX-License-Identifier: BSD-3-Clause */
/* The ingress policy of a route, as the original writes it (Hypergate, IngressPolicy.ts; hypergate.md 8), and as rules.
 *
 *      {"defaults":{"allow":true},"ips":{"10.0.0.0/8":{"allow":true,"bandwidthLimit":{"mbps":10,"burstMbps":20}},"*":{"allow":false}}}
 *
 * What turned clients away there turns them away here: a rule that makes the original throw, or that can't be told in rules of ours, lets
 * nobody in. */
#ifndef HG_ROUTER_POLICY_H
#define HG_ROUTER_POLICY_H

#include <jansson.h>
#include <stddef.h>

#include "ipc_rule.h"

/* Writes at most IPC_RULES_MAX rules and returns how many; 0: everybody may come. One with more becomes one that lets nobody in. */
size_t router_policy_decode(json_t *policy, struct ipc_rule *out);

/* NULL: no memory, or a label that is not UTF-8. */
json_t *router_policy_encode(const struct ipc_rule *rules, size_t count);

#endif
