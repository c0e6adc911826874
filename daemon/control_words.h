/* SPDX-License-Identifier: BSD-3-Clause */
/* What numbers of the swarm worker are called in answers. A number that has no name is "unknown". */
#ifndef HG_CONTROL_WORDS_H
#define HG_CONTROL_WORDS_H

#include <stdint.h>

const char *control_nat(uint32_t nat);          /* enum ipc_nat */
const char *control_path(uint32_t path);        /* enum ipc_path */

#endif
