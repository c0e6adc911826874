/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_words.h"

#include "ipc_message.h"

const char *control_nat(uint32_t nat)
{
        static const char *const names[IPC_NATS] = { "unknown", "open", "consistent", "random" };

        return names[nat < IPC_NATS ? nat : IPC_NAT_UNKNOWN];
}

const char *control_path(uint32_t path)
{
        static const char *const names[IPC_PATHS] = { "none", "direct", "near", "punched", "chance", "relay" };

        return path < IPC_PATHS ? names[path] : "unknown";
}
