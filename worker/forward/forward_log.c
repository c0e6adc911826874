/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "forward_metadata.h"
#include "ipc_words.h"

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
                [IPC_REASON_DENIED] = "not let in",
        };

        return names[reason];
}

static bool usual(enum ipc_reason reason)
{
        return reason == IPC_REASON_DONE || reason == IPC_REASON_RESET_LOCAL || reason == IPC_REASON_RESET_PEER ||
               reason == IPC_REASON_IDLE;
}

/* A limit is reached by many at once, and one line says it. */
static bool said_lately(const struct log_channel *channel)
{
        struct now now;

        if (channel->reason != IPC_REASON_LIMIT)
                return false;
        worker_now(&now);
        if (channel->tally->limit_told_us && now.mono_us - channel->tally->limit_told_us < LIMIT_AGAIN_US)
                return true;
        channel->tally->limit_told_us = now.mono_us;
        return false;
}

void log_put_client(struct ipc_fields *fields, const char *remote)
{
        const char *colon = strrchr(remote, ':');
        bool v6 = remote[0] == '[';
        char address[METADATA_ADDRESS_TEXT_MAX];

        if (!colon)
                return;
        snprintf(address, sizeof(address), "%.*s", (int)(colon - remote) - 2 * v6, remote + v6);
        ipc_fields_text(fields, "CLIENT_ADDRESS", address);
        ipc_fields_text(fields, "CLIENT_PORT", colon + 1);
}

static const char *address_text(const union socket_address *address, char out[METADATA_ADDRESS_TEXT_MAX])
{
        struct sockaddr_storage wide;

        socket_address_widen(address, &wide);
        metadata_address_text(&wide, out);
        return out;
}

static void fill(struct ipc_fields *fields, const struct log_channel *channel, const char *remote, const char *client)
{
        ipc_fields_number(fields, "CHANNEL", channel->number);
        ipc_fields_gate(fields, channel->gate_port, channel->protocol);
        if (channel->gate)
                ipc_fields_text(fields, "HOST", channel->gate);
        log_put_client(fields, channel->at_gate ? remote : client);
        if (!channel->at_gate)
                ipc_fields_text(fields, "SERVICE", remote);
        if (channel->labels)
                ipc_fields_text(fields, "LABELS", channel->labels);
        ipc_fields_key(fields, "PEER", channel->peer);
        ipc_fields_text(fields, "REASON", ipc_reason_word(channel->reason));
        ipc_fields_number(fields, "SENT_BYTES", channel->sent_bytes);
        ipc_fields_number(fields, "RECEIVED_BYTES", channel->received_bytes);
        ipc_fields_number(fields, "DURATION_USEC", channel->duration_us);
}

void log_channel(struct worker *worker, const struct log_channel *channel)
{
        bool failed = !usual(channel->reason), told = failed ? !said_lately(channel) : worker->log_channels;
        const char *remote = channel->local;
        const char *text = channel->text ? channel->text : "", *kind = channel->protocol == IPC_UDP ? "/udp" : "";
        int level = told ? LOG_INFO : LOG_DEBUG;
        char address[METADATA_ADDRESS_TEXT_MAX], client[METADATA_ADDRESS_TEXT_MAX] = "", figures[96] = "", place[32];
        struct ipc_fields fields = IPC_FIELDS_INIT;

        tally_count(channel->tally, channel->reason);
        if (level > worker->log_level)
                return;
        if (!channel->local)
                remote = address_text(channel->remote, address);
        if (channel->client && (worker->log_channels || level == LOG_DEBUG || worker->log_level == LOG_DEBUG))
                address_text(channel->client, client);          /* else who was served is in nobody's log */
        fill(&fields, channel, remote, client);
        if (channel->duration_us)
                snprintf(figures, sizeof(figures), ", %" PRIu64 " bytes sent, %" PRIu64 " received, %.1f s", channel->sent_bytes,
                         channel->received_bytes, (double)channel->duration_us / 1e6);
        snprintf(place, sizeof(place), "%s %u%s", channel->at_gate ? "gate" : "service", channel->gate_port, kind);
        worker_log_event(worker, failed ? IPC_EVENT_CHANNEL_FAILED : IPC_EVENT_CHANNEL_CLOSED, level, fields.list,
                         "%s: %s%s%s%s%s%s, peer %02x%02x%02x%02x: %s%s%s%s", channel->gate ? channel->gate : place, remote,
                         *client ? " for " : "", client, channel->labels ? " (" : "", channel->labels ? channel->labels : "",
                         channel->labels ? ")" : "", channel->peer[0], channel->peer[1], channel->peer[2], channel->peer[3],
                         log_reason(channel->reason),
                         *text ? ": " : "", text, figures);
}
