/* SPDX-License-Identifier: BSD-3-Clause */
/* How many channels ended, and why: for the supervisor, who adds up. */
#ifndef HG_FORWARD_TALLY_H
#define HG_FORWARD_TALLY_H

#include "ipc_forward.h"
#include "run.h"

struct tally {
        struct worker *worker;
        struct ipc_forward_status more; /* since it was last told */
        bool news;
        usec_t tell_us;                 /* not before this */
        usec_t limit_told_us;           /* when the log last said that a limit was reached: others follow, unsaid */
};

/* Keeps @worker. */
void tally_init(struct tally *tally, struct worker *worker);
void tally_count(struct tally *tally, enum ipc_reason reason);

/* Tells what is due; when that is the next time. */
void tally_advance(struct tally *tally, usec_t now_us);
usec_t tally_deadline(const struct tally *tally);

#endif
