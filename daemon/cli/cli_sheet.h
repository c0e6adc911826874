/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line as a configuration: YAML text, one line for each flag, so that a complaint about a line is one about
 * the flag. */
#ifndef HG_CLI_SHEET_H
#define HG_CLI_SHEET_H

#include <stddef.h>

#include "cli_options.h"

struct cli_sheet {
        char *text;
        size_t len;
        const char **flags;             /* flags[n] said line n + 1, NULL: none did */
        size_t flag_count;
};

/* What @options ask for, but for the secret. 0 or -ENOMEM. */
int cli_sheet_init(struct cli_sheet *sheet, const struct cli_options *options);

/* The secret alone: that of the file that --secret-file names. The same. */
int cli_sheet_init_secret(struct cli_sheet *sheet, const struct cli_options *options);
void cli_sheet_fini(struct cli_sheet *sheet);

#endif
