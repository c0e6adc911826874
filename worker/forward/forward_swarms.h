/* SPDX-License-Identifier: BSD-3-Clause */
/* The swarm workers that are there: one, or as many as cores are to be kept busy. */
#ifndef HG_FORWARD_SWARMS_H
#define HG_FORWARD_SWARMS_H

#include <stdbool.h>
#include <stdint.h>

#include "run.h"

/* NULL: the first; the last yields NULL. Links may end between two calls, but not the one that was just returned. */
struct worker_link *swarms_next(const struct worker *worker, const struct worker_link *after);

/* The one of that id; NULL: not now. */
struct worker_link *swarms_find(struct worker *worker, uint32_t id);

/* It takes more at once. */
bool swarms_ready(const struct worker_link *swarm);

/* There are some, and none takes more now. */
bool swarms_behind(const struct worker *worker);

#endif
