/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_instance.h"
#include "cli_launch.h"
#include "cli_sheet.h"
#include "ipc_blob.h"
#include "ipc_control.h"
#include "ipc_fd.h"

enum { LINE_BYTES_MAX = 1024 * 1024 };

static int fail(const char *what, int error)
{
        fprintf(stderr, "hypergate: %s: %s\n", what, strerror(error));
        return EX_OSERR;
}

static int spawn(struct cli_talk *talk, const struct cli_options *options, int conf_fd)
{
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return fail("cannot start an instance", errno);
        talk->instance = fork();
        if (talk->instance == 0) {
                close(ends[0]);
                _exit(cli_launch_asked(options, conf_fd, ends[1]));
        }
        close(ends[1]);
        talk->fd = ends[0];
        if (talk->instance > 0)
                return 0;
        close(ends[0]);
        return fail("cannot start an instance", errno);
}

int cli_talk_start(struct cli_talk *talk, const struct cli_options *options)
{
        cleanup_fd int conf_fd = -1;
        struct cli_sheet sheet;
        int error = cli_sheet_init(&sheet, options), status;

        if (error < 0)
                return fail("cannot write down the command line", -error);
        conf_fd = ipc_blob_new(sheet.text, sheet.len);
        if (conf_fd < 0)
                status = fail("cannot write down the command line", -conf_fd);
        else if (!cli_instance_check(&sheet, conf_fd, -1, true, NULL))
                status = EX_CONFIG;
        else
                status = spawn(talk, options, conf_fd);
        cli_sheet_fini(&sheet);
        return status;
}

int cli_talk_connect(struct cli_talk *talk, const char *path)
{
        int fd, r = ipc_control_connect(path, &fd);

        if (r == 0)
                *talk = (struct cli_talk){ .fd = fd };
        return r;
}

static bool complain(const char *what)
{
        fprintf(stderr, "hypergate: %s\n", what);
        return false;
}

/* One line. True: it was the end; @good_out says whether of an answer. */
static bool take_line(const char *line, size_t len, bool *good_out, void (*take)(void *context, const json_t *object, const char *line),
                      void *context)
{
        json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
        const char *error = cli_talk_text(object, "error");
        bool end = !object || strcmp(cli_talk_text(object, "type"), "end") == 0;

        *good_out = object && !*error;
        if (*error)
                complain(error);
        else if (object)
                take(context, object, line);
        else
                complain("an answer that is none of hypergated's");
        json_decref(object);
        return end;
}

static bool listen_to(FILE *from, void (*take)(void *context, const json_t *object, const char *line), void *context)
{
        char *line = NULL;
        size_t size = 0;
        ssize_t len;
        bool good = false, end = false;

        while (!end && (len = getline(&line, &size, from)) > 0 && len <= LINE_BYTES_MAX)
                end = take_line(line, (size_t)len, &good, take, context);
        free(line);
        return end ? good : complain("the instance ended before it had answered");
}

bool cli_talk(struct cli_talk *talk, const char *request, void (*take)(void *context, const json_t *object, const char *line),
              void *context)
{
        FILE *from;
        bool good = send(talk->fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request);
        int status;

        from = fdopen(talk->fd, "r");
        if (!from)
                close(talk->fd);
        good = (good && from) ? listen_to(from, take, context) : complain("the instance ended before it was asked");
        if (from)
                fclose(from);
        if (talk->instance > 0)
                while (waitpid(talk->instance, &status, 0) < 0 && errno == EINTR)
                        ;
        return good;
}

const char *cli_talk_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

long long cli_talk_number(const json_t *object, const char *key)
{
        return (long long)json_number_value(json_object_get(object, key));
}

bool cli_talk_flag(const json_t *object, const char *key)
{
        return json_is_true(json_object_get(object, key));
}
