/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose a connection to a service is, for people: as the gateway says it, kept for the line of the log about its end. */
#ifndef HG_FORWARD_VISITOR_H
#define HG_FORWARD_VISITOR_H

#include "forward_socket.h"
#include "ipc_channel.h"

struct visitor {
        union socket_address remote;
        char *labels;                   /* "vip,office"; NULL: none, or no memory for them */
};

/* @labels: as struct ipc_client has them. NULL: no memory for that. */
struct visitor *visitor_new(const union socket_address *remote, const char labels[IPC_CLIENT_LABELS_MAX]);
void visitor_free(struct visitor *visitor);     /* NULL is fine */

#endif
