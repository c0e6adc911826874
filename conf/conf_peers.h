/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers whose keys and addresses are written down. */
#ifndef HG_CONF_PEERS_H
#define HG_CONF_PEERS_H

#include "conf_value.h"

/* peers: a list of "KEY@HOST:PORT". */
void conf_peers_read(struct conf_read *read, const struct conf_node *node, struct conf *conf);

/* When all files are known: warns, in the name of @file, of those that no role of ours lets come. */
void conf_peers_finish(struct conf_read *read, const struct conf_file *file, const struct conf *conf);

/* "allowPeers": a list of keys, added to those of other files. An empty one is an error: nobody could tell whether it means nobody, or all. */
void conf_allowed_read(struct conf_read *read, const struct conf_node *node, struct conf_keys *keys);

/* Whether @key is among @keys. */
bool conf_keys_have(const struct conf_keys *keys, const uint8_t key[CONF_KEY_BYTES]);

/* Keys of @node behind the *@count_inout of @list, which has room for @max. @expected: what one is. */
void conf_keys_read(struct conf_read *read, const struct conf_node *node, const char *expected, uint8_t (*list)[CONF_KEY_BYTES],
                    size_t max, size_t *count_inout);

/* A public key, 64 hexadecimal characters. */
bool conf_key(const char *text, size_t len, uint8_t out[CONF_KEY_BYTES]);

#endif
