/* SPDX-License-Identifier: BSD-3-Clause */
#include "args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char args_usage[] =
        "usage: hypergated [--foreground] FILE [--user NAME] [--allow-root] [--verbose]\n"
        "       hypergated [--foreground] --conf-fd N [--secret-fd M | --control-fd C] [--user NAME] [--allow-root] [--verbose]\n"
        "\n"
        "  FILE              the configuration, see hypergate.yaml(5)\n"
        "  --conf-fd N       read it from this descriptor instead\n"
        "  --secret-fd M     read the router secret from this descriptor\n"
        "  --control-fd C    answer one request on this socket, then end; a configuration without a role will do\n"
        "  --user NAME       started as root: read the files, then become this user for good\n"
        "  --allow-root      started as root: stay root\n"
        "  --verbose         log at the level debug, whatever the configuration says\n"
        "  --foreground      what it always does\n"
        "  --help, --version\n";

static bool refuse(struct args *args, const char *complaint, const char *about)
{
        args->complaint = complaint;
        args->about = about;
        return false;
}

static bool parse_fd(const char *text, int *fd_out)
{
        char *end;
        long value;

        if (!text || *text < '0' || *text > '9')
                return false;
        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || *end || value > INT_MAX)
                return false;
        *fd_out = (int)value;
        return true;
}

/* The value of "--name VALUE" or "--name=VALUE" at *@at, which moves on; NULL when there is none. */
static const char *value_of(int argc, char *const argv[], int *at)
{
        const char *equals = strchr(argv[*at], '=');

        if (equals)
                return equals + 1;
        return *at + 1 < argc ? argv[++*at] : NULL;
}

static bool is(const char *arg, const char *name)
{
        size_t len = strlen(name);

        return strncmp(arg, name, len) == 0 && (arg[len] == '\0' || arg[len] == '=');
}

/* One argument, and its value if it has one. */
static bool parse_one(struct args *args, int argc, char *const argv[], int *at)
{
        const char *arg = argv[*at];

        if (strcmp(arg, "--help") == 0)
                args->help = true;
        else if (strcmp(arg, "--version") == 0)
                args->version = true;
        else if (strcmp(arg, "--allow-root") == 0)
                args->allow_root = true;
        else if (strcmp(arg, "--verbose") == 0)
                args->verbose = true;
        else if (is(arg, "--user"))
                return (args->user = value_of(argc, argv, at)) || refuse(args, "needs a user's name", arg);
        else if (is(arg, "--conf-fd"))
                return parse_fd(value_of(argc, argv, at), &args->conf_fd) || refuse(args, "needs a descriptor's number", arg);
        else if (is(arg, "--secret-fd"))
                return parse_fd(value_of(argc, argv, at), &args->secret_fd) || refuse(args, "needs a descriptor's number", arg);
        else if (is(arg, "--control-fd"))
                return parse_fd(value_of(argc, argv, at), &args->control_fd) || refuse(args, "needs a descriptor's number", arg);
        else if (arg[0] == '-' && strcmp(arg, "--foreground") != 0)
                return refuse(args, "unknown option", arg);
        else if (arg[0] != '-' && args->file)
                return refuse(args, "one file is enough", arg);
        else if (arg[0] != '-')
                args->file = arg;
        return true;
}

bool args_parse(struct args *args, int argc, char *const argv[])
{
        *args = (struct args){ .conf_fd = -1, .secret_fd = -1, .control_fd = -1 };
        for (int at = 1; at < argc; at++)
                if (!parse_one(args, argc, argv, &at))
                        return false;
        if (args->help || args->version)
                return true;
        if (args->file && args->conf_fd >= 0)
                return refuse(args, "either a file or --conf-fd", NULL);
        if (!args->file && args->conf_fd < 0)
                return refuse(args, "which configuration?", NULL);
        return true;
}

void args_default(struct args *args, const char *user, const char *allow_root)
{
        if (!args->user && user && *user)
                args->user = user;
        if (allow_root && strcmp(allow_root, "1") == 0)
                args->allow_root = true;
}
