/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_talk.h"

#include <errno.h>
#include <stdint.h>
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

        *talk = (struct cli_talk){ .fd = -1 };
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

static bool complain(const struct cli_talk *talk, const char *what)
{
        if (!talk->quiet)
                fprintf(stderr, "hypergate: %s\n", what);
        return false;
}

char *cli_talk_escape(char *out, size_t size, const char *text)
{
        size_t at = 0;

        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;
                size_t need = c == '\\' ? 2 : c >= 0x20 && c < 0x7f ? 1 : 4;

                if (at + need >= size)
                        break;
                if (need == 4)
                        snprintf(out + at, need + 1, "\\x%02x", c);
                else
                        memset(out + at, c, need);
                at += need;
        }
        out[at] = '\0';
        return out;
}

/* Of texts that need it, and in whatever holds them. */
static json_t *made_printable(json_t *value)
{
        const char *text = json_string_value(value), *key;
        json_t *member, *printable = NULL;
        size_t index, size = 4 * json_string_length(value) + 1;
        char *escaped;
        void *next;

        json_object_foreach_safe(value, next, key, member)
                json_object_set_new(value, key, made_printable(member));
        json_array_foreach(value, index, member)
                json_array_set_new(value, index, made_printable(member));
        escaped = text ? malloc(size) : NULL;
        if (escaped)
                printable = json_string(cli_talk_escape(escaped, size, text));
        free(escaped);
        return text ? printable : json_incref(value);
}

/* An instance writes nothing else. */
static bool is_printable(const char *line, size_t len)
{
        while (len > 0 && ((line[len - 1] >= 0x20 && line[len - 1] < 0x7f) || line[len - 1] == '\n'))
                len--;
        return len == 0;
}

/* One line. True: it was the end; @good_out says whether of an answer. */
static bool take_line(struct cli_talk *talk, const char *line, size_t len, bool *good_out,
                      void (*take)(void *context, const json_t *object, const char *line), void *context)
{
        json_t *read = is_printable(line, len) ? json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
        json_t *object = json_is_object(read) && *line == '{' ? made_printable(read) : NULL;
        const char *error = cli_talk_text(object, "error");
        bool end = !object || strcmp(cli_talk_text(object, "type"), "end") == 0;

        *good_out = object && !*error;
        talk->not_meant = *error && *cli_talk_text(object, "needs");
        if (*error)
                complain(talk, error);
        else if (object)
                take(context, object, line);
        else
                complain(talk, "an answer that is none of hypergated's");
        json_decref(object);
        json_decref(read);
        return end;
}

static bool listen_to(struct cli_talk *talk, FILE *from, void (*take)(void *context, const json_t *object, const char *line),
                      void *context)
{
        char *line = NULL;
        size_t size = 0;
        ssize_t len;
        bool good = false, end = false;

        while (!end && (len = getline(&line, &size, from)) > 0 && len <= LINE_BYTES_MAX)
                end = take_line(talk, line, (size_t)len, &good, take, context);
        free(line);
        return end ? good : complain(talk, "the instance ended before it had answered");
}

static bool ask(const struct cli_talk *talk, const char *request)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        struct iovec iov = { (char *)(uintptr_t)request, strlen(request) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (talk->handed) {
                memcpy(CMSG_DATA(&control.header), talk->handed, sizeof(*talk->handed));
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
        }
        return sendmsg(talk->fd, &message, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

bool cli_talk(struct cli_talk *talk, const char *request, void (*take)(void *context, const json_t *object, const char *line),
              void *context)
{
        FILE *from;
        bool good = ask(talk, request);
        int status;

        from = fdopen(talk->fd, "r");
        if (!from)
                close(talk->fd);
        good = (good && from) ? listen_to(talk, from, take, context) : complain(talk, "the instance ended before it was asked");
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
        return (long long)cli_talk_decimal(object, key);
}

double cli_talk_decimal(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        return json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
}

bool cli_talk_flag(const json_t *object, const char *key)
{
        return json_is_true(json_object_get(object, key));
}
