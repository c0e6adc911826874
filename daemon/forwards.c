/* SPDX-License-Identifier: BSD-3-Clause */
#include "forwards.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void forwards_init(struct forwards *forwards, struct children *children, unsigned max)
{
        *forwards = (struct forwards){ .children = children, .max = max };
        list_init(&forwards->all);
}

static void drop(struct forward *forward)
{
        list_remove(&forward->in_all);
        free(forward);
}

void forwards_fini(struct forwards *forwards)
{
        list_for_each(at, &forwards->all)
                drop(list_entry(at, struct forward, in_all));
}

/* Among those that @fits lets through (NULL: all). *@count_out: how many there are of that duty. */
static struct forward *least_laden(struct forwards *forwards, enum ipc_duty duty,
                                   bool (*fits)(const struct forward *forward, const void *group), const void *group,
                                   unsigned *count_out)
{
        struct forward *least = NULL;

        *count_out = 0;
        list_for_each(at, &forwards->all) {
                struct forward *forward = list_entry(at, struct forward, in_all);

                if (forward->duty != duty)
                        continue;
                ++*count_out;
                if ((!least || forward->held < least->held) && (!fits || fits(forward, group)))
                        least = forward;
        }
        return least;
}

static struct forward *add(struct forwards *forwards, enum ipc_duty duty)
{
        struct forward *forward = calloc(1, sizeof(*forward));

        if (!forward)
                return NULL;
        forward->duty = duty;
        list_push_back(&forwards->all, &forward->in_all);
        return forward;
}

struct forward *forwards_hold(struct forwards *forwards, enum ipc_duty duty)
{
        unsigned count, max = duty == IPC_DUTY_HOSTS ? FORWARDS_OF_HOSTS : forwards->max;
        struct forward *forward = least_laden(forwards, duty, NULL, NULL, &count);

        if (count < max)
                forward = add(forwards, duty);
        if (forward)
                forward->held++;
        return forward;
}

struct forward *forwards_hold_services(struct forwards *forwards, bool (*fits)(const struct forward *forward, const void *group),
                                       const void *group)
{
        unsigned count;
        struct forward *forward = least_laden(forwards, IPC_DUTY_SERVICES, fits, group, &count);
        bool open = count >= forwards->max && !forward;

        if (count < forwards->max || open)
                forward = add(forwards, IPC_DUTY_SERVICES);
        if (!forward)
                return NULL;
        forward->held++;
        if (open) {                     /* so that it will do for all that come after it */
                forward->any_port = true;
                forward->protocols = 1U << IPC_TCP | 1U << IPC_UDP;
        }
        return forward;
}

void forward_add_port(struct forward *forward, uint16_t protocol, uint16_t port)
{
        assert(!forward->child);
        forward->protocols |= 1U << protocol;
        for (size_t i = 0; i < forward->port_count; i++)
                if (forward->ports[i] == port)
                        return;
        if (forward->port_count < IPC_PORTS_MAX)
                forward->ports[forward->port_count++] = port;
        else
                forward->any_port = true;
}

bool forward_reaches(const struct forward *forward, uint16_t protocol, uint16_t port)
{
        bool found = !forward->child || forward->any_port;

        for (size_t i = 0; i < forward->port_count && !found; i++)
                found = forward->ports[i] == port;
        return found && (!forward->child || forward->protocols & 1U << protocol);
}

int forwards_start(struct forwards *forwards)
{
        list_for_each(at, &forwards->all) {
                struct forward *forward = list_entry(at, struct forward, in_all);

                if (forward->child)
                        continue;
                forward->child = children_add_forward(forwards->children, ++forwards->last_id, forward->duty, forward->protocols,
                                                      forward->ports, forward->any_port ? 0 : forward->port_count, forward);
                if (!forward->child)
                        return -ENOMEM;
        }
        return 0;
}

bool forwards_release(struct forwards *forwards, struct forward *forward)
{
        if (--forward->held > 0)
                return true;
        if (forward->child)
                child_retire(forward->child, FORWARDS_STOP_MS);
        drop(forward);
        return false;
}

struct forward *forward_of(const struct child *child)
{
        return child->role == IPC_FORWARD ? child->context : NULL;
}
