/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate check. */
#ifndef HG_CLI_CHECK_H
#define HG_CLI_CHECK_H

#include "cli_options.h"

/* Returns an exit status. */
int cli_check_run(const struct cli_options *options);

#endif
