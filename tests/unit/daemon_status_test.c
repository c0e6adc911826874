/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "daemon_world.h"
#include "status.h"
#include "test.h"

static void on_lost(void *context)
{
        ++*(unsigned *)context;
}

static struct ipc_swarm_status reached(uint32_t providers)
{
        return (struct ipc_swarm_status){ .bootstrapped = 1, .nodes = 35, .providers = providers };
}

TEST(an_unreachable_network_is_said_once_and_again_when_it_comes)
{
        struct ipc_swarm_status now = reached(0);
        struct status status;
        struct world world;
        unsigned lost = 0;
        char text[160];

        world_begin(&world, IPC_SWARM);
        status_init(&status, world.loop, &world.log, NULL, 3, on_lost, &lost);
        status_begin(&status);
        check(strcmp(status_text(&status, text, sizeof(text)), "DHT not reached yet, trying") == 0);
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 1);
        check(strstr(world_logged(&world), "DHT unreachable: none of 3 bootstrap nodes has answered; trying on"));
        check(!world_fire(&world, &status.unreachable));

        status_swarm(&status, &now);
        check(strstr(world_logged(&world), "DHT reached: 35 nodes known"));
        status_swarm(&status, &now);
        check(*world_logged(&world) == '\0');
        now.bootstrapped = 0;
        status_swarm(&status, &now);
        check(strstr(world_logged(&world), "DHT lost"));
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 2);
        status_fini(&status);
        world_end(&world);
}

TEST(the_first_node_of_a_network_waits_for_nobody)
{
        struct status status;
        struct world world;
        unsigned lost = 0;

        world_begin(&world, IPC_SWARM);
        status_init(&status, world.loop, &world.log, NULL, 0, on_lost, &lost);
        status_begin(&status);
        check(!world_fire(&world, &status.unreachable));
        status_fini(&status);
        world_end(&world);
}

TEST(peers_are_counted_in_the_log_when_they_change)
{
        struct ipc_swarm_status now = reached(1);
        struct status status;
        struct world world;
        unsigned lost = 0;
        char text[160];

        world_begin(&world, IPC_SWARM);
        status_init(&status, world.loop, &world.log, NULL, 1, on_lost, &lost);
        status_begin(&status);
        status_swarm(&status, &now);
        check(strstr(world_logged(&world), "connected to 1 provider and 0 gateways"));
        now.channels = 5;
        status_swarm(&status, &now);
        check(*world_logged(&world) == '\0');
        check(strcmp(status_text(&status, text, sizeof(text)),
                     "1 provider, 0 gateways, 0 gates open, 5 channels, 35 DHT nodes") == 0);
        now.providers = 0;
        status_swarm(&status, &now);
        check(strstr(world_logged(&world), "connected to 0 providers and 0 gateways"));
        status_fini(&status);
        world_end(&world);
}
