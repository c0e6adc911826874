/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate log-level. */
#include <stdio.h>
#include <string.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_peers.h"
#include "cli_talk.h"
#include "conf.h"

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        const bool *json = context;

        if (strcmp(cli_talk_text(object, "type"), "log-level") != 0)
                return;
        if (*json)
                cli_json_print_line(instance, object, line);
        else
                printf("%s: %s, %s\n", instance, cli_talk_text(object, "level"),
                       cli_talk_flag(object, "channels") ? "and how each channel ended" : "of channels those that failed");
        fflush(stdout);
}

static bool is_level(const char *word)
{
        for (size_t i = 0; conf_log_levels[i]; i++)
                if (strcmp(conf_log_levels[i], word) == 0)
                        return true;
        return false;
}

/* The first operand is the level, if it is one: the others are names, of which none is so. */
int cli_log_level_run(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL), set = options->operand_count > 0 && is_level(options->operands[0]);
        struct cli_options rest = *options;
        char request[64] = "log-level\n";

        if (set) {
                snprintf(request, sizeof(request), "log-level %s\n", options->operands[0]);
                rest.operands++;
                rest.operand_count--;
        }
        return cli_each_named(&(struct cli_each){ request, take, &json }, &rest);
}
