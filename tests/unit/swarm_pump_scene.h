/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the pump: a real connection or socket on one side, and on the other a channel that the test plays in place of the node. */
#ifndef HG_TEST_SWARM_PUMP_SCENE_H
#define HG_TEST_SWARM_PUMP_SCENE_H

#include "pump.h"
#include "test.h"

enum { INBOUND_BYTES = 8 * 1024 * 1024 };

/* The node's side of channel 1. */
struct node {
        size_t writable;                /* what it takes now */
        uint8_t sent[4 * 65536];            /* from the local connection */
        size_t sent_len;
        unsigned ends, aborts, ends_consumed;
        size_t inbound, consumed;       /* for the local connection: so many bytes, so many of them handed on */
        bool inbound_ended;
        size_t datagram_len[64], datagram_count;        /* from the local socket */
        unsigned sends;
        size_t offer_len[4];            /* for it: datagram @i has offer_len[i % 4] bytes from inbound[i] on */
        size_t offered, taken;
};

struct scene {
        struct node node;
        struct now now;
        struct pump_room room;
        struct pump pump;
        int local;                      /* the far end of the local connection */
};

extern uint8_t inbound[INBOUND_BYTES];
extern unsigned broken;                 /* pumps that said so */

/* A TCP connection, and a node that takes 1000 bytes. */
struct scene *scene_begin(struct scene *scene);
void scene_end(struct scene *scene);

/* The same with datagrams of that kind, and 60,000 bytes. */
void datagrams_begin(struct scene *scene, enum pump_kind kind);

/* Turns of the loop until nothing happens any more. */
void run(struct scene *scene);

size_t read_all(int fd, uint8_t *out, size_t max);

/* One datagram at the far end, as the pair or the socket has it. */
void local_send(struct scene *scene, const uint8_t *bytes, size_t len);
ssize_t local_receive(struct scene *scene, uint8_t *out, size_t max);

#endif
