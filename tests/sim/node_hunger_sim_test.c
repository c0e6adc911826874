/* SPDX-License-Identifier: BSD-3-Clause */
/* A provider of two gateways, where what one of them sends nobody reads takes the memory that the other's needs. What waits in the
 * provider's tunnels is bounded together. (Linked with --wrap of malloc, tunnel_new, tunnel_free and tunnel_receive.) */
#include <stdlib.h>

#include "node_pair.h"
#include "test.h"
#include "tunnel.h"

enum {
        KIB = 1024, TUNNELS = 8,
        MOST = 250 * KIB, MUCH = 100 * KIB,     /* less than a window, so all of it leaves the gateway */
        LITTLE = 24 * KIB,                      /* more than is put by for who reads, and too little to be taken back */
        BYTES = 300 * KIB,
};

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_tunnel_new(struct tunnel **tunnel_out, const struct tunnel_config *config, const struct now *now);
int __wrap_tunnel_new(struct tunnel **tunnel_out, const struct tunnel_config *config, const struct now *now);
void __real_tunnel_free(struct tunnel *tunnel);
void __wrap_tunnel_free(struct tunnel *tunnel);
size_t __real_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);
size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);

static struct tunnel *provider_tunnels[TUNNELS];
static bool receiving;                          /* one of these is */
static size_t budget_bytes = SIZE_MAX;          /* of all of these together */
static unsigned refused;

int __wrap_tunnel_new(struct tunnel **tunnel_out, const struct tunnel_config *config, const struct now *now)
{
        unsigned i = 0;

        if (config->role != TUNNEL_PROVIDER)
                return __real_tunnel_new(tunnel_out, config, now);
        while (i < TUNNELS && provider_tunnels[i])
                i++;
        check(i < TUNNELS);
        check_equal(__real_tunnel_new(tunnel_out, config, now), 0);
        provider_tunnels[i] = *tunnel_out;
        return 0;
}

void __wrap_tunnel_free(struct tunnel *tunnel)
{
        for (unsigned i = 0; i < TUNNELS; i++)
                if (provider_tunnels[i] == tunnel)
                        provider_tunnels[i] = NULL;
        __real_tunnel_free(tunnel);
}

size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us)
{
        size_t taken;

        for (unsigned i = 0; i < TUNNELS; i++)
                receiving |= provider_tunnels[i] == tunnel;
        taken = __real_tunnel_receive(tunnel, bytes, len, now_us);
        receiving = false;
        return taken;
}

static size_t unread_bytes(void)
{
        size_t sum = 0;

        for (unsigned i = 0; i < TUNNELS; i++) {
                struct tunnel_stats stats = { .queued_bytes = 0 };

                if (provider_tunnels[i])
                        tunnel_stats(provider_tunnels[i], &stats);
                sum += stats.queued_bytes;
        }
        return sum;
}

void *__wrap_malloc(size_t size)
{
        if (!receiving || budget_bytes == SIZE_MAX || unread_bytes() + size <= budget_bytes)
                return __real_malloc(size);
        refused++;
        return NULL;
}

static bool both_are_up(void *context)
{
        const struct pair *pair = context;

        return node_sim_is_up(pair->provider, NODE_GATEWAY, 1) && node_sim_is_up(pair->provider, NODE_GATEWAY, 2);
}

TEST(who_is_hungry_is_relieved_of_a_hog_that_came_over_another_link)
{
        static const struct net_link link = { .delay_us = 5000 };
        cleanup_with(pair_free) struct pair pair = paired(7700, &link);
        struct node_sim_host *other = node_sim_add(pair.sim);
        struct node_sim_channel *most, *much, *little, *read;

        node_sim_join(other, NODE_GATEWAY, 2);
        node_sim_run_until(pair.sim, both_are_up, &pair, SECONDS(30));
        check((much = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, MUCH, false)));
        check((most = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, MOST, false)));
        node_sim_run(pair.sim, SECONDS(2));
        check_equal(unread_bytes(), MUCH + MOST);

        refused = 0;
        budget_bytes = MUCH + MOST;             /* that is all there is */
        check((little = node_sim_open(other, 1, NODE_SIM_DEAF, LITTLE, false)));
        node_sim_run(pair.sim, MSEC(100));
        check((read = node_sim_open(other, 1, NODE_SIM_SINK, BYTES, true)));
        node_sim_run_until(pair.sim, is_over, read, SECONDS(4));        /* with its own link's means: ten */
        check(refused > 0);
        check(is_over(read) && read->reason == NODE_REASON_DONE);
        check(is_over(most) && most->reason == NODE_REASON_RESET);
        check(!is_over(much) && !is_over(little));
        check_equal(unread_bytes(), MUCH + LITTLE);

        budget_bytes = SIZE_MAX;
        check((read = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, BYTES, true)));
        node_sim_run_until(pair.sim, is_over, read, SECONDS(10));
        check(node_sim_echoed(read));
        check_equal(node_sim_peer(pair.provider, NODE_GATEWAY, 1)->downs, 0);
        check_equal(node_sim_peer(pair.provider, NODE_GATEWAY, 2)->downs, 0);
        check_equal(mistakes(pair.sim), 0);
}
