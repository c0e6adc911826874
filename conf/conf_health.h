/* SPDX-License-Identifier: BSD-3-Clause */
/* How a provider finds out whether a service is there, "health: {type: http, path: /ready}". */
#ifndef HG_CONF_HEALTH_H
#define HG_CONF_HEALTH_H

#include "conf_value.h"

/* Read once in each entry; the path is memory of the image. False: complained of. */
bool conf_health_read(struct conf_read *read, const struct conf_node *node, struct conf_health *out);

/* The order of services that are equal in all else. */
int conf_health_compare(const struct conf_health *a, const struct conf_health *b);

#endif
