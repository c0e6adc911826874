/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of Hyperswarm's policy: one swarm in virtual time. */
#ifndef HG_TEST_SWARM_WORLD_H
#define HG_TEST_SWARM_WORLD_H

#include "cleanup.h"
#include "swarm.h"
#include "test.h"

enum { DIALS_KEPT = 64, CROWD = 99 };

/* Queries are answered at once, by as many nodes as told; dials wait for the test. */
struct world {
        struct swarm *swarm;
        uint8_t key[DHT_KEY_BYTES];
        uint64_t seed;
        usec_t now_us;
        unsigned replying, accepting;           /* nodes that do */
        unsigned listing;                       /* members that each lookup lists and none did before */
        uint8_t listed;                         /* the last of them */
        bool crowded;                           /* instead, each lists some of a crowd */
        bool told[CROWD];
        unsigned announces, lookups, unannounces, dials;
        usec_t announced_us, looked_us;         /* when last */
        bool cleared;                           /* the last announcement withdrew the old record */
        struct swarm_peer *dialling[DIALS_KEPT];        /* the newest last */
        uint8_t dialled[DIALS_KEPT];            /* first byte of their keys */
};

static const struct addr relays[2] = { { .ip = { 10, 9, 9, 1 }, .port = 1 }, { .ip = { 10, 9, 9, 2 }, .port = 2 } };
static const struct addr home = { .ip = { 127, 0, 0, 1 }, .port = 7 };
static const struct addr afar = { .ip = { 192, 0, 43, 8 }, .port = 7 };

struct world *world_new(uint8_t key);
void world_freep(struct world **w);

/* A lookup lists a key of these two bytes. */
void list_key(struct world *w, uint8_t first, uint8_t second);

/* Does all the swarm wants done now. */
void settle(struct world *w);

void run(struct world *w, usec_t us);

/* Until it has dialled @dials times in all; how long that took. */
usec_t run_until_dials(struct world *w, unsigned dials, usec_t limit_us);

/* Whose key begins with @first comes in from there; NULL: it is not let in. Whether it would be. */
struct swarm_peer *incoming(struct world *w, uint8_t first, const struct addr *from);
bool admits(struct world *w, uint8_t first, const struct addr *from);

/* The dial that was asked for last succeeds, and the peer proves itself. */
struct swarm_peer *succeed(struct world *w, bool useful);

/* That peer's does not. */
void fail(struct world *w, struct swarm_peer *peer);

#endif
