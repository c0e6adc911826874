/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_launch.h"
#include "cli_secret.h"
#include "cli_sheet.h"
#include "ipc_blob.h"
#include "ipc_fd.h"

static const char router_variable[] = "HYPERGATE_ROUTER";

void cli_print_complaints(const struct conf_complaints *complaints)
{
        char text[CONF_COMPLAINT_TEXT_MAX];

        for (size_t i = 0; i < complaints->count; i++)
                fprintf(stderr, "%s\n", conf_complaint_text(&complaints->list[i], text, sizeof(text)));
        if (complaints->omitted_count)
                fprintf(stderr, "and %zu more\n", complaints->omitted_count);
}

static int fail(const char *what, int error)
{
        fprintf(stderr, "hypergate: %s: %s\n", what, strerror(-error));
        return EX_OSERR;
}

/* From the flag or the variable into a memory file. -ENOENT: there is none. */
static int take_secret(const struct cli_options *options)
{
        const struct cli_given *given = NULL, *last = NULL;
        char *variable = getenv(router_variable);
        int fd = -ENOENT;

        while ((given = cli_options_next(options, CLI_OPTION_ROUTER, given))) {
                if (last)
                        explicit_bzero(last->value, strlen(last->value));
                last = given;
        }
        if (last)
                fputs("hypergate: warning: --router: others on this machine could read the secret while this command started; "
                      "HYPERGATE_ROUTER, or secretFile in a configuration, keep it private\n", stderr);
        if (last)
                fd = cli_secret_take(last->value);
        else if (variable && *variable && options->command == CLI_INSTANCE)
                fd = cli_secret_take(variable);
        if (variable)
                explicit_bzero(variable, strlen(variable));
        unsetenv(router_variable);
        return fd;
}

/* Complaints name flags, which hypergated doesn't know any more: so everything is read here first. */
static bool check(const struct cli_sheet *sheet, int conf_fd, int secret_fd)
{
        struct conf_source source = {
                .path = "command line", .fd = conf_fd, .secret_fd = secret_fd,
                .flags = sheet->flags, .flag_count = sheet->flag_count,
        };
        struct conf_complaints complaints;
        struct conf *conf;
        bool good;

        conf_source_environment(&source);
        good = conf_load(&source, &conf, &complaints) == CONF_GOOD;
        if (good)
                conf_free(conf);
        else
                cli_print_complaints(&complaints);
        conf_complaints_fini(&complaints);
        return good;
}

static bool asks_for_something(const struct cli_options *options)
{
        if (options->command == CLI_BOOTSTRAP) {
                const char *listen = cli_options_value(options, CLI_OPTION_LISTEN);

                if (listen && strchr(listen, ':'))
                        return true;
                fprintf(stderr, "hypergate: bootstrap: where? --listen IP:PORT, such as 0.0.0.0:49737\nTry: hypergate --help\n");
                return false;
        }
        if (cli_options_next(options, CLI_OPTION_PROVIDER, NULL) || cli_options_next(options, CLI_OPTION_GATEWAY, NULL))
                return true;
        if (options->given_count)
                fprintf(stderr, "hypergate: provider or gateway? --provider SERVICES, --gateway [SERVICES]\n"
                                "Try: hypergate --help\n");
        else
                fputs(cli_usage, stderr);
        return false;
}

int cli_instance_run(const struct cli_options *options)
{
        cleanup_fd int conf_fd = -1, secret_fd = -1;
        struct cli_sheet sheet;
        int error;

        if (!asks_for_something(options))
                return EX_USAGE;
        secret_fd = take_secret(options);
        if (secret_fd < 0 && secret_fd != -ENOENT)
                return fail("cannot keep the secret in memory", secret_fd);
        error = cli_sheet_init(&sheet, options);
        if (error < 0)
                return fail("cannot write down the command line", error);
        conf_fd = ipc_blob_new(sheet.text, sheet.len);
        if (conf_fd < 0)
                error = fail("cannot write down the command line", conf_fd);
        else
                error = check(&sheet, conf_fd, secret_fd) ? cli_launch_fds(options, conf_fd, secret_fd) : EX_CONFIG;
        cli_sheet_fini(&sheet);
        return error;
}
