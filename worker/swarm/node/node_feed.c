/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes in over links and is given to their tunnels: how much a peer may send at once, how much of it is read in a turn, and what
 * gives way when there is no memory for it. */
#include "node_state.h"

#define FEED_BYTES (256 * 1024)         /* a link's share of a turn; then the others get theirs */
/* All links' turn, a millisecond or so: then sockets are read, or what comes meanwhile is lost. Behind a gap that is filled lie up to 64
 * MiB. */
#define TURN_BYTES (1024 * 1024)

/* An original's provider tells all its routes in one message, which must fit in half a window: udx_stream.h. One that will not be read is
 * made room for when it comes. */
#define GATEWAY_WINDOW_MIN (2 * (TUNNEL_ADVERT_MAX + TUNNEL_HEADER_BYTES + TUNNEL_SEAL_BYTES))

/* What all peers together may send at once must fit in the sockets' buffers, which hold 0.6 of their size when packets come one by
 * one: half of what is left goes to the next link. */
void node_link_deal_windows(struct node *node)
{
        size_t most = node->config.receive_bytes / 10 * 6, left = most - MIN(most, node->window_sum_bytes);
        size_t least = node->joins[NODE_GATEWAY].node ? GATEWAY_WINDOW_MIN : UDX_BUFFER_MIN;

        node->window_bytes = MIN(MAX(left / 2, least), (size_t)UDX_BUFFER_MAX);
        peer_set_receive_limit(node->peers, node->window_bytes);
}

/* There is no memory for what this link's peer sends. What is kept is freed, all links get smaller windows, and of all their readers
 * that stopped the one with most unread is cut off, if it may be. */
static void relieve(const struct node_link *link)
{
        struct node *node = link->node;
        usec_t now_us = node->now.mono_us, hungry_us = tunnel_hungry_us(link->tunnel);
        struct node_link *hog = NULL;
        size_t most = 0;

        udx_mux_trim(node->mux);
        list_for_each(at, &node->links) {
                struct node_link *other = list_entry(at, struct node_link, in_links);
                size_t bytes = node_link_lives(other) ? tunnel_hog_bytes(other->tunnel, hungry_us, now_us) : 0;

                if (node_link_lives(other))
                        tunnel_press(other->tunnel, now_us);
                if (bytes > most) {
                        most = bytes;
                        hog = other;
                }
        }
        if (!hog)
                return;
        tunnel_cut_hog(hog->tunnel, hungry_us, now_us);
        node_link_touch(hog);
}

static void rest(struct node_link *link)
{
        if (list_empty(&link->in_sated))
                list_push_back(&link->node->sated, &link->in_sated);
}

void node_link_next_turn(struct node *node)
{
        struct list *first;

        node->fed_bytes = 0;
        while ((first = list_first(&node->sated))) {
                list_remove(first);
                node_link_touch(list_entry(first, struct node_link, in_sated));
        }
}

void node_link_feed(struct node_link *link)
{
        uint8_t message[CONN_UNORDERED_BUFFER];
        struct node *node = link->node;
        size_t fed = 0, len, taken;
        const uint8_t *bytes;

        while (fed < FEED_BYTES && node->fed_bytes < TURN_BYTES && !tunnel_paused(link->tunnel) &&
               (len = conn_peek(link->conn, &bytes)) > 0) {
                taken = tunnel_receive(link->tunnel, bytes, len, node->now.mono_us);
                conn_consume(link->conn, taken);
                fed += taken;
                node->fed_bytes += taken;
        }
        while (conn_receive_unordered(link->conn, message, &len))
                tunnel_receive_unordered(link->tunnel, message, len, node->now.mono_us);
        if (tunnel_hungry_us(link->tunnel) != USEC_NEVER)
                relieve(link);
        if (node->fed_bytes >= TURN_BYTES)
                rest(link);
        else if (fed >= FEED_BYTES)
                node_link_touch(link);
}
