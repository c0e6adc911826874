/* SPDX-License-Identifier: BSD-3-Clause */
/* The seccomp filter of a worker: an allow-list of system calls, with what their arguments may be where that matters. */
#ifndef HG_RUN_FILTER_H
#define HG_RUN_FILTER_H

#include <seccomp.h>

#include "run_confine.h"

/* What it does not allow sends SIGSYS. For this very process: only to itself may it send signals. 0 or -errno; the caller releases
 * @out. */
int run_filter_make(const struct run_confinement *confinement, scmp_filter_ctx *out);

#endif
