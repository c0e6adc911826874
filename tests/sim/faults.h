/* SPDX-License-Identifier: BSD-3-Clause */
/* What a seed does to a network: loss, reordering, repetition, delay, corruption, narrow wires, outages, death. And the story that
 * is run under it: it ends the process when it turns out wrong, so campaign.c gives each seed a process of its own. */
#ifndef HG_FAULTS_H
#define HG_FAULTS_H

#include "net.h"

enum { FAULTS_SIDES = 2, FAULTS_OUTAGES_MAX = 3 };

struct faults_outage {
        usec_t at_us, for_us;
        unsigned side;
};

struct faults {
        struct net_link link[FAULTS_SIDES];     /* each way */
        unsigned loss_percent;                  /* the worse one */
        bool corrupt;
        struct faults_outage outages[FAULTS_OUTAGES_MAX];
        size_t outage_count;
        bool mortal;                            /* one of the two dies, at */
        usec_t death_us;
};

/* Draws them; @within_us: when outages and death begin at the latest. */
void faults_draw(struct faults *faults, const struct random *random, usec_t within_us);

/* Nothing is so bad that all may not arrive. */
bool faults_mild(const struct faults *faults);

/* Sums over all seeds; a story may count other things than these. */
enum faults_sum {
        FAULTS_MILD,            /* seeds of which all was expected to arrive */
        FAULTS_DELIVERED,       /* streams, connections or channels of which every byte arrived */
        FAULTS_GAVE_UP,         /* and that ended otherwise */
        FAULTS_DATAGRAMS,
        FAULTS_SUMS_MAX = 64
};

void faults_add(unsigned sum, uint64_t count);

/* Of a story: prints the sums, and says whether they are as they should be. */
bool faults_sum_up(const uint64_t sums[FAULTS_SUMS_MAX]);

#define must(condition) ((condition) ? (void)0 : faults_fail(__FILE__, __LINE__, #condition))
_Noreturn void faults_fail(const char *file, int line, const char *what);

/* What one seed is a story of: udx_faults.c, peer_faults.c, node_faults.c or nat_faults.c, each in a campaign of its own. */
void faults_story(uint64_t seed);

#endif
