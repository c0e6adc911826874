/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_fingerprints.h"

#include <stdlib.h>
#include <string.h>

struct fingerprint {
        struct worker *worker;
        struct ipc_fingerprint_drop end;        /* what is said at last, if it was told */
        uint16_t gate_port;
        uint32_t len;
        char *text;                     /* NULL: it was told */
};

static struct worker_link *admin_of(struct worker *worker)
{
        return worker_find(worker, IPC_ADMIN, IPC_ADMIN_OF_RESOLVER);
}

struct fingerprint *fingerprint_new(struct worker *worker, uint32_t swarm, const struct ipc_channel_arrived *arrived)
{
        struct fingerprint *fingerprint = arrived->metadata_len && admin_of(worker) ? malloc(sizeof(*fingerprint)) : NULL;
        char *text = fingerprint ? malloc(arrived->metadata_len) : NULL;

        if (!text) {
                free(fingerprint);
                return NULL;
        }
        memcpy(text, arrived->metadata, arrived->metadata_len);
        *fingerprint = (struct fingerprint){ .worker = worker, .end = { .channel = arrived->channel, .swarm = swarm },
                                             .gate_port = arrived->gate_port, .len = arrived->metadata_len, .text = text };
        return fingerprint;
}

void fingerprint_tell(struct fingerprint *fingerprint, const struct ipc_tuple *tuple, uint32_t idle_ms)
{
        struct worker_link *admin = fingerprint && fingerprint->text ? admin_of(fingerprint->worker) : NULL;
        struct ipc_fingerprint said = { .tuple = *tuple, .idle_ms = idle_ms };

        if (!admin || ipc_link_queued(&admin->ipc))
                return;
        said.channel = fingerprint->end.channel;
        said.swarm = fingerprint->end.swarm;
        said.gate_port = fingerprint->gate_port;
        said.metadata_len = fingerprint->len;
        memcpy(said.metadata, fingerprint->text, fingerprint->len);
        worker_send(admin, IPC_FINGERPRINT_SET, &said, NULL, 0);
        fingerprint->end.tuple = *tuple;
        free(fingerprint->text);
        fingerprint->text = NULL;
}

void fingerprint_free(struct fingerprint *fingerprint)
{
        struct worker_link *admin = fingerprint && !fingerprint->text ? admin_of(fingerprint->worker) : NULL;

        if (admin)
                worker_send(admin, IPC_FINGERPRINT_DROP, &fingerprint->end, NULL, 0);
        if (fingerprint)
                free(fingerprint->text);
        free(fingerprint);
}
