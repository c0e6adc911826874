/* SPDX-License-Identifier: BSD-3-Clause */
/* node.h without a network: what its channels take and hold, and what happens at it, is what a fuzzer says. It holds its caller to what
 * node.h asks. */
#ifndef HG_FUZZ_NODE_DOUBLE_H
#define HG_FUZZ_NODE_DOUBLE_H

#include "bytes.h"
#include "node.h"

enum { NODE_DOUBLE_CHANNELS = 12, NODE_DOUBLE_EVENTS = 32, NODE_DOUBLE_SOCKETS = 64 };

enum node_double_state { SIDE_FREE, SIDE_ASKED, SIDE_OPENING, SIDE_OPEN };

struct node_double_side {
        enum node_double_state state;
        node_channel_id id;
        uint16_t protocol;
        size_t writable, inbound, datagrams;
        bool inbound_ended, ended, end_consumed;
};

struct node {
        struct node_double_side sides[NODE_DOUBLE_CHANNELS];
        struct node_event events[NODE_DOUBLE_EVENTS];
        size_t first, count;            /* of @events, a ring */
        node_channel_id last;
        size_t wanted, socket_count;
        uint32_t sockets[NODE_DOUBLE_SOCKETS];  /* added ones */
        unsigned sends;                 /* runs of datagrams that leave */
        struct addr to;
};

/* A peer comes, advertises, goes, or is or is not reached; or one of its clients wants something. */
void node_double_peer(struct node *node, uint8_t what, struct reader *r);

/* A peer is behind a NAT: more sockets are wanted, or one no more. */
void node_double_punch(struct node *node, uint8_t what);

/* The far end of a channel does something. */
void node_double_channel(struct node *node, uint8_t what, struct reader *r);

#endif
