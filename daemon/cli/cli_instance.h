/* SPDX-License-Identifier: BSD-3-Clause */
/* An instance that exists on the command line only. */
#ifndef HG_CLI_INSTANCE_H
#define HG_CLI_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli_options.h"
#include "cli_sheet.h"
#include "conf.h"

/* Checks what the flags of CLI_INSTANCE or CLI_BOOTSTRAP ask for, and becomes hypergated. Returns an exit status only when
 * something is wrong. */
int cli_instance_run(const struct cli_options *options);

/* The secret that --router says, with a warning, or if not, and @variable, HYPERGATE_ROUTER, in a memory file; both are wiped where they
 * were. -ENOENT: nobody says one. Another -errno. */
int cli_instance_secret(const struct cli_options *options, bool variable);

/* Complaints name flags, which hypergated doesn't know any more: so everything is read here first. @conf_fd: the sheet's text, @secret_fd:
 * what --router said, or -1. @secret_out: NULL, or the secret that was found. False: complaints were printed. */
bool cli_instance_check(const struct cli_sheet *sheet, int conf_fd, int secret_fd, bool without_role,
                        uint8_t secret_out[CONF_SECRET_BYTES]);

/* Whether clients shall be let in by tokens: somebody says what these are made with. */
bool cli_instance_unlimited(const struct cli_options *options);

/* Prints them to stderr; warnings too. */
void cli_print_complaints(const struct conf_complaints *complaints);

#endif
