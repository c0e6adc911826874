/* SPDX-License-Identifier: BSD-3-Clause */
/* Ingress policies: who may come in by a gate. A copy that nobody changes any more, shared by those who hold it. */
#ifndef HG_POLICY_H
#define HG_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_rule.h"

struct policy {
        unsigned holders;
        size_t count;
        struct ipc_rule rule[];
};

/* Who asks, and for what. */
struct policy_client {
        const uint8_t *ip;              /* 16 bytes; IPv4 as ::ffff:a.b.c.d */
        uint16_t gate_port, protocol;
        uint64_t now_ms;                /* since the epoch */
};

/* Whether it is what ipc_rule.h says. */
bool policy_rule_is_sound(const struct ipc_rule *rule);

/* Clears what is beyond @bits of it. */
void policy_network_cut(uint8_t ip[16], unsigned bits);

/* A copy of sound rules (@count: 1..IPC_RULES_MAX), held once. NULL: no memory. */
struct policy *policy_new(const struct ipc_rule *rules, size_t count);

/* The same from bytes that came from elsewhere. 0, -EPROTO or -ENOMEM. */
int policy_read(const void *bytes, size_t len, struct policy **out);

/* The same from a sealed memory file (ipc_blob.h) of @len bytes, which stays open. */
int policy_receive(int fd, size_t len, struct policy **out);

/* One holder more or less; the last one frees it. NULL is fine, and is a policy without rules. */
struct policy *policy_hold(struct policy *policy);
void policy_leave(struct policy *policy);

/* Holds @policy in place of what is held there. */
void policy_set(struct policy **held, struct policy *policy);

/* The same rules in the same order. */
bool policy_same(const struct policy *a, const struct policy *b);

/* The rule that decides; NULL: there is none about this client. */
const struct ipc_rule *policy_find(const struct policy *policy, const struct policy_client *client);

/* Whether that one lets it in: without one, everybody may. */
static inline bool policy_admits(const struct ipc_rule *rule)
{
        return !rule || rule->allow;
}

#endif
