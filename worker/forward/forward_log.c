/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "forward_metadata.h"

#define LIMIT_AGAIN_US SECONDS(60)

const char *log_reason(enum ipc_reason reason)
{
        static const char *const names[IPC_REASONS] = {
                [IPC_REASON_DONE] = "done",
                [IPC_REASON_RESET_LOCAL] = "reset here",
                [IPC_REASON_RESET_PEER] = "reset there",
                [IPC_REASON_PEER_LOST] = "the connection to the peer is lost",
                [IPC_REASON_PEER_LEFT] = "the peer has left",
                [IPC_REASON_REFUSED] = "refused",
                [IPC_REASON_TIMED_OUT] = "timed out",
                [IPC_REASON_NO_PEER] = "not connected to the peer",
                [IPC_REASON_LIMIT] = "too many at once",
                [IPC_REASON_IDLE] = "silent for too long",
        };

        return names[reason];
}

static bool usual(enum ipc_reason reason)
{
        return reason == IPC_REASON_DONE || reason == IPC_REASON_RESET_LOCAL || reason == IPC_REASON_RESET_PEER ||
               reason == IPC_REASON_IDLE;
}

/* z-base32 and the like would be shorter; hex is what the status commands and the JavaScript side print. */
static void key_text(const uint8_t key[IPC_KEY_BYTES], char out[2 * IPC_KEY_BYTES + 1])
{
        for (size_t i = 0; i < IPC_KEY_BYTES; i++)
                snprintf(out + 2 * i, 3, "%02x", key[i]);
}

/* A limit is reached by many at once, and one line says it. */
static bool said_lately(const struct log_channel *channel)
{
        struct now now;

        if (channel->reason != IPC_REASON_LIMIT)
                return false;
        worker_now(&now);
        if (*channel->limit_told_us && now.mono_us - *channel->limit_told_us < LIMIT_AGAIN_US)
                return true;
        *channel->limit_told_us = now.mono_us;
        return false;
}

void log_channel(struct worker *worker, const struct log_channel *channel)
{
        int level = usual(channel->reason) || said_lately(channel) ? LOG_DEBUG : LOG_INFO;
        char remote[METADATA_ADDRESS_TEXT_MAX], peer[2 * IPC_KEY_BYTES + 1];
        char fields[7][128];
        const char *list[ARRAY_LEN(fields) + 1] = { NULL };
        struct sockaddr_storage wide;

        if (level > worker->log_level)
                return;
        socket_address_widen(channel->remote, &wide);
        metadata_address_text(&wide, remote);
        key_text(channel->peer, peer);
        snprintf(fields[0], sizeof(fields[0]), "GATE_PORT=%u", channel->gate_port);
        snprintf(fields[1], sizeof(fields[1]), "REMOTE=%s", remote);
        snprintf(fields[2], sizeof(fields[2]), "PEER=%s", peer);
        snprintf(fields[3], sizeof(fields[3]), "REASON=%s", log_reason(channel->reason));
        snprintf(fields[4], sizeof(fields[4]), "SENT_BYTES=%" PRIu64, channel->sent_bytes);
        snprintf(fields[5], sizeof(fields[5]), "RECEIVED_BYTES=%" PRIu64, channel->received_bytes);
        snprintf(fields[6], sizeof(fields[6]), "DURATION_US=%" PRIu64, channel->duration_us);
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
                list[i] = fields[i];
        worker_log(worker, level, list, "%s %u: %s, peer %.8s: %s%s%s", channel->what, channel->gate_port, remote, peer,
                   log_reason(channel->reason), channel->text && channel->text[0] ? ": " : "", channel->text ? channel->text : "");
}
