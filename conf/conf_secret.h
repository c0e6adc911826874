/* SPDX-License-Identifier: BSD-3-Clause */
/* The router secret, wherever it comes from. Nothing here ever puts a part of it into a complaint. */
#ifndef HG_CONF_SECRET_H
#define HG_CONF_SECRET_H

#include "conf_value.h"

/* Finds and reads the secret. @node is the secretFile of the configuration or NULL; @needed: complain, at @file, when there
 * is none at all. In this order: what root hands over, source->secret_fd, @node, the credential router.key, source->router_secret, the secret of
 * source->running. With it come the previous secrets that stand below it,
 * if it is in a file. Returns whether all of it is good; the caller says so in @conf. */
bool conf_secret_find(struct conf_read *read, const struct conf_file *file, const struct conf_node *node, bool needed,
                      struct conf *conf);

#endif
