/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens when the buffers of connections can't be had. Their sizes are powers of two; from @least bytes on they are refused, for
 * as long as a scene says. (Linked with --wrap=malloc.) */
#include <stdlib.h>

#include "node_pair.h"
#include "test.h"
#include "udx_pool.h"

enum { STREAMS = 6, BYTES = 300000 };

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static size_t least = SIZE_MAX;         /* of a refused buffer */
static unsigned one_in = 1, asked, refused;

void *__wrap_malloc(size_t size)
{
        if (size < least || size & (size - 1) || asked++ % one_in)
                return __real_malloc(size);
        refused++;
        return NULL;
}

static void refuse(size_t from, unsigned in)
{
        least = from;
        one_in = in;
        refused = asked = 0;
}

static bool all_are_over(void *context)
{
        list_for_each(at, &((struct pair *)context)->gateway->channels)
                if (!is_over(list_entry(at, struct node_sim_channel, in_host)))
                        return false;
        return true;
}

static void check_still_the_first_connection(const struct pair *pair)
{
        const struct node_sim_peer *provider = node_sim_peer(pair->gateway, NODE_PROVIDER, 1);
        const struct node_sim_peer *gateway = node_sim_peer(pair->provider, NODE_GATEWAY, 1);

        check(provider && provider->up && provider->downs == 0);
        check(gateway && gateway->up && gateway->downs == 0);
        check_equal(mistakes(pair->sim), 0);
}

TEST(connection_outlives_memory_that_is_short_while_much_is_sent)
{
        static const struct net_link link = { .delay_us = 10000, .loss_ppm = 10000 };

        for (unsigned in = 1; in <= 4; in++) {
                cleanup_with(pair_free) struct pair pair = paired(7100 + in, &link);
                struct node_sim_channel *channels[STREAMS];

                for (unsigned i = 0; i < STREAMS; i++)
                        check((channels[i] = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, BYTES, true)));
                node_sim_run(pair.sim, MSEC(25));
                refuse(4096, in);
                node_sim_run(pair.sim, SECONDS(2));
                check(refused > 0);
                refuse(SIZE_MAX, 1);
                node_sim_run_until(pair.sim, all_are_over, &pair, SECONDS(60));
                for (unsigned i = 0; i < STREAMS; i++)
                        check(node_sim_echoed(channels[i]));
                check_still_the_first_connection(&pair);
        }
}

TEST(what_was_put_by_comes_back_when_it_is_given_back)
{
        struct udx_pool pool;
        void *block;

        udx_pool_init(&pool);
        check(!udx_pool_short(&pool));
        refuse(UDX_POOL_RESERVE, 1);
        for (unsigned i = 0; i < 3; i++) {
                check((block = udx_pool_take_reserve(&pool, UDX_POOL_TO_SEND)));
                check(udx_pool_short(&pool));
                udx_pool_give(&pool, block, UDX_POOL_RESERVE);
                check(!udx_pool_short(&pool));
        }
        refuse(SIZE_MAX, 1);
        udx_pool_fini(&pool);
}
