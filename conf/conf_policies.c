/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_policies.h"

#include <string.h>

#include "conf_ingress.h"

enum { POLICIES_MAX = 64, NETWORKS_MAX = 1000 };

struct policies {
        const struct conf_node *node;   /* where the list is */
        const struct conf_ingress *only;        /* what the only one says */
        struct conf_node *merged;       /* memory of the report, as trees go with their files; NULL: none was read */
        size_t count;
        bool pending;
};

static const char *keep(struct conf_read *read, const char *text)
{
        return text ? conf_arena_text(&read->report.arena, text, strlen(text)) : NULL;
}

/* A copy of @from, which is in the file that is being read, with all that it holds. The depth of a tree is bounded. */
static struct conf_node *copy(struct conf_read *read, const struct conf_node *from)
{
        struct conf_node *node = conf_arena_take(&read->report.arena, sizeof(*node));

        *node = (struct conf_node){ .kind = from->kind, .file = read->file, .at = from->at, .key_at = from->key_at,
                                    .key = keep(read, from->key), .text = keep(read, from->text), .count = from->count };
        for (const struct conf_node *child = from->first; child; child = child->next) {
                struct conf_node *copied = copy(read, child);

                if (node->last)
                        node->last->next = copied;
                else
                        node->first = copied;
                node->last = copied;
        }
        return node;
}

static struct conf_node *find(const struct conf_node *map, const char *key)
{
        struct conf_node *member = map->first;

        while (member && strcmp(member->key, key) != 0)
                member = member->next;
        return member;
}

/* What is there keeps its place among the others, since the first rule about a client decides. */
static void replace(struct conf_node *there, const struct conf_node *with)
{
        struct conf_node *next = there->next;

        *there = *with;
        there->next = next;
}

/* Maps member by member; of all else the later one counts. */
static void merge(struct conf_read *read, struct conf_node *into, const struct conf_node *from)
{
        for (const struct conf_node *member = from->first; member; member = member->next) {
                struct conf_node *there = find(into, member->key);

                if (there && there->kind == CONF_MAP && member->kind == CONF_MAP) {
                        merge(read, there, member);
                } else if (there) {
                        replace(there, copy(read, member));
                } else {
                        struct conf_node *added = copy(read, member);

                        if (into->last)
                                into->last->next = added;
                        else
                                into->first = added;
                        into->last = added;
                        into->count++;
                }
        }
}

static void take(struct conf_read *read, const struct conf_node *root, void *context)
{
        struct policies *policies = context;

        policies->only = conf_ingress_parse(read, root);
        if (!policies->only || root->kind != CONF_MAP)
                return;
        if (policies->count++ == 0)
                policies->merged = copy(read, root);
        else
                merge(read, policies->merged, root);
}

static void be_pending(void *context)
{
        struct policies *policies = context;

        policies->pending = true;
}

/* The first one that is too many; NULL: none is. */
static const struct conf_node *surplus(const struct conf_node *ips)
{
        const struct conf_node *member = ips ? ips->first : NULL;

        for (size_t i = 0; member && i < NETWORKS_MAX; i++)
                member = member->next;
        return member;
}

/* What was warned of in each is not warned of again. */
static const struct conf_ingress *read_merged(struct conf_read *read, const struct policies *policies)
{
        const struct conf_node *beyond = surplus(find(policies->merged, "ips"));
        size_t count = read->report.count, warning_count = read->report.warning_count;
        const struct conf_ingress *ingress;

        if (beyond) {
                conf_error(&read->report, beyond->file, beyond->key_at, "ips: at most %d networks in all policies together", NETWORKS_MAX);
                return NULL;
        }
        ingress = conf_ingress_parse(read, policies->merged);
        if (ingress) {
                read->report.count = count;
                read->report.warning_count = warning_count;
        }
        return ingress;
}

const struct conf_ingress *conf_policies_read(struct conf_read *read, const struct conf_node *node, struct conf_urls *urls)
{
        struct policies policies = { .node = node };
        const struct conf_sources sources = { take, &policies, "policy.json", urls, be_pending };
        size_t errors = read->report.error_count;
        const struct conf_node *entry;
        uint32_t count;

        if (!conf_value_list(read, node, POLICIES_MAX, &entry, &count))
                return NULL;
        for (; count > 0; count--, entry = entry->next)
                conf_sources_read(read, entry, &sources);
        if (read->report.error_count > errors)
                return NULL;
        if (policies.pending)
                return conf_ingress_nobody(read);
        if (policies.count > 1)
                policies.only = read_merged(read, &policies);
        if (policies.count && policies.only)
                conf_ingress_warn(read, policies.merged);
        return policies.only;
}
