/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk sees the network with the eyes of those it asks, and neighbours see alike: they came the same way. Where none of them knows
 * anybody in the part of the network that the target is in, the walk ends beside it, with twenty nodes that are the nearest of the
 * wrong part. That shows: as ids are hashes, of all nodes that share some bits with the target half share one more. */
#include "dht_private.h"

enum {
        NEARER_FEW = 3,                 /* fewer of DHT_K nodes in the nearer half: one in five thousand walks that are right */
        LOOKED_AT = 256,
        ASKED = 16,
};

/* Bits that the farthest of the nearest shares with the target, plus one, if the walk is astray; else 0. */
static unsigned astray(const struct dht_query *query)
{
        unsigned bits, nearer = 0;

        if (query->closest_count < DHT_K)
                return 0;
        bits = dht_id_shared_bits(query->target, query->visits[query->closest[DHT_K - 1]].id);
        while (nearer < DHT_K && dht_id_shared_bits(query->target, query->visits[query->closest[nearer]].id) > bits)
                nearer++;
        return nearer < NEARER_FEW ? bits + 1 : 0;
}

/* Of those known who have not been asked, some from all distances: who is near the wrong part may know as little as all there, and
 * who is far from it knows few of any. */
bool dht_detour(struct dht *dht, struct dht_query *query)
{
        const struct dht_node *nodes[LOOKED_AT];
        unsigned bits = astray(query);
        size_t count = 0, known, added = 0;

        if (bits <= query->detour_bits)
                return false;
        query->detour_bits = bits;
        known = dht_table_closest(dht->table, query->target, nodes, LOOKED_AT);
        for (size_t i = 0; i < known; i++)
                if (!dht_visit_find(query, &nodes[i]->addr))
                        nodes[count++] = nodes[i];
        for (size_t i = 0; i < MIN(count, (size_t)ASKED); i++)
                added += dht_visit_add_detour(dht, query, &nodes[i * count / MIN(count, (size_t)ASKED)]->addr) != NULL;
        for (size_t i = 0; i < dht->bootstrap.count; i++)
                added += dht_visit_add_detour(dht, query, &dht->bootstrap.addrs[i]) != NULL;
        return added > 0;
}
