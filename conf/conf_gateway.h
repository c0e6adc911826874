/* SPDX-License-Identifier: BSD-3-Clause */
/* gateway: where gates are opened and for which routes, who may come to them, and with which limits. */
#ifndef HG_CONF_GATEWAY_H
#define HG_CONF_GATEWAY_H

#include "conf_services.h"

enum { CONF_LISTEN_MAX = 64 };

struct conf_gateway_draft {
        struct conf_filters filters, exceptions;
};

/* What is not said, but for what conf_limits.h has. */
void conf_gateway_defaults(struct conf_gateway *gateway);

void conf_gateway_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway_draft *draft,
                       struct conf_gateway *gateway);

/* When all files are known: @draft has the filters there are. */
void conf_gateway_finish(struct conf_read *read, const struct conf_gateway_draft *draft, struct conf_gateway *gateway);

#endif
