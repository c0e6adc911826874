/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_output.h"

#include <stdlib.h>
#include <string.h>

struct copy {
        struct rpc_datagram datagram;
        uint8_t bytes[];
};

void rpc_output_init(struct rpc_output *output)
{
        *output = (struct rpc_output){ 0 };
        list_init(&output->waiting);
}

static void release(struct rpc_output *output)
{
        if (output->lent)
                free(container_of(output->lent, struct copy, datagram));
        output->lent = NULL;
}

void rpc_output_fini(struct rpc_output *output)
{
        while (rpc_output_next(output))
                ;
        release(output);
}

void rpc_output_queue(struct rpc_output *output, struct rpc_datagram *datagram)
{
        if (list_empty(&datagram->queued))
                list_push_back(&output->waiting, &datagram->queued);
}

void rpc_output_forget(struct rpc_datagram *datagram)
{
        list_remove(&datagram->queued);
}

bool rpc_output_copy(struct rpc_output *output, uint32_t socket, const struct addr *to, const void *bytes, size_t len)
{
        struct copy *copy = output->copies < RPC_OUTPUT_MAX ? malloc(sizeof(*copy) + len) : NULL;

        if (!copy)
                return false;
        memcpy(copy->bytes, bytes, len);
        copy->datagram = (struct rpc_datagram){ .socket = socket, .to = *to, .copied = true, .len = len, .bytes = copy->bytes };
        list_push_back(&output->waiting, &copy->datagram.queued);
        output->copies++;
        return true;
}

const struct rpc_datagram *rpc_output_next(struct rpc_output *output)
{
        struct list *first = list_first(&output->waiting);
        struct rpc_datagram *datagram;

        release(output);
        if (!first)
                return NULL;
        list_remove(first);
        datagram = list_entry(first, struct rpc_datagram, queued);
        if (datagram->copied) {
                output->lent = datagram;
                output->copies--;
        }
        return datagram;
}
