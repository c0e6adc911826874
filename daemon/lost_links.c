/* SPDX-License-Identifier: BSD-3-Clause */
#include "lost_links.h"

#include <stdio.h>

#include "introduce.h"
#include "monotonic.h"

static struct child *find(struct children *children, uint32_t role, uint32_t id)
{
        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                if (child->role == role && child->id == id)
                        return child;
        }
        return NULL;
}

/* True: once too often lately. */
static bool quarrels(struct child *child, usec_t now_us)
{
        if (now_us - child->quarrels_since_us > SECONDS(LOST_LINKS_QUARRELS_S)) {
                child->quarrels_since_us = now_us;
                child->quarrels = 0;
        }
        return ++child->quarrels >= LOST_LINKS_QUARRELS;
}

static void accuse(struct child *accuser, struct child *accused)
{
        char name[CHILD_NAME_MAX], why[96];

        snprintf(why, sizeof(why), "broke the rules of its link to the %s", child_name(accuser, name, sizeof(name)));
        child_kill(accused, why);
        if (quarrels(accuser, monotonic_us()))
                child_kill(accuser, "accuses others again and again");
}

/* Both may tell, and a link that came after may be lost as well. */
static void remember(struct lost_links *lost, const struct child *a, const struct child *b, uint64_t number)
{
        struct lost_link link = { .role = { a->role, b->role }, .id = { a->id, b->id }, .number = number };

        if (a->role > b->role)
                link = (struct lost_link){ .role = { b->role, a->role }, .id = { b->id, a->id }, .number = number };
        for (unsigned i = 0; i < lost->count; i++) {
                struct lost_link *known = &lost->link[i];

                if (known->role[0] == link.role[0] && known->id[0] == link.id[0] && known->role[1] == link.role[1] &&
                    known->id[1] == link.id[1]) {
                        known->number = number > known->number ? number : known->number;
                        return;
                }
        }
        if (lost->count < LOST_LINKS_MAX)
                lost->link[lost->count++] = link;
        if (!ev_is_active(&lost->due)) {
                ev_timer_set(&lost->due, to_seconds(MSEC(LOST_LINKS_WAIT_MS)), 0);
                ev_timer_start(lost->loop, &lost->due);
        }
}

void lost_links_take(struct lost_links *lost, struct child *child, const struct ipc_link_lost *what)
{
        struct child *other = find(lost->children, what->role, what->id);

        if (!child_alive(child) || !other || !child_alive(other) || other->struck || what->link <= other->links_before)
                return;
        if (what->why >= IPC_LOSTS || what->link > lost->children->links || what->link <= child->links_before ||
            !introduce_meet(child, other)) {
                child_kill(child, "lost a link that it can't have had");
                return;
        }
        if (what->why == IPC_LOST_BROKEN)
                accuse(child, other);
        else
                remember(lost, child, other, what->link);
}

static bool lives_on(const struct child *child, uint64_t number)
{
        return child && child_alive(child) && !child->struck && !child->unintroduced && child->links_before < number;
}

static void introduce_again(struct lost_links *lost, const struct lost_link *link)
{
        struct child *a = find(lost->children, link->role[0], link->id[0]), *b = find(lost->children, link->role[1], link->id[1]);
        char names[2][CHILD_NAME_MAX];
        bool a_again, b_again;

        if (!lives_on(a, link->number) || !lives_on(b, link->number))
                return;
        a_again = quarrels(a, monotonic_us());
        b_again = quarrels(b, monotonic_us());
        if (a_again)
                child_kill(a, "loses its links again and again");
        if (b_again)
                child_kill(b, "loses its links again and again");
        if (a_again || b_again)
                return;         /* a new life is introduced to all */
        log_warning(lost->children->log, "%s and %s lost each other, though both live: introduced again",
                    child_name(a, names[0], sizeof(names[0])), child_name(b, names[1], sizeof(names[1])));
        introduce(a, b);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct lost_links *lost = timer->data;

        for (unsigned i = 0; i < lost->count; i++)
                introduce_again(lost, &lost->link[i]);
        lost->count = 0;
}

void lost_links_init(struct lost_links *lost, struct children *children, struct ev_loop *loop)
{
        *lost = (struct lost_links){ .children = children, .loop = loop };
        ev_init(&lost->due, on_due);
        lost->due.data = lost;
}

void lost_links_fini(struct lost_links *lost)
{
        ev_timer_stop(lost->loop, &lost->due);
        lost->count = 0;
}
