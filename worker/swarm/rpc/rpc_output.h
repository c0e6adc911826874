/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams that wait to leave, in order. A request queues its own, as often as it is sent; replies are copied in, up to a
 * bound: their number is for strangers to choose. */
#ifndef HG_RPC_OUTPUT_H
#define HG_RPC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "list.h"

enum { RPC_OUTPUT_MAX = 1024 };         /* replies that wait; at most 2 MiB */

struct rpc_datagram {
        struct list queued;             /* in the output, or empty */
        uint32_t socket;
        struct addr to;
        bool copied;                    /* the output owns it */
        size_t len;
        const uint8_t *bytes;
};

struct rpc_output {
        struct list waiting;
        size_t copies;
        struct rpc_datagram *lent;      /* the copy handed out last: freed at the next call */
};

void rpc_output_init(struct rpc_output *output);
void rpc_output_fini(struct rpc_output *output);

/* Appends @datagram, whose bytes the caller keeps until it left or rpc_output_forget(); nothing happens when it waits already. */
void rpc_output_queue(struct rpc_output *output, struct rpc_datagram *datagram);
void rpc_output_forget(struct rpc_datagram *datagram);

/* Appends a copy; false: too many wait, or no memory. */
bool rpc_output_copy(struct rpc_output *output, uint32_t socket, const struct addr *to, const void *bytes, size_t len);

/* Takes out the next, its bytes good until the next call; NULL: none. */
const struct rpc_datagram *rpc_output_next(struct rpc_output *output);

#endif
