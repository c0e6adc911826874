/* SPDX-License-Identifier: BSD-3-Clause */
/* The one line about a connection that is over, with its figures as fields. */
#ifndef HG_FORWARD_LOG_H
#define HG_FORWARD_LOG_H

#include "forward_socket.h"
#include "forward_tally.h"
#include "run.h"

struct log_channel {
        bool at_gate;                           /* or at a service */
        uint64_t number;                        /* of this worker's channels */
        uint16_t gate_port, protocol;           /* as the provider has it */
        const char *gate;                       /* at the gate of a host: which; else NULL */
        const union socket_address *remote;     /* the client, or the service */
        const char *local;                      /* the service, where it is a unix socket; else NULL */
        const union socket_address *client;     /* of a service, as its gateway says; NULL: it does not */
        const char *labels;                     /* of the rules that let the client in, "vip,office"; NULL: none */
        const uint8_t *peer;                    /* IPC_KEY_BYTES: the provider, or the gateway */
        enum ipc_reason reason;
        const char *text;                       /* what the peer said of it, or NULL; untrusted */
        uint64_t sent_bytes, received_bytes, duration_us;
        struct tally *tally;                    /* where it is counted, told of or not */
};

/* "done", "the peer has left", … */
const char *log_reason(enum ipc_reason reason);

/* "192.0.2.1:80" or "[2001:db8::1]:80", as CLIENT_ADDRESS and CLIENT_PORT. */
void log_put_client(struct ipc_fields *fields, const char *remote);

/* What ended as connections do is of interest when looking for something, or where somebody wants to read of each; what failed is always. */
void log_channel(struct worker *worker, const struct log_channel *channel);

#endif
