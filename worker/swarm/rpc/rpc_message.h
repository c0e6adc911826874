/* SPDX-License-Identifier: BSD-3-Clause */
/* One RPC datagram: a request or the response to one. Version 3 of dht-rpc (lib/io.js), integers little-endian:
 *
 *   request   03 flags tid16 to6 [id32] [token32] command [target32] [value]
 *   response  13 flags tid16 to6 [id32] [token32] [closer nodes] [error] [value]
 */
#ifndef HG_RPC_MESSAGE_H
#define HG_RPC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum {
        RPC_ID_BYTES = 32,
        RPC_TOKEN_BYTES = 32,
        RPC_TARGET_BYTES = 32,
        RPC_ADDR_BYTES = 6,
        RPC_HEADER_BYTES = 10,          /* up to and with the address */
        RPC_CLOSER_MAX = 20,            /* closer nodes an honest response carries: k */
        RPC_DATAGRAM_MAX = 2048,        /* the receive buffer of JavaScript nodes */
        RPC_REPLY_MAX = 1400,           /* we cut closer nodes to stay below any sane path MTU */
};

enum rpc_type {
        RPC_TYPE_REQUEST,
        RPC_TYPE_RESPONSE,
};

/* The command space of requests with the internal flag. */
enum rpc_internal_command {
        RPC_PING,
        RPC_PING_NAT,
        RPC_FIND_NODE,
        RPC_DOWN_HINT,
        RPC_DELAYED_PING,
};

enum rpc_error {
        RPC_ERROR_NONE,
        RPC_ERROR_UNKNOWN_COMMAND = 1,
        RPC_ERROR_INVALID_TOKEN = 2,
        RPC_ERROR_SEQ_REUSED = 16,
        RPC_ERROR_SEQ_TOO_LOW = 17,
};

/* Absent fields are NULL; a value that is there but empty is not. Pointers lead into the datagram that was read. */
struct rpc_message {
        enum rpc_type type;
        uint16_t tid;
        struct addr to;                 /* where the sender sent this to, as it sees it; may lie */
        const uint8_t *id;              /* unverified until held against the source address */
        const uint8_t *token;
        bool internal;                  /* requests: which command space */
        uint64_t command;               /* requests */
        const uint8_t *target;          /* requests */
        const uint8_t *closer;          /* responses: @closer_count addresses of RPC_ADDR_BYTES */
        size_t closer_count;
        uint64_t error;                 /* responses: enum rpc_error, or what a later version says */
        const uint8_t *value;
        size_t value_len;
};

/* Reads one datagram; false when it is none (garbage, another version, truncated): drop it without a reply. Bytes after
 * the last field and unknown flags are ignored, as JavaScript nodes do. */
bool rpc_message_read(const void *bytes, size_t len, struct rpc_message *out);

/* Writes @message; returns its length, or 0 when it does not fit @max. */
size_t rpc_message_write(const struct rpc_message *message, void *out, size_t max);

/* Closer node @index (< closer_count). */
struct addr rpc_message_closer(const struct rpc_message *message, size_t index);

/* The id of the node at @addr: BLAKE2b-256 of its six encoded bytes. */
void rpc_node_id(const struct addr *addr, uint8_t id_out[RPC_ID_BYTES]);

#endif
