/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_check.h"
#include "cli_instance.h"
#include "cli_launch.h"
#include "cli_options.h"
#include "cli_rotate.h"
#include "cli_secret.h"

static int run_new(const struct cli_options *options)
{
        return cli_secret_new(cli_options_value(options, CLI_OPTION_OUTPUT), cli_options_next(options, CLI_OPTION_JSON, NULL));
}

static int run_file(const struct cli_options *options)
{
        return cli_launch_file(options, options->operands[0]);
}

static int run_help(const struct cli_options *options)
{
        fputs(cli_usage, stdout);
        return EX_OK;
}

static int run_version(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL);

        puts(json ? "{\"type\":\"version\",\"version\":\"" HG_VERSION "\"}" : "hypergate " HG_VERSION);
        return EX_OK;
}

/* For all commands at once, of which many print line by line: what has failed once is remembered. */
static bool is_printed(void)
{
        bool good = fflush(stdout) == 0 && !ferror(stdout);

        if (!good)
                fprintf(stderr, "hypergate: the output cannot be written, not all of it\n");
        return good;
}

int main(int argc, char **argv)
{
        static int (*const run[CLI_COMMANDS])(const struct cli_options *options) = {
                [CLI_INSTANCE] = cli_instance_run,
                [CLI_NEW] = run_new,
                [CLI_ROTATE] = cli_rotate_run,
                [CLI_CHECK] = cli_check_run,
                [CLI_RUN] = run_file,
                [CLI_BOOTSTRAP] = cli_instance_run,
                [CLI_RELAY] = cli_instance_run,
                [CLI_SCAN] = cli_scan_run,
                [CLI_DOCTOR] = cli_doctor_run,
                [CLI_STATUS] = cli_status_run,
                [CLI_PEERS] = cli_peers_run,
                [CLI_RELOAD] = cli_reload_run,
                [CLI_ROUTES] = cli_list_run,
                [CLI_GATES] = cli_list_run,
                [CLI_SERVICES] = cli_list_run,
                [CLI_CHANNELS] = cli_list_run,
                [CLI_METRICS] = cli_metrics_run,
                [CLI_LOG_LEVEL] = cli_log_level_run,
                [CLI_ADD] = cli_change_run,
                [CLI_REMOVE] = cli_change_run,
                [CLI_DRAIN] = cli_drain_run,
                [CLI_UNDRAIN] = cli_change_run,
                [CLI_ALLOW] = cli_allow_run,
                [CLI_DENY] = cli_allow_run,
                [CLI_ALLOWED] = cli_allow_run,
                [CLI_TOP] = cli_top_run,
                [CLI_HELP] = run_help,
                [CLI_VERSION] = run_version,
        };
        struct cli_options options;
        int status = EX_USAGE;

        if (cli_options_init(&options, argc, argv))
                status = run[options.command](&options);
        cli_options_fini(&options);
        return status == EX_OK && !is_printed() ? EX_IOERR : status;
}
