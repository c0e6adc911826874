/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_CLI_ROTATE_H
#define HG_CLI_ROTATE_H

#include "cli_options.h"

/* hypergate rotate. Returns the exit status. */
int cli_rotate_run(const struct cli_options *options);

#endif
