/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor asks the resolve worker, and the answer: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_RESOLVE_H
#define HG_IPC_RESOLVE_H

#include <stdint.h>

#include "ipc_message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct ipc_resolve_ask {
        uint64_t question;
        uint32_t ipv4_only;
        char name[IPC_NAME_MAX];
        uint8_t pad[6];
};

struct ipc_resolve_answer {
        uint64_t question;
        int32_t error;                  /* EAI_* or 0 */
        uint32_t count;
        uint8_t address[IPC_ADDRESSES_MAX][16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char text[IPC_TEXT_MAX];        /* gai_strerror */
};

#pragma GCC diagnostic pop

#endif
