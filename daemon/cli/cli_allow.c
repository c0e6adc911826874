/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate allow, deny and allowed: clients whom gateways let in for a while, whatever ingress policies say. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_talk.h"
#include "cli_time.h"
#include "conf_host.h"

enum { FOR_S = 30 * 60, FOR_MAX_S = 30 * 24 * 60 * 60 };

static void print(const char *instance, const json_t *allowance)
{
        const char *address = cli_talk_text(allowance, "address"), *until = cli_talk_text(allowance, "until");

        if (*until)
                printf("%s: %s is let in until %s, for %lld s more\n", instance, address, until, cli_talk_number(allowance, "secondsLeft"));
        else
                printf("%s: %s is let in as policies say again\n", instance, address);
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        const bool *json = context;

        if (strcmp(cli_talk_text(object, "type"), "allowance") != 0)
                return;
        if (*json)
                cli_json_print_line(instance, object, line);
        else
                print(instance, object);
        fflush(stdout);
}

static int refuse(const char *command, const char *why)
{
        fprintf(stderr, "hypergate: %s: %s\nTry: hypergate --help\n", command, why);
        return EX_USAGE;
}

/* EX_OK, or it was refused. */
static int ask_for(const struct cli_options *options, char *request, size_t size)
{
        const char *address = options->operands[0], *time = cli_options_value(options, CLI_OPTION_FOR);
        bool allow = options->command == CLI_ALLOW;
        uint8_t ip[16];
        int64_t s = FOR_S;

        if (conf_host_address(address, ip))
                return refuse(allow ? "allow" : "deny", "an IP address, such as 192.0.2.1 or 2001:db8::1");
        if (time && (!cli_time_read(time, FOR_MAX_S, &s) || s < 1))
                return refuse("allow", "--for: for how long? 1s to 30d, such as 30m, 8h");
        if (allow)
                snprintf(request, size, "allow %s %" PRId64 "\n", address, s);
        else
                snprintf(request, size, "deny %s\n", address);
        return EX_OK;
}

int cli_allow_run(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL);
        struct cli_options rest = *options;
        char request[96] = "allowed\n";

        if (options->command != CLI_ALLOWED) {
                int status = ask_for(options, request, sizeof(request));

                if (status != EX_OK)
                        return status;
                rest.operands++;
                rest.operand_count--;
        }
        return cli_each_named(&(struct cli_each){ request, take, &json }, &rest);
}
