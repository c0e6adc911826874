/* SPDX-License-Identifier: BSD-3-Clause */
/* provider: what is offered, to whom, and with which limits. */
#ifndef HG_CONF_PROVIDER_H
#define HG_CONF_PROVIDER_H

#include "conf_services.h"

void conf_provider_read(struct conf_read *read, const struct conf_node *node, struct conf_services *services,
                        struct conf_provider *provider);

/* When all files are known: @services are those it has. */
void conf_provider_finish(struct conf_read *read, const struct conf_services *services, struct conf_provider *provider);

#endif
