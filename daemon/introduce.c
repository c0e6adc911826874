/* SPDX-License-Identifier: BSD-3-Clause */
#include "introduce.h"

#include <string.h>

#include "forwards.h"
#include "ipc_fd.h"

/* Who carries a service needs no routes. */
static bool takes_routes(const struct child *child)
{
        const struct forward *forward = forward_of(child);

        return forward && forward->duty != IPC_DUTY_SERVICES;
}

static bool takes_services(const struct child *child)
{
        const struct forward *forward = forward_of(child);

        return forward && forward->duty == IPC_DUTY_SERVICES;
}

/* Who lets clients in has nothing to hear of connections. */
static bool is_resolver(const struct child *child)
{
        return child->role == IPC_ADMIN && child->id == IPC_ADMIN_OF_RESOLVER;
}

bool introduce_meet(const struct child *a, const struct child *b)
{
        if (a->role > b->role) {
                const struct child *swap = a;

                a = b;
                b = swap;
        }
        if (a->role == IPC_SWARM)
                return b->role == IPC_ROUTER || b->role == IPC_FORWARD || is_resolver(b);
        if (a->role == IPC_FORWARD)
                return is_resolver(b) && takes_services(a);
        return a->role == IPC_ROUTER && takes_routes(b);
}

static void tell(struct child *child, const struct child *of, int fd)
{
        struct ipc_introduction who = { .link = child->children->links, .role = of->role, .id = of->id };

        child_send(child, IPC_LINK, &who, &fd, 1);
}

void introduce(struct child *a, struct child *b)
{
        int pair[2], r = ipc_link_pair(pair);

        if (r < 0) {
                child_kill(a->unintroduced ? a : b, strerror(-r));      /* it starts again, and this with it */
                return;
        }
        a->children->links++;
        tell(a, b, pair[0]);
        tell(b, a, pair[1]);
        close_fdp(&pair[0]);
        close_fdp(&pair[1]);
}

static bool can_be_met(const struct child *child)
{
        return child_alive(child) && !child->unconfigured;
}

/* With all that come after it in the list. */
static void introduce_one(struct children *children, struct child *child)
{
        for (struct list *at = child->in_all.next; at != &children->all; at = at->next) {
                struct child *other = list_entry(at, struct child, in_all);

                if ((child->unintroduced || other->unintroduced) && can_be_met(other) && introduce_meet(child, other))
                        introduce(child, other);
        }
}

void introduce_new(struct children *children)
{
        bool any = false;

        list_for_each(at, &children->all)
                any = any || list_entry(at, struct child, in_all)->unintroduced;
        if (!any)
                return;
        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                if (can_be_met(child))
                        introduce_one(children, child);
        }
        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                child->unintroduced = child->unintroduced && !can_be_met(child);
        }
}
