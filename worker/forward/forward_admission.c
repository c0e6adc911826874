/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_admission.h"

#include <string.h>

#include "policy.h"

void admissions_begin(struct admissions *admissions)
{
        policy_leave(admissions->policy_next);
        admissions->policy_next = NULL;
        admissions->allowed_next.count = 0;
}

void admissions_restrict(struct admissions *admissions, struct policy *policy)
{
        policy_set(&admissions->policy_next, policy);
}

void admissions_end(struct admissions *admissions)
{
        policy_leave(admissions->policy);
        admissions->policy = admissions->policy_next;
        admissions->policy_next = NULL;
        admissions->allowed = admissions->allowed_next;
}

void admissions_fini(struct admissions *admissions)
{
        policy_leave(admissions->policy);
        policy_leave(admissions->policy_next);
}

static const struct ipc_rule *find_rule(const struct admission *admission, const struct policy *policy, uint16_t port)
{
        return policy_find(policy, &(struct policy_client){ .ip = admission->ip, .gate_port = port, .protocol = admission->protocol,
                                                            .now_ms = admission->now_ms });
}

void admission_begin(struct admission *admission, const struct admissions *admissions, const union socket_address *remote, uint16_t port,
                     uint16_t protocol, uint64_t now_ms)
{
        *admission = (struct admission){ .protocol = protocol, .now_ms = now_ms };
        socket_address_ip(remote, admission->ip);
        admission->allowed = ipc_allowances_has(&admissions->allowed, admission->ip, now_ms);
        admission->own = find_rule(admission, admissions->policy, port);
}

bool admission_here(const struct admission *admission)
{
        return admission->allowed || policy_admits(admission->own);
}

/* Policies of providers are about the gate port that their provider has. */
const struct ipc_rule *admission_rule_there(const struct admission *admission, const struct choose_way *way)
{
        return find_rule(admission, way->policy, way->offered_port);
}

bool admission_there(const struct admission *admission, const struct choose_way *way)
{
        return admission->allowed || policy_admits(admission_rule_there(admission, way));
}

static bool limits(const struct ipc_rule *rule)
{
        return rule && rule->allow && rule->bytes_per_s;
}

bool admission_is_limited(const struct admission *admission, const struct choose_way *way)
{
        return !admission->allowed && (limits(admission->own) || limits(admission_rule_there(admission, way)));
}

/* All connections of the client share its bucket, also those by other gates, whose workers know nothing of us, and those to the other swarm
 * workers of that provider, which are other peers. The gateway's is another one than a provider's that says the same. */
static void put_limit(const struct ipc_rule *rule, bool own, const uint8_t address[16], struct ipc_limit *out)
{
        static const struct map without_key;
        uint8_t bytes[sizeof(*rule) + 16 + 1];

        if (!limits(rule))
                return;
        memcpy(bytes, rule, sizeof(*rule));
        memcpy(bytes + sizeof(*rule), address, 16);
        bytes[sizeof(bytes) - 1] = own;
        *out = (struct ipc_limit){ .limiter = map_hash(&without_key, bytes, sizeof(bytes)), .bytes_per_s = rule->bytes_per_s,
                                   .burst_bytes = rule->burst_bytes, .ways = rule->ways };
}

void admission_limit(const struct admission *admission, const struct choose_way *way, const uint8_t address[16], struct ipc_channel_open *open)
{
        if (admission->allowed)
                return;
        put_limit(admission->own, true, address, &open->limit[0]);
        put_limit(admission_rule_there(admission, way), false, address, &open->limit[1]);
}

static bool has_label(const char *labels, const char *label)
{
        while (*labels && strcmp(labels, label) != 0)
                labels += strlen(labels) + 1;
        return *labels != '\0';
}

/* Both have fewer bytes than half of @out. */
static void add_labels(const struct ipc_rule *rule, char out[ADMISSION_LABELS_MAX])
{
        char *end = out;

        while (*end)
                end += strlen(end) + 1;
        for (const char *label = rule ? rule->labels : ""; *label; label += strlen(label) + 1)
                if (!has_label(out, label))
                        end = stpcpy(end, label) + 1;
}

/* Whom the operator lets in: the service is told so, as by an original. */
static const struct ipc_rule unlimited = { .labels = "gateway-unlimited" };

void admission_labels(const struct admission *admission, const struct choose_way *way, char out[ADMISSION_LABELS_MAX])
{
        memset(out, 0, ADMISSION_LABELS_MAX);
        add_labels(admission->allowed ? &unlimited : admission_rule_there(admission, way), out);
        if (!admission->allowed)
                add_labels(admission->own, out);
}
