/* SPDX-License-Identifier: BSD-3-Clause */
/* Blind relays: being one, and having some. */
#ifndef HG_CONF_RELAY_H
#define HG_CONF_RELAY_H

#include "conf_value.h"

/* relay: true, false, or a map. */
void conf_relay_read(struct conf_read *read, const struct conf_node *node, struct conf_relay *relay);

/* relays: a list of public keys. */
void conf_relays_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);

#endif
