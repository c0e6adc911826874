/* SPDX-License-Identifier: BSD-3-Clause */
#include "holdings.h"

#include <stdlib.h>

#include "cleanup.h"

void holdings_init(struct holdings *holdings)
{
        list_init(&holdings->all);
}

void holdings_fini(struct holdings *holdings)
{
        list_for_each(at, &holdings->all)
                free(list_entry(at, struct holding, in_all));
}

/* @forward 0: anybody's. */
static struct holding *find(const struct holdings *holdings, uint32_t forward, uint16_t gate_port, uint16_t protocol)
{
        list_for_each(at, &holdings->all) {
                struct holding *holding = list_entry(at, struct holding, in_all);

                if ((!forward || holding->forward == forward) && holding->service.gate_port == gate_port &&
                    holding->service.protocol == protocol)
                        return holding;
        }
        return NULL;
}

bool holdings_add(struct holdings *holdings, uint32_t forward, const struct ipc_service_held *held)
{
        bool known = find(holdings, forward, held->gate_port, held->protocol);
        struct holding *holding = known ? NULL : calloc(1, sizeof(*holding));

        if (!holding)
                return false;
        holding->forward = forward;
        holding->service = *held;
        list_push_back(&holdings->all, &holding->in_all);
        return true;
}

static void drop(struct holding *holding)
{
        list_remove(&holding->in_all);
        free(holding);
}

void holdings_drop(struct holdings *holdings, uint32_t forward, const struct ipc_service_held *held)
{
        struct holding *holding = find(holdings, forward, held->gate_port, held->protocol);

        if (holding)
                drop(holding);
}

bool holdings_forget(struct holdings *holdings, uint32_t forward)
{
        bool any = false;

        list_for_each(at, &holdings->all)
                if (list_entry(at, struct holding, in_all)->forward == forward) {
                        drop(list_entry(at, struct holding, in_all));
                        any = true;
                }
        return any;
}

struct holding *holdings_next(const struct holdings *holdings, uint16_t gate_port, uint16_t protocol)
{
        return find(holdings, 0, gate_port, protocol);
}

void holdings_turn(struct holdings *holdings, struct holding *holding)
{
        list_remove(&holding->in_all);
        list_push_back(&holdings->all, &holding->in_all);
}
