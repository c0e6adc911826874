/* SPDX-License-Identifier: BSD-3-Clause */
/* The DHT. bootstrap: the nodes by which this one finds it. dht: being a node by which others do. */
#ifndef HG_CONF_DHT_H
#define HG_CONF_DHT_H

#include "conf_value.h"

enum { CONF_BOOTSTRAP_MAX = 64 };

struct conf_dht_draft {
        struct conf_place at;           /* of the key; without a file it was not said */
        bool public_given;
};

/* What is not said. */
void conf_dht_defaults(struct conf *conf);

void conf_bootstrap_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);
void conf_dht_read(struct conf_read *read, const struct conf_node *node, struct conf_dht_draft *draft, struct conf_dht *dht);

/* When all files are known. @address_bad: something is wrong with host: or port:, and has been complained of. */
void conf_dht_finish(struct conf_read *read, const struct conf_dht_draft *draft, bool address_bad, struct conf *conf);

#endif
