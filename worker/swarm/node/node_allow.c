/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may meet us, by key. A router's secret can be passed on by all that have it; keys can't, and an identity that lets in none but those
 * it was told of is found by all and met by these: others are not dialled, and their handshakes get no answer. */
#include <assert.h>
#include <string.h>

#include "node_state.h"

#define DRAIN_US SECONDS(2)             /* what channels get to end with a peer that may not be here any more */

static bool is_among(const uint8_t key[NODE_KEY_BYTES], const uint8_t (*keys)[NODE_KEY_BYTES], size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (memcmp(keys[i], key, NODE_KEY_BYTES) == 0)
                        return true;
        return false;
}

bool node_allows(const struct node_join *join, const uint8_t key[NODE_KEY_BYTES])
{
        const struct node_allowed *allowed = &join->node->allowed[join->role];

        return !allowed->count || is_among(key, (const uint8_t(*)[NODE_KEY_BYTES])allowed->keys, allowed->count);
}

static void let_go(struct node_link *link)
{
        if (node_link_lives(link)) {
                node_attempt_forbidden(link->join, link->key, &link->addr);
                node_link_leave(link, usec_add(link->node->now.mono_us, DRAIN_US));
        } else if (link->state == NODE_LINK_DIALLING) {
                node_link_cut(link, SWARM_UNNEEDED, false);
        }
}

void node_allow(struct node *node, enum node_role role, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now)
{
        struct node_allowed *allowed = &node->allowed[role];
        struct node_join *join = &node->joins[role];

        assert(count <= NODE_ALLOWED_MAX);
        if (count == allowed->count && (!count || memcmp(allowed->keys, keys, count * sizeof(*keys)) == 0))
                return;
        allowed->count = count;
        if (count)
                memcpy(allowed->keys, keys, count * sizeof(*keys));
        node->now = *now;
        node->fresh = true;
        if (!join->node || node->leaving != NODE_STAYS)
                return;
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->join == join && !node_allows(join, link->key))
                        let_go(link);
        }
        swarm_forgive(join->swarm, now->mono_us);       /* those that may come now are looked for at once */
        swarm_come_back(join->swarm, now->mono_us);
}
