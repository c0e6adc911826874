/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "args.h"
#include "backoff.h"
#include "test.h"

#define PARSE(args, ...) parse(args, (const char *const[]){ "hypergated", __VA_ARGS__, NULL })

static bool parse(struct args *args, const char *const *argv)
{
        int argc = 0;

        while (argv[argc])
                argc++;
        return args_parse(args, argc, (char *const *)(uintptr_t)argv);
}

TEST(a_file_is_enough)
{
        struct args args;

        check(PARSE(&args, "router1.yaml"));
        check(strcmp(args.file, "router1.yaml") == 0 && args.conf_fd == -1 && args.secret_fd == -1 && args.control_fd == -1);
        check(!args.user && !args.allow_root && !args.help && !args.version);
        check(PARSE(&args, "--foreground", "router1.yaml"));
        check(strcmp(args.file, "router1.yaml") == 0);
}

TEST(descriptors_take_its_place)
{
        struct args args;

        check(PARSE(&args, "--foreground", "--conf-fd", "5", "--secret-fd", "6", "--user", "nobody", "--allow-root"));
        check(!args.file && args.conf_fd == 5 && args.secret_fd == 6 && args.allow_root);
        check(strcmp(args.user, "nobody") == 0 && !args.verbose);
        check(PARSE(&args, "--verbose", "router1.yaml"));
        check(args.verbose);
        check(PARSE(&args, "--conf-fd", "5", "--control-fd", "7"));
        check(args.conf_fd == 5 && args.control_fd == 7);
        check(PARSE(&args, "--conf-fd=0", "--user=x"));
        check(args.conf_fd == 0 && strcmp(args.user, "x") == 0);
}

TEST(what_makes_no_sense_is_refused_with_a_reason)
{
        static const char *const bad[][4] = {
                { "--conf-fd", "5", "a.yaml" }, { "a.yaml", "b.yaml" }, { "--foreground" }, { "--frobnicate", "a.yaml" },
                { "--conf-fd", "-1" }, { "--conf-fd", "5x" }, { "--conf-fd", "" }, { "--conf-fd", "99999999999999999999" },
                { "a.yaml", "--conf-fd" }, { "a.yaml", "--user" }, { "a.yaml", "--user-name=x" }, { "--secret-fd", "3" },
                { "--conf-fd", " 5" }, { "--conf-fd=5", "--control-fd" }, { "--conf-fd=5", "--control-fd", "x" },
        };
        struct args args;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                check(!PARSE(&args, bad[i][0], bad[i][1], bad[i][2]));
                check(args.complaint && *args.complaint);
        }
}

TEST(help_and_version_need_no_file)
{
        struct args args;

        check(PARSE(&args, "--help") && args.help);
        check(PARSE(&args, "--version") && args.version);
}

TEST(the_environment_fills_in_what_argv_left_open)
{
        struct args args;

        check(PARSE(&args, "a.yaml"));
        args_default(&args, NULL, NULL);
        check(!args.user && !args.allow_root);
        args_default(&args, "", "0");
        check(!args.user && !args.allow_root);
        args_default(&args, "daemon", "1");
        check(strcmp(args.user, "daemon") == 0 && args.allow_root);
        check(PARSE(&args, "a.yaml", "--user", "nobody"));
        args_default(&args, "daemon", NULL);
        check(strcmp(args.user, "nobody") == 0);
}

TEST(waits_double_up_to_the_longest)
{
        check_equal(backoff_us(1, MSEC(100), SECONDS(30)), MSEC(100));
        check_equal(backoff_us(2, MSEC(100), SECONDS(30)), MSEC(200));
        check_equal(backoff_us(4, MSEC(100), SECONDS(30)), MSEC(800));
        check_equal(backoff_us(9, MSEC(100), SECONDS(30)), MSEC(25600));
        check_equal(backoff_us(10, MSEC(100), SECONDS(30)), SECONDS(30));
        check_equal(backoff_us(4000000000, MSEC(100), SECONDS(30)), SECONDS(30));
}
