/* SPDX-License-Identifier: BSD-3-Clause */
/* What lies behind a gap is read in turns once that is filled: between two of them sockets are read. (Linked with --wrap of tunnel_receive
 * and node_advance.) */
#include "node_pair.h"
#include "test.h"
#include "tunnel.h"

enum { MIB = 1024 * 1024, TURN = MIB, LONGEST = 64 * 1024, BYTES = 24 * MIB };

size_t __real_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);
size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us);
void __real_node_advance(struct node *node, const struct now *now);
void __wrap_node_advance(struct node *node, const struct now *now);

static size_t fed_bytes, most_bytes;            /* of the one node that is sent something; between two turns */

size_t __wrap_tunnel_receive(struct tunnel *tunnel, const void *bytes, size_t len, usec_t now_us)
{
        size_t taken = __real_tunnel_receive(tunnel, bytes, len, now_us);

        fed_bytes += taken;
        most_bytes = MAX(most_bytes, fed_bytes);
        return taken;
}

void __wrap_node_advance(struct node *node, const struct now *now)
{
        fed_bytes = 0;
        __real_node_advance(node, now);
}

TEST(what_lay_behind_a_gap_is_read_in_turns)
{
        static const struct net_link link = { .delay_us = 50000, .bits_per_s = 1000000000, .queue_bytes = 12 * MIB, .loss_ppm = 500 };
        cleanup_with(pair_free) struct pair pair = paired(7800, &link);
        struct node_sim_channel *channel;

        check((channel = node_sim_open(pair.gateway, 1, NODE_SIM_SINK, BYTES, true)));
        node_sim_run_until(pair.sim, is_over, channel, SECONDS(30));
        check(is_over(channel) && channel->reason == NODE_REASON_DONE);
        check_equal(channel->sent, BYTES);
        check(most_bytes > TURN / 2);           /* there were gaps, and much behind them */
        check(most_bytes <= TURN + LONGEST);
        check_equal(mistakes(pair.sim), 0);
}
