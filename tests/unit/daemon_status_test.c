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

static const struct conf gateway = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true };

static struct world world;
static struct status status;
static unsigned lost;                   /* how often the network was said to be unreachable */

/* A status for @conf, in a world with a swarm worker. */
static void begin(const struct conf *conf)
{
        lost = 0;
        world_begin(&world, IPC_SWARM);
        status_init(&status, world.loop, &world.log, NULL, conf, on_lost, &lost);
        status_begin(&status, 1);
}

static void end(void)
{
        status_fini(&status);
        world_end(&world);
}

static const char *logged(const struct ipc_swarm_status *now)
{
        status_swarm(&status, 1, now);
        return world_logged(&world);
}

static const char *summary(void)
{
        static char text[256];

        return status_text(&status, text, sizeof(text));
}

/* The same when the swarm worker has said that. */
static const char *summary_of(const struct ipc_swarm_status *now)
{
        status_swarm(&status, 1, now);
        return summary();
}

static struct ipc_swarm_status reached(uint32_t providers)
{
        return (struct ipc_swarm_status){ .bootstrapped = 1, .nodes = 35, .providers = providers };
}

TEST(an_unreachable_network_is_said_once_and_again_when_it_comes)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 3 };
        struct ipc_swarm_status now = reached(0);

        begin(&conf);
        check(strcmp(summary(), "DHT not reached yet, trying") == 0);
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 1);
        check(strstr(world_logged(&world), "DHT unreachable: no answer from bootstrap nodes node1.example.org:49737 and 2 others; "
                                           "asking again, at least every 10 s"));
        check(!world_fire(&world, &status.unreachable));

        check(strstr(logged(&now), "DHT reached: 35 nodes known"));
        check(*logged(&now) == '\0');
        now.nodes = 0;
        check(strstr(logged(&now), "DHT lost"));
        check(world_fire(&world, &status.unreachable));
        check_equal(lost, 2);
        end();
}

TEST(a_node_that_serves_but_hears_nobody_has_not_reached_the_network)
{
        static const struct conf conf = { .bootstrap = seeds + 1, .bootstrap_count = 1 };
        struct ipc_swarm_status now = { .bootstrapped = 1 };

        begin(&conf);
        check(*logged(&now) == '\0');
        check(strcmp(summary(), "DHT not reached yet, trying") == 0);
        check(world_fire(&world, &status.unreachable));
        check(strstr(world_logged(&world), "no answer from bootstrap node 192.0.2.1:5000; asking again"));
        now.nodes = 1;
        check(strstr(logged(&now), "DHT reached: 1 node known"));
        check(strcmp(summary(), "0 providers, 0 gateways, 0 gates open, 0 channels, 1 DHT node") == 0);
        end();
}

TEST(the_first_node_of_a_network_waits_for_nobody)
{
        static const struct conf conf = { .bootstrap_count = 0 };
        struct ipc_swarm_status now = { .bootstrapped = 1 };

        begin(&conf);
        check(!world_fire(&world, &status.unreachable));
        check(strstr(logged(&now), "this is the first node of a DHT of its own"));
        now.nodes = 1;
        check(strstr(logged(&now), "DHT reached: 1 node known"));
        now.nodes = 0;
        check(strstr(logged(&now), "no other node is left in this DHT"));
        check(!world_fire(&world, &status.unreachable));
        end();
}

TEST(peers_are_counted_in_the_log_when_they_change)
{
        struct ipc_swarm_status now = reached(1);

        begin(&gateway);
        check(strstr(logged(&now), "connected to 1 provider\n"));
        now.channels = 5;
        check(*logged(&now) == '\0');
        check(strcmp(summary(), "1 provider, 0 gateways, 0 gates open, 5 channels, 35 DHT nodes") == 0);
        status_forward(&status, &(struct ipc_forward_status){ .datagrams_dropped = 1, .ended[IPC_REASON_IDLE] = 2 });
        check_equal(status.ended[IPC_REASON_IDLE], 2);
        check(strstr(summary(), "35 DHT nodes, 1 UDP datagram dropped"));
        now.datagrams_dropped = 40;
        check(strstr(summary_of(&now), "35 DHT nodes, 41 UDP datagrams dropped"));
        now.strangers_dropped = 7000000000;
        check(!strstr(logged(&now), "dropped"));
        check(strstr(summary(), "41 UDP datagrams dropped, 7000000000 of strangers dropped"));
        now.streams_dropped = 1;
        check(strstr(summary_of(&now), "dropped, 1 packet of streams dropped, 7000000000 of strangers dropped"));
        now.streams_dropped = 12;
        check(strstr(summary_of(&now), "dropped, 12 packets of streams dropped, 7000000000 of strangers dropped"));
        status_begin(&status, 1);                 /* another swarm worker counts from nothing */
        check(strstr(summary(), "trying, 41 UDP datagrams dropped, 12 packets of streams dropped, 7000000000 of"));
        now.gateways = 2;
        check(strstr(logged(&now), "connected to 1 provider and 2 gateways\n"));
        now.providers = 0;
        check(strstr(logged(&now), "connected to 2 gateways\n"));
        now.gateways = 0;
        check(strstr(logged(&now), "connected to no peer any more"));
        end();
}

TEST(what_was_carried_is_told_from_time_to_time_if_anything_was)
{
        static const struct conf conf = { .stats_interval_ms = 600000 }, never = { 0 };
        struct ipc_swarm_status now = reached(1);

        begin(&conf);
        now.sent_bytes = 1000;
        now.received_bytes = 7;
        logged(&now);
        check(world_fire(&world, &status.stats));
        check(strstr(world_logged(&world), "in the last 600 s 1000 bytes were sent to peers and 7 received; now 1 provider, "));
        check(world_fire(&world, &status.stats));
        check(*world_logged(&world) == '\0');
        now.received_bytes = 8;
        logged(&now);
        check(world_fire(&world, &status.stats));
        check(strstr(world_logged(&world), " 0 bytes were sent to peers and 1 received; "));
        status_reload(&status, &never);
        check(!world_fire(&world, &status.stats));
        end();
}

TEST(an_announcement_is_told_when_all_of_it_is_there)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 1, .gateway.present = true,
                                          .provider.present = true };
        struct ipc_swarm_status now = reached(0);

        begin(&conf);
        logged(&now);
        now.announced = 1;
        check(*logged(&now) == '\0');
        now.announced = 2;
        check(strstr(logged(&now), "announced on the DHT: others can find this provider and gateway\n"));
        now.announced = 0;
        check(strstr(logged(&now), "announcing again"));
        end();
}

TEST(who_says_something_else_each_time_fills_no_log)
{
        static const struct conf conf = { .bootstrap = seeds, .bootstrap_count = 3 };
        unsigned lines = 0;

        begin(&conf);
        for (uint32_t i = 0; i < 1000; i++) {
                struct ipc_swarm_status now = { .bootstrapped = i & 1, .nodes = i & 1, .announced = i & 1, .providers = i };

                for (const char *at = logged(&now); (at = strchr(at, '\n')); at++)
                        lines++;
        }
        check(lines >= LOG_BURST && lines < LOG_BURST + 10);
        end();
}

TEST(what_router_workers_dropped_stays_counted)
{
        begin(&gateway);
        status_router(&status, &(struct ipc_router_status){ .adverts_dropped = 2 });
        status_begin(&status, 1);       /* whatever becomes of a swarm worker */
        status_router(&status, &(struct ipc_router_status){ .adverts_dropped = 1 });
        check_equal(status.adverts_dropped, 3);
        end();
}

TEST(swarm_workers_count_their_channels_together_and_their_common_peers_once)
{
        struct ipc_swarm_status first = reached(2), second = { .providers = 1, .channels = 7, .sent_bytes = 100, .datagrams_dropped = 3 };

        begin(&gateway);
        first.channels = 5;
        first.sent_bytes = 10;
        logged(&first);
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
        end();
}
