/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of TCP connections, to clients and to services. */
#ifndef HG_CONF_TCP_H
#define HG_CONF_TCP_H

#include "conf_value.h"

/* What is not said. */
void conf_tcp_defaults(struct conf_tcp *tcp);

/* "tcpSocketTimeoutMs: 600000" and "keepAlive: {...}" or "keepAlive: false". */
void conf_tcp_timeout_read(struct conf_read *read, const struct conf_node *node, struct conf_tcp *tcp);
void conf_keep_alive_read(struct conf_read *read, const struct conf_node *node, struct conf_tcp *tcp);

bool conf_tcp_same(const struct conf_tcp *a, const struct conf_tcp *b);

#endif
