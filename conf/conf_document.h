/* SPDX-License-Identifier: BSD-3-Clause */
/* One text from its file to its reader: found, checked, parsed, looked at, forgotten. */
#ifndef HG_CONF_DOCUMENT_H
#define HG_CONF_DOCUMENT_H

#include "conf_value.h"

/* Looks at a whole tree; read->file is its file meanwhile. */
typedef void conf_document_function(struct conf_read *read, const struct conf_node *root, void *context);

/* The configuration itself, as read->source names it. */
void conf_document_read_main(struct conf_read *read, struct conf_file *file, conf_document_function *function, void *context);

/* The file @path that @node calls @name: JSON by its suffix ".json", YAML by ".yaml" and ".yml", otherwise by how it begins. */
void conf_document_read_named(struct conf_read *read, const struct conf_node *node, const char *path, const char *name,
                              conf_document_function *function, void *context);

/* JSON text that @node itself is, as the command line takes it; refused in a file. */
void conf_document_read_text(struct conf_read *read, const struct conf_node *node, const char *text,
                             conf_document_function *function, void *context);

#endif
