/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_CAPABILITIES_H
#define HG_CAPABILITIES_H

#include <stdbool.h>

/* Clears the ambient, bounding, inheritable, permitted and effective sets of this process, for good and across exec. The
 * bounding set needs a capability to be cleared; without any there is nothing in it to gain. 0 or -errno. */
int capabilities_drop_all(void);

/* The first half of it: what exec could ever give back. Of use only while CAP_SETPCAP is there. */
void capabilities_drop_bounding(void);

/* Whether this process has any: permitted, effective, inheritable or ambient. */
bool capabilities_any(void);

#endif
