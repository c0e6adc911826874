/* SPDX-License-Identifier: BSD-3-Clause */
/* Doubly linked list, intrusive and circular: a head is an entry that stands for no element. */
#ifndef HG_LIST_H
#define HG_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

struct list {
        struct list *next, *prev;
};

#define LIST_INIT(head) { &(head), &(head) }

static inline void list_init(struct list *head)
{
        head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
        return head->next == head;
}

static inline void list_insert_before(struct list *at, struct list *entry)
{
        entry->next = at;
        entry->prev = at->prev;
        at->prev->next = entry;
        at->prev = entry;
}

static inline void list_push_back(struct list *head, struct list *entry)
{
        list_insert_before(head, entry);
}

static inline void list_push_front(struct list *head, struct list *entry)
{
        list_insert_before(head->next, entry);
}

/* Leaves @entry as an empty head, so that removing twice is harmless. */
static inline void list_remove(struct list *entry)
{
        entry->prev->next = entry->next;
        entry->next->prev = entry->prev;
        list_init(entry);
}

static inline struct list *list_first(const struct list *head)
{
        return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
        return list_empty(head) ? NULL : head->prev;
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)

/* Walks @head; the current entry may be removed (and freed) by the body. */
#define list_for_each(at, head) \
        for (struct list *at = (head)->next, *at##_next = at->next; at != (head); at = at##_next, at##_next = at->next)

#endif
