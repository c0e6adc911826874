/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of hosts, as a name service of containers has them. */
#ifndef HG_HOST_NAME_H
#define HG_HOST_NAME_H

#include <stdbool.h>

enum { HOST_NAME_MAX_BYTES = 254 };     /* with its NUL: RFC 1035 2.3.4 */

/* Labels of letters, digits, "-" and "_", of 1 to 63 bytes, with dots between. @name ends within HOST_NAME_MAX_BYTES, or is none. */
bool host_name_good(const char *name);

/* One that a host may be given: no address, nor the name of this one. */
bool host_name_is_given(const char *name);

#endif
