/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate drain: no new clients, and how many are still there; with --wait, until there are none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_talk.h"

enum { WAIT_S_MAX = 7 * 24 * 3600, LOOK_EVERY_MS = 200, LISTED_MAX = 1024 };

/* One that takes nobody new. */
struct drained {
        char *name;
        size_t channels;
        bool confirmed;
};

struct draining {
        struct drained *list;
        size_t count;
        bool failed;                    /* no memory */
};

static void take_drained(void *context, const char *instance, const json_t *object, const char *line)
{
        struct draining *draining = context;
        struct drained *grown;

        if (strcmp(cli_talk_text(object, "type"), "change") != 0)
                return;
        grown = reallocarray(draining->list, draining->count + 1, sizeof(*grown));
        draining->failed |= !grown;
        if (!grown)
                return;
        draining->list = grown;
        grown[draining->count].confirmed = cli_talk_flag(object, "confirmed");
        grown[draining->count].name = strdup(instance);
        draining->failed |= !grown[draining->count].name;
        draining->count += grown[draining->count].name != NULL;
}

static void take_channel(void *context, const char *instance, const json_t *object, const char *line)
{
        struct draining *draining = context;

        for (size_t i = 0; i < draining->count; i++)
                if (strcmp(cli_talk_text(object, "type"), "channel") == 0 && strcmp(draining->list[i].name, instance) == 0)
                        draining->list[i].channels++;
}

/* What all of them carry now. One that has ended carries nothing. */
static size_t look(struct draining *draining, const struct cli_options *options)
{
        size_t left = 0;

        for (size_t i = 0; i < draining->count; i++)
                draining->list[i].channels = 0;
        cli_each_named(&(struct cli_each){ .request = "channels\n", .take = take_channel, .context = draining, .quiet = true }, options);
        for (size_t i = 0; i < draining->count; i++)
                left += draining->list[i].channels;
        return left;
}

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t look_until(struct draining *draining, const struct cli_options *options, unsigned long wait_s)
{
        double deadline_s = now_s() + (double)wait_s;
        size_t left = look(draining, options);

        while (left > 0 && now_s() < deadline_s) {
                nanosleep(&(struct timespec){ .tv_nsec = LOOK_EVERY_MS * 1000000L }, NULL);
                left = look(draining, options);
        }
        return left;
}

static void print(const struct drained *drained, bool json)
{
        if (json) {
                cli_json_print(json_pack("{s:s, s:s, s:b, s:I}", "type", "drain", "instance", drained->name, "confirmed", drained->confirmed,
                                         "channels", (json_int_t)drained->channels));
                return;
        }
        printf("%s: drained, ", drained->name);
        if (drained->channels)
                printf("%zu%s channel%s go%s on\n", drained->channels, drained->channels < LISTED_MAX ? "" : " or more",
                       drained->channels == 1 ? "" : "s", drained->channels == 1 ? "es" : "");
        else
                puts("nobody is connected");
        if (!drained->confirmed)
                fprintf(stderr, "hypergate: %s: not all of its workers have said that they have it; its log may say why\n", drained->name);
}

/* EX_TEMPFAIL: some have not said so, or there are still some that were waited for. */
static int tell(struct draining *draining, bool json, bool late)
{
        int status = draining->failed ? EX_OSERR : late ? EX_TEMPFAIL : EX_OK;

        for (size_t i = 0; i < draining->count; i++) {
                print(&draining->list[i], json);
                if (!draining->list[i].confirmed && status == EX_OK)
                        status = EX_TEMPFAIL;
                free(draining->list[i].name);
        }
        free(draining->list);
        return fflush(stdout) < 0 ? EX_IOERR : status;
}

int cli_drain_run(const struct cli_options *options)
{
        const char *wait = cli_options_value(options, CLI_OPTION_WAIT);
        struct draining draining = { .count = 0 };
        char *rest = NULL;
        unsigned long wait_s = wait ? strtoul(wait, &rest, 10) : 0;
        size_t left;
        int asked, told;

        if (wait && (*wait < '0' || *wait > '9' || *rest || wait_s < 1 || wait_s > WAIT_S_MAX)) {
                fprintf(stderr, "hypergate: drain: --wait: a whole number of seconds from 1 to %d\nTry: hypergate --help\n", WAIT_S_MAX);
                return EX_USAGE;
        }
        asked = cli_each_named(&(struct cli_each){ .request = "drain\n", .take = take_drained, .context = &draining }, options);
        left = look_until(&draining, options, wait_s);
        told = tell(&draining, cli_options_next(options, CLI_OPTION_JSON, NULL), wait && left > 0);
        return told != EX_OK ? told : asked;
}
