/* SPDX-License-Identifier: BSD-3-Clause */
/* How long something lasts, as people write it. */
#ifndef HG_CLI_TIME_H
#define HG_CLI_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number with a unit, s, m, h or d, behind it: "90m". False: it is none, or longer than @max_s. */
bool cli_time_read(const char *text, int64_t max_s, int64_t *out_s);

#endif
