/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate reload. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_talk.h"

/* As the instance itself would print it. */
static void print_complaint(const json_t *complaint)
{
        fputs(cli_talk_text(complaint, "file"), stderr);
        if (cli_talk_number(complaint, "line"))
                fprintf(stderr, ":%lld:%lld", cli_talk_number(complaint, "line"), cli_talk_number(complaint, "column"));
        fprintf(stderr, ": %s%s\n", cli_talk_flag(complaint, "warning") ? "warning: " : "", cli_talk_text(complaint, "text"));
}

static void print_reload(const char *instance, const json_t *reload)
{
        long long added = cli_talk_number(reload, "servicesAdded"), removed = cli_talk_number(reload, "servicesRemoved");
        double took_ms = json_number_value(json_object_get(reload, "tookMs"));

        if (!cli_talk_flag(reload, "good")) {
                fprintf(stderr, "hypergate: %s: not reloaded: what runs stays as it is\n", instance);
                return;
        }
        printf("%s: reloaded in %.1f ms", instance, took_ms);
        if (added || removed)
                printf(", services: %lld more, %lld gone", added, removed);
        puts(cli_talk_flag(reload, "changed") ? "" : ", nothing is different");
        fflush(stdout);
        if (!cli_talk_flag(reload, "confirmed"))
                fprintf(stderr, "hypergate: %s: not all of its workers have said that they have it; its log may say why\n", instance);
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        int *status = context;

        if (strcmp(cli_talk_text(object, "type"), "complaint") == 0) {
                print_complaint(object);
        } else if (strcmp(cli_talk_text(object, "type"), "reload") == 0) {
                print_reload(instance, object);
                if (!cli_talk_flag(object, "good"))
                        *status = EX_CONFIG;
                else if (!cli_talk_flag(object, "confirmed") && *status == EX_OK)
                        *status = EX_TEMPFAIL;
        }
}

int cli_reload_run(const struct cli_options *options)
{
        int status = EX_OK, asked = cli_each_named(&(struct cli_each){ "reload\n", take, &status }, options);

        return status != EX_OK ? status : asked;
}
