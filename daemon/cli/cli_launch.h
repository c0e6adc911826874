/* SPDX-License-Identifier: BSD-3-Clause */
/* Becoming hypergated(8), in the foreground: this process is gone afterwards. */
#ifndef HG_CLI_LAUNCH_H
#define HG_CLI_LAUNCH_H

#include "cli_options.h"

/* For `run FILE`. Returns only an exit status, when it failed. */
int cli_launch_file(const struct cli_options *options, const char *file);

/* For flags: @conf_fd and @secret_fd (-1: none) are inherited. The same. */
int cli_launch_fds(const struct cli_options *options, int conf_fd, int secret_fd);

/* For a question: @control_fd is the other end of a talk. As root it becomes nobody, unless told otherwise. */
int cli_launch_asked(const struct cli_options *options, int conf_fd, int control_fd);

#endif
