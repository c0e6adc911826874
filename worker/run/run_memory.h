/* SPDX-License-Identifier: BSD-3-Clause */
/* The last of a process's memory is for what runs already: who asks for more is refused before there is none, and the event
 * loop, which can only abort without, has something put by. */
#ifndef HG_RUN_MEMORY_H
#define HG_RUN_MEMORY_H

#include <stdbool.h>

/* Puts it by, and makes libev take from it at need. Before the first loop. False: there is not even that. */
bool run_memory_begin(void);

/* Asked before each connection is taken: whether what is left, in the heap or to be had from the system, is for those that are
 * there. (RLIMIT_DATA and RLIMIT_AS refuse; a cgroup's limit does not, it kills.) */
bool run_memory_short(void);

#endif
