/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that say one configuration together: the first, those that it includes, and its drop-ins. */
#ifndef HG_CONF_LAYERS_H
#define HG_CONF_LAYERS_H

#include "conf_document.h"

/* Hands the root of each to @function, from what others go before to what goes before others: what a file includes, then that file; then,
 * by name, what lies beside the first in the folder of its name and ".d". Returns the first one. */
const struct conf_file *conf_layers_read(struct conf_read *read, conf_document_function *function, void *context);

/* The value of "include:", in the table of fields: it has been read by then. */
void conf_layers_pass_over(struct conf_read *read, const struct conf_node *node, void *into);

#endif
