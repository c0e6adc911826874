/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits of the original that nothing here is limited by: a configuration that has them is good, and is told why they mean nothing. */
#ifndef HG_CONF_LIMITS_H
#define HG_CONF_LIMITS_H

#include "conf_value.h"

/* Of any of them, by the key of @node. */
void conf_limits_pass_over(struct conf_read *read, const struct conf_node *node, void *into);

#endif
