/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate reload. Under systemctl reload it says nothing: its output is the journal, where the instance itself has said all of that. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_reload.h"
#include "cli_secret.h"
#include "cli_talk.h"
#include "conf.h"
#include "ipc_fd.h"
#include "ipc_journal.h"

enum { QUOTED_MAX = 128 };

void cli_reload_print_complaint(const json_t *complaint)
{
        fputs(cli_talk_text(complaint, "file"), stderr);
        if (cli_talk_number(complaint, "line"))
                fprintf(stderr, ":%lld:%lld", cli_talk_number(complaint, "line"), cli_talk_number(complaint, "column"));
        fprintf(stderr, ": %s%s\n", cli_talk_flag(complaint, "warning") ? "warning: " : "", cli_talk_text(complaint, "text"));
}

static void print_reload(const char *instance, const json_t *reload)
{
        long long added = cli_talk_number(reload, "servicesAdded"), removed = cli_talk_number(reload, "servicesRemoved");
        double took_ms = cli_talk_decimal(reload, "tookMs");

        if (!cli_talk_flag(reload, "good")) {
                fprintf(stderr, "hypergate: %s: not reloaded: what runs stays as it is\n", instance);
                return;
        }
        printf("%s: reloaded in %.1f ms", instance, took_ms);
        if (added || removed)
                printf(", services: %lld more, %lld gone", added, removed);
        printf("%s", cli_talk_flag(reload, "changed") ? "" : ", nothing is different");
        puts(cli_talk_flag(reload, "drained") ? "; still drained" : "");
        fflush(stdout);
        if (!cli_talk_flag(reload, "confirmed"))
                fprintf(stderr, "hypergate: %s: not all of its workers have said that they have it; its log may say why\n", instance);
}

struct reloading {
        bool json;
        bool logged;                    /* what the instance says stands where this would be read */
        int status;
};

static void take_reload(struct reloading *reloading, const char *instance, const json_t *object, const char *line)
{
        if (reloading->json)
                fputs(line, stdout);
        else if (!reloading->logged)
                print_reload(instance, object);
        if (!cli_talk_flag(object, "good"))
                reloading->status = EX_CONFIG;
        else if (!cli_talk_flag(object, "confirmed") && reloading->status == EX_OK)
                reloading->status = EX_TEMPFAIL;
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        struct reloading *reloading = context;

        if (strcmp(cli_talk_text(object, "type"), "reload") == 0)
                take_reload(reloading, instance, object, line);
        else if (strcmp(cli_talk_text(object, "type"), "complaint") == 0 && reloading->json)
                cli_json_print_line(instance, object, line);
        else if (strcmp(cli_talk_text(object, "type"), "complaint") == 0 && !reloading->logged)
                cli_reload_print_complaint(object);
        fflush(stdout);
}

/* -1: there is none to hand over. Else a descriptor, or why not was printed: an exit status in @status. */
static int take_secret(const struct cli_options *options, int *status)
{
        const char *path = cli_options_value(options, CLI_OPTION_SECRET_FILE);
        char quoted[QUOTED_MAX];
        int fd;

        if (!path)
                return -1;
        if (options->operand_count == 0) {
                fprintf(stderr, "hypergate: reload: --secret-file: name the instance that it is for\n"
                                "Try: hypergate --help\n");
                *status = EX_USAGE;
                return -1;
        }
        fd = cli_secret_copy(path);
        if (fd >= 0)
                return fd;
        conf_quote(path, quoted, sizeof(quoted));
        if (fd == -EPERM)
                fprintf(stderr, "hypergate: %s is open to others than its owner: chmod 600 it, and think of a new secret\n", quoted);
        else
                fprintf(stderr, "hypergate: cannot read the secret in %s: %s\n", quoted,
                        fd == -EINVAL ? "it is no file with secrets, as \"hypergate new --output FILE\" makes one" : strerror(-fd));
        *status = EX_NOINPUT;
        return -1;
}

int cli_reload_run(const struct cli_options *options)
{
        struct reloading reloading = { .json = cli_options_next(options, CLI_OPTION_JSON, NULL),
                                       .logged = ipc_journal_has_stderr(getenv("JOURNAL_STREAM")), .status = EX_OK };
        cleanup_fd int secret = take_secret(options, &reloading.status);
        struct cli_each each = { secret < 0 ? "reload\n" : "reload secret\n", take, &reloading, .handed = secret < 0 ? NULL : &secret };
        int asked = reloading.status == EX_OK ? cli_each_named(&each, options) : EX_OK;

        return reloading.status != EX_OK ? reloading.status : asked;
}
