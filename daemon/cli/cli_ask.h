/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands that ask an instance, each of which shows what it says, for people or, with --json, as it came. Return an exit status. */
#ifndef HG_CLI_ASK_H
#define HG_CLI_ASK_H

#include "cli_options.h"

enum { CLI_EXIT_NOTHING = 1 };          /* asked in vain: nobody found, no network, no instance */

int cli_scan_run(const struct cli_options *options);
int cli_doctor_run(const struct cli_options *options);
int cli_allow_run(const struct cli_options *options);
int cli_list_run(const struct cli_options *options);
int cli_log_level_run(const struct cli_options *options);
int cli_metrics_run(const struct cli_options *options);
int cli_peers_run(const struct cli_options *options);
int cli_status_run(const struct cli_options *options);
int cli_reload_run(const struct cli_options *options);
int cli_change_run(const struct cli_options *options);
int cli_drain_run(const struct cli_options *options);
int cli_top_run(const struct cli_options *options);

#endif
