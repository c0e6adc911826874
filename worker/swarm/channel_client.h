/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose a channel is, for people: kept in no more memory than it takes. */
#ifndef HG_SWARM_CHANNEL_CLIENT_H
#define HG_SWARM_CHANNEL_CLIENT_H

#include "ipc_channel.h"

struct channel_client;

/* NULL: it is not known, or there is no memory. */
struct channel_client *channel_client_new(const struct ipc_client *said);
void channel_client_free(struct channel_client *client);

/* As it was said. @client may be NULL. */
struct ipc_client channel_client_told(const struct channel_client *client);

#endif
