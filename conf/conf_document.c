/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_input.h"
#include "conf_path.h"

static void free_textp(char **text)
{
        free(*text);
}

static const char *image_text(struct conf_read *read, const char *text, size_t len)
{
        return conf_arena_text(&read->image, text, len);
}

/* Whoever remembers a place in it may do so as long as complaints are collected. */
static struct conf_file *file_new(struct conf_read *read, const char *path)
{
        struct conf_file *file = conf_arena_take(&read->report.arena, sizeof(*file));
        const char *label = conf_report_label(&read->report, path);

        *file = (struct conf_file){
                .from = read->file, .label = label, .name = image_text(read, label, strlen(label)), .number = read->file_count++,
                .folder = image_text(read, path, conf_path_folder(path)),
        };
        return file;
}

/* All of it, and which file it is. 0 or -errno. */
static int read_all(int fd, struct conf_file *file, char **text_out, size_t *len_out)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        file->device = status.st_dev;
        file->inode = status.st_ino;
        return conf_input_read(fd, CONF_FILE_BYTES_MAX, text_out, len_out);
}

/* What others write to a pipe an instance that runs does not wait for. 0 or -errno. */
static int read_path(const struct conf_read *read, const char *path, struct conf_file *file, char **text_out, size_t *len_out)
{
        int fd = conf_input_open(path), error = 0;
        struct stat status;

        if (fd < 0)
                return fd;
        if (fstat(fd, &status) < 0)
                error = -errno;
        else if (read->source->running && !S_ISREG(status.st_mode))
                error = -ESPIPE;
        if (error == 0)
                error = read_all(fd, file, text_out, len_out);
        close(fd);
        return error;
}

static bool has_suffix(const char *path, const char *suffix)
{
        size_t len = strlen(path), suffix_len = strlen(suffix);

        return len > suffix_len && strcasecmp(path + len - suffix_len, suffix) == 0;
}

static size_t leading_blanks(const char *text, size_t len)
{
        size_t blanks = 0;

        while (blanks < len && memchr(" \t\r\n", text[blanks], 4))
                blanks++;
        return blanks;
}

static size_t byte_order_mark_length(const char *text, size_t len)
{
        static const char mark[] = "\xef\xbb\xbf";

        return len >= sizeof(mark) - 1 && memcmp(text, mark, sizeof(mark) - 1) == 0 ? sizeof(mark) - 1 : 0;
}

static bool is_json(const char *path, const char *text, size_t len)
{
        size_t mark = byte_order_mark_length(text, len), blanks = mark + leading_blanks(text + mark, len - mark);

        if (has_suffix(path, ".yaml") || has_suffix(path, ".yml"))
                return false;
        return has_suffix(path, ".json") || (blanks < len && (text[blanks] == '[' || text[blanks] == '{'));
}

/* What some editors elsewhere save as "Unicode". */
static bool is_utf16(const char *text, size_t len)
{
        return len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

static bool complain_not_text(struct conf_read *read, const char *text, size_t len)
{
        struct conf_position at;
        uint32_t code;

        switch (conf_text_check(text, len, &at, &code)) {
        case CONF_TEXT_GOOD:
                return false;
        case CONF_TEXT_NOT_UTF8:
                conf_error(&read->report, read->file, at, "not UTF-8 text: %s 0x%02x; save it as UTF-8",
                           is_utf16(text, len) ? "UTF-16, which begins with byte" : "byte", code);
                return true;
        case CONF_TEXT_CONTROL:
                conf_error(&read->report, read->file, at, "not a text file: it holds the character U+%04X", code);
                return true;
        }
        return true;
}

/* read->file is set. */
static void complain_empty(struct conf_read *read, bool may_be_empty, const char *what)
{
        if (!may_be_empty)
                conf_error(&read->report, read->file, CONF_WHOLE_FILE, "%s", what);
}

static void parse(struct conf_read *read, const char *text, size_t len, bool may_be_empty, conf_document_function *function, void *context)
{
        struct conf_tree tree;
        int error = conf_tree_init(&tree, &read->report, read->file, len);

        if (error < 0) {
                conf_error(&read->report, read->file, CONF_WHOLE_FILE, "no memory to read it: %s", strerror(-error));
                return;
        }
        if (read->file->json ? conf_json_read(&tree, text, len) : conf_yaml_read(&tree, text, len)) {
                if (tree.root && !conf_value_is_empty(tree.root))
                        function(read, tree.root, context);
                else
                        complain_empty(read, may_be_empty, "holds nothing");
        }
        conf_tree_fini(&tree);
}

static void look_at(struct conf_read *read, const struct conf_file *file, const char *text, size_t len, bool may_be_empty,
                    conf_document_function *function, void *context)
{
        const struct conf_file *before = read->file;
        size_t mark = byte_order_mark_length(text, len);

        text += mark;
        len -= mark;
        read->file = file;
        if (leading_blanks(text, len) == len)
                complain_empty(read, may_be_empty, "the file is empty");
        else if (!complain_not_text(read, text, len))
                parse(read, text, len, may_be_empty, function, context);
        read->file = before;
}

const struct conf_file *conf_document_read_main(struct conf_read *read, conf_document_function *function, void *context)
{
        const struct conf_source *source = read->source;
        __attribute__((cleanup(free_textp))) char *text = NULL;
        struct conf_file *file = file_new(read, source->path);
        int fd = source->fd >= 0 ? source->fd : conf_input_open(source->path), error = fd;
        size_t len;

        if (source->fd >= 0) {
                file->folder = "";
                file->sheet = true;
                file->flags = source->flags;
                file->flag_count = source->flag_count;
        }
        if (fd >= 0)
                error = read_all(fd, file, &text, &len);
        if (error < 0)
                conf_error(&read->report, file, CONF_WHOLE_FILE, "cannot read it: %s", conf_input_error(error));
        else
                look_at(read, file, text, len, false, function, context);
        if (fd >= 0 && fd != source->fd)
                close(fd);
        return file;
}

/* Complained of once, where it is named. */
static bool is_one_too_many(struct conf_read *read, const struct conf_file *file, struct conf_position at)
{
        if (read->named_file_count++ < CONF_FILES_MAX)
                return false;
        if (read->named_file_count == CONF_FILES_MAX + 1)
                conf_error(&read->report, file, at, "more than %d files beside the first", CONF_FILES_MAX);
        return true;
}

/* Whether @file is one of those that had it read, one by the other, and how many these are. */
static bool is_around(const struct conf_file *file, unsigned *depth_out)
{
        bool found = false;

        for (const struct conf_file *from = file->from; from; from = from->from) {
                found = found || (from->inode == file->inode && from->device == file->device);
                ++*depth_out;
        }
        return found;
}

void conf_document_read_named(struct conf_read *read, const struct conf_node *node, const char *path, const char *name,
                              enum conf_document_kind kind, conf_document_function *function, void *context)
{
        __attribute__((cleanup(free_textp))) char *text = NULL;
        char quoted[CONF_QUOTE_MAX];
        struct conf_file *file;
        unsigned depth = 0;
        size_t len;
        int error;

        if (is_one_too_many(read, read->file, node->at))
                return;
        file = file_new(read, path);
        error = read_path(read, path, file, &text, &len);
        conf_quote(name, quoted, sizeof(quoted));
        if (error < 0)
                conf_error(&read->report, read->file, node->at, "%s: cannot read %s: %s%s", node->key, quoted, conf_input_error(error),
                           error == -ENOENT ? conf_path_hint(name) : "");
        else if (is_around(file, &depth))
                conf_error(&read->report, read->file, node->at, "%s: %s is being read already: this would never end", node->key, quoted);
        else if (depth > CONF_INCLUDES_DEEP)
                conf_error(&read->report, read->file, node->at, "%s: more than %d files of which each names the next", node->key,
                           CONF_INCLUDES_DEEP);
        else {
                file->json = kind == CONF_DOCUMENT_SERVICES && is_json(path, text, len);
                look_at(read, file, text, len, kind == CONF_DOCUMENT_INCLUDED, function, context);
        }
}

void conf_document_read_beside(struct conf_read *read, const struct conf_file *main, const char *path, conf_document_function *function,
                               void *context)
{
        __attribute__((cleanup(free_textp))) char *text = NULL;
        struct conf_file *file;
        size_t len;
        int error;

        if (is_one_too_many(read, main, CONF_WHOLE_FILE))
                return;
        file = file_new(read, path);
        error = read_path(read, path, file, &text, &len);
        if (error < 0)
                conf_error(&read->report, file, CONF_WHOLE_FILE, "cannot read it: %s", conf_input_error(error));
        else
                look_at(read, file, text, len, true, function, context);
}

void conf_document_read_text(struct conf_read *read, const struct conf_node *node, const char *text,
                             conf_document_function *function, void *context)
{
        const struct conf_file *from = read->file;
        const char *flag = node->at.line <= from->flag_count ? from->flags[node->at.line - 1] : NULL;
        struct conf_file *file;

        if (!from->sheet) {
                conf_value_wrong(read, node, "the name of a file, or the service itself without quotes");
                return;
        }
        if (is_one_too_many(read, from, node->at))
                return;
        file = file_new(read, flag ? flag : from->label);
        file->json = true;
        look_at(read, file, text, strlen(text), false, function, context);
}

/* What follows a '?' may be for nobody's eyes. */
void conf_document_read_fetched(struct conf_read *read, const struct conf_node *node, const char *url, const char *text, size_t len,
                                conf_document_function *function, void *context)
{
        struct conf_file *file;
        char label[CONF_URL_MAX];

        if (is_one_too_many(read, read->file, node->at))
                return;
        snprintf(label, sizeof(label), "%.*s", (int)strcspn(url, "?"), url);
        file = file_new(read, label);
        file->json = true;
        look_at(read, file, text, len, false, function, context);
}
