/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of networks. */
#ifndef HG_CONF_NETWORK_H
#define HG_CONF_NETWORK_H

#include "conf_value.h"

enum { CONF_NETWORKS_MAX = 64 };

/* "10.0.0.0/8" or an address, which is a network of one, or a list of such. */
void conf_networks_read(struct conf_read *read, const struct conf_node *node, const struct conf_network **out, size_t *count_out);

/* One of them. NULL, or what to write instead; @out->text is left. */
const char *conf_network_parse(const char *text, struct conf_network *out);

bool conf_networks_same(const struct conf_network *a, size_t a_count, const struct conf_network *b, size_t b_count);

#endif
