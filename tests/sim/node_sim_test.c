/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "node_pair.h"
#include "test.h"

enum {
        PROVIDERS = 3,
        GATEWAYS = 2,
        UDX_BUFFER_FLOOR = 256 * 1024,          /* no stream has less */
};

static const struct net_link wan = { .delay_us = 20000, .jitter_us = 2000 };

TEST(node_carries_a_channel_from_a_gateway_to_a_provider)
{
        cleanup_with(pair_free) struct pair pair = paired(1, NULL);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 300000, true);

        check(strcmp(node_sim_peer(pair.gateway, NODE_PROVIDER, 1)->advert, "identity 1") == 0);
        check(node_sim_is_up(pair.provider, NODE_GATEWAY, 1));
        node_sim_run_until(pair.sim, is_over, channel, SECONDS(10));
        check(node_sim_echoed(channel) && channel->received == 300000);
        node_sim_run(pair.sim, SECONDS(1));
        check(first_channel(pair.provider)->fate == NODE_SIM_CLOSED && first_channel(pair.provider)->reason == NODE_REASON_DONE);
        check_equal(mistakes(pair.sim), 0);
}

TEST(node_pairs_within_a_second_whoever_comes_first)
{
        for (int order = 0; order < 3; order++) {
                cleanup_with(pair_free) struct pair pair = pair_new(10 + (uint64_t)order, NULL);
                usec_t both_us;

                node_sim_add_dht(pair.sim, 5);
                node_sim_run(pair.sim, SECONDS(5));
                if (order == 1)
                        node_sim_join(pair.gateway, NODE_GATEWAY, 1);
                if (order == 2)
                        node_sim_join(pair.provider, NODE_PROVIDER, 1);
                node_sim_run(pair.sim, order ? SECONDS(60) : 0);
                both_us = net_now(pair.sim->net);
                if (order != 1)
                        node_sim_join(pair.gateway, NODE_GATEWAY, 1);
                if (order != 2)
                        node_sim_join(pair.provider, NODE_PROVIDER, 1);
                node_sim_run_until(pair.sim, gateway_knows, &pair, SECONDS(30));
                check(gateway_knows(&pair));
                check(net_now(pair.sim->net) - both_us < SECONDS(1));
        }
}

TEST(node_pairs_within_a_second_when_all_start_at_once)
{
        cleanup_with(pair_free) struct pair pair = pair_new(15, NULL);
        usec_t took_us = pair_up(&pair);

        check(gateway_knows(&pair));
        check(took_us < SECONDS(1));
}

TEST(node_settles_on_one_connection_when_both_dial_at_once)
{
        static const struct net_link slow = { .delay_us = 30000, .jitter_us = 10000 };

        for (uint64_t seed = 1; seed <= 20; seed++) {
                cleanup_with(pair_free) struct pair pair = pair_new(1600 + seed, &slow);
                struct node_sim_peer *provider, *gateway;

                pair_up(&pair);
                node_sim_run(pair.sim, SECONDS(30));
                provider = node_sim_peer(pair.gateway, NODE_PROVIDER, 1);
                gateway = node_sim_peer(pair.provider, NODE_GATEWAY, 1);
                check(provider && gateway && provider->up && gateway->up);
                check(provider->ups == 1 && gateway->ups == 1);         /* nobody was sent away who had been let in */
        }
}

/* Nobody else is there to hold what it announces. */
TEST(node_that_is_all_of_its_network_is_found_by_who_begins_there)
{
        for (int side = 0; side < 2; side++) {
                cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(1700, &wan);
                struct node_sim_host *first = sim->hosts, *second;
                struct pair pair = { .sim = sim };

                node_sim_join(first, side ? NODE_GATEWAY : NODE_PROVIDER, 1);
                node_sim_run(sim, MINUTES(30));
                second = node_sim_add(sim);
                node_sim_join(second, side ? NODE_PROVIDER : NODE_GATEWAY, 1);
                pair.provider = side ? second : first;
                pair.gateway = side ? first : second;
                node_sim_run_until(sim, gateway_knows, &pair, SECONDS(5));
                check(gateway_knows(&pair));
                check_equal(mistakes(sim), 0);
        }
}

TEST(node_waits_for_a_network_that_is_down)
{
        cleanup_with(pair_free) struct pair pair = pair_new(17, NULL);
        usec_t took_us;

        node_sim_set_up(&pair.sim->hosts[0], false);
        node_sim_join(pair.provider, NODE_PROVIDER, 1);
        node_sim_join(pair.gateway, NODE_GATEWAY, 1);
        node_sim_run(pair.sim, MINUTES(10) + MSEC(3300));
        node_sim_set_up(&pair.sim->hosts[0], true);
        took_us = node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(5));
        check(gateway_knows(&pair) && took_us < SECONDS(10));
}

/* --- Two gateways and three providers among others --- */

static bool all_paired(void *context)
{
        struct node_sim *sim = context;
        size_t links = 0;

        for (size_t i = 0; i < sim->host_count; i++)
                links += node_sim_ups(&sim->hosts[i]);
        return links == 2 * GATEWAYS * PROVIDERS;
}

static bool all_over(void *context)
{
        struct node_sim *sim = context;

        for (size_t i = 0; i < sim->host_count; i++)
                list_for_each(at, &sim->hosts[i].channels)
                        if (!is_over(list_entry(at, struct node_sim_channel, in_host)))
                                return false;
        return true;
}

/* Each gateway fetches from each provider. Returns the hash of all that happened. */
static uint64_t crowd(uint64_t seed, size_t others, const struct net_link *link, usec_t *took_us_out)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(seed, link);
        struct node_sim_host *gateways[GATEWAYS], *providers[PROVIDERS];
        struct node_sim_channel *channels[GATEWAYS][PROVIDERS];

        node_sim_add_dht(sim, others - 1);
        node_sim_run(sim, SECONDS(10));
        for (uint8_t i = 0; i < PROVIDERS; i++)
                node_sim_join(providers[i] = node_sim_add(sim), NODE_PROVIDER, i);
        for (uint8_t i = 0; i < GATEWAYS; i++)
                node_sim_join(gateways[i] = node_sim_add(sim), NODE_GATEWAY, i);
        *took_us_out = node_sim_run_until(sim, all_paired, sim, SECONDS(60));
        check(all_paired(sim));
        for (uint8_t i = 0; i < GATEWAYS; i++)
                for (uint8_t j = 0; j < PROVIDERS; j++)
                        check((channels[i][j] = node_sim_open(gateways[i], j, NODE_SIM_ECHO, 100000 + 1000 * i + j, true)));
        node_sim_run_until(sim, all_over, sim, SECONDS(60));
        for (uint8_t i = 0; i < GATEWAYS; i++)
                for (uint8_t j = 0; j < PROVIDERS; j++)
                        check(node_sim_echoed(channels[i][j]));
        node_sim_run(sim, SECONDS(60));         /* and it stays so */
        check(all_paired(sim));
        for (uint8_t i = 0; i < PROVIDERS; i++)
                check_equal(node_sim_ups(providers[i]), GATEWAYS);      /* no provider has another one */
        check_equal(mistakes(sim), 0);
        return net_hash(sim->net);
}

TEST(node_pairs_gateways_and_providers_among_5_dht_nodes)
{
        usec_t took_us;

        for (uint64_t seed = 20; seed < 25; seed++) {
                crowd(seed, 5, NULL, &took_us);
                check(took_us < SECONDS(2));
        }
}

TEST(node_pairs_gateways_and_providers_among_50_dht_nodes)
{
        usec_t took_us;

        crowd(30, 50, NULL, &took_us);
        check(took_us < SECONDS(2));
        crowd(31, 50, &wan, &took_us);
        check(took_us < SECONDS(10));
}

TEST(node_pairs_gateways_and_providers_over_a_lossy_network)
{
        static const struct net_link lossy = { .delay_us = 20000, .jitter_us = 5000, .reorder = true, .loss_ppm = 50000,
                                               .duplicate_ppm = 10000 };
        usec_t took_us;

        for (uint64_t seed = 40; seed < 43; seed++)
                crowd(seed, 10, &lossy, &took_us);
}

TEST(node_runs_the_same_way_from_the_same_seed)
{
        static const struct net_link lossy = { .delay_us = 10000, .jitter_us = 5000, .loss_ppm = 20000 };
        usec_t took_us[3];
        uint64_t hash = crowd(50, 10, &lossy, &took_us[0]);

        check(crowd(50, 10, &lossy, &took_us[1]) == hash);
        check(took_us[0] == took_us[1]);
        check(crowd(51, 10, &lossy, &took_us[2]) != hash);
}

TEST(node_serves_gateway_and_provider_in_one)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(60, NULL);
        struct node_sim_host *both = node_sim_add(sim), *provider = node_sim_add(sim);
        struct node_sim_channel *channels[2];

        node_sim_run(sim, SECONDS(5));
        node_sim_join(both, NODE_PROVIDER, 1);
        node_sim_join(both, NODE_GATEWAY, 2);
        node_sim_join(provider, NODE_PROVIDER, 3);
        node_sim_run(sim, SECONDS(10));
        check(node_sim_is_up(both, NODE_PROVIDER, 1) && node_sim_is_up(both, NODE_GATEWAY, 2));        /* itself */
        check(node_sim_is_up(both, NODE_PROVIDER, 3) && node_sim_is_up(provider, NODE_GATEWAY, 2));
        channels[0] = node_sim_open(both, 1, NODE_SIM_ECHO, 200000, true);
        channels[1] = node_sim_open(both, 3, NODE_SIM_ECHO, 200000, true);
        node_sim_run(sim, SECONDS(10));
        check(node_sim_echoed(channels[0]) && node_sim_echoed(channels[1]));
        check_equal(mistakes(sim), 0);
}

/* --- Channels --- */

TEST(node_refuses_what_nobody_serves_and_says_why)
{
        cleanup_with(pair_free) struct pair pair = paired(70, NULL);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, 4242, 10, true);

        node_sim_run_until(pair.sim, is_over, channel, SECONDS(10));
        check(channel->fate == NODE_SIM_REFUSED && channel->reason == NODE_REASON_REFUSED);
        check(strcmp(channel->text, "Service not found") == 0);
}

TEST(node_gives_up_an_open_that_nobody_answers)
{
        cleanup_with(pair_free) struct pair pair = paired(71, NULL);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_SILENT, 10, true);
        usec_t took_us = node_sim_run_until(pair.sim, is_over, channel, SECONDS(60));

        check(channel->fate == NODE_SIM_REFUSED && channel->reason == NODE_REASON_TIMED_OUT);
        check(took_us >= SECONDS(14) && took_us <= SECONDS(16));
        node_sim_run(pair.sim, SECONDS(1));
        check(first_channel(pair.provider)->fate == NODE_SIM_CLOSED);
}

TEST(node_knows_no_peer_that_is_not_up)
{
        cleanup_with(pair_free) struct pair pair = paired(72, NULL);
        struct now now = { .mono_us = net_now(pair.sim->net) };
        uint8_t key[NODE_KEY_BYTES] = { 1 };
        node_channel_id id;

        check(!node_sim_open(pair.gateway, 9, NODE_SIM_ECHO, 10, true));
        check(node_open(pair.gateway->node, key, 80, 1, NULL, 0, SECONDS(1), &id, &now) != 0);
}

TEST(node_half_closes_in_both_orders)
{
        for (int loss = 0; loss < 2; loss++) {
                struct net_link link = { .delay_us = 10000, .loss_ppm = loss ? 30000 : 0 };
                cleanup_with(pair_free) struct pair pair = paired(73, &link);
                struct node_sim_channel *late = node_sim_open(pair.gateway, 1, NODE_SIM_LATE, 500000, true);
                struct node_sim_channel *flood = node_sim_open(pair.gateway, 1, NODE_SIM_FLOOD, 0, false);

                node_sim_run(pair.sim, SECONDS(20));
                check(late->fate == NODE_SIM_CLOSED && late->reason == NODE_REASON_DONE && late->received == 500000);
                check(flood->fate == NODE_SIM_OPEN && flood->received == 1000000 && flood->remote_ended);
                list_for_each(at, &pair.provider->channels) {
                        struct node_sim_channel *theirs = list_entry(at, struct node_sim_channel, in_host);

                        check(theirs->service != NODE_SIM_FLOOD || theirs->sent_hash == flood->received_hash);
                        check(theirs->service != NODE_SIM_LATE || theirs->sent_hash == late->received_hash);
                        check(theirs->service != NODE_SIM_LATE || theirs->received_hash == late->sent_hash);
                }
                check_equal(mistakes(pair.sim), 0);
        }
}

TEST(node_delivers_every_byte_over_a_bad_path)
{
        static const struct net_link bad = { .delay_us = 15000, .jitter_us = 5000, .reorder = true, .loss_ppm = 50000,
                                             .duplicate_ppm = 20000, .bits_per_s = 50000000, .queue_bytes = 200000 };
        cleanup_with(pair_free) struct pair pair = paired(74, &bad);
        struct node_sim_channel *channels[8];

        for (unsigned i = 0; i < ARRAY_LEN(channels); i++)
                channels[i] = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 200000 + i, true);
        node_sim_run(pair.sim, SECONDS(60));
        for (unsigned i = 0; i < ARRAY_LEN(channels); i++)
                check(node_sim_echoed(channels[i]));
        check_equal(mistakes(pair.sim), 0);
}

/* The send buffer follows the congestion window: what was writable before a loss may not be after it. */
/* 200 ms there and back, 100 Mbit/s: 2.5 MB are under way, of the connection and of its one channel. Either direction. */
TEST(node_fills_a_long_path_with_one_channel)
{
        static const struct net_link distant = { .delay_us = 100000, .bits_per_s = 100000000, .queue_bytes = 2 << 20 };
        enum { BYTES = 60000000 };      /* 4.8 s of that link, and each way its own */

        for (unsigned i = 0; i < 2; i++) {
                cleanup_with(pair_free) struct pair pair = paired(190 + i, &distant);
                struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, i ? NODE_SIM_LATE : NODE_SIM_SINK,
                                                                 i ? BYTES / 2 : BYTES, true);
                usec_t took_us = node_sim_run_until(pair.sim, is_over, channel, SECONDS(120));

                printf("# %s: %u ms\n", i ? "one way, then the other" : "one way", (unsigned)(took_us / 1000));
                check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE);
                check(took_us < SECONDS(12));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* The same at 400 Mbit/s, where one packet in a thousand is lost: a hole is filled a round trip later, and what came behind it is not read,
 * nor its window opened, before. */
TEST(node_fills_a_long_path_with_holes)
{
        static const struct net_link distant = { .delay_us = 100000, .bits_per_s = 400000000, .queue_bytes = 8 << 20, .loss_ppm = 1000 };
        enum { BYTES = 250000000 };     /* 5 s of that link */
        cleanup_with(pair_free) struct pair pair = paired(192, &distant);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_SINK, BYTES, true);
        usec_t took_us = node_sim_run_until(pair.sim, is_over, channel, SECONDS(120));

        printf("# %u ms\n", (unsigned)(took_us / 1000));
        check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE);
        check(took_us < SECONDS(9));
        check_equal(mistakes(pair.sim), 0);
}

TEST(node_writes_no_more_than_a_shrinking_buffer_takes)
{
        static const struct net_link fast = { .delay_us = 300, .loss_ppm = 300 };

        for (uint64_t seed = 1; seed <= 8; seed++) {
                cleanup_with(pair_free) struct pair pair = paired(7700 + seed, &fast);
                struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_SINK, 20000000, true);

                node_sim_run_until(pair.sim, is_over, channel, SECONDS(10));
                check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE);
        }
}

TEST(node_lets_no_channel_hold_up_the_others)
{
        cleanup_with(pair_free) struct pair pair = paired(75, NULL);
        struct node_sim_channel *deaf = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, 50000000, true), *small;
        usec_t took_us;

        node_sim_run(pair.sim, SECONDS(1));
        check(deaf->fate == NODE_SIM_OPEN && deaf->sent < 8000000);
        small = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 5000, true);
        took_us = node_sim_run_until(pair.sim, is_over, small, SECONDS(10));
        check(node_sim_echoed(small) && took_us < MSEC(50));
}

TEST(node_shares_a_connection_among_many_channels)
{
        static const struct net_link narrow = { .delay_us = 5000, .bits_per_s = 80000000, .queue_bytes = 500000 };
        cleanup_with(pair_free) struct pair pair = paired(76, &narrow);
        struct node_sim_channel *channels[100];
        usec_t first_us = USEC_NEVER, last_us = 0;

        for (unsigned i = 0; i < ARRAY_LEN(channels); i++)
                check((channels[i] = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 200000, true)));
        node_sim_run(pair.sim, SECONDS(30));
        for (unsigned i = 0; i < ARRAY_LEN(channels); i++) {
                check(node_sim_echoed(channels[i]));
                first_us = usec_min(first_us, channels[i]->over_us - channels[i]->opened_us);
                last_us = usec_max(last_us, channels[i]->over_us - channels[i]->opened_us);
        }
        check(last_us < 3 * first_us);
}

/* The largest window that a host told in each of its streams: a tap on what it sends. */
struct windows {
        uint32_t stream[16], bytes[16];
        size_t count;
};

static bool tap_window(void *context, const uint8_t *bytes, size_t len)
{
        struct windows *windows = context;
        struct reader r = reader_over(bytes, len);
        uint16_t magic = read_u16be(&r);
        uint32_t stream, window;
        size_t i = 0;

        read_bytes(&r, 2);
        stream = read_u32le(&r);
        window = read_u32le(&r);
        if (r.failed || magic != 0xff01)
                return false;   /* no UDX */
        while (i < windows->count && windows->stream[i] != stream)
                i++;
        check(i < ARRAY_LEN(windows->stream));
        if (i == windows->count)
                windows->stream[windows->count++] = stream;
        if (window > windows->bytes[i])
                windows->bytes[i] = window;
        return false;
}

TEST(node_promises_no_more_than_its_sockets_hold)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(90, NULL);
        struct windows windows = { .count = 0 };
        struct net_link tapped = { .delay_us = 100, .drops = tap_window, .context = &windows };
        struct node_sim_host *provider;
        uint64_t sum = 0;

        sim->receive_bytes = 4000000;
        provider = node_sim_add(sim);
        for (size_t i = 0; i < 2; i++)
                net_link_set(sim->net, provider->endpoints[i], &tapped);
        node_sim_run(sim, SECONDS(5));
        node_sim_join(provider, NODE_PROVIDER, 1);
        for (uint8_t i = 0; i < 4; i++) {
                node_sim_join(node_sim_add(sim), NODE_GATEWAY, i);
                node_sim_run(sim, SECONDS(2));
        }
        check(node_sim_ups(provider) == 4 && windows.count >= 4);
        for (size_t i = 0; i < windows.count; i++)
                sum += windows.bytes[i];
        check(windows.bytes[0] > 1000000);
        check(sum > 2000000 && sum <= 2400000 + 2 * UDX_BUFFER_FLOOR);
}

/* Whoever dialled: its share must not be that of the link after it. */
TEST(node_promises_as_much_to_whom_it_dials_as_to_who_comes)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(92, NULL);
        struct windows windows[2] = { { .count = 0 } };
        struct net_link tapped[2];

        sim->receive_bytes = 4000000;
        for (size_t k = 0; k < 2; k++) {
                struct node_sim_host *host = node_sim_add(sim);

                tapped[k] = (struct net_link){ .delay_us = 100, .drops = tap_window, .context = &windows[k] };
                for (size_t i = 0; i < 2; i++)
                        net_link_set(sim->net, host->endpoints[i], &tapped[k]);
                node_sim_run(sim, SECONDS(5));
                node_sim_join(host, k ? NODE_GATEWAY : NODE_PROVIDER, 1);
        }
        node_sim_run(sim, SECONDS(10));
        for (size_t k = 0; k < 2; k++) {
                check(windows[k].count >= 1);
                check(windows[k].bytes[0] > 1000000);
        }
}

/* An original's advertisement is one message, and a message must fit in half a window. */
TEST(node_takes_an_advertisement_in_one_message_from_each_of_many_providers)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(91, NULL);
        struct windows windows = { .count = 0 };
        struct net_link tapped = { .delay_us = 100, .drops = tap_window, .context = &windows };
        struct node_sim_host *gateway;
        size_t wide = 0;

        sim->receive_bytes = 4000000;
        gateway = node_sim_add(sim);
        for (size_t i = 0; i < 2; i++)
                net_link_set(sim->net, gateway->endpoints[i], &tapped);
        node_sim_run(sim, SECONDS(5));
        node_sim_join(gateway, NODE_GATEWAY, 1);
        for (uint8_t i = 0; i < 6; i++) {
                node_sim_join(node_sim_add(sim), NODE_PROVIDER, i);
                node_sim_run(sim, SECONDS(2));
        }
        check_equal(node_sim_ups(gateway), 6);
        for (size_t i = 0; i < windows.count; i++)
                wide += windows.bytes[i] / 2 >= 256 * 1024 + 10 + 20;
        check(wide >= 6);
}

/* Once both know that they are of one kind; the next one means any again. */
TEST(node_tells_which_service_is_meant)
{
        static const uint64_t names[] = { 0x123456789abcdef, 7, 0 };
        cleanup_with(pair_free) struct pair pair = paired(19, NULL);
        struct node_sim_channel *channel, *asked;

        node_sim_run(pair.sim, SECONDS(1));
        for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
                channel = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 10, true);
                node_name_service(pair.gateway->node, channel->id, names[i]);
                node_sim_run_until(pair.sim, is_over, channel, SECONDS(10));
                asked = list_entry(pair.provider->channels.prev, struct node_sim_channel, in_host);
                check(asked->named == names[i]);
                check(node_sim_echoed(channel));
        }
        check_equal(mistakes(pair.sim), 0);
}
