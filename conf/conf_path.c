/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_path.h"

#include <stdio.h>
#include <string.h>

bool conf_path(struct conf_read *read, const struct conf_node *node, const char *name, char out[CONF_PATH_MAX])
{
        const char *folder = name[0] == '/' ? "" : read->file->folder;
        int len = snprintf(out, CONF_PATH_MAX, "%s%s", folder, name);

        if (len >= 0 && len < CONF_PATH_MAX)
                return true;
        conf_error(&read->report, read->file, node->at, "a path of more than %d bytes", CONF_PATH_MAX - 1);
        return false;
}

void conf_path_read(struct conf_read *read, const struct conf_node *node, const char *example, const char **out)
{
        char path[CONF_PATH_MAX];
        const char *name;

        if (conf_value_text(read, node, example, &name) && conf_path(read, node, name, path))
                *out = conf_value_copy(read, path);
}

size_t conf_path_folder(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) + 1 : 0;
}

const char *conf_path_stem(struct conf_read *read, const char *path)
{
        const char *name = path + conf_path_folder(path), *dot = strrchr(name, '.');

        return conf_arena_text(&read->image, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

const char *conf_path_hint(const char *name)
{
        if (name[0] == '~' || strchr(name, '$'))
                return "; ~ and variables mean nothing here: write the whole path";
        if (strpbrk(name, "*?"))
                return "; patterns mean nothing here: name each file";
        return "";
}
