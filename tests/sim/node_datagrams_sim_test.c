/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels of datagrams over bad links, beside each other and beside streams: what the network loses is lost, and no more. What is not
 * whole, came before or is somebody else's is a mistake of the host that hears it. */
#include <stdio.h>

#include "node_pair.h"
#include "node_sim_datagrams.h"
#include "test.h"

enum { SESSIONS = 8, STREAMS = 3, EACH = 200, BYTES = 200000, EVERY_US = MSEC(5) };

static const struct net_link bad = { .delay_us = 15000, .jitter_us = 20000, .reorder = true, .loss_ppm = 50000, .duplicate_ppm = 20000 };
static const struct net_link narrow = { .delay_us = 15000, .loss_ppm = 1000, .bits_per_s = 20000000, .queue_bytes = 64 * 1024 };

static bool is_open(void *context)
{
        return ((struct node_sim_channel *)context)->fate == NODE_SIM_OPEN;
}

static bool all_said(void *context)
{
        const struct node_sim_channel *channel = context;

        return channel->sent == channel->to_send;
}

static size_t count_open(struct node_sim_host *host)
{
        size_t count = 0;

        list_for_each(at, &host->channels)
                count += list_entry(at, struct node_sim_channel, in_host)->fate == NODE_SIM_OPEN;
        return count;
}

static bool provider_has_none(void *context)
{
        return count_open(((struct pair *)context)->provider) == 0;
}

static struct node_sim_channel *session(struct pair *pair, uint64_t count)
{
        struct node_sim_channel *channel = node_sim_open_datagrams(pair->gateway, 1, NODE_SIM_DATAGRAMS, count, EVERY_US);

        check(channel);
        return channel;
}

TEST(datagrams_come_back_whole_and_once_over_bad_links_beside_streams)
{
        static const struct net_link *const links[] = { &bad, &narrow };
        static const unsigned least_percent[] = { 84, 84 };     /* of 90 that the network lets come back; and of 100, but for full queues */

        for (unsigned i = 0; i < 2; i++) {
                cleanup_with(pair_free) struct pair pair = paired(6100 + i, links[i]);
                struct node_sim_channel *sessions[SESSIONS], *streams[STREAMS];
                uint64_t back = 0;

                for (unsigned k = 0; k < SESSIONS; k++)
                        sessions[k] = session(&pair, EACH);
                for (unsigned k = 0; k < STREAMS; k++)
                        check((streams[k] = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, BYTES, true)));
                for (unsigned k = 0; k < SESSIONS; k++)
                        node_sim_run_until(pair.sim, all_said, sessions[k], SECONDS(120));
                for (unsigned k = 0; k < STREAMS; k++) {
                        node_sim_run_until(pair.sim, is_over, streams[k], SECONDS(120));
                        check(node_sim_echoed(streams[k]));
                }
                node_sim_run(pair.sim, SECONDS(3));
                for (unsigned k = 0; k < SESSIONS; k++) {
                        check(sessions[k]->received <= EACH);
                        back += sessions[k]->received;
                }
                printf("# %u of %u came back\n", (unsigned)back, SESSIONS * EACH);
                check(back * 100 / (SESSIONS * EACH) >= least_percent[i]);
                check_equal(count_open(pair.provider), SESSIONS);
                for (unsigned k = 0; k < SESSIONS; k++)
                        node_sim_close(sessions[k]);
                node_sim_run(pair.sim, SECONDS(5));
                list_for_each(at, &pair.provider->channels) {
                        const struct node_sim_channel *channel = list_entry(at, struct node_sim_channel, in_host);

                        check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE);
                }
                check_equal(mistakes(pair.sim), 0);
        }
}

/* Sixty a second, as a game has them, for twenty seconds: alone, and beside a download of the same peer that fills the link. */
TEST(a_game_loses_what_the_network_loses_and_waits_for_nothing_else)
{
        enum { COUNT = 1200, DELAY_US = 20000 };
        static const struct net_link links[] = {
                { .delay_us = DELAY_US, .loss_ppm = 20000 },
                { .delay_us = DELAY_US, .loss_ppm = 20000, .bits_per_s = 20000000, .queue_bytes = 64 * 1024 },
        };

        for (unsigned i = 0; i < 2; i++) {
                cleanup_with(pair_free) struct pair pair = paired(6500 + i, &links[i]);
                struct node_sim_channel *stream = NULL, *game;
                /* A full queue takes 26 ms, each way; a bare path would have the same. */
                usec_t most_us = 2 * DELAY_US + (i ? MSEC(60) : MSEC(2));

                if (i) {
                        check((stream = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 1 << 30, true)));
                        node_sim_run(pair.sim, SECONDS(3));
                }
                check((game = node_sim_open_datagrams(pair.gateway, 1, NODE_SIM_GAME, COUNT, SECONDS(1) / 60)));
                node_sim_run_until(pair.sim, all_said, game, SECONDS(60));
                node_sim_run(pair.sim, SECONDS(2));
                printf("# %s: %u of %u came back, the last of them after %u ms\n", i ? "beside a download" : "alone",
                       (unsigned)game->received, COUNT, (unsigned)(game->latest_us / 1000));
                check_equal(game->sent, COUNT);
                check(game->latest_us <= most_us);
                check(COUNT - game->received <= COUNT * (i ? 12 : 6) / 100);    /* 4 % on average, and what the queue drops */
                check(!stream || stream->received > 1 << 20);
                check_equal(mistakes(pair.sim), 0);
        }
}

static void set_link(struct node_sim_host *host, const struct net_link *link)
{
        for (size_t i = 0; i < 2 + host->socket_count; i++)
                net_link_set(host->sim->net, host->endpoints[i], link);
}

/* What the gateway says of its peer: the longest datagram that goes beside the stream. */
static size_t longest(const struct pair *pair)
{
        struct now now = node_sim_now(pair->sim);
        struct node_peer peer;

        check_equal(node_peers(pair->gateway->node, &peer, 1, &now), 1);
        return peer.datagram_bytes;
}

static uint64_t run_for(struct pair *pair, struct node_sim_channel *channel, usec_t us)
{
        uint64_t before = channel->received;

        channel->latest_us = 0;
        node_sim_run(pair->sim, us);
        return channel->received - before;
}

/* Sixty of 1,200 and 1,400 bytes a second, as QUIC has them: with nothing else to say, the path is soon known to carry them, and none waits
 * for one that was lost. */
TEST(long_datagrams_go_beside_the_stream_where_the_path_carries_them)
{
        static const struct net_link link = { .delay_us = 20000, .loss_ppm = 20000, .mtu_bytes = 1500 };
        cleanup_with(pair_free) struct pair pair = paired(6600, &link);
        struct node_sim_channel *video = node_sim_open_datagrams(pair.gateway, 1, NODE_SIM_VIDEO, 1500, SECONDS(1) / 60);
        uint64_t back, late = 0;

        check(video);
        run_for(&pair, video, SECONDS(2));
        for (unsigned s = 0; s < 20; s++) {
                back = run_for(&pair, video, SECONDS(1));
                check(back > 48);
                late += video->latest_us > 2 * link.delay_us + MSEC(2);
        }
        printf("# %u of 20 s in which one waited for another\n", (unsigned)late);
        check(late <= 4);               /* two a second are data, each way, one in fifty of which is lost */
        check_equal(mistakes(pair.sim), 0);
}

/* A tunnel gets in the way, and nobody says so. */
TEST(long_datagrams_go_in_the_stream_soon_after_the_path_has_narrowed)
{
        static const struct net_link wide = { .delay_us = 20000, .mtu_bytes = 1500 };
        static const struct net_link tunnels[] = { { .delay_us = 20000, .mtu_bytes = 1300 }, { .delay_us = 20000, .mtu_bytes = 1200 } };

        for (unsigned i = 0; i < 2; i++) {
                cleanup_with(pair_free) struct pair pair = paired(6610 + i, &wide);
                struct node_sim_channel *video = node_sim_open_datagrams(pair.gateway, 1, NODE_SIM_VIDEO, 1500, SECONDS(1) / 60);

                check(video);
                check_equal(longest(&pair), 1123);
                run_for(&pair, video, SECONDS(2));
                check_equal(longest(&pair), 1403);      /* no probe is longer than what was to be said */
                check(run_for(&pair, video, SECONDS(5)) >= 298);
                check(video->latest_us < 2 * wide.delay_us + MSEC(2));
                set_link(pair.provider, &tunnels[i]);
                set_link(pair.gateway, &tunnels[i]);
                run_for(&pair, video, SECONDS(3));
                check_equal(longest(&pair), 1123);
                check(run_for(&pair, video, SECONDS(10)) >= 598);
                check_equal(longest(&pair), i ? 1123 : 1203);
                check_equal(mistakes(pair.sim), 0);
        }
}

/* The session of a client that comes back is another one, and what was on its way for the first is nobody's. */
TEST(a_session_that_is_closed_in_flight_leaves_nothing_to_the_next)
{
        cleanup_with(pair_free) struct pair pair = paired(6200, &bad);
        uint64_t back = 0;

        for (unsigned i = 0; i < 10; i++) {
                struct node_sim_channel *first = session(&pair, EACH), *second;

                node_sim_run_until(pair.sim, is_open, first, SECONDS(20));
                node_sim_run(pair.sim, MSEC(29));       /* the first are out, and no answer can be back */
                check(first->sent > 0 && !first->received);
                node_sim_close(first);
                second = session(&pair, 20);
                node_sim_run_until(pair.sim, all_said, second, SECONDS(60));
                node_sim_run(pair.sim, SECONDS(1));
                check(second->received <= 20);
                back += second->received;
                node_sim_close(second);
        }
        check(back > 150);
        node_sim_run_until(pair.sim, provider_has_none, &pair, SECONDS(60));
        check(provider_has_none(&pair));
        check_equal(mistakes(pair.sim), 0);
}

TEST(a_session_nobody_reads_loses_its_own_datagrams_and_delays_no_one)
{
        cleanup_with(pair_free) struct pair pair = paired(6300, &narrow);
        struct node_sim_channel *deaf = session(&pair, 4000), *quick, *stream;
        struct node_stats stats[2];
        uint64_t heard, dropped;

        deaf->reads = false;
        node_sim_run_until(pair.sim, is_open, deaf, SECONDS(20));
        quick = session(&pair, EACH);
        check((stream = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, BYTES, true)));
        node_sim_run_until(pair.sim, all_said, quick, SECONDS(60));
        node_sim_run_until(pair.sim, is_over, stream, SECONDS(60));
        node_sim_run(pair.sim, SECONDS(1));
        check(quick->received >= EACH * 9 / 10);
        check(node_sim_echoed(stream));
        node_sim_run(pair.sim, SECONDS(30));
        check_equal(deaf->sent, 4000);
        deaf->reads = true;                     /* it wakes up: the oldest are there, then what comes now */
        node_sim_datagrams_hear(deaf);
        heard = deaf->received;
        check(heard > 100 && heard < 2000);
        node_stats(pair.gateway->node, &stats[0]);
        node_stats(pair.provider->node, &stats[1]);
        dropped = stats[0].channel_datagrams_dropped + stats[1].channel_datagrams_dropped;
        check(dropped > 1500 && dropped <= 4000 - heard);
        deaf->to_send += 20;
        node_sim_datagrams_say(deaf);
        node_sim_run(pair.sim, SECONDS(5));
        check(deaf->received > heard + 10);
        check_equal(mistakes(pair.sim), 0);
}

TEST(sessions_end_with_the_connection_and_new_ones_find_the_next)
{
        cleanup_with(pair_free) struct pair pair = paired(6400, &bad);
        struct node_sim_channel *sessions[SESSIONS], *next;

        for (unsigned k = 0; k < SESSIONS; k++)
                sessions[k] = session(&pair, NODE_SIM_DATAGRAMS_MAX);
        node_sim_run(pair.sim, SECONDS(1));
        node_sim_kill(pair.provider);
        node_sim_run_until(pair.sim, gateway_is_down, &pair, MINUTES(2));
        for (unsigned k = 0; k < SESSIONS; k++)
                check(sessions[k]->fate == NODE_SIM_CLOSED && sessions[k]->reason == NODE_REASON_PEER_LOST);
        node_sim_revive(pair.provider);
        node_sim_join(pair.provider, NODE_PROVIDER, 1);
        node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(2));
        node_sim_run(pair.sim, SECONDS(1));     /* until then it may count as an original, which hears no empty ones */
        next = session(&pair, EACH);
        node_sim_run_until(pair.sim, all_said, next, SECONDS(60));
        node_sim_run(pair.sim, SECONDS(2));
        check(next->received >= EACH * 8 / 10 && next->received <= EACH);
        check_equal(mistakes(pair.sim), 0);
}
