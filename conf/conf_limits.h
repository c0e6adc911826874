/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits that the original has by these names, and those of them that nothing here is limited by: a configuration that has these is good,
 * and is told why they mean nothing. */
#ifndef HG_CONF_LIMITS_H
#define HG_CONF_LIMITS_H

#include "conf_value.h"

enum { CONF_CONNECTIONS_MAX = 65536 };      /* whatever they are counted for */

/* Of any of them, by the key of @node. */
void conf_limits_pass_over(struct conf_read *read, const struct conf_node *node, void *into);

/* What is not said of those below. */
void conf_limits_defaults(struct conf *conf);

/* statsIntervalMs, maxBufferPerChannel and maxBufferPerPeer. */
void conf_stats_interval_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);
void conf_channel_buffer_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);
void conf_peer_buffer_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);

/* udpSocketTimeoutMs, of a provider or a gateway. */
void conf_udp_timeout_read(struct conf_read *read, const struct conf_node *node, uint32_t *out);

/* openRequestTimeoutMs and routeExpirationMs. */
void conf_open_timeout_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway);
void conf_route_expiration_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway);

#endif
