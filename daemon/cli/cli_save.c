/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_instance.h"
#include "cli_secret.h"
#include "cli_talk.h"
#include "conf.h"
#include "ipc_fd.h"

/* The latter is no drop-in: one that was left behind means nothing. */
static const char drop_in[] = "added.yaml", unfinished[] = ".added.yaml.new";

static const char heading[] = "# Written by hypergate add --save; hypergate remove --save takes lines away.\nprovider:\n  services:\n";
static const char line_begin[] = "    - ";

enum { SHOWN_MAX = 4 * PATH_MAX };

/* What is there, and shall be; a folder is one at a time's. */
struct saved {
        const char *file;
        char folder[PATH_MAX];
        int fd;
        char *text;                     /* as it was read; NULL: there was none */
        json_t *services;
};

static int fail(const char *what, const char *path, const char *why)
{
        char shown[SHOWN_MAX];

        fprintf(stderr, "hypergate: it runs so, but is not saved: %s %s: %s\n", what, cli_talk_escape(shown, sizeof(shown), path), why);
        return EX_CANTCREAT;
}

/* A word for a shell, printable whatever it says: as it is, or in $''. */
static char *shell_word(char *out, size_t size, const char *text)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
        size_t at;

        if (!text[strspn(text, plain)])
                return cli_talk_escape(out, size, text);
        at = (size_t)snprintf(out, size, "$'");
        for (; *text && at + sizeof("\\x27'") < size; text++)
                if (*text == '\'')
                        at += (size_t)snprintf(out + at, size - at, "\\x27");
                else
                        at += strlen(cli_talk_escape(out + at, size - at, (const char[]){ *text, '\0' }));
        snprintf(out + at, size - at, "'");
        return out;
}

static int complain_folder(const struct saved *saved, int error)
{
        char word[SHOWN_MAX];

        if (error == ENOENT && access(saved->file, F_OK) < 0)
                return fail("cannot find", saved->file, strerror(errno));
        if (error != ENOENT)
                return fail("cannot save in", saved->folder, strerror(error));
        fprintf(stderr, "hypergate: it runs so, but is not saved: there is no folder for drop-ins. Make it, and say that again: mkdir %s\n",
                shell_word(word, sizeof(word), saved->folder));
        return EX_CANTCREAT;
}

static void saved_fini(struct saved *saved)
{
        if (saved->fd >= 0)
                close(saved->fd);
        free(saved->text);
        json_decref(saved->services);
}

/* Its text, or NULL: errno is ENOENT where there is none. */
static char *read_text(int folder)
{
        cleanup_fd int fd = openat(folder, drop_in, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char *text = fd < 0 ? NULL : malloc(CONF_FILE_BYTES_MAX + 1);
        ssize_t len = 0, got = 1;

        while (text && got > 0 && len < CONF_FILE_BYTES_MAX) {
                got = read(fd, text + len, (size_t)(CONF_FILE_BYTES_MAX - len));
                len += got > 0 ? got : 0;
        }
        if (text && got < 0) {
                free(text);
                return NULL;
        }
        if (text)
                text[len] = '\0';
        return text;
}

/* What we have written. False: somebody else has, too. */
static bool read_lines(const char *text, json_t *services)
{
        size_t begin_len = strlen(line_begin);

        if (strncmp(text, heading, strlen(heading)) != 0)
                return false;
        for (text += strlen(heading); *text; text = strchr(text, '\n') + 1) {
                const char *end = strchr(text, '\n');
                bool ours = end && (size_t)(end - text) > begin_len && strncmp(text, line_begin, begin_len) == 0;
                json_t *service = ours ? json_loadb(text + begin_len, (size_t)(end - text) - begin_len, JSON_REJECT_DUPLICATES, NULL) : NULL;

                if (!json_is_object(service) || json_array_append(services, service) < 0)
                        ours = false;
                json_decref(service);
                if (!ours)
                        return false;
        }
        return true;
}

/* 0 or -errno; saved_fini() in any case. */
static int saved_init(struct saved *saved, const char *file)
{
        *saved = (struct saved){ .file = file, .fd = -1, .services = json_array() };
        if (snprintf(saved->folder, sizeof(saved->folder), "%s.d", file) >= (int)sizeof(saved->folder))
                return -ENAMETOOLONG;
        saved->fd = open(saved->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (saved->fd < 0 || flock(saved->fd, LOCK_EX) < 0)
                return -errno;
        return saved->services ? 0 : -ENOMEM;
}

/* An exit status. */
static int read_saved(struct saved *saved)
{
        saved->text = read_text(saved->fd);
        if (!saved->text && errno != ENOENT)
                return fail("cannot read added.yaml in", saved->folder, strerror(errno));
        if (saved->text && !read_lines(saved->text, saved->services))
                return fail("added.yaml in", saved->folder, "somebody else has written to it: give it another name");
        return EX_OK;
}

/* Whole, or not at all. 0 or -errno. */
static int put(int folder, const char *text, size_t len)
{
        cleanup_fd int fd = -1;
        int r;

        if (!text)
                return unlinkat(folder, drop_in, 0) < 0 && errno != ENOENT ? -errno : 0;
        unlinkat(folder, unfinished, 0);
        fd = openat(folder, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = cli_secret_write(fd, text, len);
        if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || renameat(folder, unfinished, folder, drop_in) < 0))
                r = -errno;
        if (r < 0)
                unlinkat(folder, unfinished, 0);
        else
                fsync(folder);          /* if not, a crash undoes it: it is there nevertheless */
        return r;
}

/* The text of all that shall be there, to be freed; NULL: no memory. */
static char *compose(const json_t *services)
{
        char *text = NULL;
        size_t len = 0, index;
        const json_t *service;
        FILE *out = open_memstream(&text, &len);
        bool good = out && fputs(heading, out) >= 0;

        json_array_foreach(services, index, service)
                good = good && fputs(line_begin, out) >= 0 && json_dumpf(service, out, 0) == 0 && fputc('\n', out) >= 0;
        if (out && fclose(out) == 0 && good)
                return text;
        free(text);
        return NULL;
}

/* What would keep the next start from what it does now, such as one file too many; it is told. */
static bool is_good(const char *file)
{
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        bool good;

        source.path = file;
        source.without_secret = true;
        good = conf_load(&source, &conf, &complaints) == CONF_GOOD;
        if (!good)
                cli_print_complaints(&complaints);
        conf_complaints_fini(&complaints);
        conf_free(conf);
        return good;
}

static int save(const struct saved *saved)
{
        char *text = json_array_size(saved->services) ? compose(saved->services) : NULL;
        int r = !text && json_array_size(saved->services) ? -ENOMEM : put(saved->fd, text, text ? strlen(text) : 0);

        free(text);
        if (r < 0)
                return fail("cannot save in", saved->folder, strerror(-r));
        return EX_OK;
}

int cli_save_add(const char *file, const json_t *services)
{
        struct saved saved;
        int r = saved_init(&saved, file), status = r < 0 ? complain_folder(&saved, -r) : read_saved(&saved);
        size_t before = json_array_size(saved.services), index, known;
        json_t *service, *there;

        json_array_foreach(services, index, service) {
                bool is_there = false;

                json_array_foreach(saved.services, known, there)
                        is_there |= json_equal(there, service);
                if (!is_there)
                        json_array_append(saved.services, service);
        }
        if (status == EX_OK && json_array_size(saved.services) > before)
                status = save(&saved);
        if (status == EX_OK && json_array_size(saved.services) > before && !is_good(file)) {
                put(saved.fd, saved.text, saved.text ? strlen(saved.text) : 0);
                status = fail("the next start would refuse", file, "see what is wrong above");
        }
        saved_fini(&saved);
        return status;
}

int cli_save_remove(const char *file, uint16_t port, const char *protocol)
{
        struct saved saved;
        int r = saved_init(&saved, file), status = r == -ENOENT ? EX_OK : r < 0 ? complain_folder(&saved, -r) : read_saved(&saved);
        size_t before = json_array_size(saved.services);

        for (size_t i = before; i > 0; i--) {
                const json_t *service = json_array_get(saved.services, i - 1);

                if (cli_talk_number(service, "gatePort") == port && strcmp(cli_talk_text(service, "protocol"), protocol) == 0)
                        json_array_remove(saved.services, i - 1);
        }
        if (status == EX_OK && json_array_size(saved.services) < before)
                status = save(&saved);
        saved_fini(&saved);
        return status;
}
