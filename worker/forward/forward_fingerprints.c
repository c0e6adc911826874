/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_fingerprints.h"

#include <stdlib.h>
#include <string.h>

#include "ipc_fingerprint.h"

struct fingerprint {
        struct fingerprints *all;
        struct list in_all;             /* told or untold */
        bool made;                      /* there is its connection; before, it is in neither list */
        bool told;
        uint16_t gate_port;
        uint32_t idle_ms, len;
        uint64_t number;
        struct ipc_tuple tuple;
        char text[];
};

void fingerprints_init(struct fingerprints *all, struct worker *worker)
{
        *all = (struct fingerprints){ .worker = worker };
        list_init(&all->told);
        list_init(&all->untold);
}

struct fingerprint *fingerprint_new(struct fingerprints *all, const struct ipc_channel_arrived *arrived, uint16_t protocol)
{
        struct fingerprint *fingerprint = all->wanted && arrived->metadata_len > 0 ? malloc(sizeof(*fingerprint) + arrived->metadata_len) : NULL;

        if (!fingerprint)
                return NULL;
        *fingerprint = (struct fingerprint){ .all = all, .number = ++all->last_number, .tuple.protocol = protocol,
                                             .gate_port = arrived->gate_port, .len = arrived->metadata_len };
        memcpy(fingerprint->text, arrived->metadata, arrived->metadata_len);
        return fingerprint;
}

static struct worker_link *admin_of(const struct fingerprints *all)
{
        return worker_find(all->worker, IPC_ADMIN, 1);
}

static void send_one(struct worker_link *admin, struct fingerprint *fingerprint)
{
        struct ipc_fingerprint said = { .number = fingerprint->number, .tuple = fingerprint->tuple, .idle_ms = fingerprint->idle_ms,
                                        .metadata_len = fingerprint->len, .gate_port = fingerprint->gate_port };

        memcpy(said.metadata, fingerprint->text, fingerprint->len);
        worker_send(admin, IPC_FINGERPRINT_SET, &said, NULL, 0);
        fingerprint->told = true;
        list_remove(&fingerprint->in_all);
        list_push_back(&fingerprint->all->told, &fingerprint->in_all);
}

void fingerprints_advance(struct fingerprints *all)
{
        struct worker_link *admin = list_empty(&all->untold) ? NULL : admin_of(all);

        while (admin && !list_empty(&all->untold) && !ipc_link_queued(&admin->ipc)) {
                send_one(admin, list_entry(list_first(&all->untold), struct fingerprint, in_all));
                admin = admin_of(all);          /* the link may have ended with that */
        }
}

void fingerprint_tell(struct fingerprint *fingerprint, int fd, const union socket_address *remote, uint32_t idle_ms)
{
        union socket_address local = { .any.sa_family = AF_UNSPEC };
        socklen_t len = sizeof(local);

        if (!fingerprint || fingerprint->made || getsockname(fd, &local.any, &len) < 0)
                return;
        socket_address_ip(&local, fingerprint->tuple.local_ip);
        socket_address_ip(remote, fingerprint->tuple.remote_ip);
        fingerprint->tuple.local_port = socket_address_port(&local);
        fingerprint->tuple.remote_port = socket_address_port(remote);
        fingerprint->idle_ms = idle_ms;
        fingerprint->made = true;
        list_push_back(&fingerprint->all->untold, &fingerprint->in_all);
        fingerprints_advance(fingerprint->all);         /* before the first byte can come to the service */
}

void fingerprint_free(struct fingerprint *fingerprint)
{
        struct worker_link *admin;

        if (!fingerprint)
                return;
        if (fingerprint->made)
                list_remove(&fingerprint->in_all);
        admin = fingerprint->told ? admin_of(fingerprint->all) : NULL;
        if (admin)
                worker_send(admin, IPC_FINGERPRINT_DROP,
                            &(struct ipc_fingerprint_drop){ .number = fingerprint->number, .tuple = fingerprint->tuple }, NULL, 0);
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
}
