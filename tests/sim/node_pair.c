/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_pair.h"

#include "test.h"

struct pair pair_new(uint64_t seed, const struct net_link *link)
{
        struct pair pair = { .sim = node_sim_new(seed, link) };

        pair.provider = node_sim_add(pair.sim);
        pair.gateway = node_sim_add(pair.sim);
        return pair;
}

void pair_free(struct pair *pair)
{
        node_sim_free(pair->sim);
}

bool gateway_knows(void *context)
{
        struct pair *pair = context;
        struct node_sim_peer *peer = node_sim_peer(pair->gateway, NODE_PROVIDER, 1);

        return peer && peer->up && peer->adverts;
}

/* Both have joined and know each other; returns how long that took. */
usec_t pair_up(struct pair *pair)
{
        node_sim_join(pair->provider, NODE_PROVIDER, 1);
        node_sim_join(pair->gateway, NODE_GATEWAY, 1);
        return node_sim_run_until(pair->sim, gateway_knows, pair, SECONDS(30));
}

struct pair paired(uint64_t seed, const struct net_link *link)
{
        struct pair pair = pair_new(seed, link);

        node_sim_run(pair.sim, SECONDS(5));
        pair_up(&pair);
        check(gateway_knows(&pair));
        return pair;
}

bool gateway_is_up(void *context)
{
        return node_sim_is_up(((struct pair *)context)->gateway, NODE_PROVIDER, 1);
}

bool gateway_is_down(void *context)
{
        return !gateway_is_up(context);
}

bool is_over(void *context)
{
        const struct node_sim_channel *channel = context;

        return channel->fate == NODE_SIM_REFUSED || channel->fate == NODE_SIM_CLOSED;
}

unsigned mistakes(const struct node_sim *sim)
{
        unsigned count = 0;

        for (size_t i = 0; i < sim->host_count; i++)
                count += sim->hosts[i].mistakes;
        return count;
}

struct node_sim_channel *first_channel(struct node_sim_host *host)
{
        struct list *first = list_first(&host->channels);

        return first ? list_entry(first, struct node_sim_channel, in_host) : NULL;
}
