/* SPDX-License-Identifier: BSD-3-Clause */
/* The nodes a query has heard of, and which of them is next. */
#include "dht_private.h"

#include <stdlib.h>

enum {
        VISITS_MAX = 256,               /* nodes one query remembers and may ask: replies of strangers steer it */
        VISITS_FIRST = 32,
};

struct dht_visit *dht_visit_find(struct dht_query *query, const struct addr *addr)
{
        for (size_t i = 0; i < query->visit_count; i++)
                if (addr_equal(&query->visits[i].addr, addr))
                        return &query->visits[i];
        return NULL;
}

struct dht_visit *dht_visit_of_request(struct dht_query *query, const struct rpc_request *request)
{
        for (size_t i = 0; i < query->visit_count; i++)
                if (query->visits[i].request == request)
                        return &query->visits[i];
        return NULL;
}

static bool visits_reserve(struct dht_query *query)
{
        size_t capacity = query->visit_capacity ? 2 * query->visit_capacity : VISITS_FIRST;
        struct dht_visit *visits;

        if (query->visit_count < query->visit_capacity)
                return true;
        if (query->visit_count >= VISITS_MAX)
                return false;
        visits = realloc(query->visits, capacity * sizeof(*visits));
        if (!visits)
                return false;
        query->visits = visits;
        query->visit_capacity = capacity;
        return true;
}

/* Nearer than the worst of the closest, or there are too few of them. */
bool dht_visit_is_closer(const struct dht_query *query, const uint8_t id[DHT_ID_BYTES])
{
        if (query->closest_count < DHT_K)
                return true;
        return dht_id_compare(query->target, id, query->visits[query->closest[DHT_K - 1]].id) < 0;
}

static bool is_us(const struct dht *dht, const struct addr *addr)
{
        struct addr ours;

        return dht_public_addr(dht, &ours) && addr_equal(&ours, addr);
}

/* The farthest of those that were never asked, if it is farther than @id: in a large network twenty answers name more than there is room
 * for, and the nearest are named last. */
static struct dht_visit *visit_to_displace(struct dht_query *query, const uint8_t id[DHT_ID_BYTES])
{
        struct dht_visit *farthest = NULL;

        for (size_t i = 0; i < query->visit_count; i++) {
                struct dht_visit *visit = &query->visits[i];

                if (visit->asked_us == 0 && (!farthest || dht_id_compare(query->target, visit->id, farthest->id) > 0))
                        farthest = visit;
        }
        return farthest && dht_id_compare(query->target, farthest->id, id) > 0 ? farthest : NULL;
}

static struct dht_visit *add(struct dht *dht, struct dht_query *query, const struct addr *addr, bool detour)
{
        struct dht_visit *visit;
        uint8_t id[DHT_ID_BYTES];

        if (dht_visit_find(query, addr) || is_us(dht, addr) || !dht_welcome(dht, addr))
                return NULL;
        rpc_node_id(addr, id);
        if (!detour && !dht_visit_is_closer(query, id))
                return NULL;
        visit = visits_reserve(query) ? &query->visits[query->visit_count++] : visit_to_displace(query, id);
        if (!visit)
                return NULL;
        *visit = (struct dht_visit){ .addr = *addr, .state = DHT_VISIT_PENDING, .detour = detour };
        memcpy(visit->id, id, sizeof(visit->id));
        return visit;
}

struct dht_visit *dht_visit_add(struct dht *dht, struct dht_query *query, const struct addr *addr)
{
        return add(dht, query, addr, false);
}

struct dht_visit *dht_visit_add_detour(struct dht *dht, struct dht_query *query, const struct addr *addr)
{
        return add(dht, query, addr, true);
}

struct dht_visit *dht_visit_nearest(struct dht_query *query)
{
        struct dht_visit *nearest = NULL;

        for (size_t i = 0; i < query->visit_count; i++) {
                struct dht_visit *visit = &query->visits[i];

                if (visit->state == DHT_VISIT_PENDING && (!nearest || dht_id_compare(query->target, visit->id, nearest->id) < 0))
                        nearest = visit;
        }
        return nearest;
}

size_t dht_visits_pending(const struct dht_query *query)
{
        size_t count = 0;

        for (size_t i = 0; i < query->visit_count; i++)
                count += query->visits[i].state == DHT_VISIT_PENDING;
        return count;
}
