/* SPDX-License-Identifier: BSD-3-Clause */
/* exposeOnlyDocker, exposeOnlyPublished and exposeOnlyServices: what passes at a gateway at all, whatever its filters are. */
#ifndef HG_CONF_EXPOSE_H
#define HG_CONF_EXPOSE_H

#include "conf_value.h"

void conf_expose_docker_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway);
void conf_expose_published_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway);

/* A host, or a list of them. */
void conf_expose_services_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway);

/* When all files are known: makes @gateway->only of what they say. */
void conf_expose_finish(struct conf_read *read, struct conf_gateway *gateway);

#endif
