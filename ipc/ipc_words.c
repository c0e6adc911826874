/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_words.h"

#include <string.h>

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

const char *ipc_reason_word(uint32_t reason)
{
        static const char *const names[IPC_REASONS] = {
                [IPC_REASON_DONE] = "done",
                [IPC_REASON_RESET_LOCAL] = "reset-here",
                [IPC_REASON_RESET_PEER] = "reset-there",
                [IPC_REASON_PEER_LOST] = "peer-lost",
                [IPC_REASON_PEER_LEFT] = "peer-left",
                [IPC_REASON_REFUSED] = "refused",
                [IPC_REASON_TIMED_OUT] = "timed-out",
                [IPC_REASON_NO_PEER] = "no-peer",
                [IPC_REASON_LIMIT] = "limit",
                [IPC_REASON_IDLE] = "idle",
                [IPC_REASON_DENIED] = "denied",
        };

        return reason < IPC_REASONS ? names[reason] : "unknown";
}

bool ipc_labels_end(const char *labels, size_t size)
{
        return labels[size - 1] == '\0' && (size < 2 || labels[0] == '\0' || labels[size - 2] == '\0');
}

const char *ipc_labels_text(const char *labels, char *out, size_t size)
{
        size_t len = 0;

        for (; *labels; labels += strlen(labels) + 1) {
                size_t more = strlen(labels) + (len > 0);

                if (len + more >= size)
                        break;
                if (len)
                        out[len++] = ',';
                memcpy(out + len, labels, strlen(labels));
                len += strlen(labels);
        }
        out[len] = '\0';
        return out;
}
