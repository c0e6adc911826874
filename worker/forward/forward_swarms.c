/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_swarms.h"

struct worker_link *swarms_next(const struct worker *worker, const struct worker_link *after)
{
        for (struct list *at = after ? after->in_links.next : worker->links.next; at != &worker->links; at = at->next) {
                struct worker_link *link = list_entry(at, struct worker_link, in_links);

                if (link->ipc.peer == IPC_SWARM)
                        return link;
        }
        return NULL;
}

struct worker_link *swarms_find(struct worker *worker, uint32_t id)
{
        return worker_find(worker, IPC_SWARM, id);
}

bool swarms_ready(const struct worker_link *swarm)
{
        return !ipc_link_queued(&swarm->ipc);
}

bool swarms_behind(const struct worker *worker)
{
        struct worker_link *swarm = NULL;
        bool any = false;

        while ((swarm = swarms_next(worker, swarm))) {
                if (swarms_ready(swarm))
                        return false;
                any = true;
        }
        return any;
}
