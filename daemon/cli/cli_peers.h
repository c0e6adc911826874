/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers, as people read them. */
#ifndef HG_CLI_PEERS_H
#define HG_CLI_PEERS_H

#include <jansson.h>

/* One line for an object of the request "peers", of @instance; nothing for its end. */
void cli_peers_print(const char *instance, const json_t *object);

#endif
