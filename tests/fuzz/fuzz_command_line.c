/* SPDX-License-Identifier: BSD-3-Clause */
/* The words on both programs' command lines: the input is the arguments, each ended by NUL; its first byte says how many of the first
 * are the values of variables instead. What hypergate(1) makes of its flags is a configuration in good order, in which each line knows
 * the flag that said it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cleanup.h"
#include "cli_options.h"
#include "cli_sheet.h"
#include "conf.h"
#include "ipc_blob.h"

enum { ARGUMENTS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

/* Cuts @text (@len bytes and a NUL) into its words. */
static int split(char *text, size_t len, char *argv[ARGUMENTS_MAX + 1])
{
        int argc = 0;

        for (size_t at = 0; at < len && argc < ARGUMENTS_MAX; at += strlen(text + at) + 1)
                argv[argc++] = text + at;
        argv[argc] = NULL;
        return argc;
}

static void set_variables(char *const values[], int count)
{
        static const char *const names[] = { "HYPERGATE_PROVIDER", "HYPERGATE_GATEWAY", "HYPERGATE_LISTEN", "HYPERGATE_VERBOSE" };

        for (int i = 0; i < (int)ARRAY_LEN(names); i++)
                must((i < count ? setenv(names[i], values[i], 1) : unsetenv(names[i])) == 0);
}

static bool has_flag(const struct cli_options *options, const char *flag)
{
        size_t found = 0;

        for (size_t i = 0; i < options->given_count; i++)
                found += strcmp(options->given[i].flag, flag) == 0;
        return found > 0 || strcmp(flag, "--public") == 0;
}

/* No file is opened: services are not looked for in the file system by what is not there to be read. */
static bool names_files(const struct cli_options *options)
{
        static const enum cli_option kinds[] = { CLI_OPTION_PROVIDER, CLI_OPTION_GATEWAY };

        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                for (const struct cli_given *at = NULL; (at = cli_options_next(options, kinds[i], at));)
                        if (at->value && *at->value && !strchr("[{", *at->value))
                                return true;
        return false;
}

static void load(const struct cli_sheet *sheet)
{
        struct conf_source source = { .path = "command line", .secret_fd = -1, .flags = sheet->flags,
                                      .flag_count = sheet->flag_count };
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        enum conf_verdict verdict;

        source.router_secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        source.fd = ipc_blob_new(sheet->text, sheet->len);
        if (source.fd < 0)
                return;                 /* more than fits */
        verdict = conf_load(&source, &conf, &complaints);
        must((verdict == CONF_GOOD) == (conf != NULL));
        conf_free(conf);
        conf_complaints_fini(&complaints);
        close(source.fd);
}

static void run_client(int argc, char **argv)
{
        struct cli_options options;
        struct cli_sheet sheet;
        size_t lines = 0;

        if (!cli_options_init(&options, argc, argv) || (options.command != CLI_INSTANCE && options.command != CLI_BOOTSTRAP) ||
            (options.command == CLI_BOOTSTRAP && !cli_options_next(&options, CLI_OPTION_LISTEN, NULL))) {
                cli_options_fini(&options);
                return;
        }
        must(cli_sheet_init(&sheet, &options) == 0);
        for (size_t i = 0; i < sheet.len; i++)
                lines += sheet.text[i] == '\n';
        must(lines == sheet.flag_count);
        for (size_t i = 0; i < sheet.flag_count; i++)
                must(!sheet.flags[i] || has_flag(&options, sheet.flags[i]));
        if (!names_files(&options))
                load(&sheet);
        cli_sheet_fini(&sheet);
        cli_options_fini(&options);
}

static void run_server(int argc, char **argv)
{
        struct args args;

        if (!args_parse(&args, argc, argv)) {
                must(args.complaint != NULL);
                return;
        }
        args_default(&args, argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
        must(args.help || args.version || (args.file != NULL) != (args.conf_fd >= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char *text = malloc(len + 1), *argv[ARGUMENTS_MAX + 1];
        int argc, variables;

        must(text != NULL);
        if (len)
                memcpy(text, data, len);
        text[len] = '\0';
        variables = len ? (uint8_t)text[0] % 5 : 0;
        argc = split(text + (len ? 1 : 0), len ? len - 1 : 0, argv);
        variables = variables < argc ? variables : argc;
        set_variables(argv, variables);
        run_server(argc - variables, argv + variables);
        run_client(argc - variables, argv + variables);
        free(text);
        return 0;
}
