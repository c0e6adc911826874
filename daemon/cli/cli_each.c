/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_each.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_ask.h"
#include "cli_talk.h"
#include "conf.h"
#include "ipc_control.h"

struct one {
        const struct cli_each *each;
        char name[4 * NAME_MAX + 1];    /* printable */
};

static void take(void *context, const json_t *object, const char *line)
{
        const struct one *one = context;

        one->each->take(one->each->context, one->name, object, line);
}

/* 0: it answered; -EOPNOTSUPP: it lacks the role for what is asked, -EPROTO: it did not answer otherwise, and either was told of. What a dead
 * one left is removed, if it may be. */
static int ask_at(const struct cli_each *each, const char *path, const char *name)
{
        struct one one = { .each = each };
        struct cli_talk talk;
        int r = cli_talk_connect(&talk, path);

        if (r == -ECONNREFUSED)
                ipc_control_sweep_one(path);
        if (r < 0)
                return r;
        talk.quiet = each->quiet;
        talk.handed = each->handed;
        cli_talk_escape(one.name, sizeof(one.name), name);
        if (cli_talk(&talk, each->request, take, &one))
                return 0;
        return talk.not_meant ? -EOPNOTSUPP : -EPROTO;
}

/* Those of a service manager have a folder each, of their name. */
static int ask(const struct cli_each *each, const char *folder, const char *name)
{
        char path[PATH_MAX];
        int r;

        if (strchr(name, '/'))
                return ask_at(each, name, name);
        snprintf(path, sizeof(path), "%s/%s" IPC_CONTROL_SUFFIX, folder, name);
        r = ask_at(each, path, name);
        if (r != -ENOENT)
                return r;
        snprintf(path, sizeof(path), "%s/%s/%s" IPC_CONTROL_SUFFIX, folder, name, name);
        return ask_at(each, path, name);
}

static void tell_silent(const char *name, int error)
{
        char quoted[128];

        conf_quote(name, quoted, sizeof(quoted));
        if (error == -ECONNREFUSED)
                fprintf(stderr, "hypergate: %s does not run any more\n", quoted);
        else if (error == -ENOENT)
                fprintf(stderr, "hypergate: %s does not run here, or runs as somebody else\n", quoted);
        else if (error == -EACCES || error == -EPERM)
                fprintf(stderr, "hypergate: %s runs as somebody else: ask as that user, as root, or, what changes nothing, "
                        "as a member of the group hypergate\n", quoted);
        else if (error != -EPROTO)
                fprintf(stderr, "hypergate: %s: %s\n", quoted, strerror(-error));
}

/* Where to look: where we are told, or where this user's are, and those of the system, which may let us ask. */
struct folders {
        char own[PATH_MAX / 2];
        const char *list[2];
        size_t count;
};

static void folders_init(struct folders *folders)
{
        const char *told = secure_getenv("RUNTIME_DIRECTORY");
        bool is_told = told && *told && strlen(told) < sizeof(folders->own);

        *folders = (struct folders){ .count = 0 };
        if (is_told)
                memcpy(folders->own, told, strlen(told) + 1);
        if (is_told || conf_runtime_directory(folders->own, sizeof(folders->own)))
                folders->list[folders->count++] = folders->own;
        if (!is_told && geteuid() != 0)
                folders->list[folders->count++] = CONF_SYSTEM_RUNTIME;
}

/* The first folder that has it says what became of it. */
static int ask_anywhere(const struct cli_each *each, const struct folders *folders, const char *name)
{
        int r = -ENOENT;

        for (size_t i = 0; i < folders->count && r == -ENOENT; i++)
                r = ask(each, folders->list[i], name);
        return r;
}

/* Those that lack the role are no failure where another one has it. */
static int ask_named(const struct cli_each *each, const struct cli_options *options, const struct folders *folders)
{
        size_t answered = 0, not_meant = 0;
        int status = EX_OK;

        for (size_t i = 0; i < options->operand_count; i++) {
                const char *name = options->operands[i];
                int r = ask_anywhere(each, folders, name);

                answered += r == 0;
                not_meant += r == -EOPNOTSUPP;
                if (r == 0 || r == -EOPNOTSUPP)
                        continue;
                status = CLI_EXIT_NOTHING;
                if (!each->quiet)
                        tell_silent(name, r);
        }
        return not_meant && !answered ? CLI_EXIT_NOTHING : status;
}

static int is_control_socket(const struct dirent *entry)
{
        size_t len = strlen(entry->d_name), suffix = strlen(IPC_CONTROL_SUFFIX);

        return len > suffix && strcmp(entry->d_name + len - suffix, IPC_CONTROL_SUFFIX) == 0;
}

/* A folder, or what leads to one. */
static int may_be_folder(const struct dirent *entry)
{
        return entry->d_name[0] != '.' && entry->d_type != DT_SOCK && entry->d_type != DT_REG;
}

struct heard { int answered, refused; };

/* What a dead instance left is no instance. */
static void ask_all(const struct cli_each *each, const char *folder, struct heard *heard)
{
        int (*const kinds[])(const struct dirent *entry) = { is_control_socket, may_be_folder };

        for (size_t kind = 0; kind < 2; kind++) {
                struct dirent **entries = NULL;
                int count = scandir(folder, &entries, kinds[kind], alphasort);

                for (int i = 0; i < count; i++) {
                        int r;

                        if (kind == 0)
                                entries[i]->d_name[strlen(entries[i]->d_name) - strlen(IPC_CONTROL_SUFFIX)] = '\0';
                        r = ask(each, folder, entries[i]->d_name);
                        heard->answered += r == 0;
                        heard->refused += r == -EPROTO || r == -EOPNOTSUPP;
                        free(entries[i]);
                }
                free(entries);
        }
}

static struct heard ask_everywhere(const struct cli_each *each, const struct folders *folders)
{
        struct heard heard = { 0 };

        for (size_t i = 0; i < folders->count; i++)
                ask_all(each, folders->list[i], &heard);
        return heard;
}

int cli_each_named(const struct cli_each *each, const struct cli_options *options)
{
        struct folders folders;
        struct heard heard;

        folders_init(&folders);
        if (options->operand_count)
                return ask_named(each, options, &folders);
        heard = ask_everywhere(each, &folders);
        if (heard.answered)
                return EX_OK;
        if (!heard.refused && !each->quiet)
                fprintf(stderr, "hypergate: no instance runs here that this user may ask (%s%s%s)\n", folders.list[0],
                        folders.count > 1 ? ", " : "", folders.count > 1 ? folders.list[1] : "");
        return CLI_EXIT_NOTHING;
}

int cli_each_there(const struct cli_each *each)
{
        struct folders folders;

        folders_init(&folders);
        return ask_everywhere(each, &folders).answered;
}

void cli_each_collect(void *context, const char *instance, const json_t *object, const char *line)
{
        json_t *copy = json_copy((json_t *)(uintptr_t)object);

        if (copy)
                json_object_set_new(copy, "instance", json_string(instance));
        json_array_append_new(context, copy);
}
