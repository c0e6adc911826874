/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells an admin worker, and hears from it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_ADMIN_H
#define HG_IPC_ADMIN_H

#include <stdint.h>

#include "ipc_message.h"

enum {
        IPC_BASIC_AUTH_MAX = 256,       /* USER:PASSWORD */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* (conf) One of these; the listener rides along, of HTTP. ADMIN_LISTENER: where fingerprints are asked for, by whoever knows @auth,
 * "USER:PASSWORD", unless @auth_len is 0. ADMIN_UNLIMITED: where clients of gates ask to be let in for a while, with a token that was made
 * with @auth. */
struct ipc_admin_listener {
        uint32_t auth_len;
        uint32_t pad;
        char auth[IPC_BASIC_AUTH_MAX];
};

/* A client at that address had a good token: it is to be let in for a while, which the supervisor knows. */
struct ipc_admin_allow {
        uint64_t question;              /* counts up */
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
};

/* To that one. */
struct ipc_admin_allowed {
        uint64_t question;
        uint8_t ip[16];
        uint64_t until_ms;              /* since the epoch; 0: there is no room for one more */
};

#pragma GCC diagnostic pop

#endif
