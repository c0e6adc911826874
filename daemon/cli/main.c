/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_ask.h"
#include "cli_instance.h"
#include "cli_launch.h"
#include "cli_options.h"
#include "cli_secret.h"
#include "conf.h"

static int run_new(const struct cli_options *options)
{
        return cli_secret_new(cli_options_value(options, CLI_OPTION_OUTPUT));
}

/* False: it can't be said. */
static bool show(const struct conf *conf)
{
        char folder[PATH_MAX];

        if (getcwd(folder, sizeof(folder)) && conf_show(conf, folder, stdout))
                return true;
        fprintf(stderr, "hypergate: cannot show it: %s\n", strerror(errno));
        return false;
}

/* As the service would read it, from the same places. Says nothing about what is good, unless it shall be shown. */
static int check_file(const char *file, bool shown)
{
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        int status = EX_OK;

        source.path = file;
        conf_source_environment(&source);
        if (conf_load(&source, &conf, &complaints) != CONF_GOOD)
                status = EX_CONFIG;
        cli_print_complaints(&complaints);
        conf_complaints_fini(&complaints);
        if (conf && shown && !show(conf))
                status = EX_IOERR;
        conf_free(conf);
        return status;
}

static int run_check(const struct cli_options *options)
{
        bool shown = cli_options_next(options, CLI_OPTION_SHOW, NULL);
        int status = EX_OK;

        for (size_t i = 0; i < options->operand_count; i++) {
                int r = check_file(options->operands[i], shown);

                status = r == EX_OK ? status : r;
        }
        return status;
}

static int run_file(const struct cli_options *options)
{
        return cli_launch_file(options, options->operands[0]);
}

static int run_help(const struct cli_options *options)
{
        return fputs(cli_usage, stdout) < 0 || fflush(stdout) < 0 ? EX_IOERR : EX_OK;
}

static int run_version(const struct cli_options *options)
{
        return puts("hypergate " HG_VERSION) < 0 || fflush(stdout) < 0 ? EX_IOERR : EX_OK;
}

int main(int argc, char **argv)
{
        static int (*const run[CLI_COMMANDS])(const struct cli_options *options) = {
                [CLI_INSTANCE] = cli_instance_run,
                [CLI_NEW] = run_new,
                [CLI_CHECK] = run_check,
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
                [CLI_HELP] = run_help,
                [CLI_VERSION] = run_version,
        };
        struct cli_options options;
        int status = EX_USAGE;

        if (cli_options_init(&options, argc, argv))
                status = run[options.command](&options);
        cli_options_fini(&options);
        return status;
}
