/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the route table: one table, what peers say to it, and what it tells. */
#ifndef HG_TEST_ROUTER_TABLE_SCENE_H
#define HG_TEST_ROUTER_TABLE_SCENE_H

#include "ipc_route.h"
#include "ipc_router.h"
#include "router_table.h"
#include "test.h"

static const struct ipc_via peer_a = { .peer = { 'A' }, .swarm = 1 }, peer_b = { .peer = { 'B' }, .swarm = 1 };

extern struct route_table table;
extern struct advert advert;            /* what a peer is about to say */

void begin(void);
void finish(void);

/* With those of the three that are there. */
void begin_filtered(const struct ipc_router_filter *const chosen[3], bool every);

/* One route more in @advert, of a service at port 80. */
void offer(uint16_t gate_port, const char *host, const char *tags);

/* @peer says @advert, which is empty then. */
void say(const struct ipc_via *peer, usec_t now_us);

/* What came out since: "+A80" offered, "-A80" withdrawn, "open 80", "close 80", "low 80". */
const char *told(void);

#define check_told(expected)                                                                            \
        do {                                                                                            \
                const char *told_ = told();                                                             \
                if (strcmp(told_, expected) != 0)                                                       \
                        test_fail(__FILE__, __LINE__, "told \"%s\", expected \"%s\"", told_, expected); \
        } while (0)

/* How many have been told of that gate. */
unsigned offers(uint16_t gate_port);

#endif
