/* SPDX-License-Identifier: BSD-3-Clause */
/* What this kernel does not have for the walls of workers. */
#ifndef HG_KERNEL_H
#define HG_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

/* What it knows of Landlock; 0: nothing, or it is switched off. */
int kernel_landlock(void);

/* What is missing, and what it leaves open, for one line of the log; false: nothing. @landlock: as above. */
bool kernel_lacks(int landlock, char *out, size_t size);

#endif
