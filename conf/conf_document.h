/* SPDX-License-Identifier: BSD-3-Clause */
/* One text from its file to its reader: found, checked, parsed, looked at, forgotten. */
#ifndef HG_CONF_DOCUMENT_H
#define HG_CONF_DOCUMENT_H

#include "conf_value.h"

enum { CONF_INCLUDES_DEEP = 8 };        /* files of which each is named by the one before */

/* Looks at a whole tree; read->file is its file meanwhile. */
typedef void conf_document_function(struct conf_read *read, const struct conf_node *root, void *context);

/* The configuration itself, as read->source names it; returns its file. */
const struct conf_file *conf_document_read_main(struct conf_read *read, conf_document_function *function, void *context);

enum conf_document_kind {
        CONF_DOCUMENT_SERVICES,         /* JSON by its suffix ".json", YAML by ".yaml" and ".yml", otherwise by how it begins */
        CONF_DOCUMENT_INCLUDED,         /* YAML, of which nothing may be left but comments */
};

/* The file @path that @node calls @name. */
void conf_document_read_named(struct conf_read *read, const struct conf_node *node, const char *path, const char *name,
                              enum conf_document_kind kind, conf_document_function *function, void *context);

/* A drop-in, as an included file. */
void conf_document_read_beside(struct conf_read *read, const struct conf_file *main, const char *path, conf_document_function *function,
                               void *context);

/* JSON text that @node itself is, as the command line takes it; refused in a file. */
void conf_document_read_text(struct conf_read *read, const struct conf_node *node, const char *text,
                             conf_document_function *function, void *context);

/* JSON text that was fetched from where @node says. */
void conf_document_read_fetched(struct conf_read *read, const struct conf_node *node, const char *url, const char *text, size_t len,
                                conf_document_function *function, void *context);

#endif
