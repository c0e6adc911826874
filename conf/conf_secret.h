/* SPDX-License-Identifier: BSD-3-Clause */
/* The router secret, wherever it comes from. Nothing here ever puts a part of it into a complaint. */
#ifndef HG_CONF_SECRET_H
#define HG_CONF_SECRET_H

#include "conf_value.h"

struct conf_secret_draft {
        struct conf_node node;          /* secretFile in @from, the last that has it */
        const struct conf_file *from;   /* NULL: none is good */
        bool given;
};

/* secretFile. Which one it is, is known when all files are; their trees are gone by then. */
void conf_secret_read(struct conf_read *read, const struct conf_node *node, struct conf_secret_draft *draft, struct conf *conf);

/* When all files are known: finds and reads the secret. @needed: complain, at @file, when there is none at all. In this order: what root hands
 * over, source->secret_fd, secretFile, the credential router.key, source->router_secret, the secret of source->running. With it come the
 * previous secrets that stand below it, if it is in a file. @conf->has_secret: all of it is good. */
void conf_secret_finish(struct conf_read *read, const struct conf_secret_draft *draft, const struct conf_file *file, bool needed,
                        struct conf *conf);

#endif
