/* SPDX-License-Identifier: BSD-3-Clause */
#include "fingerprints.h"

#include <stdlib.h>
#include <string.h>

struct fingerprint {
        struct fingerprints *all;
        struct list in_all;             /* told or untold */
        bool there;                     /* its connection is; before, it is in neither list */
        bool told;
        uint16_t gate_port;
        uint32_t idle_ms, len;
        uint64_t channel;
        struct ipc_tuple tuple;
        char text[];
};

void fingerprints_init(struct fingerprints *all, struct worker *worker)
{
        *all = (struct fingerprints){ .worker = worker };
        list_init(&all->told);
        list_init(&all->untold);
}

struct fingerprint *fingerprint_new(struct fingerprints *all, const struct ipc_channel_arrived *arrived)
{
        struct fingerprint *fingerprint = all->wanted && arrived->metadata_len ? malloc(sizeof(*fingerprint) + arrived->metadata_len) : NULL;

        if (!fingerprint)
                return NULL;
        *fingerprint = (struct fingerprint){ .all = all, .channel = arrived->channel, .gate_port = arrived->gate_port,
                                             .len = arrived->metadata_len };
        memcpy(fingerprint->text, arrived->metadata, arrived->metadata_len);
        return fingerprint;
}

static struct worker_link *admin_of(const struct fingerprints *all)
{
        return worker_find(all->worker, IPC_ADMIN, IPC_ADMIN_OF_RESOLVER);
}

static void send_one(struct worker_link *admin, struct fingerprint *fingerprint)
{
        struct ipc_fingerprint said = { .channel = fingerprint->channel, .tuple = fingerprint->tuple, .idle_ms = fingerprint->idle_ms,
                                        .metadata_len = fingerprint->len, .swarm = fingerprint->all->worker->id,
                                        .gate_port = fingerprint->gate_port };

        memcpy(said.metadata, fingerprint->text, fingerprint->len);
        worker_send(admin, IPC_FINGERPRINT_SET, &said, NULL, 0);
        fingerprint->told = true;
        list_remove(&fingerprint->in_all);
        list_push_back(&fingerprint->all->told, &fingerprint->in_all);
}

void fingerprints_advance(struct fingerprints *all)
{
        struct worker_link *admin = list_empty(&all->untold) ? NULL : admin_of(all);

        while (admin && !list_empty(&all->untold) && !ipc_link_queued(&admin->ipc))
                send_one(admin, list_entry(list_first(&all->untold), struct fingerprint, in_all));
}

void fingerprint_tell(struct fingerprint *fingerprint, const struct ipc_channel_ready *ready)
{
        if (!fingerprint || fingerprint->there || !ready->tuple.remote_port)
                return;
        fingerprint->tuple = ready->tuple;
        fingerprint->idle_ms = ready->idle_ms;
        fingerprint->there = true;
        list_push_back(&fingerprint->all->untold, &fingerprint->in_all);
        fingerprints_advance(fingerprint->all);
}

void fingerprint_free(struct fingerprint *fingerprint)
{
        struct ipc_fingerprint_drop over;
        struct worker_link *admin;

        if (!fingerprint)
                return;
        if (fingerprint->there)
                list_remove(&fingerprint->in_all);
        over = (struct ipc_fingerprint_drop){ .channel = fingerprint->channel, .tuple = fingerprint->tuple,
                                              .swarm = fingerprint->all->worker->id };
        admin = fingerprint->told ? admin_of(fingerprint->all) : NULL;
        if (admin)
                worker_send(admin, IPC_FINGERPRINT_DROP, &over, NULL, 0);
        free(fingerprint);
}

void fingerprints_introduce(struct fingerprints *all)
{
        all->wanted = true;
        list_for_each(at, &all->told) {
                struct fingerprint *fingerprint = list_entry(at, struct fingerprint, in_all);

                fingerprint->told = false;
                list_remove(&fingerprint->in_all);
                list_push_back(&all->untold, &fingerprint->in_all);
        }
        fingerprints_advance(all);
}
