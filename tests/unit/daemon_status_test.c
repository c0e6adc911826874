/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "daemon_world.h"
#include "ipc_forward.h"
#include "ipc_swarm.h"
#include "status.h"
#include "test.h"

static void on_lost(void *context)
{
        ++*(unsigned *)context;
}

static const struct conf_bootstrap seeds[] = {
        { .host = "node1.example.org", .port = 49737 }, { .host = "192.0.2.1", .port = 5000 }, { .host = "192.0.2.2", .port = 5001 },
};

/* A world with a status for @conf, where @lost counts. */
static void begin(struct world *world, struct status *status, const struct conf *conf, unsigned *lost)
{
        *lost = 0;
        world_begin(world, IPC_SWARM);
        status_init(status, world->loop, &world->log, NULL, conf, on_lost, lost);
        status_begin(status, 1);
}

static void end(struct world *world, struct status *status)
{
        status_fini(status);
        world_end(world);
}

static const char *logged(struct world *world, struct status *status, const struct ipc_swarm_status *now)
{
        status_swarm(status, 1, now);
        return world_logged(world);
}

static struct ipc_swarm_status reached(uint32_t providers)
{
        return (struct ipc_swarm_status){ .bootstrapped = 1, .nodes = 35, .providers = providers };
}

TEST(an_unreachable_network_is_said_once_and_again_when_it_comes)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 3 };
        struct ipc_swarm_status now = reached(0);
        struct status status;
        struct world world;
        unsigned lost;
        char text[160];

        begin(&world, &status, &conf, &lost);
        check(strcmp(status_text(&status, text, sizeof(text)), "DHT not reached yet, trying") == 0);
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 1);
        check(strstr(world_logged(&world), "DHT unreachable: no answer from bootstrap nodes node1.example.org:49737 and 2 others; "
                                           "asking again, at least every 10 s"));
        check(!world_fire(&world, &status.unreachable));

        check(strstr(logged(&world, &status, &now), "DHT reached: 35 nodes known"));
        check(*logged(&world, &status, &now) == '\0');
        now.nodes = 0;
        check(strstr(logged(&world, &status, &now), "DHT lost"));
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 2);
        end(&world, &status);
}

TEST(a_node_that_serves_but_hears_nobody_has_not_reached_the_network)
{
        static const struct conf conf = { .bootstrap = seeds + 1, .bootstrap_count = 1 };
        struct ipc_swarm_status now = { .bootstrapped = 1 };
        struct status status;
        struct world world;
        unsigned lost;
        char text[160];

        begin(&world, &status, &conf, &lost);
        check(*logged(&world, &status, &now) == '\0');
        check(strcmp(status_text(&status, text, sizeof(text)), "DHT not reached yet, trying") == 0);
        check(world_fire(&world, &status.unreachable));
        check(strstr(world_logged(&world), "no answer from bootstrap node 192.0.2.1:5000; asking again"));
        now.nodes = 1;
        check(strstr(logged(&world, &status, &now), "DHT reached: 1 node known"));
        check(strcmp(status_text(&status, text, sizeof(text)),
                     "0 providers, 0 gateways, 0 gates open, 0 channels, 1 DHT node") == 0);
        end(&world, &status);
}

TEST(the_first_node_of_a_network_waits_for_nobody)
{
        static const struct conf conf = { .bootstrap_count = 0 };
        struct ipc_swarm_status now = { .bootstrapped = 1 };
        struct status status;
        struct world world;
        unsigned lost;

        begin(&world, &status, &conf, &lost);
        check(!world_fire(&world, &status.unreachable));
        check(strstr(logged(&world, &status, &now), "this is the first node of a DHT of its own"));
        now.nodes = 1;
        check(strstr(logged(&world, &status, &now), "DHT reached: 1 node known"));
        now.nodes = 0;
        check(strstr(logged(&world, &status, &now), "no other node is left in this DHT"));
        check(!world_fire(&world, &status.unreachable));
        end(&world, &status);
}

TEST(peers_are_counted_in_the_log_when_they_change)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true };
        struct ipc_swarm_status now = reached(1);
        struct status status;
        struct world world;
        unsigned lost;
        char text[256];

        begin(&world, &status, &conf, &lost);
        check(strstr(logged(&world, &status, &now), "connected to 1 provider\n"));
        now.channels = 5;
        check(*logged(&world, &status, &now) == '\0');
        check(strcmp(status_text(&status, text, sizeof(text)),
                     "1 provider, 0 gateways, 0 gates open, 5 channels, 35 DHT nodes") == 0);
        status_forward(&status, &(struct ipc_forward_status){ .datagrams_dropped = 1, .ended[IPC_REASON_IDLE] = 2 });
        check_equal(status.ended[IPC_REASON_IDLE], 2);
        check(strstr(status_text(&status, text, sizeof(text)), "35 DHT nodes, 1 UDP datagram dropped"));
        now.datagrams_dropped = 40;
        status_swarm(&status, 1, &now);
        check(strstr(status_text(&status, text, sizeof(text)), "35 DHT nodes, 41 UDP datagrams dropped"));
        now.strangers_dropped = 7000000000;
        check(!strstr(logged(&world, &status, &now), "dropped"));
        check(strstr(status_text(&status, text, sizeof(text)), "41 UDP datagrams dropped, 7000000000 of strangers dropped"));
        now.streams_dropped = 1;
        status_swarm(&status, 1, &now);
        check(strstr(status_text(&status, text, sizeof(text)), "dropped, 1 packet of streams dropped, 7000000000 of strangers dropped"));
        now.streams_dropped = 12;
        status_swarm(&status, 1, &now);
        check(strstr(status_text(&status, text, sizeof(text)), "dropped, 12 packets of streams dropped, 7000000000 of strangers dropped"));
        status_begin(&status, 1);                 /* another swarm worker counts from nothing */
        check(strstr(status_text(&status, text, sizeof(text)), "trying, 41 UDP datagrams dropped, 12 packets of streams dropped, 7000000000 of"));
        now.gateways = 2;
        check(strstr(logged(&world, &status, &now), "connected to 1 provider and 2 gateways\n"));
        now.providers = 0;
        check(strstr(logged(&world, &status, &now), "connected to 2 gateways\n"));
        now.gateways = 0;
        check(strstr(logged(&world, &status, &now), "connected to no peer any more"));
        end(&world, &status);
}

TEST(what_was_carried_is_told_from_time_to_time_if_anything_was)
{
        static const struct conf conf = { .stats_interval_ms = 600000 }, never = { 0 };
        struct ipc_swarm_status now = reached(1);
        struct status status;
        struct world world;
        unsigned lost;

        begin(&world, &status, &conf, &lost);
        now.sent_bytes = 1000;
        now.received_bytes = 7;
        logged(&world, &status, &now);
        check(world_fire(&world, &status.stats));
        check(strstr(world_logged(&world), "in the last 600 s 1000 bytes were sent to peers and 7 received; now 1 provider, "));
        check(world_fire(&world, &status.stats));
        check(*world_logged(&world) == '\0');
        now.received_bytes = 8;
        logged(&world, &status, &now);
        check(world_fire(&world, &status.stats));
        check(strstr(world_logged(&world), " 0 bytes were sent to peers and 1 received; "));
        status_reload(&status, &never);
        check(!world_fire(&world, &status.stats));
        end(&world, &status);
}

TEST(an_announcement_is_told_when_all_of_it_is_there)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true,
                                          .provider.present = true };
        struct ipc_swarm_status now = reached(0);
        struct status status;
        struct world world;
        unsigned lost;

        begin(&world, &status, &conf, &lost);
        logged(&world, &status, &now);
        now.announced = 1;
        check(*logged(&world, &status, &now) == '\0');
        now.announced = 2;
        check(strstr(logged(&world, &status, &now), "announced on the DHT: others can find this provider and gateway\n"));
        now.announced = 0;
        check(strstr(logged(&world, &status, &now), "announcing again"));
        end(&world, &status);
}

TEST(who_says_something_else_each_time_fills_no_log)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 3 };
        struct status status;
        struct world world;
        unsigned lost, lines = 0;

        begin(&world, &status, &conf, &lost);
        for (uint32_t i = 0; i < 1000; i++) {
                struct ipc_swarm_status now = { .bootstrapped = i & 1, .nodes = i & 1, .announced = i & 1, .providers = i };

                for (const char *at = logged(&world, &status, &now); (at = strchr(at, '\n')); at++)
                        lines++;
        }
        check(lines >= LOG_BURST && lines < LOG_BURST + 10);
        end(&world, &status);
}

TEST(what_router_workers_dropped_stays_counted)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true };
        struct ipc_swarm_status now = reached(1);
        struct status status;
        struct world world;
        unsigned lost;

        begin(&world, &status, &conf, &lost);
        status_router(&status, &(struct ipc_router_status){ .adverts_dropped = 2 });
        now.adverts_dropped = 4;        /* those that are too long to be passed on are counted by another */
        status_swarm(&status, 1, &now);
        status_begin(&status, 1);
        status_router(&status, &(struct ipc_router_status){ .adverts_dropped = 1 });
        check_equal(status.adverts_dropped + status.last.adverts_dropped, 7);
        end(&world, &status);
}

TEST(swarm_workers_count_their_channels_together_and_their_common_peers_once)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true };
        struct ipc_swarm_status first = reached(2), second = { .providers = 1, .channels = 7, .sent_bytes = 100, .datagrams_dropped = 3 };
        struct status status;
        struct world world;
        unsigned lost;

        begin(&world, &status, &conf, &lost);
        first.channels = 5;
        first.sent_bytes = 10;
        logged(&world, &status, &first);
        status_swarm(&status, 3, &second);
        check_equal(status.last.providers, 2);
        check_equal(status.last.channels, 12);
        check_equal(status.last.sent_bytes, 110);
        check_equal(status.last.nodes, first.nodes);
        status_begin(&status, 3);       /* what it dropped in its life before stays counted */
        check_equal(status.last.channels, 5);
        check_equal(status.last.sent_bytes, 110);
        check_equal(status.last.datagrams_dropped, 0);
        check_equal(status.dropped, 3);
        check_equal(status.last.nodes, first.nodes);
        status_begin(&status, 1);
        check_equal(status.last.nodes, 0);
        end(&world, &status);
}
