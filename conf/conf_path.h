/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths in files start from the folder of the file that names them. */
#ifndef HG_CONF_PATH_H
#define HG_CONF_PATH_H

#include "conf_value.h"

enum { CONF_PATH_MAX = 4096 };          /* with its NUL: PATH_MAX */

/* @name, said by @node, as a path for this process; complains and returns false when it is too long. */
bool conf_path(struct conf_read *read, const struct conf_node *node, const char *name, char out[CONF_PATH_MAX]);

/* @node is a path, such as @example: *@out, in memory of the image; complains, and leaves it, if not. */
void conf_path_read(struct conf_read *read, const struct conf_node *node, const char *example, const char **out);

/* The folder of @path with its slash, or "": how much of it. */
size_t conf_path_folder(const char *path);

/* Its last part without a suffix, in memory of the image. */
const char *conf_path_stem(struct conf_read *read, const char *path);

/* What to add to the complaint that there is no file of that name: "; ..." or "". */
const char *conf_path_hint(const char *name);

#endif
