/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers whose keys and addresses are written down. */
#ifndef HG_CONF_PEERS_H
#define HG_CONF_PEERS_H

#include "conf_value.h"

/* peers: a list of "KEY@HOST:PORT". */
void conf_peers_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);

/* A public key, 64 hexadecimal characters. */
bool conf_key(const char *text, size_t len, uint8_t out[CONF_KEY_BYTES]);

#endif
