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

static const char router_variable[] = "HYPERGATE_ROUTER", unlimited_variable[] = "HYPERGATE_UNLIMITED_SECRET";

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

/* What the flag says, in a memory file; -ENOENT: there is none. A second one is forgotten. */
static int take_flag(const struct cli_options *options)
{
        const struct cli_given *given = NULL, *last = NULL;

        while ((given = cli_options_next(options, CLI_OPTION_ROUTER, given))) {
                if (last)
                        explicit_bzero(last->value, strlen(last->value));
                last = given;
        }
        if (!last)
                return -ENOENT;
        fputs("hypergate: warning: --router: others on this machine could read the secret while this command started; "
              "HYPERGATE_ROUTER, --secret-file, or secretFile in a configuration, keep it private\n", stderr);
        return cli_secret_take(last->value);
}

/* What is private, by its variable to whom it is for. 0 or -errno. */
static int hand_on(const struct cli_options *options, enum cli_option option, const char *variable, const char *what, const char *key)
{
        const struct cli_given *given = NULL;
        int r = 0;

        while ((given = cli_options_next(options, option, given))) {
                r = setenv(variable, given->value, 1) < 0 ? -errno : r;
                explicit_bzero(given->value, strlen(given->value));
                fprintf(stderr, "hypergate: warning: %s: others on this machine could read the %s while this command started; "
                        "%s, or %s in a configuration, keep it private\n", given->flag, what, variable, key);
        }
        return r;
}

static int hand_on_auth(const struct cli_options *options)
{
        int r = hand_on(options, CLI_OPTION_RESOLVER_AUTH, "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH", "password", "basicAuthFile");

        return r < 0 ? r : hand_on(options, CLI_OPTION_UNLIMITED_SECRET, unlimited_variable, "secret", "tokenSecretFile");
}

bool cli_instance_unlimited(const struct cli_options *options)
{
        const char *variable = secure_getenv(unlimited_variable);

        return cli_options_next(options, CLI_OPTION_UNLIMITED_SECRET, NULL) ||
               (variable && *variable && cli_options_next(options, CLI_OPTION_GATEWAY, NULL));
}

/* What the variable says, which is gone afterwards; -ENOENT: nothing, or it isn't @wanted. */
static int take_variable(bool wanted)
{
        char *variable = getenv(router_variable);
        int fd = -ENOENT;

        if (variable && *variable && wanted)
                fd = cli_secret_take(variable);
        if (variable)
                explicit_bzero(variable, strlen(variable));
        unsetenv(router_variable);
        return fd;
}

bool cli_instance_check(const struct cli_sheet *sheet, int conf_fd, int secret_fd, bool without_role,
                        uint8_t secret_out[CONF_SECRET_BYTES])
{
        struct conf_source source = {
                .path = "command line", .fd = conf_fd, .secret_fd = secret_fd,
                .flags = sheet->flags, .flag_count = sheet->flag_count, .without_role = without_role,
        };
        struct conf_complaints complaints;
        struct conf *conf;
        bool good;

        conf_source_environment(&source);
        good = conf_load(&source, &conf, &complaints) == CONF_GOOD;
        if (good && secret_out)
                memcpy(secret_out, conf->secret, CONF_SECRET_BYTES);
        if (good)
                conf_free(conf);
        else
                cli_print_complaints(&complaints);
        conf_complaints_fini(&complaints);
        return good;
}

int cli_instance_secret(const struct cli_options *options, bool variable)
{
        int flag_fd = take_flag(options), variable_fd = take_variable(variable && flag_fd == -ENOENT);

        return flag_fd == -ENOENT ? variable_fd : flag_fd;
}

static bool refuse(const char *why)
{
        fprintf(stderr, "hypergate: %s\nTry: hypergate --help\n", why);
        return false;
}

static bool is_flag(const struct cli_given *given)
{
        return given && given->flag[0] == '-';
}

static const struct { enum cli_option option; const char *why; } of_gateway[] = {
        { CLI_OPTION_ROUTE_FINDING_TIMEOUT, "--routeFindingTimeoutMs: a provider has no clients that wait; it goes with --gateway" },
        { CLI_OPTION_OPEN_REQUEST_TIMEOUT, "--openRequestTimeoutMs: a provider asks nobody; it goes with --gateway" },
        { CLI_OPTION_ROUTE_EXPIRATION, "--routeExpirationMs: a provider has no routes; it goes with --gateway" },
        { CLI_OPTION_EXPOSE_ONLY_DOCKER, "--exposeOnlyDocker: a provider opens no ports; it goes with --gateway" },
        { CLI_OPTION_EXPOSE_ONLY_PUBLISHED, "--exposeOnlyPublished: a provider opens no ports; it goes with --gateway" },
        { CLI_OPTION_EXPOSE_ONLY_SERVICES, "--exposeOnlyServices: a provider opens no ports; it goes with --gateway" },
        { CLI_OPTION_UNLIMITED_SECRET, "--unlimitedSecret: clients come to a gateway; it goes with --gateway" },
};

static const struct { enum cli_option option; const char *why; } of_docker[] = {
        { CLI_OPTION_NETWORK, "--network: of which engine? It goes with --docker" },
        { CLI_OPTION_IMAGE, "--image: of which engine? It goes with --docker" },
        { CLI_OPTION_REFRESH_TIME, "--refreshTime: of which engine? It goes with --docker" },
};

static bool names_one_secret(const struct cli_options *options)
{
        const char *file = cli_options_value(options, CLI_OPTION_SECRET_FILE);

        if (file && cli_options_next(options, CLI_OPTION_ROUTER, NULL))
                return refuse("--router, or --secret-file? One of them");
        return !file || !cli_options_next(options, CLI_OPTION_OPEN, NULL) || refuse("--open: for everybody, or of the router of --secret-file?");
}

static bool asks_for_something(const struct cli_options *options)
{
        bool gateway = cli_options_next(options, CLI_OPTION_GATEWAY, NULL);
        const char *listen = cli_options_value(options, CLI_OPTION_LISTEN);

        if (options->command == CLI_RELAY)
                return !listen || strchr(listen, ':') || refuse("relay: --listen IP:PORT, such as 0.0.0.0:49737");
        if (options->command == CLI_BOOTSTRAP)
                return (listen && strchr(listen, ':')) || refuse("bootstrap: where? --listen IP:PORT, such as 0.0.0.0:49737");
        if (!gateway && !cli_options_next(options, CLI_OPTION_PROVIDER, NULL)) {
                if (options->given_count)
                        return refuse("provider or gateway? --provider SERVICES, --gateway [SERVICES]");
                fputs(cli_usage, stderr);
                return false;
        }
        /* As variables they may be there for other instances. */
        for (size_t i = 0; !gateway && i < sizeof(of_gateway) / sizeof(of_gateway[0]); i++)
                if (is_flag(cli_options_next(options, of_gateway[i].option, NULL)))
                        return refuse(of_gateway[i].why);
        for (size_t i = 0; !cli_options_next(options, CLI_OPTION_DOCKER, NULL) && i < sizeof(of_docker) / sizeof(of_docker[0]); i++)
                if (is_flag(cli_options_next(options, of_docker[i].option, NULL)))
                        return refuse(of_docker[i].why);
        if (!cli_options_next(options, CLI_OPTION_RESOLVER_PORT, NULL) &&
            (is_flag(cli_options_next(options, CLI_OPTION_RESOLVER_HOST, NULL)) || cli_options_next(options, CLI_OPTION_RESOLVER_AUTH, NULL)))
                return refuse("fingerprints are told to nobody without --fingerprintResolverPort");
        if (!cli_instance_unlimited(options) && (is_flag(cli_options_next(options, CLI_OPTION_UNLIMITED_HOST, NULL)) ||
                                                 is_flag(cli_options_next(options, CLI_OPTION_UNLIMITED_PORT, NULL))))
                return refuse("nobody is let in by tokens without --unlimitedSecret");
        return gateway || !is_flag(cli_options_next(options, CLI_OPTION_LISTEN, NULL)) ||
               refuse("--listen: a provider opens no ports; it goes with --gateway");
}

/* And its secret is in no file. */
static bool wants_variable(const struct cli_options *options)
{
        if (cli_options_next(options, CLI_OPTION_SECRET_FILE, NULL))
                return false;
        return options->command == CLI_INSTANCE ||
               (options->command == CLI_RELAY && !cli_options_next(options, CLI_OPTION_OPEN, NULL));
}

/* The variable is still there while everything is checked, so that a complaint names it. */
static int check_and_launch(const struct cli_options *options, const struct cli_sheet *sheet)
{
        cleanup_fd int conf_fd = ipc_blob_new(sheet->text, sheet->len), flag_fd = -1, variable_fd = -1;

        if (conf_fd < 0)
                return fail("cannot write down the command line", conf_fd);
        flag_fd = take_flag(options);
        if (flag_fd < 0 && flag_fd != -ENOENT)
                return fail("cannot keep the secret in memory", flag_fd);
        if (!cli_instance_check(sheet, conf_fd, flag_fd, false, NULL))
                return EX_CONFIG;
        variable_fd = take_variable(flag_fd < 0 && wants_variable(options));
        if (variable_fd < 0 && variable_fd != -ENOENT)
                return fail("cannot keep the secret in memory", variable_fd);
        return cli_launch_fds(options, conf_fd, flag_fd < 0 ? variable_fd : flag_fd);
}

int cli_instance_run(const struct cli_options *options)
{
        struct cli_sheet sheet;
        int error;

        if (!asks_for_something(options) || !names_one_secret(options))
                return EX_USAGE;
        error = hand_on_auth(options);
        if (error < 0)
                return fail("cannot hand on the password", error);
        error = cli_sheet_init(&sheet, options);
        if (error < 0)
                return fail("cannot write down the command line", error);
        error = check_and_launch(options, &sheet);
        cli_sheet_fini(&sheet);
        return error;
}
