/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_words.h"

#include "ipc_question.h"

const char *ipc_nat_word(uint32_t nat)
{
        static const char *const names[IPC_NATS] = { "unknown", "open", "consistent", "random" };

        return names[nat < IPC_NATS ? nat : IPC_NAT_UNKNOWN];
}

const char *ipc_path_word(uint32_t path)
{
        static const char *const names[IPC_PATHS] = { "none", "direct", "near", "punched", "chance", "relay" };

        return path < IPC_PATHS ? names[path] : "unknown";
}
