/* SPDX-License-Identifier: BSD-3-Clause */
/* The service manager: what it is told, and what it gives. libsystemd speaks to it (manager.c); for a static binary there is none, and
 * its protocols are spoken here (manager_static.c), to the same effect. */
#ifndef HG_MANAGER_H
#define HG_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

enum { MANAGER_PASSED_FIRST = 3 };      /* the descriptor that was passed first; the others follow */

/* "NAME=value" lines, with @fd unless that is -1. False: there is no manager, or it was not told. */
bool manager_tell(const char *text, int fd);

/* Returns when it has read everything that was told before, or after @within_ms. */
void manager_settle(unsigned within_ms);

/* How soon it wants to hear that we are alive; 0: it does not. */
uint64_t manager_watchdog_us(void);

/* How many descriptors it passed, close-on-exec from here on, and their names, each and all to be freed. -errno. Only once. */
int manager_passed(char ***names_out);

#endif
