/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16, PATH_BYTES = 4096 };

struct launch {
        char path[PATH_BYTES];
        const char *arguments[ARGUMENTS_MAX];
        size_t count;
};

/* Where it was installed, or in a build tree. Never along PATH: what is found there need not be ours. */
static bool find_program(char path[PATH_BYTES])
{
        const char *folder = secure_getenv("HYPERGATE_LIBEXEC");
        int len = snprintf(path, PATH_BYTES, "%s/hypergated", folder && *folder ? folder : HG_SBINDIR);

        return len > 0 && len < PATH_BYTES;
}

static void add(struct launch *launch, const char *argument)
{
        launch->arguments[launch->count++] = argument;
}

static void add_privileges(struct launch *launch, const struct cli_options *options)
{
        const char *user = cli_options_value(options, CLI_OPTION_USER);

        if (user) {
                add(launch, "--user");
                add(launch, user);
        }
        if (cli_options_next(options, CLI_OPTION_ALLOW_ROOT, NULL))
                add(launch, "--allow-root");
}

static int become(struct launch *launch)
{
        if (!find_program(launch->path)) {
                fprintf(stderr, "hypergate: HYPERGATE_LIBEXEC is too long\n");
                return EX_USAGE;
        }
        add(launch, NULL);
        /* Nothing of this process's own output may come after that of the next. */
        fflush(stdout);
        execv(launch->path, (char *const *)(void *)launch->arguments);
        fprintf(stderr, "hypergate: cannot run %s: %s\n", launch->path, strerror(errno));
        return EX_OSERR;
}

int cli_launch_file(const struct cli_options *options, const char *file)
{
        struct launch launch = { .count = 0 };

        add(&launch, "hypergated");
        add(&launch, "--foreground");
        add_privileges(&launch, options);
        if (cli_options_next(options, CLI_OPTION_VERBOSE, NULL))
                add(&launch, "--verbose");
        add(&launch, file);
        return become(&launch);
}

static bool inherit(int fd, char number[16])
{
        snprintf(number, 16, "%d", fd);
        return fcntl(fd, F_SETFD, 0) == 0;
}

int cli_launch_fds(const struct cli_options *options, int conf_fd, int secret_fd)
{
        struct launch launch = { .count = 0 };
        char conf_number[16], secret_number[16];

        add(&launch, "hypergated");
        add(&launch, "--foreground");
        add(&launch, "--conf-fd");
        add(&launch, conf_number);
        if (secret_fd >= 0) {
                add(&launch, "--secret-fd");
                add(&launch, secret_number);
        }
        add_privileges(&launch, options);
        if (!inherit(conf_fd, conf_number) || (secret_fd >= 0 && !inherit(secret_fd, secret_number))) {
                fprintf(stderr, "hypergate: cannot hand over the configuration: %s\n", strerror(errno));
                return EX_OSERR;
        }
        return become(&launch);
}

int cli_launch_asked(const struct cli_options *options, int conf_fd, int control_fd)
{
        bool told = cli_options_next(options, CLI_OPTION_USER, NULL) || cli_options_next(options, CLI_OPTION_ALLOW_ROOT, NULL) ||
                    secure_getenv("HYPERGATE_USER") || secure_getenv("HYPERGATE_ALLOW_ROOT");
        struct launch launch = { .count = 0 };
        char conf_number[16], control_number[16];

        add(&launch, "hypergated");
        add(&launch, "--foreground");
        add(&launch, "--conf-fd");
        add(&launch, conf_number);
        add(&launch, "--control-fd");
        add(&launch, control_number);
        add_privileges(&launch, options);
        if (geteuid() == 0 && !told) {
                add(&launch, "--user");
                add(&launch, "nobody");
        }
        if (!inherit(conf_fd, conf_number) || !inherit(control_fd, control_number)) {
                fprintf(stderr, "hypergate: cannot hand over the question: %s\n", strerror(errno));
                return EX_OSERR;
        }
        return become(&launch);
}
