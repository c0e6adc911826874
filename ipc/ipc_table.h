/* SPDX-License-Identifier: BSD-3-Clause */
/* What the message table knows about each row. */
#ifndef HG_IPC_TABLE_H
#define HG_IPC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc_message.h"

struct ipc_row {
        const char *name;
        size_t payload_bytes;
        unsigned from, to;              /* or of IPC_ROLE_BIT() */
        unsigned fds_min, fds_max;
};

/* NULL for a number that is no message. */
const struct ipc_row *ipc_row(uint32_t type);

/* "CHANNEL_OPEN", or "?". */
const char *ipc_message_name(uint32_t type);
const char *ipc_role_name(uint32_t role);

/* Bytes of the id that both ends of a link must share. */
void ipc_build_id(uint8_t out[IPC_BUILD_ID_BYTES]);

#endif
