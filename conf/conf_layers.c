/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_layers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_path.h"

static const char suffix[] = ".yaml", almost[] = ".yml";

enum { PASSED_OVER_MAX = 16 };  /* that are named in warnings */

struct layers {
        conf_document_function *function;
        void *context;
        unsigned passed_over;
        bool too_long;                  /* a path, and it was told: each would be told in the same words */
};

void conf_layers_pass_over(struct conf_read *read, const struct conf_node *node, void *into)
{
}

static conf_document_function read_layer;

static void read_include(struct conf_read *read, const struct conf_node *node, struct layers *layers)
{
        char path[CONF_PATH_MAX];
        const char *name;

        if (conf_value_text(read, node, "common.yaml", &name) && conf_path(read, node, name, path))
                conf_document_read_named(read, node, path, name, CONF_DOCUMENT_INCLUDED, read_layer, layers);
}

/* What is included comes first, so that who includes it has the last word. */
static void read_layer(struct conf_read *read, const struct conf_node *root, void *context)
{
        const struct conf_node *include = conf_value_member(root, "include"), *entry = NULL;
        struct layers *layers = context;
        uint32_t count = 0;

        if (include && conf_value_list(read, include, CONF_FILES_MAX, &entry, &count))
                for (; count > 0; count--, entry = entry->next)
                        read_include(read, entry, layers);
        layers->function(read, root, layers->context);
}

static bool ends_with(const char *name, const char *end)
{
        size_t len = strlen(name), end_len = strlen(end);

        return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static int is_drop_in(const struct dirent *entry)
{
        return entry->d_name[0] != '.' && (ends_with(entry->d_name, suffix) || ends_with(entry->d_name, almost));
}

/* By bytes, whatever the locale. */
static int compare(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void complain(struct conf_read *read, const char *path, bool warning, const char *what)
{
        struct conf_file file = { .label = conf_report_label(&read->report, path), .number = read->file_count };

        if (warning)
                conf_warning(&read->report, &file, CONF_WHOLE_FILE, "%s", what);
        else
                conf_error(&read->report, &file, CONF_WHOLE_FILE, "cannot read this folder: %s", what);
}

static void read_drop_in(struct conf_read *read, const struct conf_file *main, const char *folder, const char *name, struct layers *layers)
{
        char path[CONF_PATH_MAX];
        int len = snprintf(path, sizeof(path), "%s/%s", folder, name);

        if (len >= CONF_PATH_MAX) {
                if (!layers->too_long)
                        complain(read, folder, false, strerror(ENAMETOOLONG));
                layers->too_long = true;
        } else if (ends_with(name, almost)) {
                if (layers->passed_over++ < PASSED_OVER_MAX)
                        complain(read, path, true, "passed over: the name of a drop-in ends with .yaml");
        } else
                conf_document_read_beside(read, main, path, read_layer, layers);
}

static void read_drop_ins(struct conf_read *read, const struct conf_file *main, struct layers *layers)
{
        char folder[CONF_PATH_MAX];
        struct dirent **names = NULL;
        int len = snprintf(folder, sizeof(folder), "%s.d", read->source->path), count = -1;

        if (len < CONF_PATH_MAX)
                count = scandir(folder, &names, is_drop_in, compare);
        if (count < 0 && len < CONF_PATH_MAX && errno != ENOENT)
                complain(read, folder, false, strerror(errno));
        for (int i = 0; i < count; i++) {
                read_drop_in(read, main, folder, names[i]->d_name, layers);
                free(names[i]);
        }
        free(names);
}

const struct conf_file *conf_layers_read(struct conf_read *read, conf_document_function *function, void *context)
{
        struct layers layers = { .function = function, .context = context };
        const struct conf_file *main = conf_document_read_main(read, read_layer, &layers);

        if (read->source->fd < 0)
                read_drop_ins(read, main, &layers);
        return main;
}
