/* SPDX-License-Identifier: BSD-3-Clause */
/* An instance that exists on the command line only. */
#ifndef HG_CLI_INSTANCE_H
#define HG_CLI_INSTANCE_H

#include "cli_options.h"
#include "conf.h"

/* Checks what the flags of CLI_INSTANCE or CLI_BOOTSTRAP ask for, and becomes hypergated. Returns an exit status only when
 * something is wrong. */
int cli_instance_run(const struct cli_options *options);

/* Prints them to stderr; warnings too. */
void cli_print_complaints(const struct conf_complaints *complaints);

#endif
